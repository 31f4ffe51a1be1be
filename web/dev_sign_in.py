"""Sign-in for development: anybody may be one of a few identities.

Invariant: only a page of the hub itself gets a token. A page of another site cannot have one
fetched, not even where its origin may open sockets.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from auth.dev import DevKeys
from auth.principal import Role

LIFETIME: Final = timedelta(hours=1)
"""How long a token of a page lasts; the page asks for the next one."""

_HEADERS: Final = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


@dataclass(frozen=True, slots=True)
class DevIdentity:
    """Somebody whom a developer may be."""

    id: str
    """The short name by which pages ask for a token."""
    sub: str
    tenant: str
    name: str
    role: Role
    page: str
    """Where they begin."""
    patient_id: str | None = None

    def mint(self, keys: DevKeys, now: datetime, lifetime: timedelta) -> str:
        return keys.mint(
            sub=self.sub,
            tenant=self.tenant,
            name=self.name,
            role=self.role,
            patient_id=self.patient_id,
            now=now,
            lifetime=lifetime,
        )

    def shown(self) -> dict[str, str]:
        return {"identity": self.id, "name": self.name, "role": self.role, "page": self.page}


class DevSignIn:
    """Gives tokens to the hub's own pages."""

    def __init__(
        self,
        identities: Iterable[DevIdentity],
        keys: DevKeys,
        *,
        now: Callable[[], datetime],
        own_origins: Iterable[str],
        origins: Iterable[str] = (),
    ) -> None:
        """Make the sign-in.

        `own_origins` are those of the hub's own pages. One of `origins` is too where it is the very
        address at which the hub is asked, as it is behind a proxy.
        """
        self.identities: Mapping[str, DevIdentity] = {each.id: each for each in identities}
        self._keys = keys
        self._now = now
        self._own_origins = frozenset(own_origins)
        self._origins = frozenset(origins)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/dev/identities", self._list),
            Route("/dev/tokens", self._mint, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        if self._is_foreign(request):
            return _refused(403, "forbidden", "This is for the hub's own pages.")
        found = [identity.shown() for identity in self.identities.values()]
        return JSONResponse({"identities": found}, headers=_HEADERS)

    async def _mint(self, request: Request) -> Response:
        if self._is_foreign(request):
            return _refused(403, "forbidden", "This is for the hub's own pages.")
        identity = self.identities.get(_asked_for(await request.body()))
        if identity is None:
            known = ", ".join(self.identities)
            return _refused(422, "invalid", f"`identity` must be one of: {known}.")
        now = self._now()
        answer = {
            "token": identity.mint(self._keys, now, LIFETIME),
            "exp": int((now + LIFETIME).timestamp()),
            "identity": identity.id,
        }
        return JSONResponse(answer, headers=_HEADERS)

    def _is_foreign(self, request: Request) -> bool:
        """Tell whether a page of another site asks; what is no browser says nothing of a site.

        `Host` alone proves nothing: a name that somebody else owns can be made to lead to this
        machine. So the origin is one that the operator has set.
        """
        origin = request.headers.get("origin")
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return True
        if origin is None or origin in self._own_origins:
            return False
        return origin not in self._origins or origin.partition("://")[2] != request.headers["host"]


def _asked_for(body: bytes) -> str:
    try:
        asked = json.loads(body)
    except ValueError:  # no JSON, or no UTF-8
        return ""
    name = asked.get("identity") if isinstance(asked, dict) else None
    return name if isinstance(name, str) else ""


def _refused(status: int, code: str, message: str) -> Response:
    error = {"code": code, "message": message}
    return JSONResponse({"error": error}, status, headers=_HEADERS)
