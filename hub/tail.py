"""Following a room in the terminal."""

import json
from collections.abc import Callable
from typing import Any, Final

import click
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

_COLOURS: Final = {
    "message": "green",
    "note": "yellow",
    "status": "cyan",
    "patient": "cyan",
    "error": "red",
    "reset": "red",
    "goodbye": "red",
}


async def follow(
    url: str, case: str, token: str, after: str | None, say: Callable[[str], None]
) -> None:
    """Print every frame of a room until it ends; come back with the last cursor when it is cut."""
    cursor = after
    while True:
        auth = {"type": "auth", "token": token, **({} if cursor is None else {"after": cursor})}
        try:
            async with connect(f"{url}/api/v1/cases/{case}/ws") as socket:
                await socket.send(json.dumps(auth))
                async for text in socket:
                    frame = json.loads(text)
                    cursor = frame.get("cursor", cursor) if frame["type"] == "event" else cursor
                    say(render(frame))
        except (ConnectionClosed, OSError) as error:
            say(click.style(f"-- {error}", fg="red"))
            return
        if socket.close_code is not None and socket.close_code < 4500:
            say(click.style(f"-- closed: {socket.close_code} {socket.close_reason}", fg="red"))
            return


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


def _printable(line: str) -> str:
    """Take the control characters out: a patient's text must not drive the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
