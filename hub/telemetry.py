"""Metrics and logs: what an engineer looks at when something is wrong at night.

Invariant: no text of a conversation, no name and no token is ever in either.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from ai.responder import Report
from rooms.redis_broker import RedisBroker
from rooms.tasks import Tasks

FIRST_TOKEN_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32)
"""Seconds."""


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(
        self,
        gauges: Mapping[str, tuple[str, Callable[[], float]]],
        collectors: Sequence[Collector] = (),
    ) -> None:
        """Make gauges that are read when somebody asks: by name, what it is and its value."""
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        for name, (description, value) in gauges.items():
            Gauge(name, description, registry=self._registry).set_function(value)

    def exposition(self) -> bytes:
        """Write the Prometheus text format."""
        return generate_latest(self._registry)


class AnswerMetrics(Collector):
    """What the answers of the AI cost, how fast they begin, and how they end."""

    def __init__(self) -> None:
        self._answers = Counter(
            "hub_answers",
            "Answers of the AI that ended.",
            ["outcome", "cancelled_by"],
            registry=None,
        )
        self._tokens = Counter("hub_answer_tokens", "Tokens.", ["direction"], registry=None)
        self._first_token = Histogram(
            "hub_answer_first_token_seconds",
            "Seconds until the model gave the first text.",
            buckets=FIRST_TOKEN_BUCKETS,
            registry=None,
        )
        self._seconds = Histogram(
            "hub_answer_seconds",
            "Seconds until an answer ended.",
            buckets=(*FIRST_TOKEN_BUCKETS, 64, 128),
            registry=None,
        )

    def count(self, report: Report) -> None:
        self._answers.labels(report.outcome, report.cancelled_by).inc()
        self._tokens.labels("in").inc(report.tokens_in)
        self._tokens.labels("out").inc(report.tokens_out)
        self._seconds.observe(report.seconds)
        if report.first_token_s is not None:
            self._first_token.observe(report.first_token_s)

    def collect(self) -> Iterable[Metric]:
        for metric in (self._answers, self._tokens, self._first_token, self._seconds):
            for family in metric.collect():
                # When a series began tells nothing that the process's start does not.
                family.samples = [s for s in family.samples if not s.name.endswith("_created")]
                yield family


class TaskMetrics(Collector):
    """What was promised and is not done, and what became of the rest."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def collect(self) -> Iterable[Metric]:
        waiting = GaugeMetricFamily(
            "hub_tasks", "Tasks that are due and not claimed, or dead.", labels=["kind", "state"]
        )
        for state, counts in (("waiting", self._tasks.waiting), ("dead", self._tasks.dead)):
            for kind, count in counts.items():
                waiting.add_metric([kind, state], count)
        ended = CounterMetricFamily(
            "hub_task_attempts", "Attempts at tasks that ended.", labels=["kind", "outcome"]
        )
        for (kind, outcome), count in self._tasks.outcomes.items():
            ended.add_metric([kind, outcome], count)
        return [waiting, ended]


class BrokerMetrics(Collector):
    """What travels through Redis, and what it costs."""

    def __init__(self, broker: RedisBroker) -> None:
        self._broker = broker

    def collect(self) -> Iterable[Metric]:
        connected = GaugeMetricFamily(
            "hub_broker_connected", "1 while hints come and go through Redis."
        )
        connected.add_metric([], float(self._broker.connected))
        processes = GaugeMetricFamily(
            "hub_broker_processes", "Processes that heard what was published last."
        )
        processes.add_metric([], self._broker.receivers)
        lost = CounterMetricFamily("hub_broker_hints_lost", "Hints that others were not given.")
        lost.add_metric([], self._broker.lost)
        commands = CounterMetricFamily(
            "hub_broker_commands", "Commands that were sent to Redis.", labels=["command"]
        )
        for name, count in self._broker.commands.items():
            commands.add_metric([name], count)
        return [connected, processes, lost, commands]


def configure_logs(level: str) -> None:
    """Send the logs of this process and its libraries to standard error."""
    number = logging.getLevelNamesMapping()[level.upper()]
    human = sys.stderr.isatty()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.set_exc_info if human else structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            if human
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
