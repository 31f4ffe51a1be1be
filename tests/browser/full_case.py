"""A case in which everything that a page can show has happened."""

import asyncio
import itertools

from auth.principal import Role
from rooms.commands import Accept, Emit, Escalate, OpenCase, Release, SendMessage, WriteNote
from rooms.events import Attachment, Card, Source
from rooms.patient_events import (
    CallSummarised,
    ConsentGranted,
    DocumentParsed,
    DocumentUploaded,
    FhirResourceCreated,
    IntakeProgressUpdated,
    MatchCompleted,
    MatchRequested,
    PatientEvent,
)
from tests.ai.kit import GatedModel
from tests.browser.kit import Stage
from tests.kit import MARIA, MARIA_ID, PRIYA, REGISTRAR, WITHIN, Identity

OTHER = Identity("service", "Another program", Role.SERVICE)
RAVI = Identity("user_ravi", "Ravi", Role.COORDINATOR)

HAPPENED: tuple[PatientEvent, ...] = (
    IntakeProgressUpdated(percent=60, step="Your reports", missing=("A scan of your knee",)),
    DocumentUploaded(
        document_id="d1", name="Knee MRI.pdf", content_type="application/pdf", size=812_345
    ),
    DocumentUploaded(document_id="d2", name="Passport.jpg", content_type="image/jpeg", size=91_000),
    DocumentUploaded(document_id="d3", name="Letter.pdf", content_type="application/pdf", size=7),
    DocumentParsed(document_id="d1", pages=12, text="A torn meniscus of the left knee."),
    DocumentParsed(document_id="d3", state="failed", failure="encrypted"),
    FhirResourceCreated(resource_type="Condition", resource_id="c1", text="Torn meniscus, left"),
    MatchRequested(match_id="m1", procedure="Arthroscopy of the knee"),
    MatchCompleted(match_id="m1", count=3, text="Three hospitals in Istanbul and Delhi."),
    MatchRequested(match_id="m2", procedure="Physiotherapy"),
    ConsentGranted(purpose="Share your reports with hospitals"),
    CallSummarised(
        direction="outbound", duration_s=312, text="You spoke of March.", summary="She is in doubt."
    ),
)

CARDS = (
    Card(kind="document", title="Visa letter", ref="d9", fallback="Your visa letter is here."),
    Card(kind="match", title="Acibadem, Istanbul", ref="m1", fallback="A room is free in March."),
    Card(kind="consent", title="Use your photos", ref="c9", fallback="May we show them a doctor?"),
)
FILES = (Attachment(id="f1", name="Estimate.pdf", content_type="application/pdf", size=120_000),)

TALK: tuple[tuple[Identity, SendMessage | WriteNote], ...] = (
    (MARIA, SendMessage("Good morning! My knee hurts since the summer.")),
    (PRIYA, SendMessage("Good morning, Maria. Which papers do you have?")),
    (PRIYA, WriteNote("Passport copy is missing. Ask again on Monday.")),
    (MARIA, SendMessage("An MRI, and a letter of my doctor.\nIs that enough?")),
    (PRIYA, SendMessage("Yes.\n- **MRI**: is here\n- Letter: see https://example.org/letter")),
    (PRIYA, SendMessage("Here is what we have so far.", cards=CARDS, attachments=FILES)),
    (PRIYA, SendMessage("We spoke on the telephone today.", via=Source.PHONE)),
    (RAVI, WriteNote("Hospital in Delhi has answered.")),
    (MARIA, SendMessage("Thank you! مرحبا 🙏")),
)


ANSWERS = (
    "Good morning, Maria. **I am an assistant.** A person of our team reads along.",
    "For a first opinion it is. Hospitals usually want:\n- the images themselves\n- your medicines",
    "You are welcome.",
)


async def fill(made: Stage, model: GatedModel) -> None:
    """Let all of it happen in Maria's case."""
    keys = (f"full {number}" for number in itertools.count())
    answers = iter(ANSWERS)
    events = [(OTHER, Emit(MARIA_ID, event)) for event in HAPPENED]
    for who, command in (*TALK[:4], *events, *TALK[4:]):
        await made.do(who, command, next(keys))
        if who is MARIA:
            await answer(made, model, next(answers))
    await made.do(MARIA, Escalate("I would like to talk to somebody"), next(keys))
    await made.do(PRIYA, Accept(), next(keys))
    await made.do(PRIYA, Release(brief="Maria has sent her MRI."), next(keys))


async def answer(made: Stage, model: GatedModel, text: str) -> None:
    """Let the assistant say something, and wait until it has."""
    (await model.next()).end(text)
    async with asyncio.timeout(WITHIN):
        while text not in [event["data"].get("text") for event in await made.log()]:
            pass


async def open_empty(made: Stage, case: str) -> None:
    """Open a further case of Maria, in which nobody has said anything."""
    await made.do(REGISTRAR, OpenCase(MARIA_ID, "Maria"), f"open {case}", case)


async def fill_desk(made: Stage) -> None:
    """Let the desk have a case of each sort."""
    people = [("Ana Lima", "wait"), ("Yusuf Demir", "emergency"), ("Chen Wei", "ravi")]
    for number, (name, how) in enumerate([*people, ("Aisha Khan", "priya"), ("Tom", "ai")]):
        patient = Identity(f"user_p{number}", name, patient_id=f"patient-{number}")
        case = f"case-p{number}"
        await made.hub.open_case(case, patient)
        said = "I have chest pain" if how == "emergency" else "When can I come?"
        await made.do(patient, SendMessage(said), f"said {number}", case)
        if how == "wait":
            await made.do(patient, Escalate(), "asked", case)
        if how in ("ravi", "priya"):
            await made.do(RAVI if how == "ravi" else PRIYA, Accept(), "accepted", case)
