"""The AI's answers: how one begins, grows and ends.

Everything here is pure; the rules stand in `rooms.core`.
"""

from typing import Final

from rooms.commands import Continue, Finish, Retry, Stop
from rooms.errors import Code, Rejected
from rooms.events import Actor, Control, Event, Message, SenderType, Source
from rooms.state import Cause, Decision, Happening, Progress, RoomState, Run, RunState, Task, Terms

REPLY: Final = "reply"
"""The task of writing an answer."""
ASSISTANT: Final = Actor(SenderType.AI, None, "Assistant")


def begin(state: RoomState, terms: Terms) -> tuple[Progress, Task]:
    """Begin an answer, and promise that it will be written."""
    run = terms.new_id("run")
    task = Task(REPLY, state.case, terms.now, {"run": run})
    begun = state.staff.seq
    return Progress(run, state.fence, RunState.THINKING, begun=begun), task


def interrupt(state: RoomState, cause: Cause, terms: Terms) -> tuple[Happening, ...]:
    """End the answer that is being written, if one is; what was shown of it stays."""
    run = state.run
    if run is None:
        return ()
    if not run.text:
        return (Progress(run.id, run.fence, RunState.STOPPED, cause=cause),)
    return _end(run, run.text, RunState.STOPPED, terms, cause)


def stop(state: RoomState, command: Stop, terms: Terms) -> Decision:
    """Stop an answer; that it is over already is no error, for the two may cross."""
    if state.run is None or command.run not in (None, state.run.id):
        return Decision()
    return Decision(interrupt(state, Cause.STOP, terms))


def retry(state: RoomState, command: Retry, terms: Terms) -> Decision:
    """Begin an answer in place of one that was not whole."""
    if not terms.policy.ai:
        raise Rejected(Code.FORBIDDEN, "There is no AI here that answers.")
    if state.control is Control.HUMAN:
        raise Rejected(
            Code.CONFLICT,
            f"{state.owner_name} leads this case; the AI does not answer.",
            {"owner": state.owner_name},
        )
    if state.run is not None:
        raise Rejected(Code.CONFLICT, "The AI is answering already.")
    if state.unfinished is None or command.run not in (None, state.unfinished):
        raise Rejected(Code.CONFLICT, "There is no answer that could be given again.")
    step, task = begin(state, terms)
    return Decision((step,), tasks=(task,))


def proceed(state: RoomState, command: Continue, terms: Terms) -> Decision:
    """Add the next piece to an answer."""
    run = writable(state, command.run)
    if command.i < run.pieces:
        if command.text != run.piece(command.i):
            raise Rejected(Code.INVALID, "Somebody else writes this answer too.")
        return Decision()
    if command.i > run.pieces:
        raise Rejected(Code.INVALID, f"Piece {run.pieces} is missing.")
    # What is shown can become a message; else nothing could end this answer, not even a takeover.
    _message(run, run.text + command.text, RunState.STOPPED)
    piece = Progress(run.id, run.fence, RunState.WRITING, run.pieces, command.text)
    return Decision((piece,))


def finish(state: RoomState, command: Finish, terms: Terms) -> Decision:
    """Write the whole answer into the log."""
    run = writable(state, command.run)
    if command.after not in (None, run.pieces):
        raise Rejected(Code.INVALID, f"The answer has {run.pieces} pieces.")
    last: tuple[Happening, ...] = ()
    if command.rest and terms.policy.streaming:
        last = (Progress(run.id, run.fence, RunState.WRITING, run.pieces, command.rest),)
    ended = RunState.DONE if command.state == "final" else RunState.FAILED
    return Decision((*last, *_end(run, run.text + command.rest, ended, terms)), len(last))


def writable(state: RoomState, run_id: str | None) -> Run:
    """Apply the fence: give the run if what it writes is still wanted."""
    run = state.run
    stale = run is None or run.id != run_id or run.fence < state.ai_fence
    if run is None or stale or state.control is Control.HUMAN:
        raise Rejected(Code.CONFLICT, "This answer is over.")
    return run


def _end(
    run: Run, text: str, ended: RunState, terms: Terms, cause: Cause | None = None
) -> tuple[Happening, ...]:
    message = _message(run, text, ended)
    id = terms.new_id("message")
    return (
        Event("message", ASSISTANT, message, id),
        Progress(run.id, run.fence, ended, message_id=id, cause=cause),
    )


def _message(run: Run, text: str, ended: RunState) -> Message:
    states = {RunState.DONE: "final", RunState.FAILED: "failed", RunState.STOPPED: "interrupted"}
    return Message.model_validate(
        {
            "sender_type": SenderType.AI,
            "source": Source.CHAT,
            "text": text,
            "state": states[ended],
            "run": run.id,
        }
    )
