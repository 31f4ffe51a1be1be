"""The OpenAPI document of the HTTP routes, made from their table and their models."""

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel

from compat_sse.names import Names
from compat_sse.routes import PREFIXES
from hub.answers import STREAM_FRAMES, answer_schemas
from hub.calls import CALLS, PLAIN, STREAMS, Call
from hub.close_codes import HTTP_STATUS
from hub.json_schema import Schema, reference, schemas_of
from rooms.errors import Code

_READING: Final = (Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.UNAVAILABLE, Code.INTERNAL)
_WRITING: Final = (
    *_READING,
    Code.BAD_FRAME,
    Code.INVALID,
    Code.TOO_LARGE,
    Code.CONFLICT,
    Code.RATE_LIMITED,
)
_READ: Final = {200: "Done."}
_WRITTEN: Final = {200: "The same key again, or all was so already.", 201: "Done, and durable."}
_STREAMING: Final = {
    401: "The token is missing or was not accepted.",
    403: "There is no such case, or no right to it.",
    410: "The case is archived.",
    429: "The user has too many streams open.",
    503: "The hub cannot read what it needs, or it is about to stop.",
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}


def openapi() -> dict[str, Any]:
    """Give the OpenAPI 3.1 document of every HTTP route."""
    paths: dict[str, Schema] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _call(call)
    for prefix in PREFIXES:
        for path, name, summary in STREAMS:
            unique = name if prefix else f"{name}_at_root"
            paths[prefix + path] = {"get": _stream(prefix + path, unique, summary, name)}
    for path, name, media, summary in PLAIN:
        paths[path] = {"get": _plain(name, media, summary)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hub: HTTP",
            "version": "1",
            "description": "The rooms in which patients and their coordinators talk. "
            "The WebSocket is described in /asyncapi.json.",
        },
        "paths": paths,
        "components": {
            "schemas": answer_schemas(),
            "parameters": _PARAMETERS,
            "responses": _refusals(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _parameter(name: str, where: str, description: str, **limits: int) -> Schema:
    return {
        "name": name,
        "in": where,
        "required": where == "path" or name == "X-Tenant-ID",
        "description": description,
        "schema": {"type": "string", **limits},
    }


_PARAMETERS: Final = {
    "case": _parameter("case", "path", "The id of the case."),
    "patient": _parameter("patient", "path", "The id of the patient."),
    "event": _parameter("event", "path", "The id of the event."),
    "tenant": _parameter("X-Tenant-ID", "header", "The tenant of the token."),
    "key": _parameter(
        "Idempotency-Key",
        "header",
        "The same key with the same body gets the first answer again.",
        minLength=1,
        maxLength=64,
    ),
    "upload": _parameter("upload", "path", "The id of the file."),
    "prefer": _parameter("Prefer", "header", "`respond-async`: do not wait for the reply."),
    "resume": _parameter(
        "Last-Event-ID",
        "header",
        "The cursor of the last event that was applied; `0.0` for everything.",
    ),
    "resume_query": _parameter(
        "last_event_id", "query", "The same, where no header can be sent; a header goes first."
    ),
}


def _parameters(path: str, *names: str) -> list[Schema]:
    every = [*re.findall(r"{(\w+)}", path), "tenant", *names]
    return [{"$ref": f"#/components/parameters/{name}"} for name in every]


def _call(call: Call) -> Schema:
    writes = call.body is not None
    prefers = ["prefer"] if call.name == "post_chat" else []
    parameters = _parameters(call.path, *(["key"] if writes and call.keyed else []), *prefers)
    answer: Schema = {}
    if call.answer is not None:
        schema = {"schema": reference(call.answer)}
        answer = {"content": dict.fromkeys(call.gives, schema)}
    done = call.statuses or (_WRITTEN if writes else _READ)
    codes = (*(_WRITING if writes else _READING), *call.also)
    refusals = sorted({str(HTTP_STATUS[code]) for code in codes})
    described: Schema = {
        "operationId": call.name,
        "tags": ["cases"],
        "summary": call.summary,
        "security": [{"bearer": []}],
        "parameters": [*parameters, *_query(call.query)],
        "responses": {
            **{
                str(status): {"description": description, **answer}
                for status, description in done.items()
            },
            **{status: {"$ref": f"#/components/responses/{status}"} for status in refusals},
        },
    }
    if call.body is not None:
        body = {call.takes: {"schema": reference(call.body)}}
        described["requestBody"] = {"required": True, "content": body}
    return described


def _query(model: type[BaseModel] | None) -> list[Schema]:
    if model is None:
        return []
    members = schemas_of({"query": model})["query"]["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in members.items()]


def _stream(path: str, name: str, summary: str, stream: str) -> Schema:
    chat = stream == "stream_chat"
    id = "`<run>.<index>`" if chat else "a cursor"
    over = {"204": {"description": "Nothing new, and nothing is being written: stop."}}
    return {
        "operationId": name,
        "tags": ["streams"],
        "summary": summary,
        "description": "Server-sent events without an end: the response is a stream, which the "
        f"hub ends after some minutes; come back with `Last-Event-ID`. `id:` is {id}, `data:` "
        "is JSON; the schemas of the events are in `x-events`, by their name. Always the view of "
        "the patient, for staff too.",
        "security": [{"bearer": []}],
        "parameters": _parameters(path, "resume", "resume_query"),
        "responses": {
            "200": {
                "description": "The stream.",
                "content": {
                    "text/event-stream": {
                        "schema": {"type": "string"},
                        "x-events": _EVENTS[stream],
                    }
                },
            },
            **(over if chat else {}),
            **{str(status): _stream_refusal(status) for status in _STREAMING},
        },
    }


_NAMES: Final = Names()
_EVENTS: Final = {
    "stream_messages": {
        _NAMES.connected: reference("StreamState"),
        _NAMES.reset: reference("StreamReset"),
        _NAMES.message: reference("StreamMessage"),
    },
    "stream_chat": {
        _NAMES.thinking: reference("StreamThinking"),
        _NAMES.token: reference("StreamToken"),
        _NAMES.done: reference("StreamDone"),
        _NAMES.reset: reference("StreamDraft"),
    },
    "stream_case": {
        # Without an `event:` field, which a client reads as this name.
        "message": {
            "oneOf": [
                reference(name)
                for name in ("StreamReady", *(signal.__name__ for signal in STREAM_FRAMES))
            ]
        },
        _NAMES.reset: reference("StreamReset"),
    },
}


def _stream_refusal(status: int) -> Schema:
    return {
        "description": _STREAMING[status],
        **({"headers": _RETRY_AFTER} if status in (429, 503) else {}),
        "content": {"application/json": {"schema": reference("StreamRefusal")}},
    }


def _plain(name: str, media: str, summary: str) -> Schema:
    schema = {"type": "object"} if media == "application/json" else {"type": "string"}
    answer = {"description": "Done.", "content": {media: {"schema": schema}}}
    busy = {"503": {**answer, "description": "The process drains."}} if name == "readyz" else {}
    return {
        "operationId": name,
        "tags": ["operations"],
        "summary": summary,
        "security": [],
        "responses": {"200": answer, **busy},
    }


def _refusals() -> Schema:
    """Describe an error per HTTP status, with the codes that have it."""
    codes: dict[int, list[str]] = {}
    for code, status in HTTP_STATUS.items():
        codes.setdefault(status, []).append(code.value)
    codes[409].append("reset")
    return {str(status): _refusal(status, codes[status]) for status in sorted(codes)}


def _refusal(status: int, codes: Sequence[str]) -> Schema:
    return {
        "description": "Refused: " + ", ".join(f"`{code}`" for code in codes) + ".",
        **({"headers": _RETRY_AFTER} if status == HTTP_STATUS[Code.UNAVAILABLE] else {}),
        "content": {"application/json": {"schema": reference("Refusal")}},
    }
