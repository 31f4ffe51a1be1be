"""A restart in the middle of an answer."""

from pathlib import Path

from tests.kit import MARIA
from tests.messages_server import Say, Stall, Use, messages_server
from tests.stories.assistant import answered, asked, assisted_hub, seen


async def test_an_answer_that_an_orderly_restart_comes_between_is_written_after_it(
    tmp_path: Path,
) -> None:
    async with messages_server() as server:
        server.answer = [Use("escalate", {"reason": "A refund"}), Stall()]
        async with assisted_hub(tmp_path, server) as hub, hub.enter(MARIA) as maria:
            run = await asked(maria, "What do I need?")
            await seen(maria, "event", control="waiting")
        server.answer = [Say("A passport.")]
        restarted = assisted_hub(tmp_path, server, open_case=False)
        async with restarted as hub, hub.enter(MARIA) as maria:
            assert await answered(maria, run) == "A passport."
