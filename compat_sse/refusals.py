"""Errors before the first byte: plain HTTP with the one code of the SSE layer.

Invariant: a case that does not exist and a case of somebody else get the same bytes.
"""

from typing import Final

from starlette.responses import JSONResponse

from auth.errors import KeysUnavailable, Unauthenticated
from rooms.errors import Code, RoomError, Unavailable

CODE: Final = "SSE_CONNECTION_001"
RETRY_SOON_S: Final = 2
RETRY_LATER_S: Final = 10


class Busy(Exception):
    """This process takes no further stream: of this user (429), or of anybody (503)."""

    def __init__(self, status: int, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class SwitchedOff(Exception):
    """The tenant has no streams."""


def too_many(limit: int) -> Busy:
    message = (
        f"You have {limit} streams open, which is the most for one user. "
        "Close one, for example in another tab, and try again."
    )
    return Busy(429, message, RETRY_LATER_S)


def draining() -> Busy:
    message = "This process is about to stop. Connect again: another one will answer."
    return Busy(503, message, RETRY_SOON_S)


REFUSALS: Final = (Unauthenticated, KeysUnavailable, RoomError, Busy, SwitchedOff)
"""What `refusal` has an answer for."""


def refusal(error: Exception) -> JSONResponse:
    """Give the answer to a client whose stream could not be opened."""
    match error:
        case Busy(status=status, message=message, retry_after=seconds):
            return _answer(status, message, {"Retry-After": str(seconds)})
        case SwitchedOff():
            message = (
                "Streams are switched off. Poll `GET /api/v1/cases/{id}/events?after=` with the "
                "cursor of the last event that you have; `0.0` for everything."
            )
            return _answer(503, message, {})
        case Unauthenticated():
            # What was wrong with it is for the log alone: a forger would learn from it.
            message = (
                "A valid token is needed. Send `Authorization: Bearer <token>`, "
                "and the `X-Tenant-ID` that it was made for."
            )
            return _answer(401, message, {"WWW-Authenticate": "Bearer"})
        case KeysUnavailable() | Unavailable():
            message = "The hub cannot read what it needs for this stream now. Try again."
            return _answer(503, message, {"Retry-After": str(RETRY_SOON_S)})
        case RoomError(code=Code.CLOSED):
            return _answer(410, "This case is archived. Nothing more will happen in it.", {})
        case _:
            message = "There is no such case, or you have no right to it."
            return _answer(403, message, {})


def _answer(status: int, message: str, headers: dict[str, str]) -> JSONResponse:
    body = {"error": {"code": CODE, "message": message}}
    return JSONResponse(body, status, {"Cache-Control": "no-store", **headers})
