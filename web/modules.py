"""What a module needs: the modules that it imports, and those that they import."""

import fnmatch
import re
from collections.abc import Mapping
from typing import Final

from web.assets import Asset

_STATIC: Final = re.compile(
    r"""^\s*(?:import|export)\b[^"';]*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']""",
    re.MULTILINE,
)
_DYNAMIC: Final = re.compile(r"""\bimport\(\s*["'`]([^"'`]+)["'`]\s*\)""")
_PLACE: Final = re.compile(r"\$\{[^}]*\}")
_ELEMENT: Final = re.compile(r"""<(?:script|link)\b[^>]*?\b(?:src|href)=["']/static/([^"']+)["']""")


def needs_of(page: str, files: Mapping[str, Asset], *, later: bool = False) -> list[str]:
    """Give the files that a page needs to begin, in the order in which they are found.

    With `later`, those too that its modules import when they are wanted.
    """
    found: dict[str, None] = {}
    waiting = _ELEMENT.findall(files[page].body.decode())
    while waiting:
        path = waiting.pop(0)
        if path in files and path not in found:
            found[path] = None
            waiting += imports(path, files, later=later) if path.endswith(".js") else []
    return [*found]


def imports(path: str, files: Mapping[str, Asset], *, later: bool = False) -> list[str]:
    """Give what a module imports, as paths in the folder; what leads elsewhere is left as it is."""
    text = files[path].body.decode()
    found = [_resolved(path, "".join(groups)) for groups in _STATIC.findall(text)]
    for name in _DYNAMIC.findall(text) if later else ():
        # `./text/${language}.js` may be any file of such a name.
        pattern = _resolved(path, _PLACE.sub("*", name))
        found += sorted(fnmatch.filter(files, pattern)) if "*" in pattern else [pattern]
    return found


def _resolved(path: str, name: str) -> str:
    if name.startswith("/static/"):
        return name.removeprefix("/static/")
    if not name.startswith("."):
        return name
    parts = path.split("/")[:-1]
    for part in name.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
