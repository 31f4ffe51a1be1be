"""Whether a patient's message asks for a person, or tells of an emergency; no model is asked.

The rules, in the order in which they count:

1. A red flag wins over a wish for a person. When in doubt, a red flag is raised and a wish is not.
2. A phrase right behind a negation ("no chest pain") does not count, unless the table marks it.
3. A harmless phrase ("stroke rehabilitation", "a heart attack years ago") takes back the finding
   that it is about.
4. The safety text is in the language in which the red flag was written.

All phrases are looked for at once, as bits of one integer: a slot of a phrase is a bit, and a word
moves all of them. Invariant: a word costs the same whatever the text, so time is linear.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ai.phrases.arabic import ARABIC
from ai.phrases.english import ENGLISH
from ai.phrases.french import FRENCH
from ai.phrases.german import GERMAN
from ai.phrases.hindi import HINDI
from ai.phrases.hinglish import HINGLISH
from ai.phrases.language import Flag, Language
from ai.phrases.portuguese import PORTUGUESE
from ai.phrases.spanish import SPANISH
from rooms.events import Trigger
from rooms.state import Alarm

LANGUAGES: Final = (ENGLISH, SPANISH, FRENCH, PORTUGUESE, GERMAN, ARABIC, HINDI, HINGLISH)
GAP: Final = {"..": 1, "...": 3}
"""How many words of any kind may stand in the place of these slots."""
LONGEST: Final = 30_000
"""Characters that are read, once ligatures are taken apart: three for each of a message."""
MASKS: Final = 8_192
"""Words of which it is remembered where they fit."""
REMEMBERED: Final = 32
"""Characters of such a word at most."""
STRETCHED: Final = "~"
"""Begins the form of a word that was written with one letter three times or more."""

_APOSTROPHES: Final = str.maketrans(dict.fromkeys("’‘ʼ`´＇‛′", "'"))
_CONTRACTION: Final = re.compile(r"'(?=(?:t|s|m|d|re|ve|ll)\b)")
_LETTERS: Final = str.maketrans(
    {"ى": "ي", "ی": "ي", "ة": "ه", "ٱ": "ا", "ک": "ك", "ँ": "ं", "œ": "oe", "æ": "ae", "ı": "i"}
)
# Invisible characters, the hamza and its kind, accents, Arabic vowels and tatweel, the nukta. The
# other marks of Devanagari are vowels and stay.
_DROPPED: Final = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\u0300-\u036f\u0610-\u061a\u0621\u0640\u064b-\u065f\u0670\u06d6-\u06ed\u093c]+"
)
_TOKEN: Final = re.compile(r"(?:[^\W_]|[\u0900-\u0963\u0971-\u097f])+|[.!?:;,\n।؟؛،…(–—]")
_EDGES: Final = dict.fromkeys(".!;।؛…", ".") | dict.fromkeys("?؟:", ":")
"""What ends a sentence; a `:` asks something that a bare "no" may answer."""
EDGES: Final = {".": ".:", ":": ":"}
"""For each token of a phrase that stands for an edge: what it meets in a message."""
_PAUSES: Final = frozenset(",\n،(–—")
_RUN: Final = re.compile(r"(.)\1\1")
_REPEATED: Final = re.compile(r"(.)\1+")
_AROUND_BAR: Final = re.compile(r"\s*\|\s*")


def detect(text: str) -> Alarm | None:
    """Tell whether a person must come; never raises."""
    tokens = [".", *split(text), "."]
    found = _LEXICON.find(tokens)
    if not found:
        return None
    flags = [flag for flag in Flag if any(meaning.flag is flag for meaning in found)]
    if flags:
        told = [meaning.language for meaning in found if meaning.flag is flags[0]]
        language = _spoken(told, tokens)
        safety = language.crisis if flags[0] is Flag.SELF_HARM else language.emergency
        return Alarm(Trigger.RED_FLAG, f"red flag: {', '.join(flags)}", safety)
    return Alarm(Trigger.PHRASE, "asked for a person", None)


def split(text: str) -> Iterator[str]:
    """Give the words as they are compared, a pause as `,`, the end of a sentence as `.` or `:`."""
    text = text[:LONGEST].casefold() if text.isascii() else _plain(text)
    for token in _TOKEN.findall(_CONTRACTION.sub("", text.translate(_APOSTROPHES))):
        yield "," if token in _PAUSES else _EDGES.get(token, token)


def _plain(text: str) -> str:
    """Leave out what may be written or not: accents, vowel signs, invisible characters."""
    # One by one: ten thousand accents on one letter would be sorted, in quadratic time. Their
    # order does not matter, for they are dropped.
    plain = (unicodedata.normalize("NFKD", each) for each in text.translate(_APOSTROPHES))
    text = "".join(plain)[:LONGEST].casefold()
    return _DROPPED.sub("", text).translate(_LETTERS)


def forms(word: str) -> Iterator[str]:
    """Give what a written word may stand for: itself, unstretched, without Arabic prefixes."""
    yield word
    if _RUN.search(word):
        yield STRETCHED + _REPEATED.sub(r"\1", word)
    if "ء" <= word[0] <= "ي":
        yield from {word[end:] for end in _arabic_prefixes(word)}


def _arabic_prefixes(word: str) -> Iterator[int]:
    """Give the lengths of what may be "and", a preposition and the article before a word."""
    end = 0
    for prefixes in ("وف", "بلك", ("ال", "ل")):
        if len(word) - end > 3 and word.startswith(tuple(prefixes), end):
            end += 2 if word.startswith("ال", end) else 1
            yield end


@dataclass(frozen=True, slots=True)
class Meaning:
    """What it tells that a phrase was found."""

    language: Language
    flag: Flag | None
    """None: a wish, or a harmless phrase."""
    length: int
    """In words, at most."""


_NEGATOR: Final = 1
_FILLER: Final = 2


class Lexicon:
    """All phrases as bits: a phrase owns a row of bits, one for each slot, and a spare one."""

    def __init__(self, languages: Iterable[Language]) -> None:
        self._words: dict[str, int] = {}
        self._stems: dict[str, dict[str, int]] = {}
        self._meanings: dict[int, Meaning] = {}
        self._any = self._optional = self._first = self._stubborn = self._harmless = 0
        self._next = 2
        for language in languages:
            for bit, words in ((_NEGATOR, language.negators), (_FILLER, language.fillers)):
                for word in words.split():
                    self._learn(word, bit)
            for flag, phrases in language.flags.items():
                self._add_all(phrases, language, flag)
            self._add_all(language.wishes, language, None)
            start = self._next
            self._add_all(language.harmless, language, None)
            self._harmless |= (1 << self._next) - (1 << start)
        # What is harmless stays so behind a negation: "no history of stroke".
        self._stubborn |= self._first & self._harmless
        self._last = sum(1 << bit for bit in self._meanings)
        # Most words of most messages are the same few thousand.
        self._masked = lru_cache(MASKS)(self._mask)

    def find(self, tokens: Iterable[str]) -> list[Meaning]:
        """Give what is said, without what is negated or harmless."""
        hits: list[tuple[int, int]] = []
        state = negated = place = 0
        for word in tokens:
            if word == ",":
                negated = 0
                continue
            place += 1
            mask = self._masked(word) if len(word) <= REMEMBERED else self._mask(word)
            starts = self._stubborn if negated else self._first
            state = (self._skipping(state) << 1 | starts) & mask
            if ended := state & self._last:
                self._note(hits, place, ended)
            negated = mask & (_NEGATOR | _FILLER if negated else _NEGATOR)
        return [self._meanings[bit] for _, ended in hits for bit in _bits(ended)]

    def _note(self, hits: list[tuple[int, int]], place: int, ended: int) -> None:
        harmless = ended & self._harmless
        if not harmless:
            hits.append((place, ended))
        elif harmless == ended and hits:
            length = max(self._meanings[bit].length for bit in _bits(harmless))
            if hits[-1][0] > place - length:
                hits.pop()

    def _skipping(self, state: int) -> int:
        """Add the states that are reached by leaving out what may be left out."""
        while (more := state | state << 1 & self._optional) != state:
            state = more
        return state

    def _mask(self, token: str) -> int:
        """Tell in which slots a token fits."""
        mask = 0
        for form in forms(token):
            mask |= self._words.get(form, 0)
            for stem, fits in self._stems.get(form[:3], {}).items():
                if form.startswith(stem):
                    mask |= fits
        return mask if token in EDGES or mask & _NEGATOR else mask | self._any

    def _add_all(self, phrases: str, language: Language, flag: Flag | None) -> None:
        for phrase in _AROUND_BAR.sub("|", phrases).split(","):
            self._add(phrase.strip(), language, flag)

    def _add(self, phrase: str, language: Language, flag: Flag | None) -> None:
        first = 1 << self._next
        self._first |= first
        if phrase.startswith("!"):
            self._stubborn |= first
        slots = phrase.removeprefix("!").split()
        slots = [name for slot in slots for name in ["_?"] * GAP.get(slot, 0) or [slot]]
        for slot in slots:
            bit = 1 << self._next
            if slot.endswith("?"):
                self._optional |= bit
            self._learn_all(slot.removesuffix("?"), bit)
            self._next += 1
        self._meanings[self._next - 1] = Meaning(language, flag, len(slots))
        self._next += 1

    def _learn_all(self, slot: str, bit: int) -> None:
        if slot == "_":
            self._any |= bit
            return
        for word in slot.split("|"):
            self._learn(word, bit)

    def _learn(self, word: str, bit: int) -> None:
        if word in EDGES:
            for edge in EDGES[word]:
                self._words[edge] = self._words.get(edge, 0) | bit
            return
        plain = "".join(split(word.removesuffix("*")))
        for form in (plain, STRETCHED + _REPEATED.sub(r"\1", plain)):
            table = self._stems.setdefault(form[:3], {}) if word.endswith("*") else self._words
            table[form] = table.get(form, 0) | bit


def _bits(number: int) -> Iterator[int]:
    """Give the places of the bits that are set."""
    while number:
        yield (number & -number).bit_length() - 1
        number &= number - 1


def _spoken(languages: Iterable[Language], tokens: Iterable[str]) -> Language:
    """Choose the language of which the message has most words."""
    words = set(tokens)
    return max(languages, key=lambda language: len(words.intersection(split(language.common))))


_LEXICON: Final = Lexicon(LANGUAGES)
