"""The REST endpoint by which tokens are revoked before they expire."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.principal import Principal
from hub.endpoints import Endpoints, read_object, validated
from rooms.encoding import timestamp
from rooms.errors import Code, Malformed
from rooms.payload import Text
from rooms.revocations import About, Revocations

Subject = Annotated[Text, Field(min_length=1, max_length=255)]
"""As long as the claims of a token may be."""


class Revoke(BaseModel):
    """Whose tokens count no longer: those of a user, or of a session."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    sub: Subject | None = None
    """A user: the tokens that were issued before a moment."""
    sid: Subject | None = None
    """A session: all of its tokens."""
    issued_before: AwareDatetime | None = None
    """The moment, with `sub`: with its zone, or as Unix time in s or ms; null: now."""


class RevocationsApi:
    """Revokes tokens of the caller's tenant."""

    def __init__(self, revocations: Revocations, endpoints: Endpoints) -> None:
        self._revocations = revocations
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        return [self._endpoints.route("POST", "/api/v1/revocations", self.post_revocation)]

    async def post_revocation(self, request: Request, by: Principal) -> Response:
        """Revoke; it holds on every process within 5 s, for open sockets and streams too."""
        wish = validated(Revoke, await read_object(request))
        about, subject = _named(wish)
        self._endpoints.throttle(by)
        revoked = await self._revocations.revoke(by, about, subject, wish.issued_before)
        return JSONResponse(
            {
                revoked.about: revoked.subject,
                "issued_before": timestamp(revoked.issued_before),
                "until": timestamp(revoked.until),
            }
        )


def _named(wish: Revoke) -> tuple[About, str]:
    match wish:
        case Revoke(sub=str(user), sid=None):
            return About.USER, user
        case Revoke(sub=None, sid=str(session), issued_before=None):
            return About.SESSION, session
        case _:
            message = "Give `sub`, with `issued_before` if you like, or `sid` alone."
            raise Malformed(Code.INVALID, message)
