"""Development identities: a key pair in a folder and tokens that look like those of production.

Invariant: development takes the same path as production. Only the key is home-made; a token from
here passes the same `Verifier`, and none can be the service.
"""

import os
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from auth.claims import MAX_LIFETIME_S, Claims
from auth.keys import PrivateKey, private_from_pem
from auth.principal import Role
from auth.tokens import sign

_FILE = "dev-key.pem"


class DevKeys:
    """The key pair in `folder`, made (Ed25519, mode 0600) by whoever comes first.

    Raises ValueError if the file there is not a private key.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / _FILE
        if not path.exists():
            _create(path)
        self._key = _load(path)

    @property
    def public_pem(self) -> str:
        """The public half, as `StaticKey` takes it."""
        public = self._key.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def mint(
        self,
        *,
        sub: str,
        tenant: str,
        now: datetime,
        role: Role = Role.PATIENT,
        name: str | None = None,
        patient_id: str | None = None,
        session: str | None = None,
        lifetime: timedelta = timedelta(hours=1),
    ) -> str:
        """Sign a token valid from `now` (aware) for `lifetime`, at most 24 h.

        Raises ValueError for the service, which has a secret and no token, for the AI, which has
        neither, and for a lifetime that no verifier would accept.
        """
        if role in (Role.SERVICE, Role.AI):
            raise ValueError("the service and the AI have no token; the service has a secret")
        issued, seconds = int(now.timestamp()), int(lifetime.total_seconds())
        if not 0 < seconds <= MAX_LIFETIME_S:
            raise ValueError("a token lives from 1 s to 24 h")
        claims: Claims = {"sub": sub, "tenant_id": tenant, "org_role": f"org:{role}"}
        claims |= {"iat": issued, "nbf": issued, "exp": issued + seconds}
        claims |= {"name": name, "patient_id": patient_id, "sid": session}
        return sign({k: v for k, v in claims.items() if v is not None}, self._key)


def _create(path: Path) -> None:
    """Write a new key whole or not at all; if another process was first, its key stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".dev-key-")  # mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_new_pem())
        _publish(Path(temporary), path)
    finally:
        Path(temporary).unlink()


def _publish(temporary: Path, path: Path) -> None:
    # Unlike a rename, a link never replaces: two processes end with the same key.
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        return


def _new_pem() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(path: Path) -> PrivateKey:
    try:
        return private_from_pem(path.read_text("ascii"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; delete the file to get a new key") from error
