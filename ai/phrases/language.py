"""How the phrases are written by which a message is found to ask for a person, or for help.

A phrase is a row of slots, parted by spaces; phrases are parted by commas. In a slot: `a|b` either
word; `stem*` any word that begins so; `a?` may be missing; `..` at most one word of any kind, `...`
at most three, `_` just one, none of them a negation; `.` the edge of a sentence. A phrase that
begins with `!` counts behind a negation too. Words are compared without accents, case and
apostrophes, so `can't` is written `cant`.

Invariant: a wish is written so narrowly that chatting about persons does not match it; a red flag
is written widely.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Flag(StrEnum):
    """What may be an emergency, in words for staff; the first one found decides the safety text."""

    SELF_HARM = "suicide or self-harm"
    CHEST = "chest pain"
    HEART = "heart attack"
    BREATHING = "trouble breathing"
    STROKE = "signs of a stroke"
    UNCONSCIOUS = "loss of consciousness"
    BLEEDING = "severe bleeding"
    ALLERGY = "severe allergic reaction"
    OVERDOSE = "overdose or poisoning"
    SEIZURE = "seizure"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class Language:
    """The phrases of one language in one script, and its two safety texts."""

    wishes: str
    flags: Mapping[Flag, str]
    harmless: str
    """Phrases that take back what was found inside of them or just before them."""
    negators: str
    """Words behind which a phrase means the opposite."""
    fillers: str
    """Words that may stand between a negator and the phrase that it negates."""
    common: str
    """Frequent words, which tell this language from others that share a phrase."""
    emergency: str
    crisis: str
    """The safety text for suicide and self-harm."""
