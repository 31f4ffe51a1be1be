"""Verification of bearer tokens: the one door through which a principal is made.

Invariant: a token counts only if it has one reading, one signature by a key that was chosen
beforehand, and claims that hold now. Everything else is `Unauthenticated`, whatever went wrong.
PyJWT checks the signature; what it is lenient about is refused before it sees the token.
"""

import hmac
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Protocol

import jwt

from auth.claims import Claims, identifier, principal_of
from auth.errors import KeysUnavailable, Unauthenticated
from auth.keys import ALGORITHMS, PrivateKey, PublicKey, algorithm_of, from_pem, private_from_pem
from auth.principal import Principal, Role
from auth.strict import base64url, json_object

MAX_TOKEN_CHARS = 8192
"""Longer tokens are refused unread; Clerk's have about 1,000 characters."""

MIN_SERVICE_TOKEN_CHARS = 32


class KeySource(Protocol):
    """Where the keys come from."""

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        """Return the key that a token names.

        Raises `Unauthenticated` if there is none, `KeysUnavailable` if it cannot be known.
        """
        ...


class StaticKey:
    """One PEM public key for every token, whatever `kid` the token names.

    Raises ValueError, with advice, for a private key, a weak key or no key at all.
    """

    def __init__(self, pem: str) -> None:
        self._key = from_pem(pem)

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        return self._key


class Verifier:
    """Turns bearer tokens into principals.

    `now` returns aware UTC. `azp` is Clerk's list of allowed web origins (empty: any).
    `staff_organisations` are those in which a role makes somebody staff (empty: any).
    `service_token` is the shared secret of other back ends; without it nobody is the service.
    `is_revoked` tells of a principal whose token is good in itself that it counts no longer.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        now: Callable[[], datetime],
        issuer: str | None = None,
        azp: frozenset[str] = frozenset(),
        staff_organisations: frozenset[str] = frozenset(),
        service_token: str | None = None,
        is_revoked: Callable[[Principal], bool] = lambda by: False,
    ) -> None:
        if service_token is not None and len(service_token) < MIN_SERVICE_TOKEN_CHARS:
            raise ValueError(
                "the service token needs at least 32 characters; make one: openssl rand -hex 32"
            )
        self._keys = keys
        self._now = now
        self._issuer = issuer
        self._azp = azp
        self._staff_organisations = staff_organisations
        self._is_revoked = is_revoked
        self._service = None if service_token is None else _digest(service_token)

    async def verify(self, token: str, tenant: str | None = None) -> Principal:
        """Say who bears `token`; `tenant` is what the client claims and must be the token's.

        Raises `Unauthenticated` for anything wrong with the token, and `KeysUnavailable` if the
        keys to check it cannot be had. No other exception leaves.
        """
        try:
            if self._is_service(token):
                return _service_principal(tenant)
            return await self._bearer(token, tenant)
        except (Unauthenticated, KeysUnavailable):
            raise
        except Exception as error:
            raise Unauthenticated(f"{type(error).__name__}: {error}") from error

    async def _bearer(self, token: str, tenant: str | None) -> Principal:
        algorithm, kid = _read_header(token)
        key = await self._keys.key(kid, algorithm)
        claims = _signed_claims(token, key, algorithm)
        principal = principal_of(
            claims, self._now(), self._issuer, self._azp, self._staff_organisations
        )
        if tenant is not None and tenant != principal.tenant:
            raise Unauthenticated("the client claims another tenant")
        if self._is_revoked(principal):
            raise Unauthenticated("revoked")
        return principal

    def _is_service(self, token: str) -> bool:
        # Digests have one length, so the time does not even tell the length of the secret.
        return self._service is not None and hmac.compare_digest(_digest(token), self._service)


def sign(claims: Claims, private_key: PrivateKey | str, kid: str | None = None) -> str:
    """Sign `claims` with the one algorithm of the key (PEM text or object).

    Raises ValueError for a key that would not be trusted to verify.
    """
    key = private_from_pem(private_key) if isinstance(private_key, str) else private_key
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(claims, key, algorithm=algorithm_of(key.public_key()), headers=headers)


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def _service_principal(tenant: str | None) -> Principal:
    if tenant is None:
        raise Unauthenticated("the service must name a tenant")
    return Principal("service", identifier(tenant, "tenant"), Role.SERVICE, "service")


def _read_header(token: str) -> tuple[str, str | None]:
    """Return the algorithm and the `kid` of a well-formed token (RFC 7515 section 5.2)."""
    if len(token) > MAX_TOKEN_CHARS:
        raise Unauthenticated("too long")
    segments = [base64url(segment) for segment in token.split(".")]
    if len(segments) != 3:
        raise Unauthenticated("not three segments")
    header = json_object(segments[0])
    # RFC 7515 section 4.1.11: an extension that is not understood must be refused; none is.
    if "crit" in header:
        raise Unauthenticated("crit is not supported")
    return _algorithm(header), _kid(header)


def _algorithm(header: Claims) -> str:
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Unauthenticated("alg is not allowed")
    return algorithm


def _kid(header: Claims) -> str | None:
    kid = header.get("kid")
    if not isinstance(kid, str | None):
        raise Unauthenticated("kid is not a string")
    return kid


def _signed_claims(token: str, key: PublicKey, algorithm: str) -> Claims:
    if algorithm_of(key) != algorithm:
        raise Unauthenticated("alg is not that of the key")
    # The claims are read from the bytes that were verified, not from a parse of our own.
    payload: bytes = jwt.PyJWS().decode(token, key, algorithms=[algorithm])
    return json_object(payload)
