"""Two people talk; a note stays between the staff."""

from pathlib import Path

from tests.kit import MARIA, PRIYA, running_hub


async def test_both_see_messages_and_only_staff_see_notes(tmp_path: Path) -> None:
    async with (
        running_hub(tmp_path) as hub,
        hub.enter(MARIA) as maria,
        hub.enter(PRIYA) as priya,
    ):
        await maria.send({"type": "message", "key": "k1", "text": "Hello"})
        await priya.expect_message("Hello")
        assert (await priya.ask({"type": "note", "key": "n1", "text": "psst"}))["type"] == "ack"
        answer = await priya.ask({"type": "message", "key": "m1", "text": "Good morning"})
        assert answer["seq"] == 4
        seen = await maria.expect_message("Good morning")
        assert seen["seq"] == 3
        assert "psst" not in str(maria.frames)
