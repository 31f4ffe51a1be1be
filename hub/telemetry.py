"""Metrics and logs: what an engineer looks at when something is wrong at night.

Invariant: no text of a conversation, no name and no token is ever in either.
"""

import logging
import sys
from collections.abc import Callable, Mapping

import structlog
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """Make gauges that are read when somebody asks: by name, what it is and its value."""
        self._registry = CollectorRegistry()
        for name, (description, value) in gauges.items():
            Gauge(name, description, registry=self._registry).set_function(value)

    def exposition(self) -> bytes:
        """Write the Prometheus text format."""
        return generate_latest(self._registry)


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
