"""Who is calling, once a token has been verified.

Invariant: a `Principal` exists only for somebody whose token was checked, or for a part of the hub
itself; nothing here checks.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a principal may be; the values are those of the wire."""

    PATIENT = "patient"
    COORDINATOR = "coordinator"
    SUPERVISOR = "supervisor"
    SERVICE = "service"
    AI = "ai"
    """The hub's own assistant; no token makes anybody this."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity within one tenant.

    `session` is the Clerk session id, `acting` the id of whoever impersonates this principal.
    `issued_at` and `expires_at` are in aware UTC; None means that there is no token (the service).
    """

    id: str
    tenant: str
    role: Role
    name: str
    patient_id: str | None = None
    session: str | None = None
    acting: str | None = None
    expires_at: datetime | None = None
    issued_at: datetime | None = None

    @property
    def is_staff(self) -> bool:
        """Whether this reader belongs to the staff audience: everybody but a patient."""
        return self.role is not Role.PATIENT


def hub_itself(tenant: str) -> Principal:
    """Give the principal of what the hub does by itself, such as a timer."""
    return Principal("hub", tenant, Role.SERVICE, "Curaway")
