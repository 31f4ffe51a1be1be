"""What a browser is told about the pages: what they may load, who may embed them."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

STATIC: Final = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
"""For what is no page."""

SHARED: Final = MappingProxyType({**STATIC, "Cross-Origin-Resource-Policy": "cross-origin"})
"""For the client library, which front ends of other origins import."""

WORKER: Final = MappingProxyType(
    {
        **STATIC,
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
    }
)
"""For the service worker, whose own policy holds for what it fetches."""


class PagePolicy:
    """The headers of every page."""

    def __init__(self, origins: Iterable[str]) -> None:
        """Let pages of these origins embed ours. `*` is not one: it would be anybody."""
        self.origins = sorted(origin for origin in origins if _ORIGIN.fullmatch(origin))

    def headers(self, host: str) -> Mapping[str, str]:
        """Give them for a page that is asked for at this host."""
        return {
            **STATIC,
            "Content-Security-Policy": self._content(host),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": _PERMISSIONS,
        }

    def _content(self, host: str) -> str:
        # Safari before 15.4 does not take a WebSocket to the same host for 'self'.
        sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
        return "; ".join(
            (
                *_CONTENT,
                f"connect-src 'self'{sockets}",
                " ".join(("frame-ancestors 'self'", *self.origins)),
            )
        )


_CONTENT: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "font-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "frame-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types curaway-offline",
)
_PERMISSIONS: Final = ", ".join(
    (
        "camera=(self)",
        *(
            f"{feature}=()"
            for feature in ("microphone", "geolocation", "payment", "usb", "browsing-topics")
        ),
    )
)
