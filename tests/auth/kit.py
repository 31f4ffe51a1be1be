"""Keys, hand-made tokens, hand-driven clocks and a key server for the tests of `auth`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auth.keys import PrivateKey, PublicKey
from auth.strict import to_base64url
from auth.tokens import StaticKey, Verifier

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
KINDS = ("RS256", "ES256", "EdDSA")

Json = dict[str, object]


def private_key(kind: str, number: int = 0) -> PrivateKey:
    """Make the `number`th key for an algorithm, once."""
    return _made(kind, number)


@cache
def _made(kind: str, number: int) -> PrivateKey:
    match kind:
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


@cache
def weak_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)  # noqa: S505


def public_pem(
    key: PrivateKey | ec.EllipticCurvePrivateKey, form: PublicFormat | None = None
) -> str:
    form = form or PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(Encoding.PEM, form).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: PrivateKey, kid: str | None = "k1", /, **members: object) -> Json:
    """Describe the public half as a member of a key set; a member of value None is left out."""
    algorithm = _algorithm(key)
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    described: Json = {**public, "kid": kid, "use": "sig", "alg": algorithm, **members}
    return {name: value for name, value in described.items() if value is not None}


def _algorithm(key: PrivateKey) -> str:
    match key:
        case rsa.RSAPrivateKey():
            return "RS256"
        case ec.EllipticCurvePrivateKey():
            return "ES256"
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"


def key_set(*members: Json) -> bytes:
    return json.dumps({"keys": members}).encode()


def claims(**changes: object) -> Json:
    """Claims of a patient that hold at NOW; `...` takes a claim away."""
    usual: Json = {"sub": "user_1", "tenant_id": "t1", "iat": AT, "exp": AT + 60}
    return {name: value for name, value in (usual | changes).items() if value is not ...}


def signature(signed: str, kind: str, number: int = 0) -> bytes:
    algorithm = jwt.get_algorithm_by_name(kind)
    return algorithm.sign(signed.encode(), private_key(kind, number))


def compact(header: bytes | Json, payload: bytes | Json, kind: str = "EdDSA") -> str:
    """Sign whatever header and payload there is: a forger is not held back by a library."""
    parts = (p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload))
    signed = ".".join(map(to_base64url, parts))
    return f"{signed}.{to_base64url(signature(signed, kind))}"


def token(kind: str = "EdDSA", /, **changes: object) -> str:
    return compact({"alg": kind, "typ": "JWT"}, claims(**changes), kind)


@dataclass
class Clock:
    """A clock that stands still until somebody moves it."""

    now: datetime = NOW
    passed: float = 1_000.0

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed += seconds

    def utc(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.passed


def verifier(
    kind: str = "EdDSA",
    *,
    now: Callable[[], datetime] = lambda: NOW,
    issuer: str | None = None,
    azp: frozenset[str] = frozenset(),
    staff_organisations: frozenset[str] = frozenset(),
    service_token: str | None = None,
) -> Verifier:
    return Verifier(
        StaticKey(public_pem(private_key(kind))),
        now=now,
        issuer=issuer,
        azp=azp,
        staff_organisations=staff_organisations,
        service_token=service_token,
    )


@dataclass
class FixedKey:
    """A source that hands out its key whatever the token says."""

    found: PublicKey

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        return self.found


@dataclass
class KeyServer:
    """A real HTTP server that answers with `head` and `body` while its gate is open."""

    body: bytes = b""
    head: str = "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    requests: int = 0
    url: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    @asynccontextmanager
    async def running(cls, body: bytes = b"") -> AsyncIterator[Self]:
        server = cls(body)
        server.gate.set()
        async with await asyncio.start_server(server._answer, "127.0.0.1", 0) as listener:
            server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/jwks.json"
            try:
                yield server
            finally:
                server.gate.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        self.asked.set()
        await self.gate.wait()
        writer.write(self.head.format(length=len(self.body)).encode() + self.body)
        writer.close()
