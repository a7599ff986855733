"""Pace and Backoff, with the time passed in."""

from __future__ import annotations

import random

from airflow_batch_jobs.batch.aws.pacing import Backoff, Pace


def calls_within(pace: Pace, seconds: float, throttled_share: float = 0.0) -> int:
    """Return how many calls a pace lets through, with some of them throttled."""
    now, calls, chance = 0.0, 0, random.Random(1)  # noqa: S311 - reproducible
    while now < seconds:
        pace.spend(now)
        calls += 1
        if chance.random() < throttled_share:
            pace.throttled(now)
        else:
            pace.succeeded()
        now += max(pace.delay(now), 0.001)
    return calls


def test_a_pace_keeps_its_limit() -> None:
    """Ten calls a second are ten calls a second."""
    assert 99 <= calls_within(Pace(10), 10) <= 101


def test_the_first_call_goes_out_at_once() -> None:
    """Nothing waits before anything was asked, and silence is not saved up for a burst."""
    pace = Pace(4)
    assert pace.delay(100.0) == 0
    pace.spend(100.0)
    assert pace.delay(100.0) == 0.25
    pace.spend(200.0)
    assert pace.delay(200.0) == 0.25


def test_throttling_halves_the_rate_and_good_calls_bring_it_back() -> None:
    """One throttle halves; some dozens of good calls later the limit is reached again, and never exceeded."""
    pace = Pace(4)
    pace.throttled(0.0)
    assert pace.rate == 2
    for _ in range(24):
        pace.succeeded()
    assert pace.rate == 4


def test_calls_that_were_throttled_together_count_once() -> None:
    """Three calls under way at the same time, all throttled, halve the rate once."""
    pace = Pace(4)
    for now in (0.0, 0.1, 0.2):
        pace.throttled(now)
    assert pace.rate == 2


def test_a_pace_never_stands_still() -> None:
    """However often AWS throttles, a quarter of the limit remains."""
    pace = Pace(4)
    for now in range(100):
        pace.throttled(float(now))
    assert pace.rate == 1
    assert calls_within(Pace(4), 60, throttled_share=0.3) >= 30


def test_delays_grow_and_are_jittered_and_bounded() -> None:
    """Each delay is between half and all of twice the one before, up to the longest."""
    longest = Backoff(first=1, longest=15, chance=lambda: 1.0)
    assert [longest.next_delay() for _ in range(6)] == [1, 2, 4, 8, 15, 15]
    shortest = Backoff(first=1, longest=15, chance=lambda: 0.0)
    assert [shortest.next_delay() for _ in range(3)] == [0.5, 1, 2]
    longest.reset()
    assert longest.next_delay() == 1
    assert {Backoff().next_delay() <= 1 for _ in range(20)} == {True}
