"""Token buckets."""

from collections.abc import Callable
from functools import partial
from typing import Final

from rooms.errors import Code, Rejected

KEPT: Final = 1_000
"""Buckets above which those that are full again are forgotten."""


def rate_limited(what: str, wait: float) -> Rejected:
    """Tell somebody who sent too many of `what` how many seconds to wait."""
    return Rejected(
        Code.RATE_LIMITED,
        f"Too many {what}. Wait before you send the next.",
        {"retry_after": round(wait, 3)},
    )


class TokenBucket:
    """Allows `rate` things a second on average, and `burst` at once."""

    __slots__ = ("_burst", "_monotonic", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._monotonic = monotonic
        self._tokens = float(burst)
        self._updated = monotonic()

    def take(self) -> float:
        """Take a token; 0 if there was one, else the seconds until there is."""
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate

    @property
    def full(self) -> bool:
        """Nothing was taken for so long that a new bucket would be no different."""
        elapsed = self._monotonic() - self._updated
        return self._tokens + elapsed * self._rate >= self._burst


class UserBuckets:
    """A bucket for each user, kept for as long as it remembers something."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float]) -> None:
        self._make = partial(TokenBucket, rate, burst, monotonic)
        self._buckets: dict[tuple[str, str], TokenBucket] = {}

    def take(self, tenant: str, user: str) -> float:
        """Take a token of this user; 0 if there was one, else the seconds until there is."""
        if len(self._buckets) >= KEPT and (tenant, user) not in self._buckets:
            self._buckets = {
                name: bucket for name, bucket in self._buckets.items() if not bucket.full
            }
        return self._buckets.setdefault((tenant, user), self._make()).take()
