"""The manifests: what the pages are when they are installed like an app."""

from typing import Any, Final

PAPER: Final = "#f7f5f0"
"""The ground of the pages in the light, as `design/tokens.css` has it."""


def patient_manifest(address: str) -> dict[str, Any]:
    """Describe the page of one case, at `address`; each case is an app of its own."""
    return {
        "name": "Curaway",
        "description": "Your conversation with your care team.",
        "categories": ["medical", "health"],
        **_app(address),
    }


def console_manifest() -> dict[str, Any]:
    """Describe the desk."""
    return {
        "name": "Curaway Desk",
        "description": "Every open case, and who waits.",
        "categories": ["medical", "business"],
        **_app("/admin"),
    }


def _app(address: str) -> dict[str, Any]:
    return {
        "short_name": "Curaway",
        "id": address,
        "start_url": address,
        "scope": address,
        "display": "standalone",
        "background_color": PAPER,
        "theme_color": PAPER,
        "icons": [
            _icon("mark.svg", "any", "image/svg+xml"),
            _icon("icon-192.png", "192x192"),
            _icon("icon-512.png", "512x512"),
            _icon("maskable-512.png", "512x512", purpose="maskable"),
        ],
    }


def _icon(
    name: str, sizes: str, media: str = "image/png", *, purpose: str = "any"
) -> dict[str, str]:
    return {"src": f"/static/icons/{name}", "sizes": sizes, "type": media, "purpose": purpose}
