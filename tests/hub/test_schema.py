import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema  # type: ignore[import-untyped]
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import create_model
from starlette.routing import Route, WebSocketRoute

from auth.principal import Role
from hub.app import Hub
from hub.asyncapi import asyncapi
from hub.calls import CALLS
from hub.client_frames import CLIENT_FRAMES, DESK_FRAMES, parse_frame
from hub.close_codes import CloseCode
from hub.docs_page import tag
from hub.json_schema import schemas_of
from hub.openapi import openapi
from hub.schema import write_schemas
from hub.server_frames import DESK_SERVER_FRAMES, SERVER_FRAMES, You
from hub.settings import Settings
from rooms.commands import Emit
from rooms.errors import Code, Malformed
from rooms.events import KINDS, Audience
from rooms.patient_events import read_payload
from tests.ai.kit import GatedModel
from tests.compat_sse.whatwg import Event, Parser
from tests.kit import (
    CASE,
    MARIA,
    MARIA_ID,
    PRIYA,
    REGISTRAR,
    WITHIN,
    Frame,
    Identity,
    RunningHub,
    running_hub,
)
from tests.rooms.test_patient_events import FULL

DOCS = Path(__file__).parents[2] / "docs"
HTTP = openapi()
SOCKET = asyncapi()
CHANNEL = SOCKET["channels"]["case"]
CARD = {"kind": "ehr", "title": "Your record", "fallback": "Blood type A"}
FILE = {"id": "f1", "name": "scan.pdf", "content_type": "application/pdf", "size": 1}


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Check a value, and that it holds nothing that its schema does not name."""
    whole = {**closed(schema), "components": {"schemas": closed(document["components"]["schemas"])}}
    jsonschema.Draft202012Validator(whole).validate(value)


def closed(schema: Any) -> Any:
    """Forbid members that are not described, unless the schema speaks of them itself."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        return {"additionalProperties": False, **inner}
    return inner


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value
    for child in children if isinstance(value, dict | list) else ():
        yield from nodes(child)


def resolve(document: dict[str, Any], pointer: str) -> Any:
    found: Any = document
    for part in pointer.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


# The documents.


def test_the_files_in_docs_are_current(tmp_path: Path) -> None:
    for path in write_schemas(tmp_path):
        assert (DOCS / path.name).read_text() == path.read_text(), "run `make schema`"


@pytest.mark.parametrize("document", [HTTP, SOCKET], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    pointers = [node["$ref"] for node in nodes(document) if isinstance(node.get("$ref"), str)]
    assert pointers
    for pointer in pointers:
        assert resolve(document, pointer)


@pytest.mark.parametrize("document", [HTTP, SOCKET], ids=["openapi", "asyncapi"])
def test_every_schema_is_a_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_openapi_document_is_valid() -> None:
    OpenAPIV31SpecValidator(HTTP).validate()


def test_the_asyncapi_document_is_well_formed() -> None:
    assert SOCKET["asyncapi"] == "3.1.0"
    for channel in SOCKET["channels"].values():
        named = re.findall(r"{(\w+)}", channel["address"])
        assert named == [*channel.get("parameters", {})]
    for operation in SOCKET["operations"].values():
        channel = operation["channel"]["$ref"]
        for part in (operation, operation.get("reply", operation)):
            assert part["channel"]["$ref"] == channel
            for message in part["messages"]:
                assert message["$ref"].startswith(f"{channel}/messages/")
    for message in SOCKET["components"]["messages"].values():
        assert {"name", "summary", "payload"} <= message.keys()


def test_two_different_models_never_share_a_name() -> None:
    holder = create_model("Holder", you=(create_model("You"), ...))
    with pytest.raises(ValueError, match="You"):
        schemas_of({"You": You, "Holder": holder})


# What they tell.


def test_every_route_is_in_the_documents_and_nothing_else(tmp_path: Path) -> None:
    hub = Hub(Settings(dev=True, data_dir=tmp_path))
    routes = [*hub.http_routes(), *hub.socket_routes()]
    assert {(path, method.upper()) for path, call in HTTP["paths"].items() for method in call} == {
        # Whatever answers GET answers HEAD.
        (route.path, method)
        for route in routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    sockets = {route.path for route in routes if isinstance(route, WebSocketRoute)}
    assert {channel["address"] for channel in SOCKET["channels"].values()} == sockets


@pytest.mark.parametrize(
    ("name", "received", "sent"),
    [("case", CLIENT_FRAMES, SERVER_FRAMES), ("desk", DESK_FRAMES, DESK_SERVER_FRAMES)],
)
def test_every_frame_is_described(name: str, received: Any, sent: Any) -> None:
    messages = SOCKET["channels"][name]["messages"]
    frames = {f"client.{type}": model for type, model in received.items()}
    frames |= {f"hub.{type}": model for type, model in sent.items()}
    assert messages.keys() == frames.keys()
    for message, model in frames.items():
        payload = resolve(SOCKET, messages[message]["$ref"])["payload"]
        assert payload == reference(model.__name__)
    used = {
        message["$ref"]
        for operation in SOCKET["operations"].values()
        for message in operation["messages"]
    }
    here = {pointer for pointer in used if pointer.startswith(f"#/channels/{name}/")}
    assert here == {f"#/channels/{name}/messages/{message}" for message in frames}


def test_no_message_is_described_that_no_channel_has() -> None:
    channels = SOCKET["channels"].values()
    pointers = {each["$ref"] for channel in channels for each in channel["messages"].values()}
    described = SOCKET["components"]["messages"]
    assert pointers == {f"#/components/messages/{name}" for name in described}


def test_every_close_code_is_described() -> None:
    codes = {each["code"]: each for each in CHANNEL["x-close-codes"]}
    assert codes.keys() == {*CloseCode, 1009, 1012}
    for code in CloseCode:
        assert codes[code]["reconnect"] == code.reconnect
        assert f"- {code}: {codes[code]['meaning']}" in CHANNEL["description"]


def test_every_error_code_is_described() -> None:
    assert [each["code"] for each in CHANNEL["x-error-codes"]] == [*Code]


def test_every_kind_is_described_with_what_each_audience_gets() -> None:
    kinds = {each["kind"]: each for each in CHANNEL["x-event-kinds"]}
    assert kinds.keys() == KINDS.keys()
    for name, kind in KINDS.items():
        audiences = {"staff", "patient"} if kind.patients_see_it else {"staff"}
        assert kinds[name]["data"].keys() == audiences
        assert kinds[name]["patients_see_it"] == kind.patients_see_it


def test_patients_have_no_form_of_a_note() -> None:
    for document in (HTTP, SOCKET):
        schemas = document["components"]["schemas"]
        assert "data.note.staff" in schemas
        assert "data.note.patient" not in schemas


# What is on the wire.


@pytest.mark.parametrize(
    ("frame", "good"),
    [
        ({"type": "auth", "token": "t", "after": "0.0", "tail": 500}, True),
        ({"type": "auth", "token": "t", "tail": 501}, False),
        ({"type": "auth"}, False),
        ({"type": "token", "token": "t", "key": "k"}, True),
        ({"type": "message", "text": "Hi", "cards": [CARD], "attachments": [FILE]}, True),
        ({"type": "message", "text": "Hi", "cards": [{**CARD, "more": 1}]}, True),
        ({"type": "message", "text": ""}, False),
        ({"type": "message", "text": "Hi", "via": "pigeon"}, False),
        ({"type": "message", "text": "Hi", "key": "k" * 65}, False),
        ({"type": "message", "text": "Hi", "from a newer client": True}, True),
        ({"type": "note", "text": "psst", "mentions": ["user_paul"]}, True),
        ({"type": "status", "status": "on_hold"}, True),
        ({"type": "status", "status": "asleep"}, False),
        ({"type": "retry", "run": "run_1"}, True),
        ({"type": "retry", "run": ""}, False),
        ({"type": "typing", "on": True, "in": "note"}, True),
        ({"type": "typing", "on": "yes"}, False),
        ({"type": "read", "seq": 3}, True),
        ({"type": "read", "seq": -1}, False),
        ({"type": "history", "before": 9, "limit": 200}, True),
        ({"type": "history", "limit": 0}, False),
        ({"type": "ping", "key": "k"}, True),
        ({"type": "pong", "seq": 3}, True),
    ],
)
def test_the_hub_takes_a_frame_if_and_only_if_its_schema_does(frame: Frame, good: bool) -> None:
    model = CLIENT_FRAMES[frame["type"]].__name__
    whole = {**reference(model), "components": SOCKET["components"]}
    assert jsonschema.Draft202012Validator(whole).is_valid(frame) is good
    try:
        parse_frame(json.dumps(frame))
    except Malformed:
        assert not good
    else:
        assert good


async def test_all_frames_of_a_conversation_fit_their_schemas(tmp_path: Path) -> None:
    # Pings keep coming, so what never comes would be waited for without an end.
    model = GatedModel()
    hub = running_hub(tmp_path, heartbeat_s=0.2, dependencies={"model": model})
    async with hub as running, asyncio.timeout(2 * WITHIN):
        patient, staff = await converse(running, model)
    for frame in [*patient, *staff]:
        payload = SOCKET["components"]["messages"][f"hub.{frame['type']}"]["payload"]
        check(SOCKET, payload, frame)
    assert {frame["type"] for frame in [*patient, *staff]} == SERVER_FRAMES.keys()
    assert kinds_of(staff, Audience.STAFF) == KINDS.keys()
    assert kinds_of(patient, Audience.PATIENT) == {
        name for name, kind in KINDS.items() if kind.patients_see_it
    }


def kinds_of(frames: list[Frame], audience: Audience) -> set[str]:
    """Check the data of events by the form of an audience, and give the kinds that were seen."""
    events = [frame for frame in frames if frame["type"] == "event"]
    for event in events:
        check(SOCKET, reference(f"data.{event['kind']}.{audience}"), event["data"])
    return {event["kind"] for event in events}


async def converse(hub: RunningHub, model: GatedModel) -> tuple[list[Frame], list[Frame]]:
    """Let everything happen that a socket can tell of, and give what the two of them received."""
    async with hub.enter(MARIA) as maria, hub.enter(PRIYA) as priya:
        await maria.ask({"type": "message", "key": "k1", "text": "Hi", "attachments": [FILE]})
        said = await priya.expect_message("Hi")
        asked = await model.next()
        asked.say("Hello, ")
        await maria.expect("delta")
        async with hub.enter(MARIA) as late:
            maria.frames.append(await late.expect("draft"))
        await maria.ask({"type": "escalate", "key": "help", "reason": "A question"})
        seen = (await priya.ask({"type": "accept", "key": "mine"}))["seq"]
        reply = {"type": "message", "text": "Hello", "cards": [CARD], "reply_to": said["id"]}
        assert (await priya.ask({**reply, "key": "k1", "seen": 1}))["code"] == "stale"
        assert (await priya.ask({**reply, "key": "k1", "seen": seen}))["type"] == "ack"
        assert (await priya.ask({**reply, "key": "k1", "seen": seen}))["dup"]
        await priya.ask({"type": "note", "key": "k2", "text": "psst", "mentions": ["user_paul"]})
        await priya.ask({"type": "status", "key": "k3", "status": "active"})
        assert (await maria.ask({"type": "note", "key": "k2", "text": "psst"}))["type"] == "error"
        for client, other in ((maria, priya), (priya, maria)):
            await client.send({"type": "typing", "on": True})
            await other.expect("typing")
        await maria.send({"type": "read", "seq": 2})
        await priya.expect("read")
        for client in (maria, priya):
            await client.ask({"type": "history", "key": "h"})
            await client.ask({"type": "ping", "key": "p"})
            await client.expect("ping")
        await emit_everything(hub)
        later = await lost(hub)
        hub.server.should_exit = True
        await asyncio.gather(maria.expect("goodbye"), priya.expect("goodbye"))
        return maria.frames + later, priya.frames


async def emit_everything(hub: RunningHub) -> None:
    """Tell an event of each type of the registry, with every field."""
    for event_type, members in FULL.items():
        named = {"patient_id": MARIA_ID} if "patient_id" in members else {}
        command = Emit(MARIA_ID, read_payload(event_type, {**members, **named}))
        await hub.hub.rooms.handle(CASE, command, REGISTRAR.principal(), event_type)


async def lost(hub: RunningHub) -> list[Frame]:
    """Come back with a cursor that no longer holds."""
    async with hub.enter(MARIA, after="9.00000000") as client:
        assert any(frame["type"] == "reset" for frame in client.frames)
        return client.frames


def fits(path: str, answer: httpx2.Response) -> None:
    """Check an answer by what the document says of its path and status."""
    operation = HTTP["paths"][path][answer.request.method.lower()]
    response = operation["responses"][str(answer.status_code)]
    if "$ref" in response:
        response = resolve(HTTP, response["$ref"])
    if "content" not in response:
        assert answer.content == b""
        return
    media, content = next(iter(response["content"].items()))
    assert answer.headers["content-type"].partition(";")[0] == media
    value = answer.json() if media == "application/json" else answer.text
    check(HTTP, content["schema"], value)


async def test_answers_fit_their_schemas(tmp_path: Path) -> None:
    seen, upload, newest = set(), "", "unknown"
    answering: Any = {"dependencies": {"model": GatedModel()}, "service_token": SECRET}
    async with running_hub(tmp_path, **answering) as hub, hub.rest(SAM) as http:
        for method, path, status, options in REQUESTS:
            url = path.removeprefix("/api/v1")
            for name, id in {"{case}": CASE, "{patient}": MARIA_ID, "{event}": newest}.items():
                url = url.replace(name, id)
            if path in (CHAT, CONSENT):
                options = {**options, "headers": options.get("headers", {}) | hub.headers(MARIA)}
            if "{upload}" in path or "id" in options.get("json", {}):
                url = url.replace("{upload}", upload)
                options = {**options, "json": {"case": CASE, "id": upload}}
            answer = await http.request(method, url, **options)
            assert answer.status_code == status, (path, answer.text)
            fits(path, answer)
            if status < 300:
                seen.add((method, path))
            if path == UPLOADS and status == 201:
                upload = answer.json()["id"]
            elif status == 201:
                newest = answer.json()["id"]
    assert seen == {(call.method, call.path) for call in CALLS}


SECRET = "s" * 32
SAM = Identity("user_sam", "Sam", Role.SUPERVISOR)
BACK_END = {"Authorization": f"Bearer {SECRET}"}
EMISSION = {
    "event_type": "document_uploaded",
    "patient_id": MARIA_ID,
    "payload": {"document_id": "d1", "name": "scan.pdf"},
}
CHAT = "/api/v1/patients/{patient}/chat"
CONSENT = "/api/v1/consent"
UPLOADS = "/api/v1/uploads"
SCAN = ("scan.dcm", b"\0" * 128 + b"DICM", "application/dicom")
CASE_PATH = "/api/v1/cases/{case}"
MESSAGES = f"{CASE_PATH}/messages"
WHY = "/api/v1/events/{event}/why"
HELLO = {"json": {"text": "Hello", "cards": [CARD]}, "headers": {"Idempotency-Key": "k1"}}
REQUESTS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("POST", MESSAGES, 201, HELLO),
    ("POST", MESSAGES, 200, HELLO),
    ("POST", MESSAGES, 409, {**HELLO, "json": {"text": "Other"}}),
    ("POST", MESSAGES, 404, {"json": {"text": "Hi", "reply_to": "unknown"}}),
    ("POST", MESSAGES, 422, {"json": {"text": ""}}),
    ("POST", MESSAGES, 400, {"content": b"{"}),
    ("POST", MESSAGES, 401, {"json": {"text": "Hi"}, "headers": {"Authorization": "Bearer x"}}),
    ("POST", f"{CASE_PATH}/notes", 201, {"json": {"text": "psst"}}),
    ("POST", f"{CASE_PATH}/status", 201, {"json": {"status": "active"}}),
    ("POST", f"{CASE_PATH}/status", 409, {"json": {"status": "active"}}),
    ("POST", f"{CASE_PATH}/escalate", 201, {"json": {"reason": "A question"}}),
    ("POST", f"{CASE_PATH}/escalate", 200, {}),
    ("POST", f"{CASE_PATH}/accept", 201, {}),
    ("POST", CHAT, 202, {"json": {"text": "Hello"}}),
    ("POST", f"{CASE_PATH}/release", 201, {"json": {"brief": "All is well"}}),
    ("POST", f"{CASE_PATH}/release", 409, {}),
    ("POST", f"{CASE_PATH}/stop", 200, {}),
    ("POST", CHAT, 202, {"json": {"text": "Hello"}, "headers": {"Prefer": "respond-async"}}),
    ("POST", f"{CASE_PATH}/retry", 409, {}),
    ("POST", f"{CASE_PATH}/stop", 200, {}),
    ("POST", f"{CASE_PATH}/retry", 200, {}),
    ("POST", f"{CASE_PATH}/typing", 204, {"json": {"on": True, "in": "note"}}),
    ("POST", f"{CASE_PATH}/typing", 422, {"json": {}}),
    ("POST", f"{CASE_PATH}/read", 204, {"json": {"seq": 3}}),
    ("POST", f"{CASE_PATH}/read", 404, {"json": {"seq": 3_000}}),
    ("GET", "/api/v1/cases", 200, {}),
    ("GET", "/api/v1/cases", 403, {"headers": BACK_END}),
    ("POST", CHAT, 200, {"json": {"text": "I have chest pain"}}),
    ("POST", "/api/v1/events", 201, {"json": EMISSION, "headers": BACK_END}),
    ("POST", "/api/v1/events", 422, {"json": {}, "headers": BACK_END}),
    ("POST", UPLOADS, 201, {"data": {"case": CASE}, "files": {"file": SCAN}}),
    ("POST", UPLOADS, 403, {"data": {"case": "unknown"}, "files": {"file": SCAN}}),
    ("POST", UPLOADS, 400, {"json": {}}),
    ("POST", f"{UPLOADS}/confirm", 201, {"json": {"id": "{upload}"}}),
    ("POST", f"{UPLOADS}/confirm", 200, {"json": {"id": "{upload}"}}),
    ("GET", f"{UPLOADS}/{{upload}}", 200, {}),
    ("POST", CONSENT, 201, {"json": {"case": CASE, "purpose": "Sharing", "granted": True}}),
    ("POST", CONSENT, 422, {"json": {"case": CASE}}),
    ("GET", "/api/v1/flags", 200, {}),
    ("POST", "/api/v1/flags", 200, {"json": {"name": "sse_streaming", "on": None}}),
    ("POST", "/api/v1/flags", 404, {"json": {"name": "unknown", "on": None}}),
    ("POST", "/api/v1/revocations", 200, {"json": {"sub": "user_x"}}),
    ("POST", "/api/v1/revocations", 200, {"json": {"sid": "sess_x"}}),
    ("POST", "/api/v1/revocations", 422, {"json": {}}),
    ("POST", "/api/v1/patients", 201, {"json": {"name": "Paul", "user_id": "user_paul"}}),
    ("GET", WHY, 200, {}),
    ("GET", WHY, 404, {"params": {"case": "unknown"}}),
    ("GET", CASE_PATH, 200, {}),
    ("GET", f"{CASE_PATH}/events", 200, {}),
    ("GET", f"{CASE_PATH}/events", 409, {"params": {"after": "9.00000000"}}),
    ("GET", f"{CASE_PATH}/events", 422, {"params": {"limit": "0"}}),
    ("GET", f"{CASE_PATH}/events", 422, {"params": {"before": "3", "tail": "3"}}),
    ("GET", f"{CASE_PATH}/events", 200, {"params": {"before": "3"}}),
    ("GET", f"{CASE_PATH}/events", 200, {"params": {"before": "1"}}),
    ("GET", f"{CASE_PATH}/events", 200, {"params": {"tail": "0"}}),
    ("GET", f"{CASE_PATH}/timeline", 200, {"params": {"channel": "chat,internal_note"}}),
]


async def test_a_stale_message_is_answered_with_what_was_missed(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.rest(MARIA) as maria, hub.rest(PRIYA) as priya:
        await maria.post(f"/cases/{CASE}/messages", json={"text": "Hello"})
        stale = await priya.post(f"/cases/{CASE}/messages", json={"text": "Hello", "seen": 1})
        assert stale.json()["error"]["missed"]
        fits(MESSAGES, stale)


async def test_a_foreign_case_is_answered_as_described(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, hub.rest(PRIYA) as http:
        fits(CASE_PATH, await http.get("/cases/unknown"))
        path = f"{CASE_PATH}/messages/stream"
        fits(path, await http.get("/cases/unknown/messages/stream"))


@pytest.mark.parametrize("path", ["/cases/{case}/messages/stream", "/cases/{case}/stream"])
async def test_the_events_of_a_stream_fit_their_schemas(tmp_path: Path, path: str) -> None:
    documented = HTTP["paths"][path]["get"]["responses"]["200"]["content"]["text/event-stream"]
    async with running_hub(tmp_path) as hub, hub.rest(MARIA) as http:
        message = {"text": "Hello", "cards": [CARD]}
        said = (await http.post(f"/cases/{CASE}/messages", json=message)).json()
        for after in ("0.0", "9.00000000"):
            headers = {**hub.headers(MARIA), "Last-Event-ID": after}
            url = f"{hub.http}{path.replace('{case}', CASE)}"
            until = said["cursor"] if after == "0.0" else "reset"
            events = await read_until(url, headers, until)
            for event in events:
                check(HTTP, documented["x-events"][event.type], json.loads(event.data))


async def read_until(url: str, headers: dict[str, str], until: str) -> list[Event]:
    """Read a stream up to an event with this id, or of this type."""
    parser, events = Parser(), list[Event]()
    async with (
        asyncio.timeout(WITHIN),
        httpx2.AsyncClient() as http,
        http.stream("GET", url, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        async for chunk in answer.aiter_raw():
            events += parser.feed(chunk)
            if any(until in (event.type, event.last_event_id) for event in events):
                break
    return events


# The pages.


async def test_the_documents_are_served(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, httpx2.AsyncClient(base_url=hub.http) as http:
        assert (await http.get("/openapi.json")).json() == HTTP
        assert (await http.get("/asyncapi.json")).json() == SOCKET
        for path in ("/openapi.json", "/asyncapi.json", "/docs", "/healthz", "/readyz", "/metrics"):
            fits(path, await http.get(path))


async def test_the_page_names_everything_and_asks_no_other_site(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub, httpx2.AsyncClient(base_url=hub.http) as http:
        answer = await http.get("/docs")
    page = answer.text
    sockets = [channel["address"] for channel in SOCKET["channels"].values()]
    for path in [*HTTP["paths"], *sockets]:
        assert path in page
    for name in [*HTTP["components"]["schemas"], *SOCKET["components"]["schemas"]]:
        assert f'id="{name}"' in page
    assert "<script" not in page
    assert not re.search(r"\b(src|href)=\"(?!#|/[a-z])", page)
    targets = re.findall(r'href="#([^"]+)"', page)
    assert {*targets} <= {*re.findall(r'id="([^"]+)"', page)}
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_text_cannot_become_markup() -> None:
    written = tag("p", "<script>", tag("b", "&"), title='"')
    assert written == '<p title="&quot;">&lt;script&gt;<b>&amp;</b></p>'
