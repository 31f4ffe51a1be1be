"""What an engineer looks at."""

import io
import json
from functools import partial

import pytest
import structlog

from hub.telemetry import Metrics, configure_logs

pytestmark = pytest.mark.usefixtures("logging_as_before")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_gauges_are_read_when_somebody_asks() -> None:
    values = iter([1.0, 2.0])
    metrics = Metrics({"hub_sockets": ("Open WebSockets.", lambda: next(values))})
    assert b"# HELP hub_sockets Open WebSockets." in (first := metrics.exposition())
    assert b"hub_sockets 1.0" in first
    assert b"hub_sockets 2.0" in metrics.exposition()


def test_two_hubs_in_one_process_count_apart() -> None:
    one, two = (Metrics({"hub_x": ("X.", partial(float, n))}) for n in (1, 2))
    assert b"hub_x 1.0" in one.exposition()
    assert b"hub_x 2.0" in two.exposition()


def test_a_log_is_one_json_object_per_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logs("info")
    logger = structlog.get_logger()
    logger.debug("too_fine")
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("it_failed", conn="c_1")
    (line,) = stream.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["event"], entry["level"], entry["conn"]) == ("it_failed", "error", "c_1")
    assert "ValueError: boom" in entry["exception"]
    assert entry["timestamp"].endswith("Z")


def test_a_terminal_gets_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    configure_logs("DEBUG")
    structlog.get_logger().debug("hello_there", conn="c_1")
    assert "hello_there" in stream.getvalue()
    assert not stream.getvalue().startswith("{")
