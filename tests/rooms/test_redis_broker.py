"""Hints between processes, over a real server that is killed, frozen and lied to."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.typing import EventDict

from rooms.broker import Broker, Hint, MemoryBroker
from rooms.cursor import START, Cursor
from rooms.encoding import Record, Signal
from rooms.events import Audience
from rooms.hints import encode_batch, encode_hint
from rooms.redis_broker import RedisBroker
from rooms.redis_publisher import MESSAGE_BYTES, WAITING, WAITING_CHARACTERS
from tests.rooms.kit import WITHIN
from tests.rooms.test_hints import members
from tests.valkey import Valkey, running_valkey

STAFF, PATIENT = Audience.STAFF, Audience.PATIENT
NOWHERE = "redis://127.0.0.1:1/0"
PROMPT = 1.0
"""Seconds in which what does not wait is done, however busy the machine is."""


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


class Process:
    """A broker, and what it has told its process."""

    def __init__(self, url: str, name: str, **options: Any) -> None:
        self.heard: list[Hint] = []
        self.gaps = 0
        usual: dict[str, Any] = {
            "monotonic": time.monotonic,
            "random": random.Random(7).random,
            "limit": WITHIN,
        }
        self.broker = RedisBroker(url, process=name, gap=self._note_gap, **usual | options)
        self.broker.attach(self.heard.append)

    def _note_gap(self) -> None:
        self.gaps += 1

    @property
    def numbers(self) -> list[int]:
        """The numbers of the signals that were heard, see `signal`."""
        return [int(hint.frame) for hint in self.heard if isinstance(hint, Signal)]

    def say(self, *numbers: int, audience: Audience = STAFF) -> None:
        self.broker.publish([signal(number, audience) for number in numbers])

    async def until_heard(self, *numbers: int) -> None:
        await eventually(lambda: set(numbers) <= set(self.numbers))

    async def until_gap(self, since: int) -> None:
        await eventually(lambda: self.gaps > since)


@asynccontextmanager
async def running(url: str, name: str, **options: Any) -> AsyncIterator[Process]:
    process = Process(url, name, **options)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.broker.run())
        try:
            await eventually(lambda: process.broker.connected)
            yield process
        finally:
            await process.broker.close()


@asynccontextmanager
async def two(valkey: Valkey, **options: Any) -> AsyncIterator[tuple[Process, Process]]:
    async with (
        running(valkey.url, "process_a", **options) as a,
        running(valkey.url, "process_b", **options) as b,
    ):
        yield a, b


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not condition():  # noqa: ASYNC110 - what it waits for has no event to wait on
            await asyncio.sleep(0.002)


def signal(number: int, audience: Audience = STAFF) -> Signal:
    return Signal("case-1", audience, str(number))


def batch(number: int, *signals: int, process: str = "process_x") -> bytes:
    """Give a message of some other process."""
    return encode_batch(process, STAFF, number, [encode_hint(signal(each)) for each in signals])


def lines(logged: list[EventDict], event: str) -> list[EventDict]:
    return [line for line in logged if line["event"] == event]


# Questions.


async def test_a_question_is_answered_by_all_others_that_listen(valkey: Valkey) -> None:
    async with two(valkey) as (a, b), running(valkey.url, "process_c") as c:
        a.broker.tell = b.broker.tell = c.broker.tell = "about {}".format
        assert await a.broker.ask("case-1") == (2, [b"about case-1", b"about case-1"])


async def test_a_process_that_does_not_listen_itself_takes_no_other_for_itself(
    valkey: Valkey,
) -> None:
    async with running(valkey.url, "process_b") as b:
        b.broker.tell = "about {}".format
        deaf = Process(valkey.url, "process_a")
        assert await deaf.broker.ask("case-1") == (1, [b"about case-1"])


async def test_questions_that_are_none_raise_nothing_and_are_not_answered(
    valkey: Valkey, logged: list[EventDict]
) -> None:
    reply = "hub:staff:answers:x:1"
    good = {"process": "x", "case": "case-1", "reply": reply}
    strange = [
        "",
        "{",
        "[" * 100_000,
        "[]",
        "{}",
        json.dumps({**good, "case": ["case-1"]}),
        json.dumps({**good, "case": ""}),
        json.dumps({**good, "process": "p" * 5_000}),
        json.dumps({**good, "reply": "hub:patient"}),
    ]
    async with two(valkey) as (a, b):
        asked: list[str] = []

        def tell(case: str) -> str:
            asked.append(case)
            return "yes"

        b.broker.tell = tell
        for question in strange:
            valkey.ask("PUBLISH", "hub:staff", f"ask {question}")
        await eventually(lambda: len(lines(logged, "inquiry_not_answered")) == 2 * len(strange))
        assert await a.broker.ask("case-1") == (1, [b"yes"])
    assert asked == ["case-1"]


# To one's own process, over any broker.


@pytest.fixture(params=["memory", "redis"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Give a broker; that of Redis has no Redis, which its own process must not notice."""
    if request.param == "memory":
        return MemoryBroker()
    return Process(NOWHERE, "process_a").broker


def test_hints_reach_their_own_process_at_once_and_in_order(broker: Broker) -> None:
    record = Record("case-1", STAFF, Cursor(1, "00000000"), START, "message", "{}")
    one, two = signal(1, PATIENT), signal(2)
    heard: list[Hint] = []
    broker.attach(heard.append)
    broker.publish([record, one])
    broker.publish([two, record])
    assert heard == [record, one, two, record]


def test_hints_that_nobody_receives_raise_nothing(broker: Broker) -> None:
    broker.publish([signal(1)])
    heard: list[Hint] = []
    broker.attach(heard.append)
    broker.publish([])
    assert heard == [] or isinstance(broker, RedisBroker)


# Between processes.


async def test_a_process_hears_what_another_publishes_exactly_and_in_order(valkey: Valkey) -> None:
    frames = [f'{{"text":"{"ä" * number}"}}' for number in range(300)]
    async with two(valkey) as (a, b):
        for number, frame in enumerate(frames, 1):
            at = Cursor(number, f"{number:08x}")
            a.broker.publish([Record("case-1", STAFF, at, START, "message", frame)])
            if number % 7 == 0:
                await asyncio.sleep(0)
        await eventually(lambda: len(b.heard) == len(frames))
    assert [members(hint) for hint in b.heard] == [members(hint) for hint in a.heard]


async def test_each_audience_has_its_own_channel(valkey: Valkey) -> None:
    async with two(valkey, prefix="test") as (a, b):
        a.broker.publish([signal(1, PATIENT), signal(2, STAFF)])
        await b.until_heard(1, 2)
        channels = set(valkey.ask("PUBSUB", "CHANNELS"))
    assert channels == {b"test:patient", b"test:staff"}
    assert {hint.audience for hint in b.heard} == {PATIENT, STAFF}


async def test_what_is_published_in_one_turn_is_one_message_for_each_audience(
    valkey: Valkey,
) -> None:
    async with two(valkey) as (a, b):
        for number in range(200):
            a.say(number, audience=list(Audience)[number % 2])
        await b.until_heard(*range(200))
        assert valkey.calls("publish") == 2
        a.say(200)
        await b.until_heard(200)
        assert valkey.calls("publish") == 3
        assert a.broker.commands == {"SUBSCRIBE": 1, "PING": 1, "PUBLISH": 3}
        assert a.broker.receivers == 2


async def test_a_silent_process_sends_nothing_but_its_subscription(valkey: Valkey) -> None:
    async with two(valkey) as (a, b):
        a.say(1)
        await b.until_heard(1)
        assert b.broker.commands == {"SUBSCRIBE": 1}


async def test_a_process_does_not_hear_itself_twice(valkey: Valkey) -> None:
    async with two(valkey) as (a, b):
        a.say(1, 2)
        await b.until_heard(1, 2)
        # What comes after it on the same channel has come, so it has come as well.
        b.say(3)
        await a.until_heard(3)
    assert a.numbers == [1, 2, 3]
    assert b.numbers == [1, 2, 3]


async def test_large_batches_are_split(valkey: Valkey) -> None:
    large = [Signal("case-1", STAFF, "x" * (MESSAGE_BYTES * 3 // 5)) for _ in range(3)]
    async with two(valkey) as (a, b):
        a.broker.publish(large)
        await eventually(lambda: len(b.heard) == len(large))
        assert valkey.calls("publish") == len(large)


async def test_many_hints_share_messages_up_to_their_size(valkey: Valkey) -> None:
    hints = [Signal("case-1", STAFF, "x" * (MESSAGE_BYTES // 10)) for _ in range(19)]
    async with two(valkey) as (a, b):
        a.broker.publish(hints)
        await eventually(lambda: len(b.heard) == len(hints))
        assert valkey.calls("publish") == 3


async def test_what_cannot_be_read_is_passed_over(valkey: Valkey) -> None:
    async with running(valkey.url, "process_b") as b:
        strange = [b"", b"\xff\x00", b"[]", b'{"v":2}', batch(1, 1).replace(b'"v":1', b'"v":2')]
        for message in strange:
            valkey.ask("PUBLISH", "hub:staff", message)
        gaps = b.gaps
        valkey.ask("PUBLISH", "hub:staff", batch(1, 7))
        await b.until_heard(7)
        assert b.numbers == [7]
        assert b.gaps == gaps


async def test_a_hint_that_cannot_be_delivered_takes_no_other_with_it(
    valkey: Valkey, logged: list[EventDict]
) -> None:
    async with two(valkey) as (a, b):
        heard: list[str] = []

        def receive(hint: Hint) -> None:
            if hint.frame == "2":
                raise RuntimeError("a bug")
            heard.append(hint.frame)

        b.broker.attach(receive)
        a.say(1, 2, 3)
        await eventually(lambda: "3" in heard)
    assert heard == ["1", "3"]
    assert [line["case"] for line in lines(logged, "hint_failed")] == ["case-1"]


async def test_what_comes_late_or_twice_is_dropped_and_what_is_missing_is_a_gap(
    valkey: Valkey,
) -> None:
    async with running(valkey.url, "process_b") as b:
        for number in (1, 2, 2, 1, 4, 3):
            valkey.ask("PUBLISH", "hub:staff", batch(number, number))
        valkey.ask("PUBLISH", "hub:staff", batch(1, 9, process="process_y"))
        await b.until_heard(9)
        assert b.numbers == [1, 2, 4, 9]
        assert b.gaps == 2  # at the subscription, and before 4


async def test_a_process_that_comes_late_is_told_that_it_missed_something(valkey: Valkey) -> None:
    async with running(valkey.url, "process_a") as a:
        a.say(1)
        await eventually(lambda: a.broker.receivers == 1)
        async with running(valkey.url, "process_b") as b:
            gaps = b.gaps
            a.say(2)
            await b.until_heard(2)
            assert b.gaps == gaps + 1


async def test_what_waits_is_sent_before_the_end(valkey: Valkey) -> None:
    async with running(valkey.url, "process_b") as b:
        async with running(valkey.url, "process_a") as a:
            a.say(1)
        await b.until_heard(1)
        a.say(2)
        assert a.numbers == [1, 2]
        assert a.broker.lost == 1


async def test_a_broker_that_is_cancelled_leaves_no_connection(valkey: Valkey) -> None:
    process = Process(valkey.url, "process_a")
    task = asyncio.create_task(process.broker.run())
    await eventually(lambda: process.broker.connected)
    process.say(1)
    await eventually(lambda: process.broker.receivers == 1)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert not process.broker.connected
    await process.broker.close()
    await eventually(lambda: len(valkey.ask("CLIENT LIST")) == 1)


# Faults.


async def test_a_server_that_is_killed_and_comes_back_empty(
    valkey: Valkey, logged: list[EventDict]
) -> None:
    async with two(valkey) as (a, b):
        a.say(1)
        await b.until_heard(1)
        gaps = a.gaps, b.gaps
        valkey.kill()
        await eventually(lambda: not a.broker.connected and not b.broker.connected)
        a.say(2)
        assert a.numbers == [1, 2]
        valkey.start()
        await a.until_gap(gaps[0])
        await b.until_gap(gaps[1])
        await eventually(lambda: a.broker.connected and b.broker.connected)
        a.say(3)
        b.say(4)
        await b.until_heard(3)
        await a.until_heard(4)
    assert sorted(b.numbers) in ([1, 3, 4], [1, 2, 3, 4])
    told = [line["side"] for line in lines(logged, "broker_lost")]
    assert sorted(set(told)) in (["publisher", "subscriber"], ["subscriber"])
    assert len(lines(logged, "broker_back")) == len(told)


async def test_a_frozen_server_holds_nobody_up(valkey: Valkey, logged: list[EventDict]) -> None:
    async with two(valkey, limit=0.1) as (a, b):
        a.say(0)
        await b.until_heard(0)
        gaps = a.gaps, b.gaps
        valkey.freeze()
        slowest = 0.0
        number = 0
        async with asyncio.timeout(WITHIN / 2):
            # Until the breaker has opened, and whoever publishes has given up its subscription.
            while not (a.broker.lost and len(lines(logged, "broker_lost")) == 2):
                number += 1
                began = time.monotonic()
                a.say(number)
                slowest = max(slowest, time.monotonic() - began)
                await asyncio.sleep(0.002)
        assert a.numbers == list(range(number + 1))
        assert slowest < PROMPT
        assert not a.broker.connected
        assert lines(logged, "hints_dropped")
        valkey.thaw()
        await a.until_gap(gaps[0])
        await b.until_gap(gaps[1])
        await eventually(lambda: a.broker.connected)
        a.say(-1)
        await b.until_heard(-1)
    assert b.numbers == [*sorted(set(b.numbers) - {-1}), -1]
    assert len(lines(logged, "broker_back")) == 2


async def test_a_frozen_server_is_noticed_in_silence(valkey: Valkey) -> None:
    async with running(valkey.url, "process_a", ping_every=0.05) as a:
        await eventually(lambda: a.broker.commands["PING"] > 2)
        assert (a.broker.connected, a.gaps) == (True, 1)
        valkey.freeze()
        await eventually(lambda: not a.broker.connected)
        valkey.thaw()
        await a.until_gap(1)


async def test_subscriptions_that_are_cut_are_made_again(valkey: Valkey) -> None:
    async with two(valkey) as (a, b):
        gaps = a.gaps, b.gaps
        assert valkey.ask("CLIENT", "KILL", "TYPE", "pubsub") == 2
        await a.until_gap(gaps[0])
        await b.until_gap(gaps[1])
        a.say(1)
        await b.until_heard(1)
        assert a.broker.lost == 0


async def test_a_publishing_connection_that_is_cut_loses_nothing(valkey: Valkey) -> None:
    async with two(valkey) as (a, b):
        a.say(1)
        await b.until_heard(1)
        gaps = b.gaps
        for client in valkey.ask("CLIENT LIST"):
            if client["cmd"] == "publish":
                valkey.ask("CLIENT", "KILL", "ID", client["id"])
        a.say(2)
        await b.until_heard(2)
        assert (b.numbers, b.gaps, a.broker.lost) == ([1, 2], gaps, 0)


async def test_flushing_the_server_is_harmless(valkey: Valkey) -> None:
    async with two(valkey) as (a, b):
        gaps = b.gaps
        valkey.ask("FLUSHALL")
        a.say(1)
        await b.until_heard(1)
        assert (b.gaps, a.broker.lost) == (gaps, 0)


async def test_the_others_are_told_of_a_loss_by_whoever_has_no_more_to_say(valkey: Valkey) -> None:
    async with two(valkey) as (a, b):
        a.say(1)
        await b.until_heard(1)
        gaps = b.gaps
        valkey.ask("ACL", "SETUSER", "default", "-publish")
        a.say(2)
        await eventually(lambda: a.broker.lost == 1)
        assert (b.broker.connected, b.gaps) == (True, gaps)
        valkey.ask("ACL", "SETUSER", "default", "+publish")
        await b.until_gap(gaps)
        assert b.numbers == [1]


async def test_a_server_that_is_not_there_yet_is_waited_for(
    valkey: Valkey, logged: list[EventDict]
) -> None:
    valkey.kill()
    process = Process(valkey.url, "process_a")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.broker.run())
        process.say(*range(3))
        await eventually(lambda: process.broker.lost == 3)
        await eventually(lambda: len(lines(logged, "broker_lost")) == 2)
        assert (process.numbers, process.gaps) == ([0, 1, 2], 0)
        valkey.start()
        await eventually(lambda: process.broker.connected)
        assert process.gaps == 1
        await process.broker.close()


async def test_a_server_that_never_comes_does_not_hold_up_the_end() -> None:
    process = Process(NOWHERE, "process_a")
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as tasks:
        tasks.create_task(process.broker.run())
        process.say(1)
        await process.broker.close()
    assert process.broker.lost == 1


async def test_while_the_breaker_is_open_hints_are_dropped_at_once() -> None:
    process = Process(NOWHERE, "process_a")

    def is_dropped_at_once() -> bool:
        before = process.broker.lost
        process.say(1)
        return process.broker.lost == before + 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(process.broker.run())
        await eventually(is_dropped_at_once)
        await process.broker.close()


# Bounds.


async def test_what_waits_is_bounded_and_the_oldest_are_dropped(valkey: Valkey) -> None:
    a = Process(valkey.url, "process_a")
    a.say(*range(WAITING - 1))
    a.say(*range(WAITING - 1, WAITING + 5))
    assert a.broker.lost == 5
    async with running(valkey.url, "process_b") as b, asyncio.TaskGroup() as tasks:
        gaps = b.gaps
        tasks.create_task(a.broker.run())
        await b.until_heard(WAITING + 4)
        await a.broker.close()
        assert b.numbers == list(range(5, WAITING + 5))
        assert b.gaps == gaps + 1


async def test_what_waits_is_bounded_in_size() -> None:
    a = Process(NOWHERE, "process_a")
    large = Signal("case-1", STAFF, "x" * (WAITING_CHARACTERS // 4))
    a.broker.publish([large] * 4)
    assert a.broker.lost == 0
    a.say(1)
    assert a.broker.lost == 1


async def test_dropped_hints_are_logged_now_and_then(logged: list[EventDict]) -> None:
    clock = [0.0]
    a = Process(NOWHERE, "process_a", monotonic=lambda: clock[0])
    a.say(*range(WAITING))
    for _ in range(30):
        clock[0] += 0.5
        a.say(1)
    assert [line["hints"] for line in lines(logged, "hints_dropped")] == [1, 20]
    assert a.broker.lost == 30


# Secrets.


async def test_the_password_is_used_and_never_logged(logged: list[EventDict]) -> None:
    with running_valkey("s3cret") as valkey:
        async with two(valkey) as (a, b):
            a.say(1)
            await b.until_heard(1)
            assert a.broker.commands["AUTH"] == 2
        wrong = Process(valkey.url.replace("s3cret", "wr0ng"), "process_c")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(wrong.broker.run())
            wrong.say(1)
            await eventually(lambda: len(lines(logged, "broker_lost")) == 2)
            await wrong.broker.close()
    assert "AuthenticationError" in lines(logged, "broker_lost")[0]["reason"]
    assert not any(secret in str(logged) for secret in ("s3cret", "wr0ng"))


async def test_a_server_that_repeats_the_password_is_not_quoted(logged: list[EventDict]) -> None:
    with running_valkey("", "--rename-command", "AUTH", "NOBODY") as valkey:
        process = Process(valkey.url.replace("127", ":s3cret@127"), "process_a")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(process.broker.run())
            await eventually(lambda: bool(lines(logged, "broker_lost")))
            await process.broker.close()
    assert "unknown command 'AUTH', with args beginning with: '***'" in str(logged)
    assert "s3cret" not in str(logged)


@pytest.mark.parametrize(
    "url", ["", "http://s3cret@host", "redis://user:s3/cret@host:6379", "redis://host/0?s3cret=1"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="A Redis URL reads") as refusal:
        Process(url, "process_a")
    assert "s3" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__
