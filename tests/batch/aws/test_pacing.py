"""Pace, Backoff and LineBudget, with the time passed in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from airflow_batch_jobs.batch.aws.pacing import Backoff, Pace
from airflow_batch_jobs.batch.watch.line_budget import LineBudget


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


@dataclass
class Queue:
    """A queue of lines."""

    waiting: int
    grants: list[int] = field(default_factory=list)

    def grant(self, lines: int) -> None:
        """Let lines pass."""
        self.waiting -= lines
        self.grants.append(lines)


def test_small_queues_pass_before_large_ones() -> None:
    """Silent streams get all they want, and the flood gets the rest."""
    flood, silent, other = Queue(10_000), Queue(1), Queue(3)
    budget = LineBudget(400)
    budget.join(lambda: (flood, silent, other))
    budget.share(0.0)
    assert (silent.waiting, other.waiting) == (0, 0)
    assert flood.grants == [196]


def test_two_floods_get_the_same() -> None:
    """What the small ones leave is divided evenly."""
    first, second = Queue(10_000), Queue(9_000)
    budget = LineBudget(400)
    budget.join(lambda: (first, second))
    for tick in range(41):
        budget.share(tick / 4)
    assert abs(sum(first.grants) - sum(second.grants)) <= 41


def test_the_rate_holds_over_time_and_after_a_silence() -> None:
    """Ten seconds let ten seconds' worth of lines pass; a silence saves up half a second's."""
    flood = Queue(100_000)
    budget = LineBudget(400)
    budget.join(lambda: (flood,))
    for tick in range(41):
        budget.share(tick / 4)
    assert 4_000 <= sum(flood.grants) <= 4_200
    flood.grants.clear()
    budget.share(1_000.0)
    assert sum(flood.grants) == 200


def test_a_small_rate_lets_lines_pass_too() -> None:
    """Less than a line a tick is still lines, later."""
    queue = Queue(5)
    budget = LineBudget(1)
    budget.join(lambda: (queue,))
    for tick in range(40):
        budget.share(tick / 4)
    assert queue.waiting == 0


def test_watchers_share_one_budget_until_they_leave() -> None:
    """Two sources get one rate together; a source that left gets nothing."""
    first, second = Queue(10_000), Queue(10_000)

    def of_first() -> tuple[Queue]:
        return (first,)

    budget = LineBudget(100)
    budget.join(of_first)
    budget.join(lambda: (second,))
    for tick in range(41):
        budget.share(tick / 4)
    assert sum(first.grants) + sum(second.grants) <= 1_050
    budget.leave(of_first)
    first.grants.clear()
    budget.share(20.0)
    assert first.grants == []
    assert sum(second.grants) > 0
