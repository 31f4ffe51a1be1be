"""The REST endpoints of the feature flags of a tenant."""

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.principal import Principal
from hub.client_frames import Flag
from hub.endpoints import Endpoints, read_object, validated
from rooms.errors import Code, Rejected
from rooms.flags import Flags
from rooms.payload import Id


class FlagChange(BaseModel):
    """A flag to be switched for the caller's tenant."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    name: Id
    on: Flag | None
    """null: as the deployer has set it."""


class FlagsApi:
    """Shows and changes the flags of the caller's tenant."""

    def __init__(self, flags: Flags, endpoints: Endpoints) -> None:
        self._flags = flags
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        return [
            self._endpoints.route("GET", "/api/v1/flags", self.get_flags),
            self._endpoints.route("POST", "/api/v1/flags", self.post_flag),
        ]

    async def get_flags(self, request: Request, by: Principal) -> Response:
        """Give the flags of the tenant, and what the deployer has set."""
        if not by.is_staff:
            raise Rejected(Code.FORBIDDEN, "Only staff may do this.")
        return self._shown(by)

    async def post_flag(self, request: Request, by: Principal) -> Response:
        """Switch a flag; it holds on every process within 5 s."""
        change = validated(FlagChange, await read_object(request))
        self._endpoints.throttle(by)
        await self._flags.set(by, change.name, change.on)
        return self._shown(by)

    def _shown(self, by: Principal) -> Response:
        flags = [
            {"name": flag.name, "on": flag.on, "default": flag.default}
            for flag in self._flags.of(by.tenant)
        ]
        return JSONResponse({"flags": flags})
