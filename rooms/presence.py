"""Who is in a room now, in this process."""

from collections import Counter
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
        self._staff: Counter[tuple[str, str]] = Counter()
        """Connections of each member of staff, in rooms and at desks."""

    def enter(self, case: str, connection: str, by: Principal) -> bool:
        """Note a connection; True if this changed who is here."""
        before = self.present(case)
        room = self._rooms.setdefault(case, {})
        if connection not in room:
            self.appear(by)
        room[connection] = by
        return self.present(case) != before

    def leave(self, case: str, connection: str) -> bool:
        """Forget a connection; True if this changed who is here."""
        room = self._rooms.get(case, {})
        if connection not in room:
            return False
        before = self.present(case)
        self.vanish(room.pop(connection))
        if not room:
            del self._rooms[case]
        return self.present(case) != before

    def whose(self, case: str, connection: str) -> Principal | None:
        return self._rooms.get(case, {}).get(connection)

    def present(self, case: str) -> Present:
        here = list(self._rooms.get(case, {}).values())
        viewers = {by.id: by.name for by in here if by.is_staff}
        return Present(any(not by.is_staff for by in here), tuple(sorted(viewers.items())))

    def appear(self, by: Principal) -> None:
        """Note a connection of somebody that is in no room, such as a desk's."""
        if by.is_staff:
            self._staff[by.tenant, by.id] += 1

    def vanish(self, by: Principal) -> None:
        if by.is_staff:
            self._staff[by.tenant, by.id] -= 1
            if self._staff[by.tenant, by.id] <= 0:
                del self._staff[by.tenant, by.id]

    def is_connected(self, tenant: str, user: str) -> bool:
        return (tenant, user) in self._staff

    def staff(self) -> set[tuple[str, str]]:
        """Name the members of staff who have a connection, each with the tenant."""
        return set(self._staff)
