"""What is measured. Each measure has a fresh hub of its own, and gives rows of the table."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bench.processes import Load, compile_load, running_hub

COORDINATORS: Final = 500
SETTLE_S: Final = 2.0
"""How long a hub is left alone before its memory is read."""


@dataclass(frozen=True)
class Figure:
    """One figure: what was measured, its value and unit, and the goal if there is one."""

    what: str
    value: float
    unit: str
    goal: str = ""


@dataclass(frozen=True)
class Plan:
    """Where the data lies, and whether a rough answer is enough."""

    folder: Path
    quick: bool


Measure = Callable[[Plan], Iterator[Figure]]


def senders(plan: Plan) -> Iterator[Figure]:
    """200 closed loops of durable messages: each in a room of its own, then all in one."""
    for rooms, name, goal in ((200, "200 rooms", "≥ 5,000"), (1, "one room", "")):
        with running_hub(plan.folder) as hub:
            cases, tokens = hub.open_cases(rooms), hub.coordinators(20)
            report = Load(hub, compile_load()).run(
                cases, tokens, writers=200, seconds=3 if plan.quick else 10
            )
        name = f"200 senders in {name}"
        yield Figure(f"{name}: acked", report["acked_per_s"], "messages/s", goal)
        yield Figure(f"{name}: ack, median", report["ack_ms"]["p50"], "ms")
        yield Figure(f"{name}: ack, p99", report["ack_ms"]["p99"], "ms")
        yield Figure(f"{name}: delivered", report["delivered_per_s"], "deliveries/s")
        yield Figure(f"{name}: CPU", report["hub_cpu_s"] / report["acked"] * 1e6, "µs/message")


def fanout(plan: Plan) -> Iterator[Figure]:
    """One room of 1,000 sockets, with eight senders, then with one."""
    for writers, name, goal in ((8, "8 senders", "≥ 100,000"), (1, "one sender", "")):
        with running_hub(plan.folder) as hub:
            report = Load(hub, compile_load()).run(
                hub.open_cases(1),
                hub.coordinators(20),
                readers=1_000 - writers,
                writers=writers,
                messages=200 if plan.quick else 2_000,
            )
        name = f"one room of 1,000, {name}"
        cpu = report["hub_cpu_s"] / report["delivered"] * 1e6
        yield Figure(f"{name}: delivered", report["delivered_per_s"], "deliveries/s", goal)
        yield Figure(f"{name}: delivery, median", report["delivery_ms"]["p50"], "ms")
        yield Figure(f"{name}: delivery, p99", report["delivery_ms"]["p99"], "ms")
        yield Figure(f"{name}: CPU", cpu, "s/million deliveries")


def idle(plan: Plan) -> Iterator[Figure]:
    """Sockets that only listen, three to a room: what each of them costs."""
    for sockets in (1_000,) if plan.quick else (1_000, 10_000):
        with running_hub(plan.folder) as hub:
            cases, tokens = hub.open_cases((sockets + 2) // 3), hub.coordinators(COORDINATORS)
            load = Load(hub, compile_load())
            time.sleep(SETTLE_S)
            before, cpu_before = hub.memory(), hub.cpu()
            with load.held(cases, tokens, readers=sockets):
                connecting = hub.cpu() - cpu_before
                time.sleep(SETTLE_S)
                held, cpu_before = hub.memory(), hub.cpu()
                time.sleep(SETTLE_S)
                holding = hub.cpu() - cpu_before
        name = f"{sockets:,} idle sockets"
        for kind, grown in (("RSS", held.rss - before.rss), ("USS", held.uss - before.uss)):
            yield Figure(f"{name}: {kind}", grown / sockets, "KiB/socket", "≤ 30")
        yield Figure(f"{name}: CPU to connect", connecting / sockets * 1e6, "µs/socket")
        yield Figure(f"{name}: CPU to hold", holding / SETTLE_S * 100, "% of a core")


MEASURES: Final[Mapping[str, Measure]] = MappingProxyType(
    {"senders": senders, "fanout": fanout, "idle": idle}
)
