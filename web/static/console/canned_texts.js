/**
 * Replies that are written often: a few that come with the console, and each person's own.
 * @module
 */

/** @typedef {{ id: string, title: string, text: string, own: boolean }} Canned */

const ITEM = "curaway.canned";

/** @type {[string, string, string][]} */
const BUILT_IN = [
  [
    "greeting",
    "Greeting",
    "Hello {name}, I am {me} from the care team at Curaway. I have read what you wrote, so you need not repeat anything.",
  ],
  [
    "documents-missing",
    "Documents: what is missing",
    "Thank you, {name}. To go on I still need a few documents from you: your latest medical report, the images if you have them, and a copy of your passport. A photograph with your phone is fine.",
  ],
  [
    "documents-received",
    "Documents: received",
    "Thank you, {name}. Your documents have arrived. The medical team reads them next, and I write to you here as soon as they have.",
  ],
  [
    "visa-letter",
    "Visa: invitation letter",
    "The hospital writes an invitation letter for your visa, {name}. For that I need your full name as in the passport, the passport number and your date of birth. The letter usually takes two to three working days.",
  ],
  [
    "visa-companion",
    "Visa: companion",
    "Somebody may travel with you, {name}. Please send me a copy of their passport as well, and tell me how you are related.",
  ],
  [
    "schedule-call",
    "Scheduling: a call",
    "I would like to talk this through with you, {name}. Which day and time would suit you for a call? Please tell me your time zone as well.",
  ],
  [
    "schedule-dates",
    "Scheduling: dates of travel",
    "The hospital can offer you these dates, {name}: … Please do not book flights yet. I confirm the date first.",
  ],
  [
    "payment-estimate",
    "Payment: estimate",
    "I have asked the hospital for a written estimate, {name}. It says what is included and what is not. You decide after you have read it; nothing is booked before that.",
  ],
  [
    "payment-deposit",
    "Payment: deposit",
    "The hospital asks for a deposit to hold your date, {name}. You pay it to the hospital directly, and you get a receipt. Please never pay anybody who asks for money by chat.",
  ],
  [
    "closing",
    "Goodbye for now",
    "You can write here at any time, {name}. I wish you well.",
  ],
];

/**
 * Put names into a text.
 * @param {string} text
 * @param {{ name: string, me: string }} names
 * @returns {string}
 */
export function fillIn(text, names) {
  return text.replace(/\{(name|me)\}/g, (_, word) => names[/** @type {"name" | "me"} */ (word)]);
}

/**
 * Those that have each word of the query; a hit in the title comes first.
 * @param {readonly Canned[]} all
 * @param {string} query
 * @returns {Canned[]}
 */
export function search(all, query) {
  const words = query.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  const has = (/** @type {string} */ text) =>
    words.every((word) => text.toLocaleLowerCase().includes(word));
  const named = all.filter((one) => has(one.title));
  return [...named, ...all.filter((one) => !named.includes(one) && has(`${one.title} ${one.text}`))];
}

export class CannedTexts {
  /** @type {Pick<Storage, "getItem" | "setItem"> | null} */
  #storage;
  /** @type {Canned[]} */
  #own;

  /** @param {Pick<Storage, "getItem" | "setItem"> | null} storage */
  constructor(storage) {
    this.#storage = storage;
    this.#own = read(storage);
  }

  /** @returns {Canned[]} one's own first */
  get all() {
    const builtIn = BUILT_IN.map(([id, title, text]) => ({ id, title, text, own: false }));
    return [...this.#own, ...builtIn];
  }

  /**
   * Add one's own, or write it anew if there is one of this id.
   * @param {{ id: string, title: string, text: string }} one
   */
  keep({ id, title, text }) {
    const at = this.#own.findIndex((other) => other.id === id);
    const kept = { id, title, text, own: true };
    if (at < 0) this.#own = [...this.#own, kept];
    else this.#own = this.#own.with(at, kept);
    this.#write();
  }

  /** @param {string} id */
  remove(id) {
    this.#own = this.#own.filter((one) => one.id !== id);
    this.#write();
  }

  #write() {
    try {
      this.#storage?.setItem(ITEM, JSON.stringify(this.#own));
    } catch {
      // Then they are kept until the page is left.
    }
  }
}

/**
 * @param {Pick<Storage, "getItem"> | null} storage
 * @returns {Canned[]}
 */
function read(storage) {
  try {
    const found = JSON.parse(storage?.getItem(ITEM) ?? "[]");
    if (!Array.isArray(found)) return [];
    return found
      .filter((one) => typeof one?.title === "string" && typeof one?.text === "string")
      .map((one) => ({ id: String(one.id), title: one.title, text: one.text, own: true }));
  } catch {
    return [];
  }
}
