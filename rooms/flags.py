"""Feature flags: what a deployer has set, and what supervisors have changed for their tenant.

Invariant: what was changed on one process holds on every process after `EVERY` seconds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import Connection, delete, insert, select

from auth.principal import Principal, Role
from rooms.database import Database
from rooms.errors import Code, Rejected, Unavailable
from rooms.rows import table_of
from rooms.state import Policy
from rooms.tables import FlagRow

logger = structlog.get_logger()

EVERY: Final = 2.0
"""Seconds between two looks at what other processes have changed."""
FIELDS: Final = {
    "coordinator_enabled": "coordinators",
    "enable_response_streaming": "streaming",
    "sse_streaming": "sse",
}
"""The flags, and what each is called in a policy."""


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag of a tenant."""

    name: str
    on: bool
    default: bool
    """What it is without a change by a supervisor."""


class Flags:
    """The policy of each tenant: the deployer's, with the changes of its supervisors."""

    def __init__(self, database: Database, default: Policy, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._default = default
        self._now = now
        self._changes: dict[str, dict[str, bool]] = {}
        self._policies: dict[str, Policy] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called when a policy may be another."""

    def policy(self, tenant: str) -> Policy:
        policy = self._policies.get(tenant)
        if policy is None:
            changes = self._changes.get(tenant, {})
            fields: dict[str, Any] = {FIELDS[name]: on for name, on in changes.items()}
            policy = self._policies[tenant] = replace(self._default, **fields)
        return policy

    def anywhere(self, field: str) -> bool:
        """Tell whether something is switched on for any tenant."""
        here = [getattr(self.policy(tenant), field) for tenant in self._changes]
        return bool(getattr(self._default, field)) or any(here)

    def of(self, tenant: str) -> list[Flag]:
        policy = self.policy(tenant)
        return [
            Flag(name, getattr(policy, field), getattr(self._default, field))
            for name, field in FIELDS.items()
        ]

    async def set(self, by: Principal, name: str, on: bool | None) -> None:
        """Switch a flag of one's own tenant; None gives it back to the deployer.

        Raises:
            Rejected: this is no supervisor, or there is no such flag.
            Unavailable: it is not known to be stored.

        """
        if by.role is not Role.SUPERVISOR:
            raise Rejected(Code.FORBIDDEN, "Only supervisors change flags.")
        if name not in FIELDS:
            raise Rejected(Code.NOT_FOUND, f"There is no flag {name!r}; see {', '.join(FIELDS)}.")
        row = {"tenant": by.tenant, "name": name, "changed_at": self._now(), "changed_by": by.id}
        row = row if on is None else {**row, "on": on}

        def work(connection: Connection) -> None:
            same = (_FLAG.c.tenant == by.tenant) & (_FLAG.c.name == name)
            connection.execute(delete(_FLAG).where(same))
            if on is not None:
                connection.execute(insert(_FLAG), row)

        await self._database.upsert(work)
        logger.info("flag_changed", tenant=by.tenant, flag=name, on=on, by=by.id)
        await self.load()

    async def load(self) -> None:
        """Read what was changed, here and elsewhere."""
        rows = await self._database.read(
            lambda connection: connection.execute(
                select(_FLAG.c.tenant, _FLAG.c.name, _FLAG.c.on)
            ).all()
        )
        changes: dict[str, dict[str, bool]] = {}
        for tenant, name, on in rows:
            if name in FIELDS:
                changes.setdefault(tenant, {})[name] = on
        if changes != self._changes:
            self._changes = changes
            self._policies = {}
            self.changed()

    async def run(self) -> None:
        """Follow the changes of other processes until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.load()
            except Unavailable:
                logger.warning("flags_wait_for_database")


_FLAG: Final = table_of(FlagRow)
