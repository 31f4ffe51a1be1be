"""Which files the hub takes, by their type and their first bytes, and what they are called.

A type is what the sender says it is, if the first bytes do not contradict. Browsers know no type
for some files, such as DICOM and often HEIC; then the first bytes tell it.
"""

import unicodedata
from collections.abc import Callable
from types import MappingProxyType
from typing import Final

from rooms.errors import Code, Malformed

BEGINNING: Final = 1_024
"""How many of the first bytes are looked at."""
LONGEST: Final = 200
"""Characters of a name."""
ENDING: Final = 20
"""Characters of a name's ending, such as `.pdf`, that outlive its shortening."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_UNKNOWN: Final = frozenset({"", "application/octet-stream"})
"""What browsers say of files whose type they do not know."""
_OTHER_NAMES: Final = MappingProxyType({"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg"})
_HEIF: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _begins(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda beginning: beginning.startswith(beginnings)


def _is_pdf(beginning: bytes) -> bool:
    # Readers allow something before it, and scanners make use of that.
    return b"%PDF-" in beginning


def _is_webp(beginning: bytes) -> bool:
    return beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP"


def _is_heif(beginning: bytes) -> bool:
    return beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIF


def _is_dicom(beginning: bytes) -> bool:
    return beginning[128:132] == b"DICM"


# In this order they tell the type of a file whose sender does not know it.
_SIGNATURES: Final[dict[str, Callable[[bytes], bool]]] = {
    "application/dicom": _is_dicom,
    "image/jpeg": _begins(b"\xff\xd8\xff"),
    "image/png": _begins(b"\x89PNG\r\n\x1a\n"),
    "image/webp": _is_webp,
    "image/heic": _is_heif,
    "image/tiff": _begins(*_TIFF),
    "application/pdf": _is_pdf,
}
_CHECKS: Final[dict[str, Callable[[bytes], bool]]] = {
    **_SIGNATURES,
    "image/heif": _is_heif,
    "text/plain": lambda beginning: b"\0" not in beginning and _signed(beginning) is None,
    "application/msword": _begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
    f"{_OFFICE}.wordprocessingml.document": _begins(b"PK\x03\x04"),
    f"{_OFFICE}.spreadsheetml.sheet": _begins(b"PK\x03\x04"),
}
CONTENT_TYPES: Final = tuple(sorted(_CHECKS))
"""The types of the files that are taken."""
_ENDINGS: Final[dict[str, tuple[str, ...]]] = {
    "application/dicom": (".dcm", ".dicom"),
    "application/msword": (".doc",),
    "application/pdf": (".pdf",),
    f"{_OFFICE}.spreadsheetml.sheet": (".xlsx",),
    f"{_OFFICE}.wordprocessingml.document": (".docx",),
    "image/heic": (".heic", ".heif"),
    "image/heif": (".heif", ".heic"),
    "image/jpeg": (".jpg", ".jpeg", ".jfif"),
    "image/png": (".png",),
    "image/tiff": (".tif", ".tiff"),
    "image/webp": (".webp",),
    "text/plain": (".txt", ".csv", ".log", ".md"),
}
"""How the name of a file of each type may end; what ends otherwise is given the first."""


def content_type_of(declared: str, beginning: bytes) -> str:
    """Give the type of a file from what its sender says and from its first bytes.

    Raises:
        Malformed: such files are not taken, or the two contradict each other.

    """
    if not beginning:
        raise Malformed(Code.INVALID, "The file is empty. Choose another one.")
    named = declared.partition(";")[0].strip().lower()
    named = _OTHER_NAMES.get(named, named)
    found = _signed(beginning) if named in _UNKNOWN else named
    if found not in _CHECKS:
        raise Malformed(
            Code.INVALID,
            "Files of this type are not taken. Send a PDF, a picture (JPEG, PNG, WebP, HEIC or "
            "TIFF), a DICOM file, a text, or a document of Word or Excel (.doc, .docx, .xlsx).",
        )
    if not _CHECKS[found](beginning):
        raise Malformed(
            Code.INVALID,
            "The content of the file is not of the type that its name promises. Open the file, "
            "save it again, as a PDF for example, and send that.",
        )
    return found


def file_name(given: str) -> str:
    """Make a name that can be shown and saved anywhere from the one that the sender gave."""
    last = given.replace("\\", "/").rpartition("/")[2]
    shown = unicodedata.normalize("NFC", "".join(_shown(each) for each in last))
    return _shortened(" ".join(shown.split()).strip(". ")) or "file"


def name_of_type(name: str, content_type: str) -> str:
    """Let the name of a file promise no other type than it has.

    Whoever saves it opens it by its name: a text called `report.html` would be a page, and one
    called `report.bat` a program.
    """
    endings = _ENDINGS[content_type]
    return name if name.lower().endswith(endings) else _shortened(name + endings[0])


def _signed(beginning: bytes) -> str | None:
    return next((type for type, fits in _SIGNATURES.items() if fits(beginning)), None)


def _shown(character: str) -> str:
    """Give a character that a name may have; nothing for one that hides, turns or breaks text."""
    if character in "\u200c\u200d":  # some scripts cannot be written without these
        return character
    category = unicodedata.category(character)
    if category in ("Zl", "Zp", "Zs") or character in "\t\r\n":
        return " "
    return "" if category.startswith("C") else character


def _shortened(name: str) -> str:
    if len(name) <= LONGEST:
        return name
    stem, dot, ending = name.rpartition(".")
    tail = f".{ending}" if dot and len(ending) < ENDING else ""
    return (stem if tail else name)[: LONGEST - len(tail)].rstrip(". ") + tail
