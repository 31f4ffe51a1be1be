"""What an error becomes on each door: a close code, or an HTTP status.

44xx: the client must change something first. 45xx: come back with backoff, and resume.
"""

from enum import IntEnum
from types import MappingProxyType
from typing import Final

from rooms.errors import Code
from rooms.feed import Cut


class CloseCode(IntEnum):
    """Why the hub closes a WebSocket."""

    BAD_FRAMES = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NO_AUTH = 4408
    TOO_MANY = 4409
    ARCHIVED = 4410
    INTERNAL = 4500
    RESTART = 4503
    HEARTBEAT = 4504
    SLOW = 4508
    CONTINUITY = 4510
    RATE_LIMITED = 4529

    @property
    def reconnect(self) -> bool:
        return self >= CloseCode.INTERNAL


CLOSE_ON_JOIN: Final = MappingProxyType(
    {
        Code.UNAUTHENTICATED: CloseCode.UNAUTHENTICATED,
        Code.FORBIDDEN: CloseCode.FORBIDDEN,
        Code.CLOSED: CloseCode.ARCHIVED,
        Code.UNAVAILABLE: CloseCode.INTERNAL,
        Code.INTERNAL: CloseCode.INTERNAL,
    }
)
"""An error that keeps a client from entering; every other one is a bad frame."""

CLOSE_ON_CUT: Final = MappingProxyType(
    {
        Cut.CONTINUITY: CloseCode.CONTINUITY,
        Cut.ARCHIVED: CloseCode.ARCHIVED,
        Cut.INTERNAL: CloseCode.INTERNAL,
    }
)

HTTP_STATUS: Final = MappingProxyType(
    {
        Code.BAD_FRAME: 400,
        Code.BAD_TYPE: 400,
        Code.INVALID: 422,
        Code.UNAUTHENTICATED: 401,
        Code.FORBIDDEN: 403,
        Code.NOT_FOUND: 404,
        Code.CONFLICT: 409,
        Code.STALE: 409,
        Code.KEY_REUSED: 409,
        Code.CLOSED: 409,
        Code.RATE_LIMITED: 429,
        Code.TOO_LARGE: 413,
        Code.UNAVAILABLE: 503,
        Code.INTERNAL: 500,
    }
)
