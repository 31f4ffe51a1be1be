"""Which public keys may verify a token, and with which one algorithm.

Invariant: the key decides the algorithm. RSA means RS256, P-256 means ES256, Ed25519 means EdDSA;
there is no key with which `none` or an HMAC could be checked.
"""

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
    RSAPublicNumbers,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from auth.strict import base64url

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

ALGORITHMS = frozenset({"RS256", "ES256", "EdDSA"})
"""Every algorithm that a token may be signed with (RFC 7518 section 3.1, RFC 8037 section 3.1)."""

_MIN_RSA_BITS = 2048
_P256_BYTES = 32


@dataclass(frozen=True, slots=True)
class JsonWebKey:
    """A usable key of a key set, with the name that tokens call it by."""

    kid: str | None
    algorithm: str
    key: PublicKey


def trusted(key: object) -> PublicKey:
    """Return `key` if it is a public key of a kind and strength that is used, else ValueError."""
    match key:
        case RSAPublicKey() if key.key_size >= _MIN_RSA_BITS:
            return key
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return key
        case Ed25519PublicKey():
            return key
    raise ValueError("only RSA of 2048 bits or more, P-256 and Ed25519 public keys are used")


def algorithm_of(key: PublicKey) -> str:
    """Name the only algorithm that `key` verifies; ValueError if it is not to be trusted."""
    match trusted(key):
        case RSAPublicKey():
            return "RS256"
        case EllipticCurvePublicKey():
            return "ES256"
        case Ed25519PublicKey():
            return "EdDSA"
        case never:
            assert_never(never)


def from_pem(pem: str) -> PublicKey:
    r"""Read one PEM public key; line ends may be written `\n`, as in an environment file.

    Raises ValueError that tells an operator what to hand over instead.
    """
    if "PRIVATE KEY" in pem:
        raise ValueError(
            "this is a private key; hand over its public half: openssl pkey -in key.pem -pubout"
        )
    if pem.count("-----BEGIN ") != 1:
        raise ValueError("exactly one PEM public key (BEGIN PUBLIC KEY) is needed")
    return trusted(_load(pem))


def private_from_pem(pem: str) -> PrivateKey:
    """Read one unencrypted PEM private key to sign with; ValueError if it is none."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not an unencrypted PEM private key") from error
    if not isinstance(key, PrivateKey):
        raise ValueError("only RSA, P-256 and Ed25519 keys sign tokens")
    return key


def from_jwk(jwk: object) -> JsonWebKey:
    """Read one member of a key set (RFC 7517 section 4); ValueError if it must not be used."""
    if not isinstance(jwk, dict):
        raise ValueError("a JWK is an object")
    kid = jwk.get("kid")
    if not isinstance(kid, str | None):
        raise ValueError("kid is not a string")
    key = _public_key(jwk)
    algorithm = algorithm_of(key)
    _check_purpose(jwk, algorithm)
    return JsonWebKey(kid, algorithm, key)


def _load(pem: str) -> object:
    try:
        return load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the PEM text is not a public key; check that it is complete") from error


def _check_purpose(jwk: dict[str, object], algorithm: str) -> None:
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig":
        raise ValueError("the key is not for signatures")
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("the key is not for verifying")
    if jwk.get("alg", algorithm) != algorithm:
        raise ValueError("the key is for another algorithm")
    # Whoever can read the key set could sign with it.
    if "d" in jwk:
        raise ValueError("the private half of the key is published")


def _public_key(jwk: dict[str, object]) -> PublicKey:
    match jwk.get("kty"), jwk.get("crv"):
        case "RSA", None:
            return RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n")).public_key()
        case "EC", "P-256":
            x, y = (int.from_bytes(_octets(jwk, name, _P256_BYTES)) for name in "xy")
            return EllipticCurvePublicNumbers(x, y, SECP256R1()).public_key()
        case "OKP", "Ed25519":
            return Ed25519PublicKey.from_public_bytes(_octets(jwk, "x"))
    raise ValueError("the type of the key is not used")


def _number(jwk: dict[str, object], name: str) -> int:
    return int.from_bytes(_octets(jwk, name))


def _octets(jwk: dict[str, object], name: str, length: int | None = None) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise ValueError(f"{name} is missing")
    data = base64url(text)
    if length is not None and len(data) != length:
        raise ValueError(f"{name} has the wrong length")
    return data
