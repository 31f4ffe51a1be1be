"""The descriptions of the wire, made from the models that check it: as files and as pages."""

import json
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hub.asyncapi import asyncapi
from hub.docs_page import docs_page
from hub.openapi import openapi

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
}


def schema_routes() -> list[BaseRoute]:
    """Give the routes of the two documents and of the page that shows them."""
    http, socket, page = _texts()
    return [
        Route("/openapi.json", _serving(http, "application/json")),
        Route("/asyncapi.json", _serving(socket, "application/json")),
        Route("/docs", _serving(page, "text/html", _PAGE_HEADERS)),
    ]


def write_schemas(folder: Path) -> list[Path]:
    """Write `openapi.json` and `asyncapi.json`, and tell where."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = {folder / "openapi.json": openapi(), folder / "asyncapi.json": asyncapi()}
    for path, document in documents.items():
        path.write_text(_text(document), encoding="utf-8")
    return [*documents]


@cache
def _texts() -> tuple[str, str, str]:
    """Write both documents and the page; they depend on the code alone, so once will do."""
    http, socket = openapi(), asyncapi()
    return _text(http), _text(socket), docs_page(http, socket)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _serving(
    text: str, media: str, headers: dict[str, str] | None = None
) -> Callable[[Request], Awaitable[Response]]:
    body = text.encode()

    async def serve(request: Request) -> Response:
        return Response(body, media_type=media, headers=headers)

    return serve
