import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from ai.anthropic_model import LONGEST_PAUSE_S, AnthropicModel
from ai.model import Failure, Model, ModelFailed, PersonWanted, Prompt, TextPiece, Turn, Usage
from tests.messages_server import (
    TOKENS_IN,
    WITHIN,
    Cut,
    End,
    Fail,
    MessagesServer,
    Raw,
    Refuse,
    Say,
    Stall,
    Status,
    Step,
    Use,
    Wait,
    messages_server,
)

SECRET = "my-knee-has-hurt-since-may"
PROMPT = Prompt(
    "You are kind.",
    (Turn("user", "Hello"), Turn("assistant", "Hello Maria."), Turn("user", SECRET)),
)
SOON = 0.05
"""A time limit that a test means to run into."""
AT_ONCE = 0.1

Connect = Callable[..., AnthropicModel]


@dataclass
class Heard:
    """An answer as its reader has it at the end."""

    pieces: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    usage: Usage | None = None
    failure: ModelFailed | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def why(self) -> Failure | None:
        return self.failure.failure if self.failure else None

    def take(self, piece: object) -> None:
        match piece:
            case TextPiece():
                self.pieces.append(piece.text)
            case PersonWanted():
                self.reasons.append(piece.reason)
            case Usage():
                self.usage = piece


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
async def server() -> AsyncIterator[MessagesServer]:
    async with messages_server() as server:
        yield server


@pytest.fixture
async def connect(server: MessagesServer) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        def connected(url: str = server.url, **options: Any) -> AnthropicModel:
            model = AnthropicModel("claude-test", "key", url, **{"max_retries": 0, **options})
            stack.push_async_callback(model.close)
            return model

        yield connected


@pytest.fixture
def model(connect: Connect) -> AnthropicModel:
    return connect()


async def hear(model: Model) -> Heard:
    heard = Heard()
    try:
        async with asyncio.timeout(WITHIN), aclosing(model.answer(PROMPT)) as answer:
            async for piece in answer:
                heard.take(piece)
    except ModelFailed as failed:
        heard.failure = failed
    return heard


async def failure(model: Model) -> Failure | None:
    return (await hear(model)).why


async def first_text(answer: AsyncIterator[object]) -> str:
    async with asyncio.timeout(WITHIN):
        async for piece in answer:
            if isinstance(piece, TextPiece):
                return piece.text
    raise AssertionError("no text")


async def test_an_answer_comes_piece_by_piece(
    server: MessagesServer, model: AnthropicModel
) -> None:
    gate = asyncio.Event()
    server.answer = [Say("Good "), Wait(gate), Say("morning"), Say(", Maria.")]
    async with aclosing(model.answer(PROMPT)) as answer:
        assert await first_text(answer) == "Good "
        gate.set()
        assert [piece.text async for piece in answer if isinstance(piece, TextPiece)] == [
            "morning",
            ", Maria.",
        ]


async def test_a_request_holds_the_prompt_and_one_tool_and_nothing_else(
    server: MessagesServer, connect: Connect
) -> None:
    await hear(connect(max_tokens=77))
    (request,) = server.requests
    (tool,) = request.body.pop("tools")
    assert request.body == {
        "model": "claude-test",
        "max_tokens": 77,
        "stream": True,
        "system": [
            {"type": "text", "text": "You are kind.", "cache_control": {"type": "ephemeral"}}
        ],
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hello Maria."},
            {"role": "user", "content": SECRET},
        ],
    }
    assert (tool["name"], list(tool["input_schema"]["properties"])) == ("escalate", ["reason"])


async def test_the_provider_is_told_no_trace_of_ours(
    server: MessagesServer, model: AnthropicModel
) -> None:
    ours = SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    with use_span(NonRecordingSpan(ours)):
        await hear(model)
    (request,) = server.requests
    assert request.headers.keys().isdisjoint({"traceparent", "tracestate", "baggage", "cookie"})


async def test_the_environment_does_not_choose_the_address(
    server: MessagesServer, model: AnthropicModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    assert (await hear(model)).failure is None
    assert server.requests[0].headers["authorization"] == "Bearer key"


async def test_the_last_usage_counts_all_tokens_those_of_the_cache_too(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Say("one "), Say("two "), Say("three")]
    assert (await hear(model)).usage == Usage(sum(TOKENS_IN.values()), 3)


async def test_a_broken_answer_has_cost_what_it_was_asked(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Say("one "), Cut()]
    assert (await hear(model)).usage == Usage(sum(TOKENS_IN.values()), 1)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([Use("escalate", {"reason": "a visa"})], ""),
        ([Say("A moment."), Use("escalate", {"reason": "a visa"})], "A moment."),
        ([Use("escalate", {"reason": "a visa"}), Say("A moment.")], "A moment."),
        ([Use("escalate", {"reason": "a visa"}), Use("escalate", {"reason": "two"})], ""),
        ([Use("escalate", {"reason": " a visa\n", "urgent": True})], ""),
        ([Use("escalate", ""), Use("escalate", {"reason": "a visa"})], ""),
    ],
    ids=["alone", "after text", "before text", "twice", "with more", "at the second try"],
)
async def test_the_model_can_ask_for_a_person_once(
    server: MessagesServer, model: AnthropicModel, steps: list[Step], text: str
) -> None:
    server.answer = steps
    heard = await hear(model)
    assert (heard.text, heard.reasons, heard.failure) == (text, ["a visa"], None)


async def test_a_reason_is_cut_to_its_greatest_length(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Use("escalate", {"reason": "é" * 501})]
    assert (await hear(model)).reasons == ["é" * 500]


NO_WISHES = [
    Use("delete_patient", {"reason": "x"}),
    Use("Escalate", {"reason": "x"}),
    Use("bash", {"command": "env"}),
    Use("escalate", {}),
    Use("escalate", {"reason": ""}),
    Use("escalate", {"reason": " \n"}),
    Use("escalate", {"reason": 1}),
    Use("escalate", {"reason": ["x"]}),
    Use("escalate", '{"reason": "x"'),
    Use("escalate", '"x"'),
    Use("escalate", '["reason"]'),
    Use("escalate", ""),
    Use("escalate", "[" * 100_000),
]


@pytest.mark.parametrize("use", NO_WISHES, ids=range(len(NO_WISHES)))
async def test_another_tool_or_a_malformed_wish_is_ignored(
    server: MessagesServer, model: AnthropicModel, use: Use
) -> None:
    server.answer = [Say("Hello."), use, Say(" And on.")]
    heard = await hear(model)
    assert (heard.text, heard.reasons, heard.failure) == ("Hello. And on.", [], None)
    server.answer = [use]
    assert await failure(model) is Failure.EMPTY


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (307, Failure.MISCONFIGURED),
        (400, Failure.MISCONFIGURED),
        (401, Failure.MISCONFIGURED),
        (402, Failure.MISCONFIGURED),
        (403, Failure.MISCONFIGURED),
        (404, Failure.MISCONFIGURED),
        (408, Failure.STALLED),
        (413, Failure.TOO_LONG),
        (422, Failure.MISCONFIGURED),
        (429, Failure.OVERLOADED),
        (500, Failure.OVERLOADED),
        (502, Failure.OVERLOADED),
        (503, Failure.OVERLOADED),
        (529, Failure.OVERLOADED),
    ],
)
async def test_a_status_says_why_there_is_no_answer(
    server: MessagesServer, model: AnthropicModel, status: int, expected: Failure
) -> None:
    server.answer = [Status(status, "some_error", SECRET, {"location": "/v1/messages"})]
    failed = (await hear(model)).failure
    assert str(failed) == f"{expected}: {status} some_error"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        ("overloaded_error", Failure.OVERLOADED),
        ("rate_limit_error", Failure.OVERLOADED),
        ("api_error", Failure.OVERLOADED),
        ("timeout_error", Failure.STALLED),
        ("request_too_large", Failure.TOO_LONG),
        ("invalid_request_error", Failure.MISCONFIGURED),
        ("permission_error", Failure.MISCONFIGURED),
        ("error_of_tomorrow", Failure.CUT),
    ],
)
async def test_an_error_in_the_middle_leaves_what_came(
    server: MessagesServer, model: AnthropicModel, type_: str, expected: Failure
) -> None:
    server.answer = [Say("Hel"), Fail(type_, SECRET)]
    heard = await hear(model)
    assert heard.text == "Hel"
    assert str(heard.failure) == f"{expected}: 200 {type_}"


@pytest.mark.parametrize(
    ("steps", "text", "expected"),
    [
        ([Refuse()], "", Failure.REFUSED),
        ([Say("I "), Refuse()], "I ", Failure.REFUSED),
        ([Say("I "), End("max_tokens")], "I ", Failure.TOO_LONG),
        ([Say("I "), End("model_context_window_exceeded")], "I ", Failure.TOO_LONG),
        ([End("end_turn")], "", Failure.EMPTY),
        ([Say(" \n"), End("end_turn")], " \n", Failure.EMPTY),
        ([Say("Yes."), End("stop_sequence")], "Yes.", None),
        ([Say("Yes."), End("reason_of_tomorrow")], "Yes.", None),
    ],
)
async def test_the_reason_of_its_end_tells_whether_an_answer_is_whole(
    server: MessagesServer,
    model: AnthropicModel,
    steps: list[Step],
    text: str,
    expected: Failure | None,
) -> None:
    server.answer = steps
    heard = await hear(model)
    assert (heard.text, heard.why) == (text, expected)


@pytest.mark.parametrize("how", ["closed", "reset", "ended"])
async def test_a_cut_stream_keeps_what_came(
    server: MessagesServer, connect: Connect, how: Any
) -> None:
    server.answer = [Say("Hel"), Cut(how)]
    heard = await hear(connect(max_retries=2))
    assert (heard.text, heard.why) == ("Hel", Failure.CUT)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "raw",
    [
        Raw("content_block_delta", "{"),
        Raw("content_block_delta", "null"),
        Raw("content_block_delta", '{"type":"content_block_delta"}'),
        Raw("content_block_delta", '{"type":"content_block_delta","delta":{"type":"text_delta"}}'),
        Raw("content_block_start", '{"type":"content_block_start"}'),
        Raw("message_delta", '{"type":"message_delta"}'),
        Raw("error", "Bad Gateway"),
    ],
)
async def test_an_event_that_cannot_be_read_is_a_cut(
    server: MessagesServer, model: AnthropicModel, raw: Raw
) -> None:
    server.answer = [Say("Hel"), raw, Say("lo")]
    heard = await hear(model)
    assert (heard.text, heard.why) == ("Hel", Failure.CUT)


async def test_what_is_not_known_yet_is_passed_over(
    server: MessagesServer, model: AnthropicModel
) -> None:
    thinking = '{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta"}}'
    server.answer = [
        Raw("ping", "{}"),
        Raw("event_of_tomorrow", '{"type":"event_of_tomorrow"}'),
        Raw("content_block_delta", thinking),
        Say("Hello"),
    ]
    heard = await hear(model)
    assert (heard.text, heard.failure) == ("Hello", None)


async def test_text_that_no_database_can_carry_is_mended(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Say("a\0b"), Say("\0"), Say("c\ud800d"), Say("\U0001f642")]
    assert (await hear(model)).pieces == ["ab", "c\ufffdd", "\U0001f642"]


@pytest.mark.parametrize("steps", [[], [Say("Hel")]], ids=["before", "within"])
async def test_silence_is_a_stall(
    server: MessagesServer, connect: Connect, steps: list[Step]
) -> None:
    server.answer = [*steps, Stall()]
    assert await failure(connect(read_timeout=SOON)) is Failure.STALLED
    await server.left()


@pytest.mark.parametrize("steps", [[], [Say("Hel")]], ids=["before", "within"])
async def test_pings_for_ever_are_a_stall(
    server: MessagesServer, connect: Connect, steps: list[Step]
) -> None:
    server.answer = [*steps, Stall(pings=SOON / 10)]
    assert await failure(connect(stall=SOON)) is Failure.STALLED
    await server.left()


async def test_repeated_attempts_do_not_outlast_the_limit(
    server: MessagesServer, connect: Connect
) -> None:
    server.answer = [Status(529, headers={"retry-after-ms": "600000"})]
    assert await failure(connect(stall=SOON, max_retries=2)) is Failure.STALLED


async def test_an_attempt_that_failed_before_the_first_byte_is_repeated(
    server: MessagesServer, connect: Connect
) -> None:
    busy = [Status(529, headers={"retry-after-ms": "1"})]
    server.in_turn(busy, busy, [Say("Hello")])
    assert (await hear(connect(max_retries=2))).text == "Hello"
    assert len(server.requests) == 3


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_a_server_that_hangs_up_at_once_is_unreachable(
    server: MessagesServer, model: AnthropicModel, how: Any
) -> None:
    server.answer = [Cut(how)]
    assert await failure(model) is Failure.UNREACHABLE


async def test_an_error_that_breaks_off_is_a_cut(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Status(500, headers={"content-length": "5000"})]
    assert await failure(model) is Failure.CUT


async def test_a_server_that_is_not_there_is_unreachable(connect: Connect) -> None:
    async with messages_server() as gone:
        pass
    assert await failure(connect(gone.url)) is Failure.UNREACHABLE


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://", "http://[::1"])
async def test_an_address_that_is_none_is_for_an_engineer(connect: Connect, url: str) -> None:
    assert await failure(connect(url)) is Failure.MISCONFIGURED


async def test_a_key_that_cannot_be_sent_is_for_an_engineer(server: MessagesServer) -> None:
    model = AnthropicModel("claude-test", "key\n", server.url, max_retries=0)
    assert await failure(model) is Failure.MISCONFIGURED
    await model.close()


@pytest.mark.parametrize(
    "header", [str(LONGEST_PAUSE_S + 1), "3600", "Wed, 21 Oct 2099 07:28:00 GMT"]
)
async def test_a_provider_that_wants_a_long_pause_is_overloaded_at_once(
    server: MessagesServer, connect: Connect, header: str
) -> None:
    server.answer = [Status(429, "rate_limit_error", headers={"retry-after": header})]
    assert await failure(connect(max_retries=2)) is Failure.OVERLOADED
    assert len(server.requests) == 1


@pytest.mark.parametrize("steps", [[], [Say("Hel")]], ids=["before", "within"])
async def test_cancelling_closes_the_connection_at_once(
    server: MessagesServer, model: AnthropicModel, steps: list[Step]
) -> None:
    server.answer = [*steps, Stall()]
    await model.warm()
    delays = []
    for time_ in (1, 2, 3):
        task = asyncio.create_task(hear(model))
        await server.asked(time_)
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.left(time_)
        delays.append(server.disconnects[-1] - cancelled)
    assert min(delays) < AT_ONCE


async def test_closing_between_two_pieces_closes_the_connection_at_once(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Say("Hel"), Stall()]
    delays = []
    for time_ in (1, 2, 3):
        answer = model.answer(PROMPT)
        assert await first_text(answer) == "Hel"
        closed = time.monotonic()
        await answer.aclose()
        await server.left(time_)
        delays.append(server.disconnects[-1] - closed)
    assert min(delays) < AT_ONCE


async def test_no_socket_is_left_of_answers_that_nobody_wanted(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.answer = [Say("Hel"), Stall()]
    answers = [model.answer(PROMPT) for _ in range(5)]
    tasks = [asyncio.create_task(hear(model)) for _ in range(5)]
    await asyncio.gather(*map(first_text, answers))
    await server.asked(10)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, *(answer.aclose() for answer in answers), return_exceptions=True)
    await server.left(10)
    del tasks, answers
    gc.collect()  # a socket that is still open would warn here, and a warning is an error


async def test_answers_at_once_do_not_mix(server: MessagesServer, model: AnthropicModel) -> None:
    numbers = iter(range(10))
    server.script(lambda _: [Say(f"{next(numbers)} "), Say("!")])
    texts = [heard.text for heard in await asyncio.gather(*(hear(model) for _ in range(10)))]
    assert sorted(texts) == [f"{number} !" for number in range(10)]


async def test_the_words_of_the_provider_stay_with_the_model(
    server: MessagesServer, model: AnthropicModel
) -> None:
    server.in_turn([Status(400, "invalid_request_error", SECRET)], [Fail("api_error", SECRET)])
    for _ in range(2):
        failed = (await hear(model)).failure
        assert failed is not None
        assert failed.__cause__ is failed.__context__ is None
        assert SECRET not in "".join(traceback.format_exception(failed))


async def test_no_log_holds_the_conversation_or_the_key(
    server: MessagesServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "anthropic")
    server.in_turn([Say("The answer.")], [Status(400, "invalid_request_error", SECRET)])
    model = connect()
    await hear(model)
    await hear(model)
    assert caplog.records
    assert not any(text in caplog.text for text in (SECRET, "The answer.", "Bearer key"))


async def test_the_sdk_is_loaded_once_for_all_that_wait(model: AnthropicModel) -> None:
    await asyncio.gather(*(model.warm() for _ in range(5)))
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")]
    assert len(threads) == 1


async def test_a_cancelled_first_answer_does_not_spoil_the_next(model: AnthropicModel) -> None:
    first = asyncio.create_task(hear(model))
    await asyncio.sleep(0)
    first.cancel()
    assert (await hear(model)).text == "Hello there."


async def test_a_model_that_was_never_asked_can_be_closed() -> None:
    await AnthropicModel("claude-test", "key").close()


def test_the_sdk_is_imported_by_the_first_answer_only() -> None:
    program = (
        "import sys, ai.anthropic_model as module\n"
        "module.AnthropicModel('claude-test', 'key')\n"
        "print('anthropic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
