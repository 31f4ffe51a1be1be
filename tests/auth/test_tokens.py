import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from auth.errors import KeysUnavailable, Unauthenticated
from auth.principal import Principal, Role
from auth.strict import to_base64url
from auth.tokens import StaticKey, Verifier, sign
from tests.auth.kit import (
    AT,
    KINDS,
    NOW,
    Clock,
    FixedKey,
    Json,
    claims,
    compact,
    jwk,
    private_key,
    private_pem,
    public_pem,
    signature,
    token,
    verifier,
    weak_rsa,
)

SECRET = "0123456789abcdef0123456789abcdef"
TEXTS = ("sid", "name", "patient_id", "tenant_id", "org_id", "org_role", "azp", "sts")
NO_TEXTS: list[object] = [0, 7, False, True, [], ["x"], {}]
NO_ORGANISATIONS: list[object] = ["x", 7, True, [], {"id": 7}, {"id": ""}, {"rol": ["admin"]}]
NO_ACTORS: list[object] = ["x", 7, [], {}, {"sub": 7}, {"sub": ""}, {"iss": "x"}]
WRONG_TYPES = [(name, wrong) for name in TEXTS for wrong in NO_TEXTS]
WRONG_TYPES += [("o", wrong) for wrong in NO_ORGANISATIONS] + [("act", x) for x in NO_ACTORS]
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
EXPECTED = Principal(
    "user_1", "t1", Role.PATIENT, "Patient", expires_at=NOW + timedelta(seconds=60), issued_at=NOW
)


def hmac_token(header: Json, secret: bytes) -> str:
    signed = ".".join(to_base64url(json.dumps(part).encode()) for part in (header, claims()))
    digest = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{to_base64url(digest)}"


def with_signature(kind: str, change: bytes) -> str:
    return f"{token(kind).rpartition('.')[0]}.{to_base64url(change)}"


def raw_signature(kind: str) -> bytes:
    return base64.urlsafe_b64decode(token(kind).rpartition(".")[2] + "==")


async def refused(text: str, by: Verifier | None = None, reason: str = "") -> None:
    """Assert a refusal; its reason is for the log, and says why."""
    with pytest.raises(Unauthenticated) as refusal:
        await (by or verifier()).verify(text)
    assert reason in refusal.value.reason
    assert refusal.value.code == "unauthenticated"


# Signatures and algorithms


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signed_token_of_today_is_accepted(kind: str) -> None:
    assert await verifier(kind).verify(token(kind)) == EXPECTED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["key", "pem"])
async def test_what_sign_signs_is_accepted(kind: str, form: str) -> None:
    key = private_key(kind)
    signed = sign(claims(), key if form == "key" else private_pem(key), kid="k1")
    assert await verifier(kind).verify(signed) == EXPECTED


def test_nothing_is_signed_with_a_key_that_would_not_be_trusted() -> None:
    with pytest.raises(ValueError, match="2048"):
        sign(claims(), weak_rsa())


@pytest.mark.parametrize(
    "pem", [private_pem(private_key("RS256")), public_pem(weak_rsa()), "x"], ids=range(3)
)
def test_a_static_key_is_checked_before_the_first_token(pem: str) -> None:
    with pytest.raises(ValueError, match=r"public half|2048 bits|exactly one"):
        StaticKey(pem)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_signed_with_another_key_is_refused(kind: str) -> None:
    other = sign(claims(), private_key(kind, 1))
    await refused(other, verifier(kind), "Signature verification failed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("ending", ["", "\n"])
async def test_a_token_signed_with_the_public_key_as_hmac_secret_is_refused(
    kind: str, algorithm: str, ending: str
) -> None:
    secret = (public_pem(private_key(kind)).strip() + ending).encode()
    await refused(hmac_token({"alg": algorithm}, secret), verifier(kind), "alg is not allowed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_a_token_whose_alg_is_not_that_of_the_key_is_refused(
    kind: str, algorithm: str
) -> None:
    if algorithm != kind:
        text = compact({"alg": algorithm}, claims(), kind)
        await refused(text, verifier(kind), "alg is not that of the key")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "algorithm",
    ["none", "None", "NONE", "nOnE", "none ", "", "HS256", "hs256", "rs256", "RS256 ", "RS384",
     "RS512", "PS256", "ES384", "ES512", "ES256K", "Ed25519", "Ed448", "RSA-OAEP", "dir",
     None, 0, True, ["RS256"], {"alg": "RS256"}],
    ids=repr,
)  # fmt: skip
async def test_any_other_alg_is_refused_even_with_a_good_signature(
    kind: str, algorithm: object
) -> None:
    text = compact({"alg": algorithm}, claims(), kind)
    await refused(text, verifier(kind), "alg is not allowed")
    await refused(text.rpartition(".")[0] + ".", verifier(kind), "alg is not allowed")


async def test_a_header_without_alg_is_refused() -> None:
    await refused(compact({"typ": "JWT"}, claims()), reason="alg is not allowed")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [0, 1, 32, 63, -1])
async def test_a_truncated_signature_is_refused(kind: str, cut: int) -> None:
    await refused(with_signature(kind, raw_signature(kind)[:cut]), verifier(kind))


@pytest.mark.parametrize("kind", KINDS)
async def test_an_extended_signature_is_refused(kind: str) -> None:
    await refused(with_signature(kind, raw_signature(kind) + b"\0"), verifier(kind))
    await refused(with_signature(kind, b"\0" + raw_signature(kind)), verifier(kind))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_signature_with_any_bit_changed_is_refused(kind: str) -> None:
    raw = raw_signature(kind)
    for octet in range(0, len(raw), 7):
        changed = raw[:octet] + bytes([raw[octet] ^ 1 << octet % 8]) + raw[octet + 1 :]
        await refused(with_signature(kind, changed), verifier(kind))


async def test_an_ecdsa_signature_in_der_is_refused() -> None:
    raw = raw_signature("ES256")
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    await refused(with_signature("ES256", encode_dss_signature(r, s)), verifier("ES256"))


@pytest.mark.parametrize("r", [0, 1, P256_ORDER - 1, P256_ORDER, 2**256 - 1])
@pytest.mark.parametrize("s", [0, 1, P256_ORDER - 1, P256_ORDER, 2**256 - 1])
async def test_an_ecdsa_signature_of_edge_numbers_is_refused(r: int, s: int) -> None:
    raw = r.to_bytes(32) + s.to_bytes(32)
    await refused(with_signature("ES256", raw), verifier("ES256"), "Signature verification failed")


@pytest.mark.parametrize(
    "raw", [bytes(64), b"\x01" + bytes(63), b"\xff" * 64, bytes(32) + b"\xed" + b"\xff" * 31]
)
async def test_an_eddsa_signature_of_edge_numbers_is_refused(raw: bytes) -> None:
    await refused(with_signature("EdDSA", raw), reason="Signature verification failed")


@pytest.mark.parametrize("raw", [bytes(256), b"\0" * 255 + b"\x01", b"\xff" * 256])
async def test_an_rsa_signature_of_edge_numbers_is_refused(raw: bytes) -> None:
    text = with_signature("RS256", raw)
    await refused(text, verifier("RS256"), "Signature verification failed")


async def test_a_key_that_the_token_brings_with_it_is_not_used() -> None:
    forger = private_key("EdDSA", 9)
    header: Json = {"alg": "EdDSA", "jwk": jwk(forger), "jku": "https://forger.example/jwks"}
    signed = ".".join(to_base64url(json.dumps(part).encode()) for part in (header, claims()))
    forged = f"{signed}.{to_base64url(signature(signed, 'EdDSA', 9))}"
    await refused(forged, reason="Signature verification failed")


@pytest.mark.parametrize(
    "key",
    [weak_rsa().public_key(), "secret", b"secret", None],
    ids=["weak", "str", "bytes", "none"],
)
async def test_a_source_cannot_slip_in_a_key_that_is_not_to_be_trusted(key: object) -> None:
    keys = FixedKey(key)  # type: ignore[arg-type]
    await refused(token("RS256"), Verifier(keys, now=lambda: NOW), "2048 bits or more")


# Form


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a", "a.b", "e30.e30", "e30.e30.", "e30.e30.e30.e30", "Bearer x.y.z",
     "\0", "\ud800", "é.é.é", "💥" * 10, "null", '{"alg":"none"}'],
)  # fmt: skip
async def test_text_that_is_no_token_is_refused(text: str) -> None:
    await refused(text)
    await refused(text, verifier(service_token=SECRET))


@pytest.mark.parametrize("value", [None, 7, b"e30.e30.e30", ["x"]])
async def test_what_is_not_even_text_is_refused(value: object) -> None:
    await refused(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("segment", [0, 1, 2])
@pytest.mark.parametrize(
    ("before", "after"),
    [("", "="), ("", "=="), ("", " "), (" ", ""), ("", "\n"), ("\t", ""), ("", "\r\n"), ("", "\0"),
     ("", "%3D"), ("\ufeff", ""), ("", "A")],
)  # fmt: skip
async def test_padding_and_whitespace_around_a_segment_are_refused(
    segment: int, before: str, after: str
) -> None:
    parts = token().split(".")
    parts[segment] = before + parts[segment] + after
    await refused(".".join(parts))


async def test_the_ordinary_base64_alphabet_is_refused() -> None:
    texts = (token(name=f"??>>{n}") for n in range(50))
    text = next(text for text in texts if "-" in text and "_" in text)
    assert (await verifier().verify(text)).id == "user_1"
    await refused(text.replace("-", "+"), reason="not base64url")
    await refused(text.replace("_", "/"), reason="not base64url")


async def test_trailing_bits_that_are_not_zero_are_refused() -> None:
    text = token()  # 64 octets of signature leave four bits over
    assert text[-1] in "AQgw"
    await refused(text[:-1] + chr(ord(text[-1]) + 1), reason="not canonical")


@pytest.mark.parametrize("extra", [".", ".e30", ".e30.e30"])
async def test_more_segments_are_refused(extra: str) -> None:
    await refused(token() + extra, reason="not three segments")
    await refused(extra.lstrip(".") + "." + token(), reason="not three segments")


async def test_a_token_of_more_than_eight_kibibytes_is_refused_unread() -> None:
    await refused(token(padding="x" * 8192), reason="too long")
    assert await verifier().verify(token(padding="x" * 5000)) == EXPECTED


@pytest.mark.parametrize(
    "header",
    [b"", b"[]", b"null", b'"EdDSA"', b"{", b'{"alg":"EdDSA"}x', b'{"alg":"none","alg":"EdDSA"}',
     b'{"alg":"EdDSA","\\u0061lg":"EdDSA"}', b'\xff{"alg":"EdDSA"}', b'\xef\xbb\xbf{"alg":"EdDSA"}',
     '{"alg":"EdDSA"}'.encode("utf-16"), b"{'alg':'EdDSA'}", b'{"alg":"EdDSA","x":NaN}',
     b'{"alg":"EdDSA","x":' + b"[" * 3000 + b"}"],
)  # fmt: skip
async def test_a_header_that_is_not_one_plain_json_object_is_refused(header: bytes) -> None:
    await refused(compact(header, claims()))


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"null", b"7", b'"x"', b"\xff", b"[" * 3000,
     json.dumps(claims()).replace("}", ', "sub": "admin"}').encode(),
     json.dumps(claims()).replace("}", ', "\\u0073ub": "admin"}').encode(),
     json.dumps(claims()).replace("}", ', "x": Infinity}').encode(),
     json.dumps(claims()).replace("}", ', "x": ' + "1" * 4400 + "}").encode(),
     json.dumps(claims()).encode("utf-16"), json.dumps(claims()).encode() + b"\0"],
)  # fmt: skip
async def test_a_signed_payload_that_is_not_one_plain_json_object_is_refused(
    payload: bytes,
) -> None:
    await refused(compact({"alg": "EdDSA"}, payload))


@pytest.mark.parametrize("crit", [[], ["b64"], ["exp"], ["x"], "b64", None])
async def test_critical_extensions_are_refused(crit: object) -> None:
    header: Json = {"alg": "EdDSA", "crit": crit, "b64": True, "x": 1}
    await refused(compact(header, claims()), reason="crit is not supported")


async def test_a_detached_payload_is_refused() -> None:
    await refused(compact({"alg": "EdDSA", "b64": False}, claims()))


@pytest.mark.parametrize("kid", [None, 7, True, ["k1"], {"kid": "k1"}])
async def test_only_a_text_can_be_a_kid(kid: object) -> None:
    text = compact({"alg": "EdDSA", "kid": kid}, claims())
    if kid is None:
        await refused(text, reason="Key ID")
    else:
        await refused(text, reason="kid is not a string")


@given(st.text(max_size=300))
async def test_arbitrary_text_is_refused_and_nothing_else_happens(text: str) -> None:
    await refused(text)


@given(st.binary(max_size=300))
async def test_arbitrary_octets_are_refused_and_nothing_else_happens(data: bytes) -> None:
    await refused(data.decode("utf-8", "surrogateescape"))
    await refused(data.decode("latin-1"))


@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
async def test_arbitrary_segments_are_refused_and_nothing_else_happens(parts: list[bytes]) -> None:
    await refused(".".join(map(to_base64url, parts)))


@given(st.data(), st.sampled_from(KINDS))
async def test_a_token_changed_at_any_place_is_refused(data: st.DataObject, kind: str) -> None:
    text = token(kind)
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start, min(len(text), start + 8)))
    changed = text[:start] + data.draw(st.text(max_size=8)) + text[end:]
    if changed != text:
        await refused(changed, verifier(kind))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
CLAIMS = ["sub", "iat", "exp", "nbf", "iss", "azp", "aud", "sts", "sid", "name", "act", "o", "v",
          "tenant_id", "org_id", "org_role", "patient_id"]  # fmt: skip


@given(st.dictionaries(st.sampled_from(CLAIMS), JSON, max_size=4))
async def test_signed_claims_of_any_kind_make_a_principal_or_a_refusal(changes: Json) -> None:
    try:
        principal = await verifier().verify(token(**changes))
    except Unauthenticated:
        return
    assert principal.role is not Role.SERVICE
    assert principal.id
    assert principal.tenant
    assert principal.name
    assert principal.expires_at is not None
    assert NOW < principal.expires_at <= NOW + timedelta(hours=24, seconds=30)


async def test_keys_that_cannot_be_had_are_told_apart_from_a_bad_token() -> None:
    class Away:
        async def key(self, kid: str | None, algorithm: str) -> StaticKey:
            raise KeysUnavailable("away")

    keys = Away()
    with pytest.raises(KeysUnavailable, match="away"):
        await Verifier(keys, now=lambda: NOW).verify(token())  # type: ignore[arg-type]


# Times


@pytest.mark.parametrize("exp", [AT + 1, AT + 0.5, AT + 24 * 3600, float(AT + 60)])
async def test_a_token_is_good_before_its_expiry(exp: float) -> None:
    principal = await verifier().verify(token(exp=exp))
    assert principal.expires_at is not None
    assert principal.expires_at.timestamp() == exp


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": AT}, "expired"),
        ({"exp": AT - 1}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": AT + 24 * 3600 + 1}, "more than 24 h"),
        ({"exp": AT + 0.5, "iat": AT - 24 * 3600}, "more than 24 h"),
        ({"exp": 253_402_300_799}, "more than 24 h"),
        ({"exp": 253_402_300_800}, "out of range"),
        ({"exp": 1e308}, "out of range"),
        ({"exp": 10**400}, "out of range"),
        ({"exp": -1}, "out of range"),
        ({"exp": ...}, "exp is not a number"),
        ({"exp": None}, "exp is not a number"),
        ({"exp": True}, "exp is not a number"),
        ({"exp": str(AT + 60)}, "exp is not a number"),
        ({"exp": [AT + 60]}, "exp is not a number"),
        ({"iat": ...}, "iat is not a number"),
        ({"iat": None}, "iat is not a number"),
        ({"iat": True}, "iat is not a number"),
        ({"iat": "now"}, "iat is not a number"),
        ({"iat": AT + 30.5}, "issued in the future"),
        ({"nbf": AT + 31}, "not valid yet"),
        ({"nbf": True}, "nbf is not a number"),
        ({"nbf": "now"}, "nbf is not a number"),
        ({"nbf": 10**400}, "out of range"),
    ],
    ids=range(24),
)
async def test_a_token_out_of_its_time_is_refused(changes: Json, reason: str) -> None:
    await refused(token(**changes), reason=reason)


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
async def test_an_infinite_expiry_is_refused(number: str) -> None:
    payload = json.dumps(claims(exp="@")).replace('"@"', number).encode()
    await refused(compact({"alg": "EdDSA"}, payload))


@pytest.mark.parametrize("changes", [{"iat": AT + 30}, {"nbf": AT + 30}, {"nbf": AT - 9}])
async def test_the_clock_of_the_issuer_may_be_half_a_minute_ahead(changes: Json) -> None:
    principal = await verifier().verify(token(**changes))
    assert replace(principal, issued_at=NOW) == EXPECTED


async def test_a_token_expires_while_the_clock_runs() -> None:
    clock = Clock()
    by = verifier(now=clock.utc)
    clock.move(59.999)
    assert await by.verify(token()) == EXPECTED
    clock.move(0.001)
    await refused(token(), by, "expired")


# Who may speak to us


async def test_the_issuer_must_be_ours_if_one_is_set() -> None:
    ours = verifier(issuer="https://clerk.example.org")
    assert await ours.verify(token(iss="https://clerk.example.org")) == EXPECTED
    assert await verifier().verify(token(iss="https://any.example.org")) == EXPECTED
    for iss in (..., None, "https://clerk.example.org/", ["https://clerk.example.org"]):
        await refused(token(iss=iss), ours, "another issuer")


async def test_the_authorised_party_must_be_in_the_list_if_there_is_one() -> None:
    ours = verifier(azp=frozenset({"https://app.example.org"}))
    assert await ours.verify(token(azp="https://app.example.org")) == EXPECTED
    assert await ours.verify(token()) == EXPECTED
    assert await verifier().verify(token(azp="https://any.example.org")) == EXPECTED
    for azp in ("https://evil.example.org", "", "https://app.example.org/"):
        await refused(token(azp=azp), ours, "allow-list")


@pytest.mark.parametrize("aud", ["https://hasura.example.org", ["a"], "", 7])
async def test_a_token_made_for_another_audience_is_refused(aud: object) -> None:
    await refused(token(aud=aud), reason="another audience")


async def test_a_pending_session_is_refused() -> None:
    await refused(token(sts="pending"), reason="pending")
    assert await verifier().verify(token(sts="active")) == EXPECTED


@pytest.mark.parametrize(("name", "wrong"), WRONG_TYPES, ids=repr)
async def test_claims_of_a_wrong_type_are_refused(name: str, wrong: object) -> None:
    await refused(token(**{name: wrong}))


@pytest.mark.parametrize("name", ["sub", "sid", "patient_id", "tenant_id", "org_id"])
@pytest.mark.parametrize(
    "wrong", ["", "x" * 256, "a\nb", "a\0", "\x1b[2J", "a\u2028b", "\u202eadmin", "\ud800"]
)
async def test_an_identifier_is_a_short_printable_text(name: str, wrong: str) -> None:
    await refused(token(**{name: wrong}), reason="not an identifier")
    assert (await verifier().verify(token(**{name: "ü" * 255}))).tenant


@pytest.mark.parametrize("name", ["sid", "name", "patient_id", "org_id", "o", "act", "nbf"])
async def test_a_null_is_the_same_as_no_claim(name: str) -> None:
    assert await verifier().verify(token(**{name: None})) == EXPECTED


async def test_a_token_without_a_subject_is_refused() -> None:
    await refused(token(sub=...), reason="sub is not an identifier")


# Tenants and roles


@pytest.mark.parametrize(
    ("changes", "tenant"),
    [
        ({"tenant_id": "t9"}, "t9"),
        ({"tenant_id": ..., "org_id": "org_1"}, "org_1"),
        ({"tenant_id": None, "org_id": "org_1"}, "org_1"),
        ({"tenant_id": ..., "v": 2, "o": {"id": "org_2", "rol": "member"}}, "org_2"),
        ({"tenant_id": "t9", "org_id": "org_1"}, "t9"),
        ({"tenant_id": "t9", "v": 2, "o": {"id": "org_2"}}, "t9"),
    ],
)
async def test_the_tenant_is_ours_or_else_the_organisation(changes: Json, tenant: str) -> None:
    assert (await verifier().verify(token(**changes))).tenant == tenant


@pytest.mark.parametrize("changes", [{}, {"v": 2}, {"o": {"rol": "admin"}}, {"org_role": "admin"}])
async def test_a_token_of_no_tenant_is_refused(changes: Json) -> None:
    await refused(token(tenant_id=..., **changes), reason="no tenant")


async def test_the_client_must_claim_the_tenant_of_its_token() -> None:
    assert await verifier().verify(token(), "t1") == EXPECTED
    for tenant in ("t2", "", "T1", "t1 "):
        with pytest.raises(Unauthenticated, match="another tenant"):
            await verifier().verify(token(), tenant)


@pytest.mark.parametrize("prefix", ["", "org:"])
@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("coordinator", Role.COORDINATOR),
        ("supervisor", Role.SUPERVISOR),
        ("admin", Role.SUPERVISOR),
        ("member", Role.PATIENT),
        ("patient", Role.PATIENT),
        ("service", Role.PATIENT),
        ("Coordinator", Role.PATIENT),
        ("org:coordinator", None),
        ("", Role.PATIENT),
    ],
)
async def test_the_role_is_read_in_both_forms_of_the_claim(
    prefix: str, name: str, role: Role | None
) -> None:
    expected = role or (Role.PATIENT if prefix else Role.COORDINATOR)
    first = await verifier().verify(token(org_id="org_1", org_role=prefix + name))
    second = await verifier().verify(token(v=2, o={"id": "org_1", "rol": prefix + name}))
    assert (first.role, second.role) == (expected, expected)


async def test_the_organisation_of_version_two_is_the_one_that_counts() -> None:
    text = token(o={"id": "org_1", "rol": "member"}, org_id="org_2", org_role="org:admin")
    assert (await verifier().verify(text)).role is Role.PATIENT


@pytest.mark.parametrize(
    ("tenant", "role"),
    [("org_1", Role.SUPERVISOR), ("org_2", Role.PATIENT), ("clinic", Role.SUPERVISOR)],
)
async def test_a_role_held_in_one_organisation_does_not_count_in_another(
    tenant: str, role: Role
) -> None:
    text = token(tenant_id=tenant, o={"id": "org_1", "rol": "admin"})
    principal = await verifier().verify(text)
    assert (principal.tenant, principal.role) == (tenant, role)


@pytest.mark.parametrize("role", ["service", "org:service", "SERVICE"])
async def test_no_token_yields_the_service(role: str) -> None:
    text = token(sub="service", name="service", role=role, org_role=role)
    assert (await verifier(service_token=SECRET).verify(text)).role is Role.PATIENT


async def test_only_a_patient_has_a_patient_id() -> None:
    patient = await verifier().verify(token(patient_id="p1"))
    staff = await verifier().verify(token(patient_id="p1", org_role="org:coordinator"))
    assert (patient.patient_id, staff.patient_id) == ("p1", None)


async def test_session_and_impersonator_are_recorded() -> None:
    act = {"iss": "https://dashboard.example.org", "sid": "sess_9", "sub": "user_9"}
    principal = await verifier().verify(token(sid="sess_1", act=act))
    assert principal == replace(EXPECTED, session="sess_1", acting="user_9")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Maria", "Maria"),
        (" María José ", "María José"),
        ("علی\u200cرضا", "علی\u200cرضا"),
        ("Ma\nri\0a\x1b[2J", "Maria[2J"),
        ("\ud800x", "x"),
        ("x" * 300, "x" * 200),
        ("", "Patient"),
        (" \t\n", "Patient"),
    ],
)
async def test_a_name_is_shown_without_controls_or_else_the_role(name: str, shown: str) -> None:
    assert (await verifier().verify(token(name=name))).name == shown


# Revoked


async def test_a_token_that_was_revoked_is_refused_and_the_secret_of_back_ends_is_not() -> None:
    asked: list[Principal] = []

    def is_revoked(by: Principal) -> bool:
        asked.append(by)
        return True

    keys = StaticKey(public_pem(private_key("EdDSA")))
    revoking = Verifier(keys, now=lambda: NOW, service_token=SECRET, is_revoked=is_revoked)
    with pytest.raises(Unauthenticated, match="revoked"):
        await revoking.verify(token(sid="sess_1"))
    assert asked == [replace(EXPECTED, session="sess_1")]
    assert (await revoking.verify(SECRET, "t7")).role is Role.SERVICE


# The service


async def test_the_service_secret_makes_the_service_of_the_tenant_that_it_names() -> None:
    principal = await verifier(service_token=SECRET).verify(SECRET, "t7")
    assert principal == Principal("service", "t7", Role.SERVICE, "service")
    assert principal.is_staff


@pytest.mark.parametrize("tenant", [None, "", "a\nb", "x" * 256])
async def test_the_service_must_name_a_tenant(tenant: str | None) -> None:
    with pytest.raises(Unauthenticated, match="tenant"):
        await verifier(service_token=SECRET).verify(SECRET, tenant)


@pytest.mark.parametrize(
    "text", [SECRET[:-1], SECRET + "0", SECRET.upper(), " " + SECRET, SECRET + "\n", ""]
)
async def test_what_only_resembles_the_service_secret_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        await verifier(service_token=SECRET).verify(text, "t1")


async def test_without_a_service_secret_nobody_is_the_service() -> None:
    for text in ("", "None", SECRET):
        with pytest.raises(Unauthenticated):
            await verifier().verify(text, "t1")


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_short_service_secret_is_refused_with_advice(secret: str) -> None:
    with pytest.raises(ValueError, match=r"at least 32 characters.*openssl rand"):
        verifier(service_token=secret)


async def test_tokens_are_still_accepted_beside_a_service_secret() -> None:
    assert await verifier(service_token=SECRET).verify(token()) == EXPECTED


# Organisations whose roles count


async def test_where_organisations_are_named_a_role_in_another_one_does_not_count() -> None:
    named = verifier(staff_organisations=frozenset({"org_ours"}))
    own = token(tenant_id="t1", org_id="org_own", org_role="org:admin")
    none = token(tenant_id="t1", org_role="org:admin")
    for text in (own, none):
        assert (await verifier().verify(text)).role is Role.SUPERVISOR
        assert (await named.verify(text)).role is Role.PATIENT
    ours = token(tenant_id="t1", org_id="org_ours", org_role="org:admin")
    assert (await named.verify(ours)).role is Role.SUPERVISOR
