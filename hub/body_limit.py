"""The limit on the size of a request's body, in the form of every other error.

Starlette's own limit answers in plain text where a length was announced.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Lets an endpoint that reads too large a body fail with 413."""

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app = app
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        # The server has read it as a number already, and has refused every other.
        size = 0 if int(announced) <= self._max_body else self._max_body + 1

        answering = False

        async def noted(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        async def limited() -> Message:
            nonlocal size
            message = await receive() if size <= self._max_body else {}
            size += len(message.get("body", b""))
            if size <= self._max_body:
                return message
            if answering:
                return {"type": "http.disconnect"}  # too late to say why
            raise HTTPException(413)

        await self._app(scope, limited, noted)
