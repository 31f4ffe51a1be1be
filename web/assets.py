"""The files of the pages: read once, served from memory.

Invariant: a file is found by its exact name in a table. No address reaches the file system, so none
can lead out of the folder.
"""

import gzip
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response

# Not `mimetypes`: it depends on the machine, and a browser refuses a module of another type.
MEDIA: Final = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".ico": "image/x-icon",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".webmanifest": "application/manifest+json",
    }
)
"""What a file with such a name is; no other is served."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What is sent, whole and compressed."""

    body: bytes
    zipped: bytes
    media: str
    etag: str

    @classmethod
    def of(cls, body: bytes, media: str) -> Self:
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:20]}"'
        return cls(body, gzip.compress(body, mtime=0), media, etag)

    def response(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Answer a request: with the content, or with 304 if its sender has it already.

        It may be kept, and has to be asked for again each time it is used.
        """
        headers = {
            **headers,
            "Content-Type": self.media,
            "Cache-Control": "no-cache",
            "ETag": self.etag,
            "Vary": "Accept-Encoding",
        }
        if self._is_known(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        if self._is_shorter and _takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(self.zipped, headers={**headers, "Content-Encoding": "gzip"})
        return Response(self.body, headers=headers)

    @property
    def _is_shorter(self) -> bool:
        return len(self.zipped) < len(self.body)

    def _is_known(self, tags: str) -> bool:
        return any(tag.strip() in (self.etag, self.etag[2:], "*") for tag in tags.split(","))


class Assets:
    """The files of a folder, by their paths in it, such as `design/tokens.css`."""

    def __init__(self, folder: Path, *, watch: bool = False) -> None:
        """Read them; with `watch`, read them again when one has changed."""
        self._folder = folder
        self._watch = watch
        self._stamp: object = None
        self._files: dict[str, Asset] = {}
        self._read()

    @property
    def files(self) -> Mapping[str, Asset]:
        if self._watch:
            # An editor may be putting another in its place; the next request finds it.
            with suppress(FileNotFoundError):
                self._read()
        return self._files

    @property
    def version(self) -> str:
        """Name all that the files hold: another name whenever one of them differs."""
        tags = "".join(path + asset.etag for path, asset in sorted(self.files.items()))
        return hashlib.sha256(tags.encode()).hexdigest()

    def text(self, path: str) -> str:
        return self.files[path].body.decode()

    def _read(self) -> None:
        found = {path.relative_to(self._folder).as_posix(): path for path in self._paths()}
        stats = {name: path.stat() for name, path in found.items()}
        stamp = {name: (stat.st_mtime_ns, stat.st_size) for name, stat in stats.items()}
        if stamp != self._stamp:
            self._files = {
                name: Asset.of(path.read_bytes(), MEDIA[path.suffix])
                for name, path in found.items()
            }
            self._stamp = stamp

    def _paths(self) -> list[Path]:
        return [
            path
            for path in self._folder.rglob("*")
            if path.suffix in MEDIA and path.is_file() and not path.is_symlink()
        ]


def _takes_gzip(accepted: str) -> bool:
    """Tell whether `Accept-Encoding` names gzip, and does not refuse it with `q=0`."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
