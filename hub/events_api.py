"""The REST endpoint by which other back ends tell what they did for a patient."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from auth.principal import Principal, Role
from hub.client_frames import explain
from hub.close_codes import HTTP_STATUS
from hub.endpoints import Endpoints, created, read_object, validated
from rooms.cases import case_for
from rooms.commands import Emit
from rooms.errors import Code, Malformed, Rejected
from rooms.patient_events import PatientEvent, read_payload
from rooms.payload import Id, Text
from rooms.service import Rooms

UNFIT: Final = "EVENT_EMIT_001"
"""The code of an event that does not fit the registry; nothing of it is stored."""


class Emission(BaseModel):
    """An event that another back end tells of."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    event_type: Text
    """Its name in the registry."""
    patient_id: Id
    case_id: Id | None = None
    """Absent: the patient's case that was opened last and is not closed; else one is opened."""
    payload: dict[str, Any]
    """What the registry asks for under this name."""
    correlation_id: Id | None = None
    """Made by whoever emits it, to follow one matter through several systems."""

    def event(self) -> PatientEvent:
        """Read the payload.

        Raises:
            Malformed: nobody emits events of this name, or the payload does not fit it.

        """
        members = dict(self.payload)
        if self.correlation_id is not None:
            members["correlation_id"] = self.correlation_id
        try:
            return read_payload(self.event_type, members)
        except ValidationError as error:
            raise Malformed(Code.INVALID, f"payload.{explain(error)}") from None
        except ValueError as error:
            raise Malformed(Code.INVALID, str(error)) from None


class EventsApi:
    """Takes typed events of patients from other back ends."""

    def __init__(self, rooms: Rooms, endpoints: Endpoints) -> None:
        self._rooms = rooms
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        return [self._endpoints.route("POST", "/api/v1/events", self.post_event)]

    async def post_event(self, request: Request, by: Principal) -> Response:
        """Let an event happen in a case of its patient."""
        if by.role is not Role.SERVICE:
            raise Rejected(Code.FORBIDDEN, "Only other back ends may do this.")
        value = await read_object(request)
        key, echo = self._endpoints.key(request)
        try:
            emission = validated(Emission, value)
            command = Emit(emission.patient_id, emission.event())
            case = emission.case_id or await case_for(self._rooms, by, emission.patient_id, key)
            receipt = await self._rooms.handle(case, command, by, key, echo=echo)
        except Malformed as error:
            body = {"code": UNFIT, "message": error.message}
            return JSONResponse({"error": body}, HTTP_STATUS[Code.INVALID])
        return created(receipt, {})
