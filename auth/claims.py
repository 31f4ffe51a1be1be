"""From the claims of a token whose signature holds to a principal.

Invariant: what is missing, of the wrong type, out of its time or ambiguous is refused; no claim
can make a token the service.
"""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

from auth.errors import Unauthenticated
from auth.principal import Principal, Role

MAX_LIFETIME_S = 24 * 3600
"""The longest time in seconds between `iat` and `exp`."""

LEEWAY_S = 30
"""How far in seconds the issuer's clock may run ahead of ours (`iat` and `nbf`)."""

_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z, the end of datetime
_MAX_ID = 255
_MAX_NAME = 200
_HIDDEN = frozenset({"Cc", "Cs"})  # controls, and halves of a surrogate pair
_ROLES = {
    "coordinator": Role.COORDINATOR,
    "supervisor": Role.SUPERVISOR,
    "admin": Role.SUPERVISOR,
}

Claims = dict[str, object]


@dataclass(frozen=True, slots=True)
class Organisation:
    """The Clerk organisation that was active when the token was issued."""

    id: str | None
    role: Role


def principal_of(
    claims: Claims,
    now: datetime,
    issuer: str | None,
    azp: frozenset[str],
    staff_organisations: frozenset[str] = frozenset(),
) -> Principal:
    """Check every claim at the time `now` and say who it is; `Unauthenticated` if one is wrong.

    `issuer` None and an empty `azp` mean that the claim of that name is not compared.
    """
    _check_party(claims, issuer, azp)
    issued_at, expires_at = _check_times(claims, now.timestamp())
    subject = identifier(claims.get("sub"), "sub")
    tenant, role = _tenant_and_role(claims, staff_organisations)
    patient_id = _optional_id(claims, "patient_id")
    return Principal(
        id=subject,
        tenant=tenant,
        role=role,
        # Not the subject: patients get the names of staff, and never their ids.
        name=_name(claims) or role.capitalize(),
        patient_id=patient_id if role is Role.PATIENT else None,
        session=_optional_id(claims, "sid"),
        acting=_actor(claims),
        expires_at=expires_at,
        issued_at=issued_at,
    )


def identifier(value: object, what: str) -> str:
    """Require a printable text of 1 to 255 characters: it goes into logs, keys and frames."""
    if isinstance(value, str) and 0 < len(value) <= _MAX_ID and value.isprintable():
        return value
    raise Unauthenticated(f"{what} is not an identifier")


def _check_party(claims: Claims, issuer: str | None, azp: frozenset[str]) -> None:
    if issuer is not None and claims.get("iss") != issuer:
        raise Unauthenticated("iss is another issuer")
    party = _text(claims, "azp")
    if azp and party is not None and party not in azp:
        raise Unauthenticated("azp is not in the allow-list")
    # RFC 7519 section 4.1.3: a token made for a named audience is for somebody else.
    if claims.get("aud") is not None:
        raise Unauthenticated("aud is another audience")
    # A pending session has signed in but still owes Clerk a task, such as a second factor.
    if _text(claims, "sts") == "pending":
        raise Unauthenticated("the session is pending")


def _check_times(claims: Claims, now: float) -> tuple[datetime, datetime]:
    """Give when a token was issued, and when it expires."""
    expires = _seconds(claims, "exp")
    issued = _seconds(claims, "iat")
    if now >= expires:
        raise Unauthenticated("expired")
    if issued > now + LEEWAY_S:
        raise Unauthenticated("issued in the future")
    if expires - issued > MAX_LIFETIME_S:
        raise Unauthenticated("lives for more than 24 h")
    if claims.get("nbf") is not None and _seconds(claims, "nbf") > now + LEEWAY_S:
        raise Unauthenticated("not valid yet")
    return datetime.fromtimestamp(issued, UTC), datetime.fromtimestamp(expires, UTC)


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    # A bool is an int to Python; the comparison is false for NaN and exact for huge integers.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unauthenticated(f"{name} is not a number")
    if not 0 <= value <= _LAST_SECOND:
        raise Unauthenticated(f"{name} is out of range")
    return value


def _tenant_and_role(claims: Claims, staff: frozenset[str]) -> tuple[str, Role]:
    """Read the tenant, and the role if it is held there.

    `tenant_id` is a custom claim that our own session template sets, so it wins over the
    organisation, and the organisation's role counts in it. One exception: where both are Clerk
    organisation ids and differ, the role is held elsewhere and does not count. Where users may
    create organisations, and so become admins of their own, `staff` names those that count.
    """
    organisation = _organisation(claims)
    tenant = _optional_id(claims, "tenant_id") or organisation.id
    if tenant is None:
        raise Unauthenticated("no tenant")
    if _is_elsewhere(organisation.id, tenant) or (staff and organisation.id not in staff):
        return tenant, Role.PATIENT
    return tenant, organisation.role


def _is_elsewhere(organisation: str | None, tenant: str) -> bool:
    return organisation is not None and tenant.startswith("org_") and tenant != organisation


def _organisation(claims: Claims) -> Organisation:
    """Read `o` (version 2 of Clerk's tokens), else `org_id` and `org_role` (version 1)."""
    if claims.get("o") is not None:
        inner = _object(claims, "o")
        return Organisation(_optional_id(inner, "id"), _role(inner, "rol"))
    return Organisation(_optional_id(claims, "org_id"), _role(claims, "org_role"))


def _role(claims: Claims, name: str) -> Role:
    value = _text(claims, name) or ""
    return _ROLES.get(value.removeprefix("org:"), Role.PATIENT)


def _name(claims: Claims) -> str:
    """Read the display name, which its bearer chose: cut to 200 characters, no controls."""
    visible = (c for c in _text(claims, "name") or "" if unicodedata.category(c) not in _HIDDEN)
    return "".join(visible)[:_MAX_NAME].strip()


def _actor(claims: Claims) -> str | None:
    """Name who impersonates the subject; an impersonator without a name is refused."""
    if claims.get("act") is None:
        return None
    return identifier(_object(claims, "act").get("sub"), "act.sub")


def _optional_id(claims: Claims, name: str) -> str | None:
    value = claims.get(name)
    return None if value is None else identifier(value, name)


def _text(claims: Claims, name: str) -> str | None:
    # Clerk writes null where a template's shortcode has no value: the same as no claim.
    value = claims.get(name)
    if not isinstance(value, str | None):
        raise Unauthenticated(f"{name} is not a string")
    return value


def _object(claims: Claims, name: str) -> Claims:
    value = claims[name]
    if not isinstance(value, dict):
        raise Unauthenticated(f"{name} is not an object")
    return value
