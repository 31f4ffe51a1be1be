/**
 * Finds out whether a reply says what an internal note says, as when the note was copied into it.
 * @module
 */

/** Below this many characters, that two texts are the same is chance: "Passport", "OK, thanks". */
const TELLING = 24;

/**
 * Give the first line of a note that stands in the reply, or null.
 * @param {string} reply
 * @param {Iterable<string>} notes
 * @returns {string | null}
 */
export function quotedNote(reply, notes) {
  const said = plain(reply);
  for (const note of notes) {
    for (const line of note.split("\n")) {
      const words = plain(line);
      if (words.length >= TELLING && said.includes(words)) return line.trim();
    }
  }
  return null;
}

/**
 * @param {string} text
 * @returns {string}
 */
function plain(text) {
  return text.normalize("NFKC").toLocaleLowerCase().replace(/\s+/g, " ").trim();
}
