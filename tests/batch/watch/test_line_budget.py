"""LineBudget, with the time passed in."""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_batch_jobs.batch.watch.line_budget import LineBudget


@dataclass
class Queue:
    """A queue of lines."""

    ungranted: int
    grants: list[int] = field(default_factory=list)

    def grant(self, lines: int) -> None:
        """Let lines pass."""
        self.ungranted -= lines
        self.grants.append(lines)

    def fail(self, error: Exception) -> None:
        """Nothing here may be broken."""
        raise error


def test_small_queues_pass_before_large_ones() -> None:
    """Silent streams get all they want, and the flood gets the rest."""
    flood, silent, other = Queue(10_000), Queue(1), Queue(3)
    budget = LineBudget(400)
    budget.join(lambda: (flood, silent, other))
    budget.share(0.0)
    assert (silent.ungranted, other.ungranted) == (0, 0)
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
    assert queue.ungranted == 0


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
