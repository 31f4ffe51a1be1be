"""How much a socket may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.rate_limit import TokenBucket, UserBuckets


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_at_once_and_then_a_wait_is_named() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 3, clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == 0.1
    clock.now += 0.05
    assert round(bucket.take(), 6) == 0.05


def test_whoever_waits_as_told_is_let_through() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 1, clock)
    assert bucket.take() == 0
    clock.now += bucket.take() + 1e-9
    assert bucket.take() == 0


def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    bucket = TokenBucket(1, 1, clock)
    assert [bucket.take() for _ in range(4)] == [0, 1, 1, 1]


def test_silence_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    bucket = TokenBucket(10, 3, clock)
    clock.now += 1_000
    assert [bool(bucket.take()) for _ in range(4)] == [False, False, False, True]


@given(
    st.floats(0.1, 100),
    st.integers(1, 50),
    st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=100),
)
def test_no_pattern_gets_more_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, burst, clock)
    allowed = 0
    for pause in pauses:
        clock.now += pause
        wait = bucket.take()
        assert wait >= 0
        allowed += wait == 0
    assert allowed <= burst + rate * (clock.now - 1_000) + 1e-6


def test_each_user_of_each_tenant_has_a_bucket() -> None:
    buckets = UserBuckets(1.0, 2, lambda: 0.0)
    assert [buckets.take("t", "maria") for _ in range(3)] == [0.0, 0.0, 1.0]
    assert buckets.take("t", "priya") == buckets.take("u", "maria") == 0.0


def test_buckets_that_are_full_again_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.rate_limit.KEPT", 2)
    now = 0.0
    buckets = UserBuckets(1.0, 1, lambda: now)
    assert buckets.take("t", "a") == 0.0
    now = 0.9
    assert buckets.take("t", "b") == 0.0
    now = 1.0
    assert buckets.take("t", "c") == 0.0
    assert set(buckets._buckets) == {("t", "b"), ("t", "c")}
    assert buckets.take("t", "b") > 0
