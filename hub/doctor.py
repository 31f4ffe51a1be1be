"""The doctor: looks at the settings and at what they point to, and says what to do.

It changes nothing, and needs no hub that runs.
"""

import os
import resource
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from auth.errors import KeysUnavailable, Unauthenticated
from auth.jwks import JwksKeys
from auth.tokens import MIN_SERVICE_TOKEN_CHARS, StaticKey
from hub.settings import Settings
from rooms.clock import SKEW
from rooms.database import open_database
from rooms.durability import switched_off
from rooms.errors import Unavailable, bottom
from rooms.health import Health, examine
from rooms.redis_link import RedisServer
from rooms.schema import SchemaRefused

GIB: Final = 1_073_741_824
LITTLE: Final = GIB
"""Bytes on a disk below which somebody should make room."""
NOTHING: Final = 104_857_600
"""Bytes below which the hub may soon refuse what people write."""
FILES: Final = 4_096
"""Open files, and so sockets, that a process should be allowed."""
PORTS: Final = {"http": 80, "https": 443}
"""What browsers leave out of an address."""
OLDEST_POSTGRES: Final = 12
OLDEST_REDIS: Final = (6, 2)


class Verdict(StrEnum):
    """What to make of a finding."""

    OK = "ok"
    WARN = "warn"
    """The hub works; somebody should look at it."""
    FAIL = "fail"
    """The hub does not start, or something that it was set up for does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    verdict: Verdict
    about: str
    text: str
    """What is so; and unless it is well, what to do."""


def _ok(about: str, text: str) -> Finding:
    return Finding(Verdict.OK, about, text)


def _warn(about: str, text: str) -> Finding:
    return Finding(Verdict.WARN, about, text)


def _fail(about: str, text: str) -> Finding:
    return Finding(Verdict.FAIL, about, text)


async def examination(
    settings: Settings, now: Callable[[], datetime], monotonic: Callable[[], float]
) -> AsyncIterator[Finding]:
    """Look at everything, one thing after the other."""
    for finding in (*_folder(settings), *_addresses(settings), *_assistant(settings), _files()):
        yield finding
    async for finding in _database(settings, now):
        yield finding
    async for finding in _redis(settings, now):
        yield finding
    async for finding in _keys(settings, monotonic):
        yield finding


def _folder(settings: Settings) -> Iterator[Finding]:
    path = _sqlite_path(settings)
    if path is not None and settings.database_url and not path.absolute().parent.is_dir():
        yield _fail("data", f"{path.absolute().parent} is no folder. Make it, for {path.name}.")
        return
    if path is None and not settings.dev:
        return
    folder = (settings.data_dir if path is None else path.parent).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield _fail(
            "data", f"{there} is no folder that can be written to. Give it to the user of the hub."
        )
        return
    free = shutil.disk_usage(there).free
    text = f"{folder}, {free / GIB:.1f} GiB free"
    if free < NOTHING:
        yield _fail("data", f"{text}. Make room: what people write will soon be refused.")
    elif free < LITTLE:
        yield _warn("data", f"{text}. Make room.")
    elif there == folder and folder.stat().st_mode & 0o077:
        yield _warn("data", f"{text}, readable for others. Run `chmod 700 {folder}`.")
    else:
        yield _ok("data", text)


def _addresses(settings: Settings) -> Iterator[Finding]:
    url = settings.public_url
    if url:
        parts = urlsplit(url)
        origin = _origin_of(parts)
        if origin is None:
            yield _fail("address", "HUB_PUBLIC_URL is no address. Write https://host.")
        elif origin != f"{parts.scheme}://{parts.netloc}":
            yield _fail("address", f"browsers write HUB_PUBLIC_URL as {origin}. Write it so.")
        elif parts.scheme == "http" and not _is_local(parts.hostname or ""):
            yield _warn("address", f"{url} is not encrypted. Let a proxy speak TLS, and use https.")
        else:
            yield _ok("address", url)
    elif settings.dev:
        yield _ok("address", f"http://{settings.host}:{settings.port}, for this machine")
    else:
        yield _warn(
            "address",
            "HUB_PUBLIC_URL is unset: browsers can only connect from this "
            "machine, or from HUB_ALLOWED_ORIGINS. Set it to what browsers see.",
        )
    for origin in sorted(settings.allowed_origins):
        yield from _origin(origin)


def _origin(origin: str) -> Iterator[Finding]:
    parts = urlsplit(origin)
    if _origin_of(parts) != origin:
        yield _fail(
            "origins",
            f"{origin} is no origin, so no browser will send it. Write "
            "https://host, in small letters, without a path, a slash or the usual port at its end.",
        )
    elif parts.scheme == "http" and not _is_local(parts.hostname or ""):
        yield _warn("origins", f"{origin} is not encrypted: pages there can be changed on the way.")


def _origin_of(parts: SplitResult) -> str | None:
    """Give the origin of an address as browsers write it; None: it is none."""
    try:
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def _is_local(host: str) -> bool:
    return host in ("localhost", "127.0.0.1", "::1")


def _assistant(settings: Settings) -> Iterator[Finding]:
    key = settings.anthropic_api_key
    secret = key.get_secret_value() if key is not None else ""
    if settings.ai_model == "off":
        yield _ok("assistant", "off: patients are answered by people alone")
    elif settings.ai_model == "scripted" or not secret:
        yield _warn(
            "assistant", "scripted, for demonstrations. Set ANTHROPIC_API_KEY, or HUB_AI_MODEL=off."
        )
    elif secret != secret.strip() or not secret.isascii():
        yield _fail(
            "assistant", "ANTHROPIC_API_KEY has blanks around it, or is no key. Copy it again."
        )
    elif settings.anthropic_base_url and _origin_of(urlsplit(settings.anthropic_base_url)) is None:
        yield _fail("assistant", "ANTHROPIC_BASE_URL is no address. Write https://host.")
    elif not secret.startswith("sk-ant-") and not settings.anthropic_base_url:
        yield _warn(
            "assistant",
            "ANTHROPIC_API_KEY does not begin with sk-ant-. Is it the key of another service?",
        )
    else:
        yield _ok("assistant", "a key of the right form; it was not tried")


def _files() -> Finding:
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed < FILES:
        return _warn(
            "files",
            f"{allowed} files may be open, and each socket is one. Set "
            f"`ulimit -n {max(FILES, min(most, 65_536))}`.",
        )
    return _ok("files", f"{allowed} may be open")


async def _database(settings: Settings, now: Callable[[], datetime]) -> AsyncIterator[Finding]:
    path = _sqlite_path(settings)
    # To look at it would make it.
    if path is not None and not path.exists():
        yield _ok("database", "SQLite; the hub will make the file")
        return
    try:
        database = open_database(settings.database)
    except ValueError as error:
        yield _fail("database", str(error))
        return
    try:
        health = await examine(database)
        off = await switched_off(settings.database)
        at = now()
    except SchemaRefused as refused:
        yield _fail("database", str(refused))
        return
    except Unavailable as error:
        yield _fail(
            "database", f"it cannot be used: {bottom(error).rstrip('.')}. See HUB_DATABASE_URL."
        )
        return
    finally:
        await database.close()
    yield _revision(health)
    for finding in _rights(health):
        yield finding
    if health.connections is not None:
        yield _durability(off, settings.allow_unsafe_postgres)
        yield _connections(health.connections, settings.database_pool)
    if health.time is not None:
        yield _clock("the database", (at - health.time).total_seconds())


def _rights(health: Health) -> Iterator[Finding]:
    if not health.writable:
        yield _fail(
            "database",
            "it takes no writes: it is a standby, or was made read-only, perhaps because its disk "
            "is full. Let HUB_DATABASE_URL lead to the primary.",
        )
    elif not health.tables_allowed and health.revision != health.newest:
        yield _fail(
            "database",
            "the user of HUB_DATABASE_URL may make no tables. As the owner of the database, run "
            "`GRANT CREATE, USAGE ON SCHEMA public TO` that user.",
        )


def _sqlite_path(settings: Settings) -> Path | None:
    path = settings.database.removeprefix("sqlite:///")
    return None if path == settings.database else Path(path)


def _revision(health: Health) -> Finding:
    if health.connections is not None and health.major < OLDEST_POSTGRES:
        return _fail(
            "database",
            f"{health.product} is too old. The hub needs PostgreSQL {OLDEST_POSTGRES} or later.",
        )
    if health.revision is None:
        return _ok("database", f"{health.product}, empty: the hub will make its tables")
    if health.revision > health.newest:
        return _warn(
            "database",
            f"{health.product}, at revision {health.revision}, which is newer "
            f"than {health.newest} of this version. Deploy the newer version everywhere.",
        )
    if health.revision < health.newest:
        return _warn(
            "database",
            f"{health.product}, at revision {health.revision}: a start will "
            f"bring it to {health.newest}. Make a backup first.",
        )
    return _ok("database", f"{health.product}, at revision {health.revision}")


def _durability(off: list[str], allowed: bool) -> Finding:
    if not off:
        return _ok("durability", "what is acknowledged survives a power cut")
    named = " and ".join(f"{name}=off" for name in off)
    text = f"{named}: a power cut would undo what was acknowledged"
    if allowed:
        return _warn("durability", f"{text}, and HUB_ALLOW_UNSAFE_POSTGRES=1 allows it.")
    return _fail("durability", f"{text}. Set it to `on`.")


def _connections(most: int, pool: int) -> Finding:
    processes = (most - 10) // pool
    text = f"{most} for all, {pool} for a process: enough for {max(processes, 0)} processes"
    if processes < 2:
        return _warn("connections", f"{text}. A deployment needs two: raise max_connections.")
    return _ok("connections", text)


def _clock(whose: str, ahead: float) -> Finding:
    if abs(ahead) > SKEW:
        way = "ahead of" if ahead > 0 else "behind"
        return _warn("clock", f"{abs(ahead):.1f} s {way} that of {whose}. Run NTP on both.")
    return _ok("clock", f"as that of {whose}")


async def _redis(settings: Settings, now: Callable[[], datetime]) -> AsyncIterator[Finding]:
    if not settings.redis_url:
        if settings.database.startswith("sqlite"):
            yield _ok("redis", "unset, and one process needs none")
        else:
            yield _warn(
                "redis",
                "unset: that is right for one process alone. With more of them "
                "readers wait up to 5 s for each other: set HUB_REDIS_URL.",
            )
        return
    server = None
    try:
        server = RedisServer(settings.redis_url)
        version, time = await server.about(settings.redis_prefix)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what there is to say
        reason = str(error) if server is None else server.reason(error)
        reason = "it does not answer" if isinstance(error, TimeoutError) else reason
        yield _fail("redis", f"it cannot be used: {reason.rstrip('.')}. See HUB_REDIS_URL.")
        return
    found = tuple(int(part) for part in version.split(".")[:2])
    if found < OLDEST_REDIS:
        yield _fail("redis", f"version {version} is too old. The hub needs 6.2 or later.")
    else:
        yield _ok("redis", f"version {version}")
    at = datetime.fromtimestamp(time, UTC)
    yield _clock("Redis", (now() - at).total_seconds())


async def _keys(settings: Settings, monotonic: Callable[[], float]) -> AsyncIterator[Finding]:
    secret = settings.service_token
    if secret is not None and len(secret.get_secret_value()) < MIN_SERVICE_TOKEN_CHARS:
        yield _fail(
            "tokens",
            f"HUB_SERVICE_TOKEN has less than {MIN_SERVICE_TOKEN_CHARS} characters. Make one: "
            "`openssl rand -hex 32`.",
        )
    if settings.dev:
        yield _warn(
            "tokens", "HUB_DEV=1: whoever can read dev-key.pem can be anybody. Never in production."
        )
        return
    try:
        yield await _jwks(settings.jwks_url, monotonic) if settings.jwks_url else _pem(settings)
    except ValueError as error:
        yield _fail("tokens", f"{error}")
    if not settings.jwt_issuer:
        yield _warn(
            "tokens", "HUB_JWT_ISSUER is unset: tokens of any issuer with this key hold. Set it."
        )
    if not settings.staff_organisations:
        yield _warn(
            "tokens",
            "HUB_STAFF_ORGANISATIONS is unset: wherever users can create "
            "organisations, each could make themselves staff. Set it.",
        )


async def _jwks(url: str, monotonic: Callable[[], float]) -> Finding:
    try:
        await JwksKeys(url, monotonic=monotonic).key("doctor", "EdDSA")
    except Unauthenticated:
        return _ok("tokens", f"the key set of {urlsplit(url).hostname} was fetched")
    except KeysUnavailable as error:
        return _fail(
            "tokens",
            f"the key set cannot be fetched: {error.reason}. Fetch it from this machine; "
            "see HUB_JWKS_URL.",
        )
    return _ok("tokens", "the key set was fetched")


def _pem(settings: Settings) -> Finding:
    StaticKey(settings.jwt_public_key)
    return _ok("tokens", "one public key; a rotation is a restart")
