"""The REST endpoint by which a patient agrees to something, or takes it back."""

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from auth.principal import Principal
from hub.client_frames import Flag
from hub.endpoints import Endpoints, created, read_object, validated
from rooms.commands import Emit
from rooms.patient_events import ConsentGranted, ConsentRevoked, Label, Version
from rooms.payload import Id
from rooms.service import Rooms


class Consent(BaseModel):
    """What a patient agrees to, or no longer."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    case: Id
    purpose: Label
    """What is agreed to, in words for the patient."""
    granted: Flag
    """false: it is taken back."""
    version: Version | None = None
    """Of the text that is, or was, agreed to."""
    consent_id: Id | None = None
    """Made by whoever keeps the consents, to follow one through several systems."""

    def event(self) -> ConsentGranted | ConsentRevoked:
        kind = ConsentGranted if self.granted else ConsentRevoked
        return kind(purpose=self.purpose, version=self.version, consent_id=self.consent_id)


class ConsentApi:
    """Takes the consents of patients."""

    def __init__(self, rooms: Rooms, endpoints: Endpoints) -> None:
        self._rooms = rooms
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        return [self._endpoints.route("POST", "/api/v1/consent", self.post_consent)]

    async def post_consent(self, request: Request, by: Principal) -> Response:
        """Let a consent, or its end, happen in a case."""
        consent = validated(Consent, await read_object(request))
        self._endpoints.throttle(by)
        key, echo = self._endpoints.key(request)
        state = await self._rooms.enter(consent.case, by)
        command = Emit(state.patient_id, consent.event())
        return created(await self._rooms.handle(consent.case, command, by, key, echo=echo), {})
