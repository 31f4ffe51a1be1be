"""Who is in a room now, in this process."""

from dataclasses import dataclass

from auth.principal import Principal


@dataclass(frozen=True, slots=True)
class Present:
    """Who is in a room, as staff may know it."""

    patient: bool
    viewers: tuple[tuple[str, str], ...]
    """Id and name of each member of staff who is here, once each."""


class Presence:
    """Counts the connections of each principal in each room."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[str, Principal]] = {}

    def enter(self, case: str, connection: str, by: Principal) -> bool:
        """Note a connection; True if this changed who is here."""
        before = self.present(case)
        self._rooms.setdefault(case, {})[connection] = by
        return self.present(case) != before

    def leave(self, case: str, connection: str) -> bool:
        """Forget a connection; True if this changed who is here."""
        room = self._rooms.get(case, {})
        if connection not in room:
            return False
        before = self.present(case)
        del room[connection]
        if not room:
            del self._rooms[case]
        return self.present(case) != before

    def present(self, case: str) -> Present:
        here = list(self._rooms.get(case, {}).values())
        viewers = {by.id: by.name for by in here if by.is_staff}
        return Present(any(not by.is_staff for by in here), tuple(sorted(viewers.items())))
