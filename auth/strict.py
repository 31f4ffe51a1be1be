"""Strict readers for base64url and JSON: what could be read in two ways is not read at all.

Invariant: every accepted text has exactly one spelling, so two parsers cannot disagree about it.
"""

import base64
import json
import string

_ALPHABET = frozenset(string.ascii_letters + string.digits + "-_")


def base64url(text: str) -> bytes:
    """Decode base64url as RFC 7515 section 2 writes it: no padding, no whitespace.

    Raises ValueError for another alphabet and for trailing bits that are not zero.
    """
    if not _ALPHABET.issuperset(text):
        raise ValueError("not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(data) != text:
        raise ValueError("base64url is not canonical")
    return data


def to_base64url(data: bytes) -> str:
    """Encode as RFC 7515 section 2 does, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def json_object(data: bytes) -> dict[str, object]:
    """Read one JSON object in UTF-8.

    Raises ValueError for another value, a member given twice, NaN and the infinities, and
    RecursionError for absurd nesting.
    """
    value = json.loads(
        data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant
    )
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a JSON member is given twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
