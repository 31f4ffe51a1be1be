import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auth.keys import algorithm_of, from_jwk, from_pem, private_from_pem
from tests.auth.kit import KINDS, Json, jwk, private_key, private_pem, public_pem, weak_rsa

RSA, EC, ED = (private_key(kind) for kind in KINDS)
P384 = ec.generate_private_key(ec.SECP384R1())
K256 = ec.generate_private_key(ec.SECP256K1())


def pem(key: ed448.Ed448PrivateKey | x25519.X25519PrivateKey | dsa.DSAPrivateKey) -> str:
    public = key.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_decides_the_algorithm(kind: str) -> None:
    assert algorithm_of(from_pem(public_pem(private_key(kind)))) == kind
    assert algorithm_of(from_jwk(jwk(private_key(kind))).key) == kind
    assert from_jwk(jwk(private_key(kind))).algorithm == kind


def test_a_pem_key_may_come_from_one_line_of_an_environment_file() -> None:
    line = public_pem(RSA).replace("\n", "\\n")
    assert from_pem(line) == RSA.public_key()


def test_the_older_pem_form_of_an_rsa_key_is_read() -> None:
    assert from_pem(public_pem(RSA, PublicFormat.PKCS1)) == RSA.public_key()


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_key_is_refused_with_the_way_to_its_public_half(kind: str) -> None:
    with pytest.raises(ValueError, match=r"openssl pkey .* -pubout"):
        from_pem(private_pem(private_key(kind)))


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "exactly one"),
        ("secret", "exactly one"),
        ("ssh-rsa AAAAB3NzaC1yc2E=", "exactly one"),
        (public_pem(EC) + public_pem(ED), "exactly one"),
        pytest.param(public_pem(EC)[:70], "complete", id="truncated"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "complete"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "complete"),
    ],
)
def test_what_is_not_one_public_key_is_refused_with_advice(text: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        from_pem(text)


@pytest.mark.parametrize(
    "text",
    [
        public_pem(weak_rsa()),
        public_pem(P384),
        public_pem(K256),
        pem(ed448.Ed448PrivateKey.generate()),
        pem(x25519.X25519PrivateKey.generate()),
        pem(dsa.generate_private_key(2048)),
    ],
    ids=["rsa-1024", "p384", "secp256k1", "ed448", "x25519", "dsa"],
)
def test_weak_and_foreign_keys_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="RSA of 2048 bits or more, P-256 and Ed25519"):
        from_pem(text)


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (None, "object"),
        ("k1", "object"),
        ([], "object"),
        ({}, "type of the key"),
        (jwk(EC) | {"kid": 7}, "kid"),
        (jwk(EC, use="enc"), "not for signatures"),
        (jwk(EC, use=["sig"]), "not for signatures"),
        (jwk(EC, key_ops=["sign"]), "not for verifying"),
        (jwk(EC, key_ops=[]), "not for verifying"),
        (jwk(EC, key_ops="verify"), "not for verifying"),
        (jwk(EC, alg="ES384"), "another algorithm"),
        (jwk(EC, alg="HS256"), "another algorithm"),
        (jwk(EC, alg="none"), "another algorithm"),
        (jwk(EC, alg="RS256"), "another algorithm"),
        (jwk(RSA, alg="PS256"), "another algorithm"),
        (jwk(RSA, alg="HS256"), "another algorithm"),
        (jwk(EC, kty="RSA"), "type of the key"),
        (jwk(EC, kty="oct", k="AAAA"), "type of the key"),
        (jwk(EC, kty="ec"), "type of the key"),
        (jwk(EC, kty=["EC"]), "type of the key"),
        ({"kty": "oct", "k": "A" * 43, "kid": "k1", "alg": "HS256"}, "type of the key"),
        (jwk(EC, crv="P-384"), "type of the key"),
        (jwk(EC, crv="secp256k1"), "type of the key"),
        (jwk(EC, crv=None), "type of the key"),
        (jwk(RSA, crv="P-256"), "type of the key"),
        (jwk(ED, crv="Ed448"), "type of the key"),
        (jwk(ED, crv="X25519"), "type of the key"),
        (jwk(EC, d="AAAA"), "private half"),
        (jwk(RSA, d="AAAA"), "private half"),
        (jwk(EC, x=5), "x is missing"),
        (jwk(EC, y=None), "y is missing"),
        (jwk(RSA, n=None), "n is missing"),
        (jwk(EC, x="AAAA"), "x has the wrong length"),
        (jwk(EC, x="AAAA" + str(jwk(EC)["x"])), "x has the wrong length"),
        (jwk(EC, x=str(jwk(EC)["x"]) + "="), "base64url"),
        (jwk(EC, x=jwk(EC)["y"], y=jwk(EC)["x"]), "(?i)point|curve"),
        (jwk(RSA, n="AQAB"), "."),
        (jwk(RSA, e="AA"), "."),
        (jwk(weak_rsa()), "2048 bits"),
        (jwk(ED, x="AAAA"), "32 bytes"),
    ],
)
def test_a_jwk_that_is_not_for_verifying_our_tokens_is_refused(member: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        from_jwk(member)


@pytest.mark.parametrize(
    "member", [jwk(EC, use=None), jwk(EC, alg=None), jwk(EC, kid=None)], ids=["use", "alg", "kid"]
)
def test_what_a_jwk_need_not_say_may_be_absent(member: Json) -> None:
    assert from_jwk(member).key == EC.public_key()


def test_a_jwk_may_say_that_it_verifies() -> None:
    assert from_jwk(jwk(EC, key_ops=["verify", "sign"])).key == EC.public_key()


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_pem_key_is_read_for_signing(kind: str) -> None:
    assert private_from_pem(private_pem(private_key(kind))).public_key() == (
        private_key(kind).public_key()
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        public_pem(ED),
        ED.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
        ).decode(),
        ed448.Ed448PrivateKey.generate()
        .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        .decode(),
    ],
    ids=["nothing", "public", "encrypted", "ed448"],
)
def test_a_key_that_cannot_sign_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"PEM private key|P-256"):
        private_from_pem(text)
