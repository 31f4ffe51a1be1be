"""What makes two commands the same one."""

from hypothesis import given
from hypothesis import strategies as st

from rooms.commands import Command, RegisterPatient, SetStatus, WriteNote, digest
from rooms.events import Attachment, Card, Source, Status
from tests.rooms.kit import say

CARD = Card(kind="ehr", fallback="Blood pressure 120/80")
FILE = Attachment(id="file_1", name="scan.pdf", content_type="application/pdf", size=9)

texts = st.text(max_size=4)
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        say,
        texts,
        via=st.sampled_from(Source),
        cards=st.sampled_from([(), (CARD,), (CARD, CARD)]),
        attachments=st.sampled_from([(), (FILE,)]),
        reply_to=st.none() | texts,
    ),
    st.builds(WriteNote, texts, st.lists(texts, max_size=2).map(tuple)),
    st.builds(SetStatus, st.sampled_from(Status)),
    st.builds(RegisterPatient, texts, texts, st.none() | texts),
)


@given(commands, commands)
def test_two_commands_have_one_digest_only_if_they_say_the_same(one: Command, two: Command) -> None:
    assert (digest(one) == digest(two)) is (one == two)


def test_a_retry_that_has_seen_more_is_still_the_same_command() -> None:
    first = say("Hello", seen=3)
    assert digest(first) == digest(say("Hello", seen=9, force=True)) == digest(say("Hello"))


def test_a_field_at_its_default_does_not_count() -> None:
    assert digest(say("Hello", cards=(), reply_to=None)) == digest(say("Hello"))


def test_the_digest_is_the_same_in_every_process_and_version() -> None:
    assert digest(say("Hello")) == "65431d8fdc86bfc24c0aa94561e26e84"


def test_a_message_and_a_note_of_the_same_text_differ() -> None:
    assert digest(say("Hello")) != digest(WriteNote("Hello"))
