"""The composition root: builds everything and hands each its dependencies."""

import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ai.anthropic_model import AnthropicModel
from ai.escalation import detect
from ai.model import Model
from ai.no_model import NoModel
from ai.responder import Responder
from ai.scripted_model import ScriptedModel
from auth.dev import DevKeys
from auth.jwks import JwksKeys
from auth.principal import Principal
from auth.tokens import KeySource, StaticKey, Verifier
from compat_sse.routes import SseRoutes
from hub.api import Api
from hub.body_limit import BodyLimit
from hub.chat import ChatApi
from hub.connection import Limits
from hub.consent_api import ConsentApi
from hub.demo import PEOPLE
from hub.desk_door import DeskDoor
from hub.endpoints import Authenticator, Endpoints
from hub.events_api import EventsApi
from hub.flags_api import FlagsApi
from hub.manager import ConnectionManager
from hub.random_ids import RandomIds
from hub.rate_limit import UserBuckets
from hub.revocations_api import RevocationsApi
from hub.schema import schema_routes
from hub.settings import Settings
from hub.telemetry import AnswerMetrics, BrokerMetrics, Metrics, TaskMetrics
from hub.uploads_api import UPLOADS, UploadsApi
from hub.why import WhyApi
from hub.ws import RoomDoor
from rooms.broker import MemoryBroker
from rooms.clock import SharedClock
from rooms.database import PostgresDatabase, open_database
from rooms.desk import Desks
from rooms.errors import Code
from rooms.redis_broker import RedisBroker
from rooms.runs import REPLY
from rooms.service import Rooms
from rooms.state import Policy
from web.dev_sign_in import DevSignIn
from web.pages import Pages

logger = structlog.get_logger()

DEFAULT_MODEL: Final = "claude-sonnet-5-5"


def utc_now() -> datetime:
    return datetime.now(UTC)


class Hub:
    """One process of the hub: all that it owns."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        new_id: Callable[[str], str] | None = None,
        random: Callable[[], float] = random.random,
        model: Model | None = None,
    ) -> None:
        """Make a hub; `model` takes the place of the one that the settings name."""
        self.settings = settings
        self.failed = False
        self.draining = False
        if settings.dev or not settings.database_url:
            # Health data: for the eyes of the hub's own user only.
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            settings.data_dir.chmod(0o700)
        database = open_database(settings.database, pool=settings.database_pool)
        self.clock: SharedClock | None = None
        if isinstance(database, PostgresDatabase):
            now = self.clock = SharedClock(database, now, monotonic)
        self.now = now
        new_id = new_id or RandomIds()
        # By its beginning an engineer finds the process; the rest is another after a restart.
        process = new_id(f"{socket.gethostname()}/{os.getpid()}")
        self.broker = self._broker(process, monotonic, random)
        self.rooms = Rooms(
            database,
            self.broker,
            now=now,
            new_id=new_id,
            process=process,
            policy=_policy(settings),
            detect=detect,
            lease=timedelta(seconds=settings.lease_s),
            poll=min(1.0, settings.lease_s / 4),
            monotonic=monotonic,
            grace=settings.presence_grace_s,
            beat=settings.presence_beat_s,
        )
        revocations = self.rooms.revocations
        self.verifier = _verifier(settings, now, monotonic, revocations.covers)
        self.manager = ConnectionManager(
            per_user=settings.sockets_per_user,
            pending_per_address=settings.pending_per_address,
            now=now,
            monotonic=monotonic,
            random=random,
        )
        self.answers = AnswerMetrics()
        self.model = model or _model(settings)
        self.responder = Responder(
            self.rooms, self.model, monotonic=monotonic, report=self.answers.count
        )
        self.rooms.tasks.on(REPLY, self.responder.reply)
        authenticate = Authenticator(self.verifier, self.rooms)
        self.door = RoomDoor(
            self.rooms,
            self.verifier,
            self.manager,
            _limits(settings),
            origins=settings.allowed_origins | _own_origins(settings),
            new_id=new_id,
        )
        self.desks = Desks(self.rooms.log)
        self.rooms.listen(self.desks.note)
        self.desk_door = DeskDoor(
            self.rooms,
            self.desks,
            self.verifier,
            self.manager,
            _limits(settings),
            origins=settings.allowed_origins | _own_origins(settings),
            new_id=new_id,
        )
        self.endpoints = Endpoints(
            authenticate,
            new_id=new_id,
            writes=UserBuckets(settings.writes_per_s, settings.writes_burst, monotonic),
            signals=UserBuckets(settings.signals_per_s, settings.signals_burst, monotonic),
        )
        self.api = Api(self.rooms, self.desks, self.endpoints)
        self.events = EventsApi(self.rooms, self.endpoints)
        self.consent = ConsentApi(self.rooms, self.endpoints)
        self.uploads = UploadsApi(self.rooms, self.endpoints, settings.max_upload)
        self.flags = FlagsApi(self.rooms.flags, self.endpoints)
        broker = self.broker if isinstance(self.broker, RedisBroker) else None
        self.why = WhyApi(self.rooms, self.endpoints, process, broker)
        self.revocations = RevocationsApi(revocations, self.endpoints)
        self.chat = ChatApi(self.rooms, self.endpoints)
        self.sse = SseRoutes(
            self.rooms,
            authenticate,
            new_id=new_id,
            now=now,
            random=random,
            stall=settings.stall_s,
            per_user=settings.streams_per_user,
        )
        self.rooms.flags.changed = self.sse.obey_flags
        revocations.enforce = self._turn_out
        self.pages = Pages(
            origins=settings.allowed_origins,
            cookie=settings.session_cookie,
            max_upload=settings.max_upload,
            dev=_dev_sign_in(settings, now),
        )
        self.metrics = Metrics(
            {
                "hub_sockets": ("Open WebSockets.", lambda: self.manager.connections),
                "hub_rooms": ("Cases with open WebSockets.", lambda: self.manager.rooms),
                "hub_sse_streams": ("Open SSE streams.", lambda: self.sse.count),
                "hub_events_committed": ("Events committed.", lambda: self.rooms.committed),
                "hub_tasks_working": ("Tasks in work.", lambda: self.rooms.tasks.working),
                "hub_clock_skew_seconds": (
                    "How far the clock of this process is ahead of the database's.",
                    lambda: 0.0 if self.clock is None else self.clock.skew,
                ),
                "hub_draining": ("1 while the process lets its readers go.", self._is_draining),
            },
            [
                self.answers,
                TaskMetrics(self.rooms.tasks),
                *([BrokerMetrics(self.broker)] if isinstance(self.broker, RedisBroker) else []),
            ],
        )

    def _broker(
        self, process: str, monotonic: Callable[[], float], random: Callable[[], float]
    ) -> MemoryBroker | RedisBroker:
        settings = self.settings
        if not settings.redis_url:
            return MemoryBroker()
        return RedisBroker(
            settings.redis_url,
            process=process,
            gap=lambda: self.rooms.hints_lost(),
            monotonic=monotonic,
            random=random,
            prefix=settings.redis_prefix,
            ping_every=settings.redis_ping_s,
        )

    @property
    def assistant(self) -> str:
        """Say in a few words who answers patients."""
        match self.model:
            case NoModel():
                return "people alone: the AI is off"
            case ScriptedModel():
                return "a scripted assistant (set ANTHROPIC_API_KEY for a real one)"
            case model:
                return f"the model {model.name}"

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Own every background task; if one dies, the server is told to end."""
        try:
            if self.clock is not None:
                await self.clock.look()
            async with self.rooms.running(), asyncio.TaskGroup() as tasks:
                own = [
                    tasks.create_task(self.manager.run(min(1.0, self.settings.heartbeat_s / 4))),
                    tasks.create_task(self.desks.run()),
                    tasks.create_task(self.desk_door.run()),
                ]
                if isinstance(self.model, AnthropicModel):
                    own.append(tasks.create_task(self.model.warm()))
                if self.clock is not None:
                    own.append(tasks.create_task(self.clock.run()))
                if isinstance(self.broker, RedisBroker):
                    tasks.create_task(self.broker.run())
                yield
                for task in own:
                    task.cancel()
                if isinstance(self.broker, RedisBroker):
                    await self.broker.close()
            # After the answers: those under way are put back, for another process to write.
            if isinstance(self.model, AnthropicModel):
                await self.model.close()
        except BaseException:
            self.failed = True
            logger.exception("hub_failed")
            raise

    def _turn_out(self, must_go: Callable[[Principal], bool]) -> None:
        """Let nobody stay who is here by a token that was revoked."""
        self.manager.turn_out(must_go)
        self.sse.turn_out(must_go)
        self.chat.turn_out(must_go)

    def begin_drain(self) -> None:
        self.draining = True

    async def drain(self) -> None:
        """Let every reader go, and finish what was being written."""
        self.draining = True
        self.rooms.tasks.pause()
        self.sse.drain()
        self.chat.drain()
        within = self.settings.drain_s
        await asyncio.gather(self.manager.drain(within), self.responder.drain(within))

    def socket_routes(self) -> list[BaseRoute]:
        return [
            WebSocketRoute("/api/v1/cases/{case}/ws", self.door),
            WebSocketRoute("/api/v1/desk/ws", self.desk_door),
        ]

    def http_routes(self) -> list[BaseRoute]:
        return [
            *self.api.routes(),
            *self.events.routes(),
            *self.consent.routes(),
            *self.uploads.routes(),
            *self.flags.routes(),
            *self.why.routes(),
            *self.revocations.routes(),
            *self.chat.routes(),
            *self.sse.routes(),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            *schema_routes(),
        ]

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _readyz(self, request: Request) -> Response:
        if self.draining:
            return PlainTextResponse("draining", 503)
        if not await self.rooms.answers():
            return PlainTextResponse("the database does not answer", 503)
        return PlainTextResponse("ready")

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.exposition(), media_type="text/plain; version=0.0.4")

    def _is_draining(self) -> float:
        return float(self.draining)


def create_app(hub: Hub) -> ASGIApp:
    """Give the ASGI application of a hub.

    Sockets pass by the middleware, of which each layer would last as long as they do.
    """
    http = _http_app(hub)
    sockets = Router(hub.socket_routes())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (sockets if scope["type"] == "websocket" else http)(scope, receive, send)

    return app


def _http_app(hub: Hub) -> Starlette:
    settings = hub.settings
    return Starlette(
        routes=[*hub.http_routes(), *hub.pages.routes()],
        lifespan=hub.lifespan,
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=sorted(settings.allowed_origins),
                allow_methods=["GET", "POST"],
                allow_headers=[
                    "Authorization",
                    "X-Tenant-ID",
                    "Last-Event-ID",
                    "Idempotency-Key",
                    "Content-Type",
                    "Prefer",
                ],
                # So that clients of other origins can wait as long as they are asked to.
                expose_headers=["Retry-After"],
            ),
            Middleware(
                BodyLimit,
                max_body=settings.max_body,
                others={UPLOADS: hub.uploads.max_body},
            ),
        ],
        exception_handlers={404: _not_found, 405: _not_allowed, 413: _too_large, 500: _failed},
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        ai=settings.ai_model != "off",
        coordinators=settings.flag_coordinator_enabled,
        streaming=settings.flag_enable_response_streaming,
        sse=settings.flag_sse_streaming,
        alert_after=timedelta(seconds=settings.unaccepted_s),
        away_after=timedelta(seconds=settings.owner_away_s),
    )


def _model(settings: Settings) -> AnthropicModel | ScriptedModel | NoModel:
    if settings.ai_model == "off":
        return NoModel()
    key = settings.anthropic_api_key
    if settings.ai_model == "scripted" or key is None or not key.get_secret_value():
        return ScriptedModel()
    name = settings.ai_model or DEFAULT_MODEL
    return AnthropicModel(name, key.get_secret_value(), settings.anthropic_base_url or None)


def _limits(settings: Settings) -> Limits:
    return Limits(
        auth_within=settings.auth_within_s,
        heartbeat=settings.heartbeat_s,
        token_grace=settings.token_grace_s,
        stall=settings.stall_s,
        queue_bytes=settings.queue_bytes,
        max_frame=settings.max_frame,
        writes_per_s=settings.writes_per_s,
        writes_burst=settings.writes_burst,
        signals_per_s=settings.signals_per_s,
        signals_burst=settings.signals_burst,
    )


def _verifier(
    settings: Settings,
    now: Callable[[], datetime],
    monotonic: Callable[[], float],
    is_revoked: Callable[[Principal], bool],
) -> Verifier:
    keys: KeySource
    if settings.jwks_url:
        keys = JwksKeys(settings.jwks_url, monotonic=monotonic)
    elif settings.jwt_public_key:
        keys = StaticKey(settings.jwt_public_key)
    else:
        keys = StaticKey(DevKeys(settings.data_dir).public_pem)
    secret = settings.service_token
    return Verifier(
        keys,
        now=now,
        issuer=settings.jwt_issuer or None,
        azp=settings.jwt_azp,
        staff_organisations=settings.staff_organisations,
        service_token=None if secret is None else secret.get_secret_value(),
        is_revoked=is_revoked,
    )


def _dev_sign_in(settings: Settings, now: Callable[[], datetime]) -> DevSignIn | None:
    if not settings.dev:
        return None
    return DevSignIn(
        PEOPLE,
        DevKeys(settings.data_dir),
        now=now,
        own_origins=_own_origins(settings),
        origins=settings.allowed_origins,
    )


def _own_origins(settings: Settings) -> frozenset[str]:
    """Give the origins of the hub's own pages."""
    if settings.public_url:
        url = urlsplit(settings.public_url)
        return frozenset({f"{url.scheme}://{url.netloc}"})
    hosts = {"127.0.0.1", "localhost", settings.host}
    return frozenset(f"http://{host}:{settings.port}" for host in hosts)


def _error(code: Code, message: str, status: int, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)


async def _not_found(request: Request, error: Exception) -> Response:
    return _error(Code.NOT_FOUND, "There is nothing at this address. See /docs.", 404, error)


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _error(Code.INVALID, "This address does not take this method. See /docs.", 405, error)


async def _too_large(request: Request, error: Exception) -> Response:
    return _error(Code.TOO_LARGE, "The body is too large.", 413, error)


async def _failed(request: Request, error: Exception) -> Response:
    return _error(Code.INTERNAL, "Something failed here. Try again.", 500, error)
