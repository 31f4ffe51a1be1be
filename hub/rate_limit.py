"""A token bucket."""

from collections.abc import Callable


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
