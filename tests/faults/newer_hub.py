"""A hub of the next version: `python -m tests.faults.newer_hub`.

It writes two kinds of event that this version does not know, promises a task that only it can do,
and tells other processes things of which they have never heard. Whoever says something sets all
of it off.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final

import click

from auth.principal import Principal
from hub import api, demo
from hub.app import Hub, create_app
from hub.server import HubServer, server_config
from hub.settings import Settings
from hub.telemetry import configure_logs
from rooms import core, events, hints, redis_publisher, state
from rooms.broker import Hint
from rooms.commands import Command, SendMessage, WriteNote
from rooms.events import STAFF_ONLY, Actor, Event, Kind, SenderType
from rooms.payload import Payload, Text
from rooms.state import Decision, RoomState, Task, Terms
from rooms.tasks import Claim

HUDDLE: Final = "huddle"
"""A kind for staff alone."""
PARCEL: Final = "parcel"
"""A kind that patients see, one of its fields excepted."""
TIDY: Final = "tidy"
"""A kind of task."""


class Huddle(Payload):
    """Staff put their heads together."""

    words: Text


class Parcel(Payload):
    """Something is on its way."""

    contents: Text
    remark: Text


KINDS: Final = MappingProxyType(
    {
        **events.KINDS,
        HUDDLE: Kind(HUDDLE, {Huddle: STAFF_ONLY}),
        PARCEL: Kind(PARCEL, {Parcel: frozenset({"contents"})}),
    }
)
STRANGE: Final = (
    {"type": "weather", "sky": "blue"},
    {"type": "run", "case": "case-1", "run": "run_1", "fence": 9, "state": "searching"},
    {"type": "attendance", "process": "p", "number": 1, "come": [["case-1", "a", "b", "c"]]},
    {"type": "event", "case": "case-1", "cursor": {"of": "another form"}},
)
"""What no other process understands."""

decide = core.decide


def decide_more(state: RoomState | None, command: Command, by: Principal, terms: Terms) -> Decision:
    """Let more happen than this version would."""
    decision = decide(state, command, by, terms)
    if state is None or not isinstance(command, SendMessage | WriteNote):
        return decision
    actor = Actor(SenderType.SYSTEM, None, None)
    more = (
        Event(HUDDLE, actor, Huddle(words="SECRET")),
        Event(PARCEL, actor, Parcel(contents="A visa", remark="SECRET")),
    )
    tidy = Task(TIDY, state.case, terms.now, {})
    return replace(
        decision,
        happenings=(*decision.happenings, *more),
        tasks=(*decision.tasks, tidy),
    )


def encode_hint(hint: Hint) -> bytes:
    """Give each hint a member more."""
    return json.dumps({**json.loads(hints.encode_hint(hint)), "mood": "good"}).encode()


def encode_batch(
    process: str, audience: events.Audience, number: int, encoded: Sequence[bytes]
) -> bytes:
    """Send along what nobody understands."""
    strange = [json.dumps(each).encode() for each in STRANGE]
    return hints.encode_batch(process, audience, number, [*strange, *encoded])


async def tidy(claim: Claim) -> None:
    """Do the task."""


def become_newer() -> None:
    for module in (events, state, api):
        setattr(module, "KINDS", KINDS)  # noqa: B010 - they import it by name
    for name, function in (("encode_hint", encode_hint), ("encode_batch", encode_batch)):
        setattr(redis_publisher, name, function)
    core.decide = decide_more


if __name__ == "__main__":
    become_newer()
    settings = Settings()
    configure_logs(settings.log_level)
    hub = Hub(settings)
    hub.rooms.tasks.on(TIDY, tidy)
    config = server_config(create_app(hub), settings)
    HubServer(config, hub, partial(demo.present, hub, click.echo)).run()
