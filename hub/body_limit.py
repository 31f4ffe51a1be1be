"""The limit on the size of a request's body, in the form of every other error.

It holds everywhere; a path may have one of its own.
Starlette's own limit answers in plain text where a length was announced.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Lets an endpoint that reads too large a body fail with 413."""

    def __init__(self, app: ASGIApp, max_body: int, others: Mapping[str, int]) -> None:
        """Limit the bodies of requests to `max_body`; `others` are the limits of single paths."""
        self._app = app
        self._max_body = max_body
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._others.get(scope["path"], self._max_body)
        announced = Headers(scope=scope).get("content-length", "0")
        # The server has read it as a number already, and has refused every other.
        size = 0 if int(announced) <= most else most + 1

        answering = False

        async def noted(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        async def limited() -> Message:
            nonlocal size
            message = await receive() if size <= most else {}
            size += len(message.get("body", b""))
            if size <= most:
                return message
            if answering:
                return {"type": "http.disconnect"}  # too late to say why
            raise HTTPException(413)

        await self._app(scope, limited, noted)
