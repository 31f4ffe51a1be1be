"""What processes tell each other about who is connected to them."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from rooms.encoding import Signal, to_json
from rooms.events import Audience

Viewer = tuple[str, str]
"""Id and name of a member of staff."""

PATIENT: Final = None
"""The patient of a case, of whom nothing else is told."""


class Occupant(NamedTuple):
    """Somebody in a room, as staff may know it."""

    case: str
    who: Viewer | None


class Attendance(Signal):
    """What has changed on the roster of a process; if nothing has, that the process is alive.

    Its number grows by one with each that tells of a change, so that a loss is noticed.
    """

    __slots__ = ("come", "gone", "number", "process", "whole")

    def __init__(
        self,
        process: str,
        number: int,
        come: Collection[Occupant] = (),
        gone: Collection[Occupant] = (),
        *,
        whole: bool = False,
    ) -> None:
        self.process = process
        self.number = number
        self.come = tuple(come)
        self.gone = tuple(gone)
        self.whole = whole
        """`come` is everybody who is there."""
        super().__init__("", Audience.STAFF, to_json(self.members()))

    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = {"process": self.process, "number": self.number}
        members |= {"come": [_written(each) for each in self.come]} if self.come else {}
        members |= {"gone": [_written(each) for each in self.gone]} if self.gone else {}
        return members | ({"whole": True} if self.whole else {})


class RollCall(Signal):
    """A process asks who is connected to the others, as far as it does not know."""

    __slots__ = ("known", "process")

    def __init__(self, process: str, known: Mapping[str, int]) -> None:
        self.process = process
        """Who asks."""
        self.known = known
        """The processes of which nothing was missed, each with the number of what it told last."""
        super().__init__("", Audience.STAFF, to_json(self.members()))

    def members(self) -> dict[str, Any]:
        return {"process": self.process, "known": dict(self.known)}


def _written(occupant: Occupant) -> list[str]:
    return [occupant.case, *(occupant.who or ())]
