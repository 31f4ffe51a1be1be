"""One page that a person can read, made from the two documents.

It runs no script and asks no other site for anything.
"""

import json
from collections.abc import Iterable
from html import escape
from typing import Any, Final

from hub.json_schema import Schema

_STYLE: Final = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: auto; padding: 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border: 1px solid #999; padding: .25rem .5rem; text-align: left; vertical-align: top; }
h3 { margin-top: 2rem; border-top: 1px solid #999; padding-top: .5rem; }
pre { white-space: pre-wrap; font: inherit; }
"""


class Html(str):
    """Text that is HTML already; every other text is escaped."""


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Write an element; its children are escaped unless they are elements themselves."""
    inner = "".join(child if isinstance(child, Html) else escape(child) for child in children)
    given = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{inner}</{name}>")


def docs_page(openapi: dict[str, Any], asyncapi: dict[str, Any]) -> str:
    """Write the page: every route, every frame, every code, and what they hold."""
    schemas = {**openapi["components"]["schemas"], **asyncapi["components"]["schemas"]}
    body = tag(
        "body",
        tag("h1", "The hub"),
        tag("p", "For programs: ", _link("/openapi.json"), ", ", _link("/asyncapi.json"), "."),
        tag("h2", "HTTP"),
        *(
            _route(path, method, operation, openapi["components"]["parameters"])
            for path, methods in openapi["paths"].items()
            for method, operation in methods.items()
        ),
        *(_socket(channel, asyncapi) for channel in asyncapi["channels"].values()),
        tag("h2", "Schemas"),
        *(_schema(name, schemas[name]) for name in sorted(schemas)),
    )
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width">'),
        tag("title", "The hub: its interfaces"),
        Html(f"<style>{_STYLE}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _link(address: str, text: str = "") -> Html:
    return tag("a", text or address, href=address)


def _reference(schema: Schema) -> Html:
    name = schema["$ref"].rpartition("/")[2]
    return _link(f"#{name}", name)


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    head = tag("tr", *(tag("th", heading) for heading in headings))
    return tag("table", head, *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))


def _route(path: str, method: str, operation: Schema, parameters: dict[str, Schema]) -> Html:
    given = [
        parameters[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each in operation.get("parameters", [])
    ]
    rows = [
        (each["name"], each["in"], {**each["schema"], **each}.get("description", ""))
        for each in given
    ]
    answers = [
        (status, _content(response) if "content" in response else response["description"])
        for status, response in operation["responses"].items()
        if "content" in response or status == "204"
    ]
    refusals = ", ".join(
        status for status, response in operation["responses"].items() if "$ref" in response
    )
    return tag(
        "section",
        tag("h3", tag("code", f"{method.upper()} {path}")),
        tag("p", operation["summary"], " ", operation.get("description", "")),
        _table(("parameter", "in", ""), rows) if rows else Html(),
        tag("p", "Body: ", _content(operation["requestBody"]))
        if "requestBody" in operation
        else Html(),
        _table(("status", "answer"), answers),
        tag("p", f"Refusals: {refusals}, with ", _link("#Refusal", "Refusal"))
        if refusals
        else Html(),
    )


def _content(holder: Schema) -> Html:
    media, content = next(iter(holder["content"].items()))
    events = [
        tag("span", f"; event {name}: ", _type(schema))
        for name, schema in content.get("x-events", {}).items()
    ]
    return tag("span", f"{media}: ", _type(content["schema"]), *events)


def _socket(channel: Schema, asyncapi: dict[str, Any]) -> Html:
    described = asyncapi["components"]["messages"]
    messages = {
        name: described[each["$ref"].rpartition("/")[2]]
        for name, each in channel["messages"].items()
    }
    frames = [
        (
            tag("code", message["name"]),
            name.partition(".")[0],
            _reference(message["payload"]),
            message["summary"],
        )
        for name, message in messages.items()
    ]
    kinds = [
        (
            tag("code", kind["kind"]),
            kind["description"],
            _reference(kind["data"]["staff"]),
            _reference(kind["data"]["patient"]) if kind["patients_see_it"] else "nothing",
        )
        for kind in channel.get("x-event-kinds", [])
    ]
    errors = [
        (each["code"], str(each["http_status"]), each["meaning"])
        for each in channel["x-error-codes"]
    ]
    codes = [
        (
            str(each["code"]),
            "come back" if each["reconnect"] else "change something",
            each["meaning"],
        )
        for each in channel["x-close-codes"]
    ]
    return tag(
        "section",
        tag("h2", channel["title"]),
        tag("h3", tag("code", channel["address"])),
        tag("pre", channel["description"]),
        tag("h3", "Frames"),
        _table(("type", "sent by", "schema", ""), frames),
        *(
            (
                tag("h3", "Kinds of event"),
                _table(("kind", "", "staff get", "patients get"), kinds),
            )
            if kinds
            else ()
        ),
        tag("h3", "Error codes"),
        _table(("code", "HTTP status", ""), errors),
        tag("h3", "Close codes"),
        _table(("code", "then", ""), codes),
    )


def _schema(name: str, schema: Schema) -> Html:
    required = schema.get("required", [])
    rows = [
        (
            tag("code", member),
            _type(shape),
            "" if member in required else "optional",
            shape.get("description", ""),
        )
        for member, shape in schema.get("properties", {}).items()
    ]
    shape = _table(("member", "type", "", ""), rows) if rows else tag("p", _type(schema))
    return tag("section", tag("h3", name, id=name), tag("p", schema.get("description", "")), shape)


def _type(schema: Schema) -> Html:
    """Say in a few words what a schema takes."""
    match schema:
        case {"$ref": _}:
            return _reference(schema)
        case {"const": value}:
            return tag("code", json.dumps(value))
        case {"enum": values}:
            return tag("span", *_joined([tag("code", json.dumps(value)) for value in values]))
        case {"anyOf": forms} | {"oneOf": forms}:
            return tag("span", *_joined([_type(form) for form in forms]))
        case {"items": items}:
            return tag("span", "list of ", _type(items))
        case {"type": list() as types}:
            return tag("span", " or ".join(types))
        case {"type": str() as name}:
            return tag("span", name)
        case _:
            return tag("span", "anything")


def _joined(parts: list[Html]) -> list[str]:
    return [piece for part in parts for piece in (" or ", part)][1:]
