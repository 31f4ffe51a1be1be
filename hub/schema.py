"""The descriptions of the wire, made from the models that check it."""

from pathlib import Path

from starlette.routing import BaseRoute


def schema_routes() -> list[BaseRoute]:
    return []


def write_schemas(folder: Path) -> list[Path]:
    return []
