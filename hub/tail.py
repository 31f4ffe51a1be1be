"""Following a room in the terminal."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

import click
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from hub.close_codes import CloseCode

BACKOFF_S: Final = 1.0
"""Between two attempts to come back."""

_COLOURS: Final = {
    "message": "green",
    "note": "yellow",
    "control": "magenta",
    "escalation": "magenta",
    "status": "cyan",
    "patient": "cyan",
    "error": "red",
    "reset": "red",
    "goodbye": "red",
}


async def follow(
    url: str, case: str, token: str, after: str | None, say: Callable[[str], None]
) -> None:
    """Print every frame of a room; when it is cut, come back with the last cursor.

    Returns when the hub says that coming back is useless.
    """
    cursor = after
    while True:
        try:
            async with connect(f"{url}/api/v1/cases/{case}/ws") as socket:
                auth = {"type": "auth", "token": token}
                await socket.send(json.dumps(auth if cursor is None else {**auth, "after": cursor}))
                while True:
                    frame = json.loads(await socket.recv())
                    if frame["type"] == "event":
                        cursor = frame["cursor"]
                    say(render(frame))
        except (ConnectionClosed, InvalidStatus, OSError) as error:
            say(click.style(f"-- {error}", fg="red"))
            if not _worth_another_try(error):
                return
        await asyncio.sleep(BACKOFF_S)


def render(frame: dict[str, Any]) -> str:
    """Write a frame in one line, in the colour of its kind."""
    if frame["type"] == "event":
        who = frame["actor"].get("name") or frame["actor"]["type"]
        body = frame["data"].get("text") or json.dumps(frame["data"], ensure_ascii=False)
        line = f"{frame['at'][11:19]} {frame['seq']:>5} {frame['kind']:<8} {who}: {body}"
        return click.style(_printable(line), fg=_COLOURS.get(frame["kind"]))
    rest = {name: value for name, value in frame.items() if name not in ("type", "case")}
    line = f"{'':>14} {frame['type']} {json.dumps(rest, ensure_ascii=False)}"
    return click.style(_printable(line), fg=_COLOURS.get(frame["type"], "bright_black"))


def _worth_another_try(error: Exception) -> bool:
    if not isinstance(error, ConnectionClosed) or error.rcvd is None:
        return True
    code = error.rcvd.code
    return not CloseCode.BAD_FRAMES <= code < CloseCode.INTERNAL


def _printable(line: str) -> str:
    """Take the control characters out: a patient's text must not drive the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
