"""What an operator can set. The only place where the environment is read."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _split(value: Any) -> Any:
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


Words = Annotated[frozenset[str], NoDecode, BeforeValidator(_split)]
"""A list, written with commas."""


class Settings(BaseSettings):
    """Read once at start; every value is documented in docs/operations.md."""

    model_config = SettingsConfigDict(
        env_prefix="HUB_", frozen=True, extra="ignore", populate_by_name=True
    )

    host: str = "127.0.0.1"
    port: int = Field(
        default=8000, ge=0, le=65535, validation_alias=AliasChoices("HUB_PORT", "PORT")
    )
    data_dir: Path = Path("var")
    database_url: str = Field(
        default="", validation_alias=AliasChoices("HUB_DATABASE_URL", "DATABASE_URL")
    )
    """Empty: SQLite under `data_dir`."""
    database_pool: int = Field(default=5, ge=2)
    """Connections of this process to PostgreSQL."""
    allow_unsafe_postgres: bool = False
    """Start although the server would lose what was acknowledged in a power cut."""

    redis_url: str = Field(default="", validation_alias=AliasChoices("HUB_REDIS_URL", "REDIS_URL"))
    """Empty: hints stay in this process."""
    redis_prefix: str = "hub"
    redis_ping_s: float = Field(default=15, gt=0)
    """Seconds of silence before Redis is asked for a sign of life."""

    dev: bool = False
    """Development identities and a key pair under `data_dir`."""
    jwt_public_key: str = ""
    jwks_url: str = ""
    jwt_issuer: str = ""
    jwt_azp: Words = frozenset()
    staff_organisations: Words = frozenset()
    """The Clerk organisations whose roles count; empty: any."""
    service_token: SecretStr | None = None

    allowed_origins: Words = frozenset()
    public_url: str = ""
    session_cookie: str = "__session"
    """Where the pages find the token that the identity provider left in the browser."""
    forwarded_allow_ips: str = "127.0.0.1"

    auth_within_s: float = Field(default=10, gt=0)
    heartbeat_s: float = Field(default=30, gt=0)
    token_grace_s: float = Field(default=30, ge=0)
    stall_s: float = Field(default=10, gt=0)
    queue_bytes: int = Field(default=1_048_576, ge=65_536)
    max_frame: int = Field(default=65_536, ge=1_024)
    max_body: int = Field(default=262_144, ge=1_024)
    max_upload: int = Field(default=10_485_760, ge=1_024)
    writes_per_s: float = Field(default=10, gt=0)
    writes_burst: int = Field(default=40, ge=1)
    signals_per_s: float = Field(default=20, gt=0)
    signals_burst: int = Field(default=60, ge=1)
    presence_grace_s: float = Field(default=15, ge=0)
    """How long somebody is present after their last connection has ended."""
    presence_beat_s: float = Field(default=5, gt=0)
    """Seconds between two signs of life to the other processes."""
    sockets_per_user: int = Field(default=20, ge=1)
    streams_per_user: int = Field(default=20, ge=1)
    pending_per_address: int = Field(default=100, ge=1)
    """Sockets of one address that have not yet sent `auth`."""
    anthropic_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_API_KEY")
    )
    anthropic_base_url: str = Field(default="", validation_alias=AliasChoices("ANTHROPIC_BASE_URL"))
    ai_model: str = ""
    """Empty: the default model, or the scripted one without a key. `scripted`, `off`: just that."""
    flag_coordinator_enabled: bool = False
    flag_enable_response_streaming: bool = True
    flag_sse_streaming: bool = True
    unaccepted_s: float = Field(default=300, gt=0)
    """How long a case waits for a coordinator before staff are told again."""
    owner_away_s: float = Field(default=600, gt=0)
    """How long an owner may be without a connection before the case waits again."""
    lease_s: float = Field(default=8, ge=1)
    """How long a process that has died keeps its tasks."""

    drain_s: float = Field(default=5, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dev and self.jwks_url:
            raise ValueError(
                "HUB_DEV=1 accepts anybody's development tokens, so it refuses to start together "
                "with HUB_JWKS_URL. Unset one of them."
            )
        if not (self.dev or self.jwks_url or self.jwt_public_key):
            raise ValueError(
                "The hub cannot verify tokens. Set HUB_JWKS_URL or HUB_JWT_PUBLIC_KEY, or "
                "HUB_DEV=1 to try it out."
            )
        if self.jwks_url and self.jwt_public_key:
            raise ValueError("Set HUB_JWKS_URL or HUB_JWT_PUBLIC_KEY, not both.")
        key = self.anthropic_api_key
        if self.ai_model not in ("", "scripted", "off") and not (key and key.get_secret_value()):
            raise ValueError(
                f"HUB_AI_MODEL={self.ai_model} needs ANTHROPIC_API_KEY. Set it, or set "
                "HUB_AI_MODEL to `scripted` for the demonstration, or to `off`."
            )
        if "://" not in self.database:
            raise ValueError("HUB_DATABASE_URL must begin with sqlite:/// or postgresql://.")
        return self

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'hub.db'}"
