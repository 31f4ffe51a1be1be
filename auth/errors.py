"""The two ways in which verification fails.

Invariant: `reason` is for the log alone. A client is told the `code` and nothing else, because
the reason tells a forger which check came next.
"""


class Unauthenticated(Exception):
    """The credential is missing, malformed, expired, forged or not for this tenant."""

    code = "unauthenticated"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysUnavailable(Exception):
    """No key can be had to check a token with: ours to repair, so the client may try again."""

    code = "unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
