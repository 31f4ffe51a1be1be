"""What an operator can set, and what is refused with advice."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from hub.settings import Settings

PEM = "-----BEGIN PUBLIC KEY-----"
JWKS = "https://example.clerk.accounts.dev/.well-known/jwks.json"


@pytest.fixture
def environ(plain_environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    return plain_environment


@pytest.mark.parametrize(
    ("variables", "advice"),
    [
        ({}, "Set HUB_JWKS_URL or HUB_JWT_PUBLIC_KEY, or HUB_DEV=1"),
        ({"HUB_DEV": "0"}, "Set HUB_JWKS_URL or HUB_JWT_PUBLIC_KEY, or HUB_DEV=1"),
        ({"HUB_DEV": "1", "HUB_JWKS_URL": JWKS}, "Unset one of them"),
        ({"HUB_JWKS_URL": JWKS, "HUB_JWT_PUBLIC_KEY": PEM}, "not both"),
        ({"HUB_DEV": "1", "HUB_PORT": "65536"}, "less than or equal to 65535"),
        ({"HUB_DEV": "1", "HUB_PORT": "http"}, "HUB_PORT"),
        ({"HUB_DEV": "maybe"}, "dev"),
        ({"HUB_DEV": "1", "HUB_HEARTBEAT_S": "0"}, "heartbeat_s"),
        ({"HUB_DEV": "1", "HUB_QUEUE_BYTES": "1"}, "queue_bytes"),
        ({"HUB_DEV": "1", "HUB_DATABASE_POOL": "1"}, "database_pool"),
        ({"HUB_DEV": "1", "HUB_LOG_LEVEL": "loud"}, "'debug', 'info'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_advice(
    environ: pytest.MonkeyPatch, variables: dict[str, str], advice: str
) -> None:
    for name, value in variables.items():
        environ.setenv(name, value)
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert advice in str(refusal.value)


def test_the_defaults_are_those_of_the_protocol(environ: pytest.MonkeyPatch) -> None:
    settings = Settings(dev=True)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert (settings.auth_within_s, settings.heartbeat_s, settings.token_grace_s) == (10, 30, 30)
    assert (settings.queue_bytes, settings.max_frame) == (1_048_576, 65_536)
    assert settings.database == "sqlite:///var/hub.db"


@pytest.mark.parametrize(
    ("variables", "name", "value"),
    [
        ({"HUB_PORT": "1", "PORT": "2"}, "port", 1),
        ({"PORT": "2"}, "port", 2),
        ({"HUB_DATA_DIR": "/data"}, "database", "sqlite:////data/hub.db"),
        ({"HUB_DATABASE_URL": "sqlite:///a.db"}, "database", "sqlite:///a.db"),
        ({"DATABASE_URL": "postgres://u@h/d"}, "database", "postgres://u@h/d"),
        ({"DATABASE_URL": "postgresql+asyncpg://h/d"}, "database", "postgresql+asyncpg://h/d"),
        ({"HUB_JWT_AZP": "https://a, https://b,"}, "jwt_azp", {"https://a", "https://b"}),
        ({"HUB_ALLOWED_ORIGINS": ""}, "allowed_origins", set()),
        ({"HUB_LOG_LEVEL": "debug"}, "log_level", "debug"),
        ({"HUB_UNKNOWN": "1"}, "host", "127.0.0.1"),
    ],
)
def test_the_environment_is_read(
    environ: pytest.MonkeyPatch, variables: dict[str, str], name: str, value: object
) -> None:
    for variable, text in {"HUB_DEV": "1", **variables}.items():
        environ.setenv(variable, text)
    assert getattr(Settings(), name) == value


def test_lists_can_be_given_by_programs(environ: pytest.MonkeyPatch) -> None:
    assert Settings(dev=True, jwt_azp=frozenset({"a,b"})).jwt_azp == {"a,b"}


def test_settings_do_not_change_and_do_not_show_secrets(environ: pytest.MonkeyPatch) -> None:
    environ.setenv("HUB_SERVICE_TOKEN", "my secret")
    settings = Settings(dev=True)
    assert "my secret" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]
    assert settings.data_dir == Path("var")
