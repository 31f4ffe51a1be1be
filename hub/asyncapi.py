"""The AsyncAPI document of the WebSocket, made from the frames that the hub takes and sends."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel

from hub.client_frames import CLIENT_FRAMES, WriteFrame
from hub.close_codes import HTTP_STATUS, CloseCode
from hub.json_schema import Schema, audiences, data_name, reference, wire_schemas
from hub.server_frames import SERVER_FRAMES
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


def asyncapi() -> dict[str, Any]:
    """Give the AsyncAPI 3.1 document: every frame, kind of event, close code and error code."""
    models = [*CLIENT_FRAMES.values(), *SERVER_FRAMES.values()]
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Hub: the WebSocket of a case",
            "version": VERSION,
            "description": "The rooms in which patients and their coordinators talk.",
        },
        "defaultContentType": "application/json",
        "channels": {"case": _channel()},
        "operations": _operations(),
        "components": {
            "messages": {
                **{
                    _from_client(type): _message(type, CLIENT_FRAMES[type])
                    for type in CLIENT_FRAMES
                },
                **{_from_hub(type): _message(type, SERVER_FRAMES[type]) for type in SERVER_FRAMES},
            },
            "schemas": wire_schemas({model.__name__: model for model in models}),
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


def _channel() -> Schema:
    names = [*map(_from_client, CLIENT_FRAMES), *map(_from_hub, SERVER_FRAMES)]
    codes = "\n".join(f"- {int(code)}: {meaning}" for code, meaning in CLOSE_MEANINGS.items())
    return {
        "address": "/api/v1/cases/{case}/ws",
        "title": "The WebSocket of a case",
        "description": f"{_DESCRIPTION}\n{codes}",
        "parameters": {"case": {"description": "The id of the case."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
        "x-close-codes": [
            {"code": int(code), "reconnect": _reconnect(code), "meaning": meaning}
            for code, meaning in CLOSE_MEANINGS.items()
        ],
        "x-error-codes": [
            {"code": code.value, "http_status": HTTP_STATUS[code], "meaning": meaning}
            for code, meaning in ERROR_MEANINGS.items()
        ],
        "x-event-kinds": [_kind(kind) for kind in KINDS.values()],
    }


def _reconnect(code: int) -> bool:
    return code.reconnect if isinstance(code, CloseCode) else code == SERVICE_RESTART


def _kind(kind: Kind) -> Schema:
    forms = {each.value: reference(data_name(kind, each)) for each in audiences(kind)}
    return {
        "kind": kind.name,
        "description": kind.payload.__doc__,
        "patients_see_it": kind.patients_see_it,
        "data": forms,
    }


def _operations() -> Schema:
    """Tell what the hub receives, frame by frame with its answer, and what it sends by itself."""
    received = {f"receive_{type}": _receive(type) for type in CLIENT_FRAMES}
    sent = {
        "action": "send",
        "channel": _CHANNEL,
        "summary": "What the hub sends, by itself or as an answer.",
        "messages": _messages(map(_from_hub, SERVER_FRAMES)),
    }
    return {**received, "send": sent}


def _receive(type: str) -> Schema:
    answer = "ack" if CLIENT_FRAMES[type] in get_args(WriteFrame) else _ANSWERS.get(type)
    answers = ["error"] if answer is None else [answer, "error"]
    return {
        "action": "receive",
        "channel": _CHANNEL,
        "summary": CLIENT_FRAMES[type].__doc__,
        "messages": _messages([_from_client(type)]),
        "reply": {"channel": _CHANNEL, "messages": _messages(map(_from_hub, answers))},
    }


_CHANNEL: Final = {"$ref": "#/channels/case"}


def _messages(names: Iterable[str]) -> list[Schema]:
    return [{"$ref": f"#/channels/case/messages/{name}"} for name in names]
