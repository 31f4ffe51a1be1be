"""A demonstration: one tenant, a patient and her team, what to open and the lines to paste."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from shlex import quote
from typing import Final, Protocol

from auth.dev import DevKeys
from auth.principal import Principal, Role
from hub.settings import Settings
from rooms.commands import RegisterPatient
from rooms.errors import Code, Rejected
from rooms.service import Rooms
from web.dev_sign_in import DevIdentity

TENANT: Final = "tenant-curaway-patients"
CASE: Final = "case-maria-001"
MARIA: Final = "demo-patient-maria-001"
LIFETIME: Final = timedelta(hours=12)


def _staff(name: str, role: Role, page: str) -> DevIdentity:
    return DevIdentity(name.lower(), f"user_{name.lower()}", TENANT, name, role, page)


_MARIA: Final = DevIdentity(
    "maria", "user_maria", TENANT, "Maria", Role.PATIENT, f"/cases/{CASE}", patient_id=MARIA
)
_PRIYA: Final = _staff("Priya", Role.COORDINATOR, f"/admin/cases/{CASE}")
PEOPLE: Final = (
    _MARIA,
    _PRIYA,
    _staff("Ravi", Role.COORDINATOR, "/admin"),
    _staff("Sam", Role.SUPERVISOR, "/admin"),
)
"""Whom a developer may be."""


class Demonstrated(Protocol):
    """What a demonstration needs of a hub."""

    settings: Settings
    rooms: Rooms
    now: Callable[[], datetime]

    @property
    def assistant(self) -> str:
        """Who answers patients, in a few words."""
        ...


async def seed(hub: Demonstrated) -> None:
    """Register Maria and open her case, unless a former start has."""
    registrar = Principal("service", TENANT, Role.SERVICE, "Registration")
    command = RegisterPatient(MARIA, _MARIA.name, _MARIA.sub)
    try:
        await hub.rooms.handle(CASE, command, registrar, "demo", echo=False)
    except Rejected as error:
        if error.code is not Code.CONFLICT:
            raise


def maria(keys: DevKeys, now: datetime) -> str:
    """Mint a token for the patient."""
    return _MARIA.mint(keys, now, LIFETIME)


def priya(keys: DevKeys, now: datetime) -> str:
    """Mint a token for her coordinator."""
    return _PRIYA.mint(keys, now, LIFETIME)


async def present(hub: Demonstrated, say: Callable[[str], None]) -> None:
    """Make the demonstration ready, and tell how to use it."""
    await seed(hub)
    say(instructions(hub))


def instructions(hub: Demonstrated) -> str:
    """Tell what to open and what to paste."""
    keys, now = DevKeys(hub.settings.data_dir), hub.now()
    patient, coordinator = maria(keys, now), priya(keys, now)
    page = _address(hub.settings)
    kept = "the database" if hub.settings.database_url else f"the folder {hub.settings.data_dir}"
    wscat = f"npx -y wscat@6 -c {page.replace('http', 'ws', 1)}/api/v1/cases/{CASE}/ws"
    return f"""
The hub is ready. Open it in a browser:

  {page}
      Maria, a patient, and Priya, her coordinator, next to each other

  {page}{_MARIA.page}
  {page}/admin
      the two pages by themselves: choose who you are

  {page}/docs
      for whoever writes a client: all calls and frames

Maria is answered by {hub.assistant}.
Ctrl+C stops the hub. What was written stays in {kept}.

By hand, as Maria. In a second terminal:
  {wscat}
and at its prompt, within {hub.settings.auth_within_s:.0f} seconds:
  {_auth(patient)}

As Priya. In a third terminal the same wscat line, and at its prompt:
  {_auth(coordinator)}

Then type, at either prompt:
  {{"type":"message","text":"Hello"}}
at Priya's, what Maria never sees:
  {{"type":"note","text":"Passport copy is missing"}}
and, in the middle of an answer, to take the case over and to give it back:
  {{"type":"accept"}}
  {{"type":"release","brief":"Maria asked for an estimate; I am on it."}}

An older client, which only listens. In a fourth terminal:
  curl -N {page}/api/v1/cases/{CASE}/messages/stream \\
    -H 'X-Tenant-ID: {TENANT}' \\
    -H 'Authorization: Bearer {patient}'

All that happens, in colour:
  {_variables(hub.settings)}.venv/bin/python -m hub tail {CASE}
"""


def _address(settings: Settings) -> str:
    """Give the address at which a browser on this machine finds the pages, and may sign in."""
    host = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104
    return settings.public_url.rstrip("/") or f"http://{host}:{settings.port}"


def _variables(settings: Settings) -> str:
    """Give what another command has to be told in order to find this hub."""
    told = {name: str(getattr(settings, name)) for name in ("host", "port", "data_dir")}
    return "".join(
        f"HUB_{name.upper()}={quote(value)} "
        for name, value in told.items()
        if value != str(Settings.model_fields[name].default)
    )


def _auth(token: str) -> str:
    return json.dumps({"type": "auth", "token": token}, separators=(",", ":"))
