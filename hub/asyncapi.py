"""The AsyncAPI document of the WebSockets, made from the frames that the hub takes and sends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pydantic import BaseModel

from hub.client_frames import CLIENT_FRAMES, DESK_FRAMES, WriteFrame
from hub.close_codes import HTTP_STATUS, CloseCode
from hub.json_schema import Schema, audiences, data_name, reference, wire_schemas
from hub.server_frames import DESK_SERVER_FRAMES, SERVER_FRAMES
from rooms.errors import Code
from rooms.events import KINDS, Kind

VERSION: Final = "1"
"""The version of the wire: `v` of the frame `hello`."""

TOO_BIG: Final = 1009
SERVICE_RESTART: Final = 1012

CLOSE_MEANINGS: Final[Mapping[int, str]] = {
    TOO_BIG: "the frame is larger than `max_frame` of `hello`",
    SERVICE_RESTART: "the server restarts",
    CloseCode.BAD_FRAMES: "too many frames were no JSON objects, or the first was not `auth`",
    CloseCode.UNAUTHENTICATED: "the token is missing, bad, expired or revoked",
    CloseCode.FORBIDDEN: "there is no such case, or no right to it",
    CloseCode.NO_AUTH: "no `auth` came in time",
    CloseCode.TOO_MANY: "the user has too many sockets open",
    CloseCode.ARCHIVED: "the case is archived",
    CloseCode.INTERNAL: "something failed in the hub",
    CloseCode.RESTART: "the hub restarts; wait `in_ms` of `goodbye`",
    CloseCode.HEARTBEAT: "pings were not answered",
    CloseCode.SLOW: "the client read too slowly",
    CloseCode.CONTINUITY: "the history changed; resume",
    CloseCode.RATE_LIMITED: "too many frames for too long; wait `in_ms` of `goodbye`",
}

DESK_CLOSE_MEANINGS: Final[Mapping[int, str]] = {
    code: meaning
    for code, meaning in {
        **CLOSE_MEANINGS,
        CloseCode.FORBIDDEN: "this is no coordinator, or the tenant has no desk",
    }.items()
    if code not in (CloseCode.ARCHIVED, CloseCode.CONTINUITY)
}

ERROR_MEANINGS: Final[Mapping[Code, str]] = {
    Code.BAD_FRAME: "this is not one JSON object in a text frame",
    Code.BAD_TYPE: "no such `type` of frame",
    Code.INVALID: "a member is not what its type asks for",
    Code.UNAUTHENTICATED: "the token was not accepted",
    Code.FORBIDDEN: "no right to do this, or there is no such case",
    Code.NOT_FOUND: "what the frame names does not exist here",
    Code.CONFLICT: "it is so already, or somebody else was first",
    Code.STALE: "a message was not seen by its author; `missed` holds the events since `seen`",
    Code.KEY_REUSED: "the `key` was used for something else",
    Code.RATE_LIMITED: "too many at once; wait `retry_after` seconds",
    Code.TOO_LARGE: "it is larger than the hub takes",
    Code.CLOSED: "the case is closed or archived",
    Code.UNAVAILABLE: "the hub cannot store or read now; send the same `key` again",
    Code.INTERNAL: "something failed in the hub",
}

_ANSWERS: Final[Mapping[str, str]] = {
    "auth": "ready",
    "token": "ack",
    "history": "page",
    "ping": "pong",
}
"""What answers a frame that does not write, if anything does."""

_DESCRIPTION: Final = """\
Text frames, one JSON object each; the member `type` names it. The hub sends `hello`, the client \
answers with `auth`, the hub with `ready`, the events that the client missed, and `caught_up`. \
From then on both send as they like.

Ignore members, types and kinds that you do not know. A frame that writes may carry a `key`: sent \
again with the same content, it is answered by the first `ack` once more. Staff see every event, \
patients those kinds that have a form for patients; each of the two has its own numbering.

An upgrade is refused with HTTP 403 (origin not allowed), 429 (too many sockets wait for `auth`) \
or 503 (the hub restarts).

Close codes. 1009 and 44xx: change something first. 1012 and 45xx: come back with backoff, and \
resume from the last cursor.
"""

_DESK_DESCRIPTION: Final = """\
For coordinators and supervisors. Text frames, one JSON object each; the member `type` names it. \
The hub sends `hello`, the client answers with `auth`, the hub with `ready`, which holds every \
case of the tenant that is not closed. From then on `case` tells the newest state of a case, all \
of it, and `case_closed` that a case is no longer open. It is a live view: whoever comes back gets \
all open cases again.

Ignore members and types that you do not know.

An upgrade is refused with HTTP 403 (origin not allowed), 404 (the flag `coordinator_enabled` is \
off), 429 (too many sockets wait for `auth`) or 503 (the hub restarts).

Close codes. 1009 and 44xx: change something first. 1012 and 45xx: come back with backoff.
"""


@dataclass(frozen=True)
class _Channel:
    """A WebSocket: its address, its frames, and what its close codes mean."""

    name: str
    address: str
    title: str
    description: str
    received: Mapping[str, type[BaseModel]]
    sent: Mapping[str, type[BaseModel]]
    closes: Mapping[int, str]
    more: Schema = field(default_factory=dict)
    prefix: str = ""
    """Goes before the names of its operations."""

    def messages(self) -> dict[str, tuple[str, type[BaseModel]]]:
        """Give the type and model of each message by its name in this channel."""
        received = {_from_client(type): (type, model) for type, model in self.received.items()}
        return received | {_from_hub(type): (type, model) for type, model in self.sent.items()}

    def component(self, name: str) -> str:
        """Name a message in the whole document; one that two channels have is there once."""
        first = _CHANNELS[0].messages()
        type, model = self.messages()[name]
        if first.get(name, (type, model))[1] is model:
            return name
        return f"{name.removesuffix(type)}{self.name}.{type}"


def asyncapi() -> dict[str, Any]:
    """Give the AsyncAPI 3.1 document: every frame, kind of event, close code and error code."""
    messages = {
        channel.component(name): message
        for channel in _CHANNELS
        for name, message in channel.messages().items()
    }
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Hub: the WebSockets of a case and of the desk",
            "version": VERSION,
            "description": "The rooms in which patients and their coordinators talk.",
        },
        "defaultContentType": "application/json",
        "channels": {channel.name: _channel(channel) for channel in _CHANNELS},
        "operations": {
            name: operation
            for channel in _CHANNELS
            for name, operation in _operations(channel).items()
        },
        "components": {
            "messages": {name: _message(*message) for name, message in messages.items()},
            "schemas": wire_schemas({model.__name__: model for _, model in messages.values()}),
            "correlationIds": {
                "key": {
                    "description": "Made by the client; it comes back in the answer.",
                    "location": "$message.payload#/key",
                }
            },
        },
    }


def _from_client(type: str) -> str:
    return f"client.{type}"


def _from_hub(type: str) -> str:
    return f"hub.{type}"


def _message(type: str, model: type[BaseModel]) -> Schema:
    keyed = {"correlationId": {"$ref": "#/components/correlationIds/key"}}
    return {
        "name": type,
        "summary": model.__doc__,
        "payload": reference(model.__name__),
        **(keyed if "key" in model.model_fields else {}),
    }


def _channel(channel: _Channel) -> Schema:
    codes = "\n".join(f"- {int(code)}: {meaning}" for code, meaning in channel.closes.items())
    return {
        "address": channel.address,
        "title": channel.title,
        "description": f"{channel.description}\n{codes}",
        **channel.more,
        "messages": {
            name: {"$ref": f"#/components/messages/{channel.component(name)}"}
            for name in channel.messages()
        },
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-close-codes": [
            {"code": int(code), "reconnect": _reconnect(code), "meaning": meaning}
            for code, meaning in channel.closes.items()
        ],
        "x-error-codes": [
            {"code": code.value, "http_status": HTTP_STATUS[code], "meaning": meaning}
            for code, meaning in ERROR_MEANINGS.items()
        ],
    }


def _reconnect(code: int) -> bool:
    return code.reconnect if isinstance(code, CloseCode) else code == SERVICE_RESTART


def _kind(kind: Kind) -> Schema:
    forms = {each.value: reference(data_name(kind, each)) for each in audiences(kind)}
    return {
        "kind": kind.name,
        "description": " ".join(str(payload.__doc__) for payload in kind.payloads),
        "patients_see_it": kind.patients_see_it,
        "data": forms,
    }


def _operations(channel: _Channel) -> Schema:
    """Tell what the hub receives, frame by frame with its answer, and what it sends by itself."""
    received = {
        f"{channel.prefix}receive_{type}": _receive(channel, type) for type in channel.received
    }
    sent = {
        "action": "send",
        "channel": _reference(channel),
        "summary": "What the hub sends, by itself or as an answer.",
        "messages": _messages(channel, map(_from_hub, channel.sent)),
    }
    return {**received, f"{channel.prefix}send": sent}


def _receive(channel: _Channel, type: str) -> Schema:
    model = channel.received[type]
    answer = "ack" if model in get_args(WriteFrame) else _ANSWERS.get(type)
    answers = ["error"] if answer is None else [answer, "error"]
    return {
        "action": "receive",
        "channel": _reference(channel),
        "summary": model.__doc__,
        "messages": _messages(channel, [_from_client(type)]),
        "reply": {
            "channel": _reference(channel),
            "messages": _messages(channel, map(_from_hub, answers)),
        },
    }


def _reference(channel: _Channel) -> Schema:
    return {"$ref": f"#/channels/{channel.name}"}


def _messages(channel: _Channel, names: Iterable[str]) -> list[Schema]:
    return [{"$ref": f"#/channels/{channel.name}/messages/{name}"} for name in names]


_CHANNELS: Final = (
    _Channel(
        "case",
        "/api/v1/cases/{case}/ws",
        "The WebSocket of a case",
        _DESCRIPTION,
        CLIENT_FRAMES,
        SERVER_FRAMES,
        CLOSE_MEANINGS,
        {
            "parameters": {"case": {"description": "The id of the case."}},
            "x-event-kinds": [_kind(kind) for kind in KINDS.values()],
        },
    ),
    _Channel(
        "desk",
        "/api/v1/desk/ws",
        "The WebSocket of the desk",
        _DESK_DESCRIPTION,
        DESK_FRAMES,
        DESK_SERVER_FRAMES,
        DESK_CLOSE_MEANINGS,
        prefix="desk_",
    ),
)
