"""Every HTTP route in one table, for those who want to know what they can call."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

from hub.api import EventsQuery, TimelineQuery
from hub.file_types import CONTENT_TYPES
from hub.uploads_api import UPLOADS
from hub.why import WhyQuery
from rooms.errors import Code


@dataclass(frozen=True, slots=True)
class Call:
    """A route of `hub.api`."""

    method: str
    path: str
    name: str
    summary: str
    answer: str | None
    """The schema of the answer; None: it has no body."""
    query: type[BaseModel] | None = None
    body: str | None = None
    """The schema of the body; what has a body writes."""
    takes: str = "application/json"
    """The media type of the body."""
    gives: tuple[str, ...] = ("application/json",)
    """The media types of the answer."""
    also: tuple[Code, ...] = ()
    """Errors beyond those of all calls that read, or write."""
    statuses: Mapping[int, str] | None = None
    """What it answers if all is well; None: as calls that read, or write, do."""
    keyed: bool = True
    """What it writes bears an idempotency key."""


CHAT_STATUSES: Final = MappingProxyType(
    {200: "The message is stored, and this is the reply.", 202: "Stored; no reply comes now."}
)
SIGNALLED: Final = MappingProxyType({204: "Whoever is there was told."})
_CASE: Final = "/api/v1/cases/{case}"

CALLS: Final = (
    Call(
        "GET",
        "/api/v1/cases",
        "get_cases",
        "Give the open cases of the tenant as the desk shows them (coordinators).",
        "Cases",
        also=(Code.NOT_FOUND,),
    ),
    Call("GET", _CASE, "get_case", "Give a summary of a case.", "CaseSummary"),
    Call(
        "GET",
        f"{_CASE}/events",
        "get_events",
        "Give the events after a cursor (409 `reset` if the cursor cannot be honoured), below a "
        "`seq`, or the last ones.",
        "EventsPage",
        query=EventsQuery,
        also=(Code.INVALID, Code.CONFLICT),
    ),
    Call(
        "GET",
        f"{_CASE}/timeline",
        "get_timeline",
        "Give what was said on all channels, the newest first.",
        "Timeline",
        query=TimelineQuery,
        also=(Code.INVALID,),
    ),
    Call(
        "POST",
        f"{_CASE}/messages",
        "post_message",
        "Say something in the conversation.",
        "Stored",
        body="MessageBody",
        also=(Code.NOT_FOUND,),
    ),
    Call(
        "POST",
        f"{_CASE}/notes",
        "post_note",
        "Write an internal note (staff).",
        "Stored",
        body="NoteBody",
    ),
    Call(
        "POST",
        f"{_CASE}/status",
        "post_status",
        "Move the case to another status (staff).",
        "Stored",
        body="StatusBody",
    ),
    Call(
        "POST",
        f"{_CASE}/escalate",
        "post_escalate",
        "Ask for a person; once asked, asking again changes nothing.",
        "Stored",
        body="EscalateBody",
    ),
    Call(
        "POST",
        f"{_CASE}/accept",
        "post_accept",
        "Take the case over from the AI (coordinators); `conflict` names who has it.",
        "Stored",
        body="AcceptBody",
    ),
    Call(
        "POST",
        f"{_CASE}/release",
        "post_release",
        "Give the case back (its owner, or a supervisor).",
        "Stored",
        body="ReleaseBody",
    ),
    Call(
        "POST",
        f"{_CASE}/stop",
        "post_stop",
        "Stop the answer that the AI is writing.",
        "Stored",
        body="StopBody",
    ),
    Call(
        "POST",
        f"{_CASE}/retry",
        "post_retry",
        "Let the AI answer again, where its answer was not whole.",
        "Stored",
        body="RetryBody",
    ),
    Call(
        "POST",
        f"{_CASE}/typing",
        "post_typing",
        "Tell that somebody types; it expires by itself after 6 s.",
        None,
        body="TypingBody",
        statuses=SIGNALLED,
        keyed=False,
    ),
    Call(
        "POST",
        f"{_CASE}/read",
        "post_read",
        "Tell how far one has read.",
        None,
        body="ReadBody",
        also=(Code.NOT_FOUND,),
        statuses=SIGNALLED,
        keyed=False,
    ),
    Call(
        "POST",
        "/api/v1/patients/{patient}/chat",
        "post_chat",
        "Say something in the newest case of the patient, and wait for the reply.",
        "ChatAnswer",
        body="ChatMessage",
        statuses=CHAT_STATUSES,
    ),
    Call(
        "POST",
        "/api/v1/events",
        "post_event",
        "Tell of something that was done for a patient (other back ends).",
        "Stored",
        body="Emission",
    ),
    Call(
        "GET",
        "/api/v1/events/{event}/why",
        "get_why",
        "Tell what became of an event: supervisors and back ends.",
        "Why",
        query=WhyQuery,
        also=(Code.INVALID, Code.NOT_FOUND),
    ),
    Call(
        "POST",
        UPLOADS,
        "post_upload",
        "Send a file for a case; it is a part of the case once it is confirmed.",
        "Uploaded",
        body="FileForm",
        takes="multipart/form-data",
    ),
    Call(
        "POST",
        f"{UPLOADS}/confirm",
        "post_confirmation",
        "Make a file that one has sent a part of its case, within a day.",
        "Stored",
        body="Confirmation",
        also=(Code.NOT_FOUND,),
    ),
    Call(
        "GET",
        f"{UPLOADS}/{{upload}}",
        "get_upload",
        "Give the content of a file.",
        "FileContent",
        gives=CONTENT_TYPES,
        also=(Code.NOT_FOUND,),
    ),
    Call(
        "POST",
        "/api/v1/consent",
        "post_consent",
        "Agree to something, or take it back (patients).",
        "Stored",
        body="Consent",
    ),
    Call("GET", "/api/v1/flags", "get_flags", "Give the flags of the tenant (staff).", "Flags"),
    Call(
        "POST",
        "/api/v1/flags",
        "post_flag",
        "Switch a flag of the tenant (supervisors).",
        "Flags",
        body="FlagChange",
        also=(Code.NOT_FOUND,),
        statuses=MappingProxyType({200: "Done, and durable."}),
        keyed=False,
    ),
    Call(
        "POST",
        "/api/v1/revocations",
        "post_revocation",
        "Let tokens of a user or a session count no longer (supervisors and other back ends).",
        "Revoked",
        body="Revoke",
        statuses=MappingProxyType({200: "Done, and durable."}),
        keyed=False,
    ),
    Call(
        "POST",
        "/api/v1/patients",
        "post_patient",
        "Register a patient, which opens the first case.",
        "Registered",
        body="Registration",
    ),
)

# Path without its prefix, name, summary.
STREAMS: Final = (
    ("/cases/{case}/messages/stream", "stream_messages", "Stream the messages of a case."),
    ("/cases/{case}/chat/stream", "stream_chat", "Stream the answers of the AI, piece by piece."),
    ("/cases/{case}/stream", "stream_case", "Stream everything that patients see of a case."),
)

# Path, name, media type, summary.
PLAIN: Final = (
    ("/healthz", "healthz", "text/plain", "Tell that the process runs."),
    ("/readyz", "readyz", "text/plain", "Tell that it takes requests; 503 while it drains."),
    ("/metrics", "metrics", "text/plain", "Give the metrics in the format of Prometheus."),
    ("/openapi.json", "openapi", "application/json", "Give this document."),
    ("/asyncapi.json", "asyncapi", "application/json", "Give the AsyncAPI document."),
    ("/docs", "docs", "text/html", "Give both documents as a page."),
)
