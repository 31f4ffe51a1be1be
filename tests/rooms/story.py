"""What becomes of a sequence of commands: the core alone, with ids and times that a test knows."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import pytest
from pydantic import ValidationError

from auth.principal import Principal
from rooms.commands import (
    Command,
    Continue,
    Finish,
    Recall,
    RegisterPatient,
    Remind,
    Retry,
    SendMessage,
    Stop,
)
from rooms.core import decide
from rooms.cursor import Cursor
from rooms.errors import Code, Rejected
from rooms.events import Audience, ControlChange, Envelope, Event, Message, SenderType, Trigger
from rooms.state import (
    Alarm,
    Decision,
    Happening,
    Policy,
    Progress,
    RoomState,
    RunState,
    Seen,
    Task,
    Terms,
    advance,
    evolve,
    number,
    opened,
)
from tests.rooms.kit import ANSWERING, CASE, NOW, SERVICE, TENANT, registration

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
ROOM: Final = RoomState(CASE, TENANT, "patient-1", "Maria")

PERSON: Final = "Let me talk to a person"
CHEST: Final = "My chest hurts"
PANIC: Final = "I want to die"
ALARMS: Final = MappingProxyType(
    {
        PERSON: Alarm(Trigger.PHRASE, "secret: she asked for a person"),
        CHEST: Alarm(Trigger.RED_FLAG, "secret: chest pain", "Call 112 now."),
        PANIC: Alarm(Trigger.RED_FLAG, "secret: panic"),
    }
)
"""What these words of a patient set off."""

NEWEST: Final = "newest"
"""Stands for the run that is being written, or else for the last one that was."""
FIRST: Final = "first"
"""Stands for the first run that there ever was."""


class Numbered:
    """Ids that name the command that made them, so that one left out changes no other."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._made: Counter[str] = Counter()

    def __call__(self, kind: str) -> str:
        self._made[kind] += 1
        return f"{kind}_{self._index}_{self._made[kind]}"


@dataclass
class Story:
    """What became of a sequence of commands."""

    policy: Policy = ANSWERING
    state: RoomState | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    happened: list[Envelope | Progress | Seen] = field(default_factory=list)
    """All of it, in order."""
    tasks: list[Task] = field(default_factory=list)
    answers: list[Code | None] = field(default_factory=list)
    """For each command: the code of its refusal, or None."""

    def give(self, command: Command, by: Principal, index: int | None = None) -> None:
        step = len(self.answers) if index is None else index
        command = self.meant(command)
        try:
            decision = decide(self.state, command, by, self.terms(command, by, step))
        except Rejected as error:
            self.answers.append(error.code)
            return
        except ValidationError:
            self.answers.append(Code.INVALID)
            return
        self.answers.append(None)
        at = NOW + timedelta(seconds=step)
        if isinstance(command, RegisterPatient):
            self.state = opened(CASE, command, by.tenant, at)
        self.apply(decision, step)

    def terms(self, command: Command, by: Principal, step: int) -> Terms:
        words = command.text if isinstance(command, SendMessage) and not by.is_staff else ""
        at = NOW + timedelta(seconds=step)
        return Terms(at, Numbered(step), self.policy, ALARMS.get(words))

    def apply(self, decision: Decision, step: int) -> None:
        new_id = Numbered(step)
        self.tasks.extend(decision.tasks)
        for happening in decision.happenings:
            assert self.state is not None
            if isinstance(happening, Event):
                id = happening.id or f"event_{new_id(happening.kind)}"
                at = NOW + timedelta(seconds=step)
                envelope = number(self.state, happening, id, at)
                self.envelopes.append(envelope)
                self.happened.append(envelope)
                self.state = evolve(self.state, envelope)
            else:
                self.happened.append(happening)
                self.state = advance(self.state, happening)

    def meant(self, command: Command) -> Command:
        """Put in what a command, made before the story, could not know."""
        pieces = 0 if self.state is None or self.state.run is None else self.state.run.pieces
        match command:
            case Continue(i=i):
                return replace(command, run=self.run_called(command.run), i=max(pieces + i, 0))
            case Finish() | Stop(run=str()) | Retry(run=str()):
                return replace(command, run=self.run_called(str(command.run)))
            case Remind(fence=back) | Recall(fence=back):
                fence = 0 if self.state is None else self.state.fence
                return replace(command, fence=fence - back)
            case _:
                return command

    def run_called(self, name: str) -> str:
        begun = [step.run for step in self.steps if step.state is RunState.THINKING]
        if name in (NEWEST, FIRST):
            return "never" if not begun else begun[-1 if name == NEWEST else 0]
        return name

    @property
    def steps(self) -> list[Progress]:
        return [each for each in self.happened if isinstance(each, Progress)]

    @property
    def room(self) -> RoomState:
        assert self.state is not None
        return self.state

    @property
    def run(self) -> str:
        """The id of the answer that is being written."""
        assert self.room.run is not None
        return self.room.run.id

    def messages(self, of: SenderType) -> list[Message]:
        payloads = [envelope.event.payload for envelope in self.envelopes]
        return [each for each in payloads if isinstance(each, Message) and each.sender_type is of]

    @property
    def changes(self) -> list[ControlChange]:
        payloads = [envelope.event.payload for envelope in self.envelopes]
        return [each for each in payloads if isinstance(each, ControlChange)]

    @property
    def kinds(self) -> list[str]:
        return [envelope.event.kind for envelope in self.envelopes]

    def shown(self, run: str) -> str:
        """Give all that was shown of an answer while it was being written."""
        return "".join(step.text for step in self.steps if step.run == run)

    def cursors(self, audience: Audience) -> list[Cursor]:
        return [e.cursors[audience] for e in self.envelopes if audience in e.cursors]

    def newest_message_not_by(self, sender: str) -> int:
        """Define in the plainest words what the state keeps in three fields."""
        return max(
            (
                envelope.cursors[STAFF].seq
                for envelope in self.envelopes
                if envelope.event.kind == "message" and envelope.event.actor.id != sender
            ),
            default=0,
        )


def story(*commands: tuple[Command, Principal], policy: Policy = ANSWERING) -> Story:
    """Tell a story that begins with an open case, and whose commands are all accepted."""
    told = begun(policy)
    for command, by in commands:
        told.give(command, by)
        assert told.answers[-1] is None, command
    return told


def begun(policy: Policy = ANSWERING) -> Story:
    told = Story(policy)
    told.give(registration(), SERVICE)
    return told


def decided(
    state: RoomState | None, command: Command, by: Principal, **terms: Any
) -> tuple[Happening, ...]:
    """Give what a command brings about; without other terms, where there is no AI."""
    return decision(state, command, by, **terms).happenings


def decision(state: RoomState | None, command: Command, by: Principal, **terms: Any) -> Decision:
    return decide(state, command, by, Terms(NOW, Numbered(1), **terms))


def refusal(state: RoomState | None, command: Command, by: Principal, **terms: Any) -> Rejected:
    with pytest.raises(Rejected) as caught:
        decided(state, command, by, **terms)
    return caught.value
