"""The routes of the pages, of their files, and of what lets them be installed."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.principal import Role
from web.assets import MEDIA, Asset, Assets
from web.dev_sign_in import DevSignIn
from web.manifests import console_manifest, patient_manifest
from web.modules import needs_of
from web.policy import SHARED, STATIC, WORKER, PagePolicy

FOLDER: Final = Path(__file__).with_name("static")
SHELLS: Final = ("patient.html", "console.html")
"""The pages that begin without a network."""

_MAX_CASE: Final = 255
_CONSOLE_MANIFEST: Final = "/admin/manifest.webmanifest"


class Pages:
    """Everything that a browser opens, or loads for what it has opened."""

    def __init__(
        self,
        *,
        origins: Iterable[str],
        cookie: str,
        max_upload: int,
        dev: DevSignIn | None,
        folder: Path = FOLDER,
    ) -> None:
        """Make the pages.

        Pages of `origins` may embed them and hand them tokens; `cookie` is where the identity
        provider leaves its token; a file has at most `max_upload` bytes; without `dev` there is no
        sign-in of the hub's own.
        """
        self._policy = PagePolicy(origins)
        self._dev = dev
        self._assets = Assets(folder, watch=dev is not None)
        self._config = json.dumps(
            {
                "dev": dev is not None,
                "origins": self._policy.origins,
                "cookie": cookie,
                "max_upload": max_upload,
            }
        )

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._start),
            Route("/cases/{case}", self._patient),
            Route("/cases/{case}/manifest.webmanifest", self._patient_manifest),
            Route("/admin", self._console),
            Route("/admin/cases/{case}", self._console),
            Route(_CONSOLE_MANIFEST, self._console_manifest),
            Route("/static/{path:path}", self._static),
            Route("/sw.js", self._worker),
            Route("/favicon.ico", self._file("icons/favicon.ico")),
            *([Route("/sign-in", self._sign_in), *self._dev.routes()] if self._dev else ()),
        ]

    async def _start(self, request: Request) -> Response:
        if self._dev is None:
            return self._page(request, "home.html")
        return self._page(request, "start.html", **self._both_sides(self._dev))

    def _both_sides(self, dev: DevSignIn) -> dict[str, str]:
        """Give the addresses of the two pages next to each other: each its own identity."""
        people = [*dev.identities.values()]
        patient = next(each for each in people if each.role is Role.PATIENT)
        staff = next(each for each in people if each.role is not Role.PATIENT)
        sides = {"patient": patient, "staff": staff}
        return {side: f"{each.page}?as={quote(each.id)}" for side, each in sides.items()}

    async def _sign_in(self, request: Request) -> Response:
        return self._page(request, "sign-in.html")

    async def _patient(self, request: Request) -> Response:
        manifest = f"{_case_page(request)}/manifest.webmanifest"
        return self._page(request, "patient.html", manifest=manifest)

    async def _console(self, request: Request) -> Response:
        return self._page(request, "console.html", manifest=_CONSOLE_MANIFEST)

    async def _patient_manifest(self, request: Request) -> Response:
        return _manifest(request, patient_manifest(_case_page(request)))

    async def _console_manifest(self, request: Request) -> Response:
        return _manifest(request, console_manifest())

    async def _static(self, request: Request) -> Response:
        return self._serve(request, request.path_params["path"])

    async def _worker(self, request: Request) -> Response:
        """Give the service worker, and in it the names of all that it keeps.

        Another version of the files, or of what the pages are told, is another worker.
        """
        files = self._assets.files
        kept = {name: None for shell in SHELLS for name in needs_of(shell, files, later=True)}
        text = self._assets.text("sw.js")
        text = text.replace('"{{version}}"', json.dumps(self._version))
        text = text.replace('"{{files}}"', json.dumps([f"/static/{name}" for name in kept]))
        return Asset.of(text.encode(), MEDIA[".js"]).response(request, WORKER)

    @property
    def _version(self) -> str:
        told = self._assets.version + self._config
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def _file(self, path: str) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            return self._serve(request, path)

        return serve

    def _serve(self, request: Request, path: str) -> Response:
        asset = self._assets.files.get(path)
        # What is still to be filled in is no page.
        if asset is None or path.endswith(".html") or path == "sw.js":
            raise HTTPException(404)
        shared = path == "hub-client.js" or path.startswith("client/")
        return asset.response(request, SHARED if shared else STATIC)

    def _page(self, request: Request, name: str, **places: str) -> Response:
        """Fill a page in; what is put there is text, and never markup."""
        text = self._assets.text(name)
        for place, value in {"config": self._config, **places}.items():
            text = text.replace("{{" + place + "}}", escape(value))
        text = text.replace("{{preload}}", self._preload(name))
        headers = self._policy.headers(request.headers.get("host", ""))
        return Asset.of(text.encode(), MEDIA[".html"]).response(request, headers)

    def _preload(self, name: str) -> str:
        """Let the browser fetch all modules at once, and not one after the other found it."""
        modules = [path for path in needs_of(name, self._assets.files) if path.endswith(".js")]
        return "\n    ".join(
            f'<link rel="modulepreload" href="/static/{escape(path)}">' for path in modules
        )


def _case_page(request: Request) -> str:
    """Give the address of the page of a case, whatever its id holds."""
    case: str = request.path_params["case"]
    if not (0 < len(case) <= _MAX_CASE and case.isprintable()) or case in (".", ".."):
        raise HTTPException(404)
    return f"/cases/{quote(case, safe='')}"


def _manifest(request: Request, manifest: dict[str, Any]) -> Response:
    body = json.dumps(manifest).encode()
    return Asset.of(body, MEDIA[".webmanifest"]).response(request, STATIC)
