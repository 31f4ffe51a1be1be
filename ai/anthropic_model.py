"""The model behind the assistant: Anthropic's Messages API, by its official SDK.

Invariant: the provider is told the prompt and the one tool, nothing else. What it says about a
failure stays in here, for it may quote a patient: a `ModelFailed` carries a status and a type.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator
from math import inf
from typing import TYPE_CHECKING, Final

import httpx2

from ai.model import (
    Failure,
    ModelFailed,
    PersonWanted,
    Piece,
    Prompt,
    TextPiece,
    Turn,
    Usage,
)

if TYPE_CHECKING:
    from anthropic import APIStatusError, AsyncAnthropic, AsyncStream
    from anthropic.types import (
        MessageDeltaUsage,
        MessageParam,
        RawContentBlockDelta,
        RawMessageStreamEvent,
        ToolParam,
    )
    from anthropic.types import Usage as MessageUsage
    from anthropic.types.raw_content_block_start_event import ContentBlock

PROVIDER: Final = "https://api.anthropic.com"

LONGEST_PAUSE_S: Final = 2.0
"""A provider that asks us to come back later than this is overloaded: a patient is waiting."""

REASON_LENGTH: Final = 500

ESCALATE: Final = "escalate"

_TOOL: Final["ToolParam"] = {
    "name": ESCALATE,
    "description": (
        "Ask a person of the team, a coordinator, to take over this conversation. Use it when the "
        "patient asks for a person, or needs what only a person can give. You may go on answering: "
        "nothing comes back from it."
    ),
    "input_schema": {
        "type": "object",
        "properties": {
            "reason": {
                "type": "string",
                "description": "For the coordinator: why a person is needed, in one sentence.",
            }
        },
        "required": ["reason"],
        "additionalProperties": False,
    },
}

_BY_TYPE: Final = {
    "overloaded_error": Failure.OVERLOADED,
    "rate_limit_error": Failure.OVERLOADED,
    "api_error": Failure.OVERLOADED,
    "timeout_error": Failure.STALLED,
    "request_too_large": Failure.TOO_LONG,
    "invalid_request_error": Failure.MISCONFIGURED,
    "authentication_error": Failure.MISCONFIGURED,
    "billing_error": Failure.MISCONFIGURED,
    "permission_error": Failure.MISCONFIGURED,
    "not_found_error": Failure.MISCONFIGURED,
}
"""Errors in the middle of a stream: their status is that of its beginning, 200."""

_BY_STATUS: Final = {
    408: Failure.STALLED,
    409: Failure.OVERLOADED,
    413: Failure.TOO_LONG,
    429: Failure.OVERLOADED,
}

_BY_STOP_REASON: Final = {
    "refusal": Failure.REFUSED,
    "max_tokens": Failure.TOO_LONG,
    "model_context_window_exceeded": Failure.TOO_LONG,
}

_TOKENS_IN: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_TOKENS_OUT: Final = "output_tokens"


class AnthropicModel:
    """The model of that name, at `base_url` or else at Anthropic; close it at last.

    `read_timeout` bounds the silence on the wire. `stall` bounds the wait for anything but pings,
    attempts that are repeated included. All in seconds.
    """

    def __init__(
        self,
        name: str,
        api_key: str,
        base_url: str | None = None,
        *,
        max_tokens: int = 1024,
        read_timeout: float = 20.0,
        stall: float = 30.0,
        max_retries: int = 2,
    ) -> None:
        self.name = name
        self._api_key = api_key
        self._base_url = base_url or PROVIDER
        self._max_tokens = max_tokens
        self._timeout = httpx2.Timeout(60.0, connect=5.0, read=read_timeout)
        self._stall = stall
        self._max_retries = max_retries
        self._loading = asyncio.Lock()
        self._client: AsyncAnthropic | None = None

    async def warm(self) -> None:
        """Load the SDK, which takes a second or two, so that the first answer need not wait."""
        await self._loaded()

    async def close(self) -> None:
        """Close the connections that are left; answers under way fail."""
        if self._client is not None:
            await self._client.close()

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        """Give the answer in pieces; closing the generator closes the connection.

        Raises:
            ModelFailed: there is no whole answer; what was given before is all that there is.

        """
        reading = _Reading()
        async with await self._open(prompt) as stream:
            while not reading.over:
                piece = await self._next(stream, reading)
                if piece is not None:
                    yield piece
        reading.check()

    async def _open(self, prompt: Prompt) -> "AsyncStream[RawMessageStreamEvent]":
        try:
            client = await self._loaded()
            async with asyncio.timeout(self._stall):
                return await client.messages.create(
                    model=self.name,
                    max_tokens=self._max_tokens,
                    system=[
                        {
                            "type": "text",
                            "text": prompt.system,
                            "cache_control": {"type": "ephemeral"},
                        }
                    ],
                    messages=[_message(turn) for turn in prompt.turns],
                    tools=[_TOOL],
                    stream=True,
                )
        except Exception as error:  # noqa: BLE001
            # A key or an address that cannot even be sent fails in many ways.
            failed = _failed(error, otherwise=Failure.MISCONFIGURED)
        # Raised out here, so that the provider's words are not in its context.
        raise failed

    async def _next(
        self, stream: "AsyncStream[RawMessageStreamEvent]", reading: "_Reading"
    ) -> Piece | None:
        try:
            # The SDK swallows pings: they are life on the wire, but no progress.
            async with asyncio.timeout(self._stall):
                event = await anext(stream, None)
            if event is not None:
                return reading.read(event)
            failed = ModelFailed(Failure.CUT, "no end")
        except Exception as error:  # noqa: BLE001
            # Whatever a provider sends, it is no more than a broken answer.
            failed = _failed(error, otherwise=Failure.CUT)
        raise failed

    async def _loaded(self) -> "AsyncAnthropic":
        async with self._loading:
            if self._client is None:
                self._client = await asyncio.to_thread(self._load)
            return self._client

    def _load(self) -> "AsyncAnthropic":
        import anthropic

        # At level DEBUG the SDK logs whole requests, and with them what patients write.
        logging.getLogger("anthropic").setLevel(logging.WARNING)
        return anthropic.AsyncAnthropic(
            api_key=self._api_key,
            base_url=self._base_url,
            max_retries=self._max_retries,
            timeout=self._timeout,
            # Given, so that no variable of the environment can put text into spans.
            open_telemetry={"traces": {"content_mode": "metadata_only"}, "propagation": False},
            http_client=anthropic.DefaultAsyncHttpxClient(
                timeout=self._timeout,
                follow_redirects=False,
                event_hooks={"response": [_refuse_long_pauses]},
            ),
        )


class _Reading:
    """What has come of one answer."""

    def __init__(self) -> None:
        self.over = False
        self._stop_reason: str | None = None
        self._tokens: dict[str, int] = {}
        self._has_text = False
        self._wants_person = False
        self._input: list[str] | None = None

    def read(self, event: "RawMessageStreamEvent") -> Piece | None:
        if event.type == "message_start":
            return self._count(event.message.usage)
        if event.type == "content_block_start":
            return self._begin(event.content_block)
        if event.type == "content_block_delta":
            return self._continue(event.delta)
        if event.type == "content_block_stop":
            return self._person()
        if event.type == "message_delta":
            self._stop_reason = event.delta.stop_reason
            return self._count(event.usage)
        self.over = event.type == "message_stop"
        return None

    def check(self) -> None:
        """Raise what is wrong with an answer that is over."""
        reason = self._stop_reason
        if reason in _BY_STOP_REASON:
            raise ModelFailed(_BY_STOP_REASON[reason], reason)
        if not self._has_text and not self._wants_person:
            raise ModelFailed(Failure.EMPTY)

    def _begin(self, block: "ContentBlock") -> Piece | None:
        self._input = [] if block.type == "tool_use" and block.name == ESCALATE else None
        return self._text(block.text) if block.type == "text" else None

    def _continue(self, delta: "RawContentBlockDelta") -> Piece | None:
        if delta.type == "input_json_delta" and self._input is not None:
            self._input.append(delta.partial_json)
        return self._text(delta.text) if delta.type == "text_delta" else None

    def _text(self, text: str) -> TextPiece | None:
        text = _storable(text)
        self._has_text = self._has_text or bool(text.strip())
        return TextPiece(text) if text else None

    def _person(self) -> PersonWanted | None:
        """Give the model's wish when its block is whole: the first one; more say nothing new."""
        written, self._input = self._input, None
        reason = _reason("".join(written)) if written is not None else ""
        if not reason or self._wants_person:
            return None
        self._wants_person = True
        return PersonWanted(reason)

    def _count(self, usage: "MessageUsage | MessageDeltaUsage") -> Usage:
        """Take the totals that are given; those that are left out still stand."""
        for name in (*_TOKENS_IN, _TOKENS_OUT):
            tokens = getattr(usage, name, None)
            if tokens is not None:
                self._tokens[name] = tokens
        return Usage(
            sum(self._tokens.get(name, 0) for name in _TOKENS_IN), self._tokens.get(_TOKENS_OUT, 0)
        )


def _message(turn: Turn) -> "MessageParam":
    if turn.role == "user":
        return {"role": "user", "content": turn.text}
    return {"role": "assistant", "content": turn.text}


def _reason(written: str) -> str:
    """Read the input of the tool; nothing if it is not what was asked for."""
    try:
        given = json.loads(written)
    except (ValueError, RecursionError):
        return ""
    reason = given.get("reason") if isinstance(given, dict) else None
    return _storable(reason).strip()[:REASON_LENGTH] if isinstance(reason, str) else ""


def _storable(text: str) -> str:
    """Take out what no database and no wire can carry."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


async def _refuse_long_pauses(response: httpx2.Response) -> None:
    """Make the SDK give up at once where it would wait for longer than a patient."""
    try:
        pause = float(response.headers.get("retry-after", "0"))
    except ValueError:
        pause = inf  # a date
    if pause > LONGEST_PAUSE_S:
        response.headers["x-should-retry"] = "false"


def _failed(error: Exception, otherwise: Failure) -> ModelFailed:
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        return _of_status(error)
    if isinstance(error, anthropic.APIConnectionError):
        return _of_connection(error.__cause__ or error)
    cause = type(error).__name__
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return ModelFailed(Failure.STALLED, cause)
    return ModelFailed(Failure.CUT if isinstance(error, httpx2.HTTPError) else otherwise, cause)


def _of_status(error: "APIStatusError") -> ModelFailed:
    status, cause = error.status_code, f"{error.status_code} {error.type}"
    if status < 300:
        return ModelFailed(_BY_TYPE.get(str(error.type), Failure.CUT), cause)
    if status >= 500:
        return ModelFailed(Failure.OVERLOADED, cause)
    return ModelFailed(_BY_STATUS.get(status, Failure.MISCONFIGURED), cause)


def _of_connection(cause: BaseException) -> ModelFailed:
    """Tell why there was no response: what the SDK wraps says more than the SDK."""
    name = type(cause).__name__
    if isinstance(cause, httpx2.ReadTimeout | httpx2.WriteTimeout | httpx2.PoolTimeout):
        return ModelFailed(Failure.STALLED, name)
    if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return ModelFailed(Failure.MISCONFIGURED, name)
    return ModelFailed(Failure.UNREACHABLE, name)
