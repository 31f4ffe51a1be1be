"""JSON Schemas of what is on the wire, made from the models that check it.

Invariant: what is described as visible to patients is what `rooms.events` lets patients see.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import ModelSchema

from rooms.events import KINDS, Audience, Kind
from rooms.payload import Payload

Schema: TypeAlias = dict[str, Any]

_REF: Final = "#/components/schemas/{model}"


class _Generator(GenerateJsonSchema):
    """Says of a member with one possible value that it is always there, for it names the type."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        # A title would only repeat the name.
        return False

    def model_schema(self, schema: ModelSchema) -> Schema:
        described = super().model_schema(schema)
        members = described.get("properties", {})
        required = described.get("required", [])
        constant = [name for name in members if "const" in members[name] and name not in required]
        return {**described, "required": [*constant, *required]} if constant else described


def reference(name: str) -> Schema:
    return {"$ref": _REF.format(model=name)}


def schemas_of(models: Mapping[str, type[BaseModel]]) -> dict[str, Schema]:
    """Give the schema of each model under its name here, and of all that they refer to.

    Raises:
        ValueError: two different models have one name.

    """
    found: dict[str, Schema] = {}
    for name, model in models.items():
        schema = model.model_json_schema(ref_template=_REF, schema_generator=_Generator)
        _add(found, {**schema.pop("$defs", {}), name: schema})
    return found


def _add(found: dict[str, Schema], more: Mapping[str, Schema]) -> None:
    for name, schema in more.items():
        if found.setdefault(name, schema) != schema:
            raise ValueError(f"two different models are called {name}")


def wire_schemas(models: Mapping[str, type[BaseModel]]) -> dict[str, Schema]:
    """Give the schemas of models that speak of events; an event's `data` fits its `kind`."""
    schemas = schemas_of(models)
    _add(schemas, _data_schemas())
    event = schemas["EventFrame"]
    event["properties"]["kind"] = {"type": "string", "enum": [*KINDS]}
    event["oneOf"] = [_event_of(kind) for kind in KINDS.values()]
    return dict(sorted(schemas.items()))


def data_name(kind: Kind, audience: Audience) -> str:
    """Name the schema of what an audience gets as the `data` of a kind."""
    return f"data.{kind.name}.{audience.value}"


def audiences(kind: Kind) -> list[Audience]:
    return [Audience.STAFF, *([Audience.PATIENT] if kind.patients_see_it else [])]


def _event_of(kind: Kind) -> Schema:
    forms = [reference(data_name(kind, audience)) for audience in audiences(kind)]
    members = {"kind": {"const": kind.name}, "data": {"anyOf": forms}}
    return {"title": kind.name, "properties": members, "x-patients-see-it": kind.patients_see_it}


def _data_schemas() -> dict[str, Schema]:
    found = schemas_of(
        {_key(kind, each): each for kind in KINDS.values() for each in kind.payloads}
    )
    for kind in KINDS.values():
        payloads = {each: found.pop(_key(kind, each)) for each in kind.payloads}
        for audience in audiences(kind):
            found |= _forms(kind, payloads, audience)
    return found


def _key(kind: Kind, payload: type[Payload]) -> str:
    """Name a payload until it is described; a frame may have the name of its class."""
    return f"{kind.name} {payload.__name__}"


def _forms(
    kind: Kind, payloads: Mapping[type[Payload], Schema], audience: Audience
) -> dict[str, Schema]:
    """Describe the data of a kind; if it has several payloads, the member `event` tells which."""
    name = data_name(kind, audience)
    forms = {
        payload.__name__: _data(kind, shown, schema, audience)
        for payload, schema in payloads.items()
        if (shown := _names(kind, payload, audience))
    }
    if len(payloads) == 1:
        return dict(zip([name], forms.values(), strict=True))
    parts = {f"{name}.{payload}": form for payload, form in forms.items()}
    return {name: {"title": name, "oneOf": [*map(reference, parts)]}, **parts}


def _data(kind: Kind, shown: set[str], payload: Schema, audience: Audience) -> Schema:
    """Describe what `Envelope.data_json` writes: no null, and every default."""
    members = {
        name: _without_null(member)
        for name, member in payload["properties"].items()
        if name in shown
    }
    absent = {
        name
        for name, member in payload["properties"].items()
        if member.get("default", name) is None
    }
    required = [name for name in members if name not in absent]
    if kind.name == "message":
        members = {"message_id": {"type": "string"}, **members}
        required = ["message_id", *required]
    description = payload.get("description", kind.name)
    return {
        "type": "object",
        "description": f"{description} (`{kind.name}` as {_READERS[audience]})",
        "properties": members,
        "required": required,
    }


_READERS: Final = {
    Audience.STAFF: "staff get it",
    Audience.PATIENT: "patients get it",
}


def _names(kind: Kind, payload: type[Payload], audience: Audience) -> set[str]:
    fields = payload.model_fields
    shown = kind.patient_fields(payload) if audience is Audience.PATIENT else fields.keys()
    return {fields[name].alias or name for name in shown}


def _without_null(member: Schema) -> Schema:
    if member.get("default", "") is not None:
        return {name: value for name, value in member.items() if name != "default"}
    rest = {name: value for name, value in member.items() if name not in ("anyOf", "default")}
    forms = [form for form in member.get("anyOf", []) if form != {"type": "null"}]
    return {**rest, **forms[0]} if len(forms) == 1 else {**rest, "anyOf": forms}
