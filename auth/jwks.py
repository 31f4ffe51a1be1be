"""A key set (JWKS, RFC 7517 section 5) fetched by URL and kept while it is good.

Invariant: at most one fetch is under way, it runs inside the call of a verifier that waits for it,
and there is no task: a verifier that is cancelled takes only its own fetch with it, and the next
one in the queue fetches instead.
"""

import asyncio
from collections.abc import Callable

import httpx2

from auth.errors import KeysUnavailable, Unauthenticated
from auth.keys import JsonWebKey, PublicKey, from_jwk
from auth.strict import json_object

SOFT_EXPIRY_S = 300.0
"""After this age the set is fetched again; the old one serves meanwhile."""

HARD_EXPIRY_S = 24 * 3600.0
"""After this age the set is worth nothing: so long may the key server be away."""

COOLDOWN_S = 30.0
"""The least time between two fetches while a set is held."""

COLD_COOLDOWN_S = 2.0
"""The least time between two fetches while there is none."""

MAX_BODY_BYTES = 256 * 1024

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class JwksKeys:
    """The keys at `url`: https, or http to this very machine (else ValueError).

    `monotonic` returns seconds. `timeout` bounds one fetch as a whole, in seconds. There is
    nothing to close: a connection lives no longer than its fetch.
    """

    def __init__(
        self,
        url: str,
        *,
        monotonic: Callable[[], float],
        timeout: float = 5.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = _checked(url)
        self._monotonic = monotonic
        self._timeout = timeout
        self._transport = transport
        # Reading the certificate authorities takes tens of milliseconds: once, not per fetch.
        self._tls = httpx2.create_ssl_context()
        self._lock = asyncio.Lock()
        self._keys: tuple[JsonWebKey, ...] = ()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._failure: str | None = None

    @property
    def failure(self) -> str | None:
        """Why the last fetch failed, for the log and the readiness probe; None if it did not."""
        return self._failure

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        """Return the key of that name; without a name, the only one of that algorithm.

        Raises `Unauthenticated` if the set has no such key, `KeysUnavailable` if there is no set.
        """
        found = self._find(kid, algorithm)
        if found is None or (self._age() >= SOFT_EXPIRY_S and not self._lock.locked()):
            await self._refresh(kid, algorithm)
            found = self._find(kid, algorithm)
        if found is not None:
            return found
        if self._is_cold():
            # Of the address no more than this: who writes a secret into it has it in no log.
            host = httpx2.URL(self._url).host
            raise KeysUnavailable(f"no key set from {host}: {self._failure}")
        raise Unauthenticated("no such key")

    def _find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        if self._is_cold():
            return None
        fitting = [k for k in self._keys if k.algorithm == algorithm and kid in (None, k.kid)]
        # Two keys that a token might mean are a guess, not a choice.
        return fitting[0].key if len(fitting) == 1 else None

    async def _refresh(self, kid: str | None, algorithm: str) -> None:
        async with self._lock:
            if self._is_due(kid, algorithm):
                await self._fetch()

    def _is_due(self, kid: str | None, algorithm: str) -> bool:
        """Whether a fetch is wanted and allowed; asked by whoever holds the lock."""
        pause = COLD_COOLDOWN_S if self._is_cold() else COOLDOWN_S
        if self._monotonic() - self._tried_at < pause:
            return False
        return self._age() >= SOFT_EXPIRY_S or self._find(kid, algorithm) is None

    async def _fetch(self) -> None:
        """Replace the set, or keep the old one and the reason.

        A cancelled fetch leaves no trace: were it counted, a client that comes and goes could
        spend the others' only fetch of the next 30 s.
        """
        try:
            async with asyncio.timeout(self._timeout):
                keys = _parse(await self._body())
        except Exception as error:  # noqa: BLE001
            self._failure = f"{type(error).__name__}: {error}"
        else:
            self._keys, self._failure = keys, None
            self._fetched_at = self._monotonic()
        self._tried_at = self._monotonic()

    async def _body(self) -> bytes:
        # Uncompressed and raw, so that the bound holds before a byte is expanded.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with (
            httpx2.AsyncClient(
                verify=self._tls,
                transport=self._transport,
                timeout=None,
                follow_redirects=False,
            ) as client,
            client.stream("GET", self._url, headers=headers) as response,
        ):
            return await _bounded(response)

    def _age(self) -> float:
        return self._monotonic() - self._fetched_at

    def _is_cold(self) -> bool:
        return self._age() >= HARD_EXPIRY_S


def _checked(url: str) -> str:
    parsed = httpx2.URL(url)
    if parsed.scheme == "https" and parsed.host:
        return url
    if parsed.scheme == "http" and parsed.host in _LOCAL:
        return url
    raise ValueError("the address of the key set must be https://… (http only for localhost)")


async def _bounded(response: httpx2.Response) -> bytes:
    if response.status_code != httpx2.codes.OK:
        raise ValueError(f"status {response.status_code}")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ValueError(f"more than {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _parse(body: bytes) -> tuple[JsonWebKey, ...]:
    """Take what is usable; ValueError if nothing is, for an empty set is somebody's mistake."""
    members = json_object(body).get("keys")
    if not isinstance(members, list):
        raise ValueError("not a key set")
    keys = tuple(key for key in map(_usable, members) if key is not None)
    if not keys:
        raise ValueError("the key set has no usable key")
    return keys


def _usable(jwk: object) -> JsonWebKey | None:
    try:
        return from_jwk(jwk)
    except Exception:  # noqa: BLE001
        # One bad neighbour, of whatever kind, must not cost the good ones.
        return None
