"""The command line: `python -m hub`."""

import asyncio
import gc
import re
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final, NoReturn, TypeVar
from urllib.parse import quote

import click
import httpx2
from pydantic import ValidationError
from websockets.exceptions import InvalidURI

from auth.dev import DevKeys
from auth.principal import Role, hub_itself
from hub import demo
from hub.app import Hub, create_app, utc_now
from hub.doctor import Verdict, examination
from hub.schema import write_schemas
from hub.server import HubServer, server_config
from hub.settings import Settings
from hub.tail import follow
from hub.telemetry import configure_logs
from hub.why import Why
from hub.why_text import lines
from rooms.clock import SharedClock
from rooms.database import ANSWER_S, Database, PostgresDatabase, open_database
from rooms.durability import switched_off
from rooms.errors import Unavailable, bottom
from rooms.revocations import About, Revocations
from rooms.schema import SchemaRefused, check, upgrade

MIGRATION_S: Final = 600.0
"""How long a migration may last."""

VERDICT_COLOURS: Final = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red"}

COLLECT_AFTER: Final = (10_000, 20, 50)
"""How often circles of garbage are looked for; there are few. As often as Python does it by itself,
it takes a busy hub a tenth of its time, and acknowledgements twice as long: see bench/README.md.
"""

WHY_S: Final = 10.0
"""How long the hub has to find out what became of an event."""

T = TypeVar("T")


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Run the hub, or talk to one."""
    if context.invoked_subcommand is None:
        context.invoke(serve)


@main.command()
def serve() -> None:
    """Start one process; SIGTERM drains and ends it."""
    settings = _settings()
    configure_logs(settings.log_level)
    sockets = None
    if settings.port == 0:
        # Which origins are the hub's own depends on the port that it gets.
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        sockets = [socket.create_server((settings.host, 0), family=family)]
        settings = settings.model_copy(update={"port": sockets[0].getsockname()[1]})
    with _advice():
        hub = Hub(settings)
    # The server would say it with a traceback.
    _ask(settings, lambda database: database.read(check), status=3)
    _require_durability(settings)
    greet = partial(demo.present, hub, click.echo) if settings.dev else None
    config = server_config(create_app(hub), settings)
    gc.set_threshold(*COLLECT_AFTER)
    HubServer(config, hub, greet).run(sockets)
    sys.exit(1 if hub.failed else 0)


@main.command()
def migrate() -> None:
    """Bring the database to the newest revision; hubs may run meanwhile."""
    settings = _settings()
    with _advice():
        before, after = _ask(
            settings, lambda database: database.write(upgrade), status=1, answer=MIGRATION_S
        )
    if before == after:
        click.echo(f"The database is at revision {after}. There is nothing to do.")
    else:
        click.echo(f"The database went from {_revision(before)} to revision {after}.")


@main.command()
@click.option("--sub", required=True, help="The id of the user.")
@click.option("--tenant", default=demo.TENANT, show_default=True)
@click.option(
    "--role",
    type=click.Choice(["patient", "coordinator", "supervisor"]),
    default=Role.PATIENT.value,
    show_default=True,
)
@click.option("--name")
@click.option("--patient-id", help="For a patient: whose cases they may enter.")
@click.option("--hours", default=12.0, show_default=True, help="Until it expires, 24 at most.")
def token(
    sub: str, tenant: str, role: str, name: str | None, patient_id: str | None, hours: float
) -> None:
    """Mint a development token for a hub that runs with HUB_DEV=1."""
    settings = _settings(dev=True)
    with _advice():
        minted = DevKeys(settings.data_dir).mint(
            sub=sub,
            tenant=tenant,
            role=Role(role),
            name=name,
            patient_id=patient_id,
            now=utc_now(),
            lifetime=timedelta(hours=hours),
        )
        click.echo(minted)


@main.command()
@click.argument("subject")
@click.option("--session", is_flag=True, help="SUBJECT is a session (sid), not a user (sub).")
@click.option("--tenant", default=demo.TENANT, show_default=True)
def revoke(subject: str, session: bool, tenant: str) -> None:
    """Let the tokens of a user count no longer, on all hubs of the database within 5 s."""
    settings = _settings()
    configure_logs("warning")
    about = About.SESSION if session else About.USER

    async def work(database: Database) -> None:
        clock = SharedClock(database, utc_now, time.monotonic)
        if isinstance(database, PostgresDatabase):
            await clock.look()
        await Revocations(database, now=clock).revoke(hub_itself(tenant), about, subject)

    with _advice():
        _ask(settings, work, status=1)
    what = "All tokens of this session" if session else "The tokens of this user until now"
    click.echo(f"{what} are revoked in {tenant}.")


@main.command()
@click.argument("case")
@click.option("--after", default=None, help="A cursor to begin after; 0.0 for everything.")
@click.option("--token", "bearer", envvar="HUB_TOKEN", help="Default: a coordinator's, minted.")
@click.option("--url", default=None, help="Default: the hub of HUB_HOST and HUB_PORT.")
def tail(case: str, after: str | None, bearer: str | None, url: str | None) -> None:
    """Follow a room in the terminal."""
    settings = _settings(dev=True)
    if bearer is None:
        bearer = demo.priya(DevKeys(settings.data_dir), utc_now())
    base = re.sub("^http", "ws", url or f"http://{settings.host}:{settings.port}")
    try:
        asyncio.run(follow(base.rstrip("/"), case, bearer, after, click.echo))
    except InvalidURI as error:
        _end(str(error), 2)
    except KeyboardInterrupt:
        sys.exit(130)


@main.command()
@click.argument("event")
@click.option("--case", help="The case of the event; spares a look at all of the tenant.")
@click.option("--tenant", default=demo.TENANT, show_default=True)
@click.option("--token", "bearer", envvar="HUB_TOKEN", help="Default: HUB_SERVICE_TOKEN.")
@click.option("--url", default=None, help="Any process; it asks the others. Default: this one.")
def why(event: str, case: str | None, tenant: str, bearer: str | None, url: str | None) -> None:
    """Tell what became of an event: who was there, and who was given it."""
    settings = _settings()
    secret = settings.service_token
    if bearer is None and secret is not None:
        bearer = secret.get_secret_value()
    if bearer is None:
        _end("Set HUB_SERVICE_TOKEN as the hub has it, or give --token of a supervisor.", 2)
    base = url or f"http://{settings.host}:{settings.port}"
    try:
        answer = httpx2.get(
            f"{base.rstrip('/')}/api/v1/events/{quote(event, safe='')}/why",
            params={} if case is None else {"case": case},
            headers={"Authorization": f"Bearer {bearer}", "X-Tenant-ID": tenant},
            timeout=WHY_S,
        )
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        _end(f"The hub does not answer: {error}", 1)
    try:
        found = Why.model_validate_json(answer.content)
    except ValidationError:
        _end(_refusal(answer), 1)
    for line in lines(found):
        click.echo(line)


@main.command()
def doctor() -> None:
    """Check the settings and what they point to; ends with 1 if any of it does not work."""
    settings = _settings()

    async def look() -> bool:
        well = True
        async for finding in examination(settings, utc_now, time.monotonic):
            colour = VERDICT_COLOURS[finding.verdict]
            verdict = click.style(f"{finding.verdict:4}", fg=colour)
            click.echo(f"{verdict}  {finding.about:<11}  {finding.text}")
            well = well and finding.verdict is not Verdict.FAIL
        return well

    sys.exit(0 if asyncio.run(look()) else 1)


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="docs")
def schema(folder: Path) -> None:
    """Write openapi.json and asyncapi.json."""
    for path in write_schemas(folder):
        click.echo(path)


def _refusal(answer: httpx2.Response) -> str:
    """Say why the hub, or whatever stands before it, gave no answer."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return f"This is not the answer of a hub of this version: HTTP {answer.status_code}."


def _ask(
    settings: Settings,
    work: Callable[[Database], Awaitable[T]],
    *,
    status: int,
    answer: float = ANSWER_S,
) -> T:
    """Do something with the database, or end with what is wrong with it."""

    async def run() -> T:
        database = open_database(settings.database, answer=answer)
        try:
            return await work(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except SchemaRefused as refused:
        _end(str(refused), status)
    except Unavailable as unavailable:
        _end(f"The database cannot be used: {bottom(unavailable)}", status)


def _require_durability(settings: Settings) -> None:
    """End, unless PostgreSQL keeps what it says that it has stored, or nobody asks that of it."""
    if settings.allow_unsafe_postgres:
        return
    try:
        off = asyncio.run(switched_off(settings.database))
    except Unavailable as unavailable:
        _end(f"The database cannot be used: {bottom(unavailable)}", 3)
    if off:
        _end(
            f"PostgreSQL runs with {' and '.join(f'{name}=off' for name in off)}: a power cut "
            "would undo what was acknowledged. Set it to `on`, in postgresql.conf or for the "
            "role and the database, or set HUB_ALLOW_UNSAFE_POSTGRES=1 where nothing is to last.",
            3,
        )


def _end(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)


def _revision(found: str | None) -> str:
    return "no revision" if found is None else f"revision {found}"


def _settings(dev: bool | None = None) -> Settings:
    try:
        return Settings() if dev is None else Settings(dev=dev)
    except ValidationError as error:
        for problem in error.errors():
            message = problem["msg"].removeprefix("Value error, ")
            where = ".".join(_variable(str(part)) for part in problem["loc"])
            click.echo(f"{where}: {message}" if where else message, err=True)
        sys.exit(2)


def _variable(name: str) -> str:
    """Name the environment variable of a setting."""
    return f"HUB_{name.upper()}" if name in Settings.model_fields else name


@contextmanager
def _advice() -> Iterator[None]:
    """End with what is wrong with a setting or an option, and not with a traceback."""
    try:
        yield
    except ValueError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
