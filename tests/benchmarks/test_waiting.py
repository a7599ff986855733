"""The figures of the waiting benchmark, without its processes."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from airflow_batch_jobs.local.record import Recorded
from benchmarks.waiting.__main__ import cases, side_by_side
from benchmarks.waiting.case import Case, Figures, Result, Spread
from benchmarks.waiting.report import MAIN_CASE, figures_table, targets
from benchmarks.waiting.run import figures, most_within_a_second

BEGAN = 1_000.0


def case(way: str = "ours", **more: Any) -> Case:
    """Return a case of two jobs."""
    return Case(**{"name": MAIN_CASE, "way": way, "jobs": 2, "first_end": 25.0, "last_end": 35.0, **more})


def measured(**more: Any) -> dict[str, Any]:
    """Return the report of a process that waited 40 s for two jobs."""
    said = {
        "began": BEGAN,
        "ended": BEGAN + 40,
        "cpu": 1.0,
        "idle_cpu": 0.01,
        "rss": 60 * 2**20,
        "peak": 61 * 2**20,
        "sample": {"at": BEGAN + 23, "rss": 60 * 2**20 + 40_960},
        "gaps": [BEGAN + 0.5, 0.2, BEGAN + 20, 0.05],
        "pauses": [BEGAN + 20, 0.04],
        "events": {"a": BEGAN + 28, "b": BEGAN + 40},
        "ends": {"a": BEGAN + 27},
        "lines": [BEGAN + 10, BEGAN + 7, BEGAN + 20, BEGAN + 16],
    }
    return {**said, **more}


def asked(moment: float, *job_ids: str, outcome: str = "ok") -> Recorded:
    """Return a call of DescribeJobs."""
    return Recorded(BEGAN + moment, "DescribeJobs", {"jobs": list(job_ids)}, outcome)


def some_figures(**more: Any) -> Figures:
    """Return the figures of a run of two jobs."""
    calls = [asked(0.1, "a", outcome="TooManyRequestsException"), asked(0.2, "a"), asked(1.0, "b"), asked(9.0, "a")]
    stopped = {"a": BEGAN + 25, "b": BEGAN + 35}
    return figures(case(**more), measured(), {"DescribeJobs": 4, "FilterLogEvents": 7}, calls, stopped, load=0.5)


def test_figures_are_by_the_job_and_without_the_ticker() -> None:
    """CPU and memory are divided by the jobs; a throttled call counts as a call."""
    found = some_figures()
    assert found.cpu_ms == pytest.approx(300)
    assert found.memory_kib == pytest.approx(20)
    assert found.peak_kib == pytest.approx(512)
    assert (found.calls, found.log_calls, found.throttled, found.peak_calls, found.events) == (4, 7, 1, 3, 2)


def test_the_start_ends_when_every_job_was_answered_for() -> None:
    """The longest stall is given for the start and for what follows."""
    found = some_figures()
    assert found.start_seconds == pytest.approx(1)
    assert (found.start_stall_ms, found.stall_ms, found.pause_ms) == pytest.approx((200, 50, 40))


def test_an_end_may_be_known_before_the_wait_for_it_is_over() -> None:
    """With logs, a job's end is in the task log before its last lines are."""
    found = some_figures()
    assert found.detection
    assert found.event
    assert found.detection.largest == pytest.approx(5)
    assert (found.event.median, found.event.largest) == pytest.approx((4, 5))
    assert found.detection.median == pytest.approx(3.5)


def test_a_line_is_late_by_what_passed_since_it_was_readable() -> None:
    """The endpoint's own delay is not counted; the first 15 s are counted separately."""
    found = some_figures(delivery_seconds=2.0)
    assert found.freshness
    assert (found.freshness.median, found.freshness.largest) == pytest.approx((1.5, 2))
    assert found.steady_freshness
    assert found.steady_freshness.median == pytest.approx(2)
    assert found.steady_freshness.count == 1


def test_without_all_calls_nothing_is_said_about_the_start() -> None:
    """The endpoint forgets the oldest of very many calls."""
    found = figures(case(), measured(), {"DescribeJobs": 9}, [asked(0.1, "a", "b")], {"a": BEGAN, "b": BEGAN}, load=0)
    assert found.start_seconds is None
    assert found.memory_kib is None


def test_a_spread_of_nothing_is_none() -> None:
    """No lines have no median."""
    assert Spread.of([]) is None
    assert Spread.of([float(number) for number in range(101)]) == Spread(50, 95, 100, 101)


@pytest.mark.parametrize(("times", "most"), [([], 0), ([1, 1.5, 1.9, 2.0], 3), ([3, 1, 2], 1)])
def test_peak_is_what_any_second_contains(times: list[float], most: int) -> None:
    """And not within one second of the clock."""
    assert most_within_a_second(times) == most


def test_targets_are_told_met_or_missed_against_the_floor_of_the_run() -> None:
    """Ratios relate to the floor's figures, bounds are in the unit of the figure."""
    ours = some_figures()
    floor = replace(ours, calls=4, cpu_ms=100.0)
    said = {target.what: target for target in targets([Result(case("floor"), floor), Result(case(), ours)])}
    assert said[f"{MAIN_CASE}: DescribeJobs calls"].is_met
    assert said[f"{MAIN_CASE}: CPU per job"].reached == "3.0 x"
    assert not said[f"{MAIN_CASE}: CPU per job"].is_met
    assert not said[f"{MAIN_CASE}, ours: longest stall"].is_met


def test_a_way_that_cannot_be_gone_stands_in_the_table() -> None:
    """Without aiobotocore the provider's row says so."""
    console = Console(width=190, record=True, file=StringIO())
    console.print(figures_table([Result(case("provider"), None, "not installed"), Result(case(), some_figures())]))
    text = console.export_text()
    assert "not installed" in text
    assert "300.00" in text


def test_small_cases_run_at_the_same_time_and_the_providers_alone() -> None:
    """Large cases get the machine to themselves."""
    groups = side_by_side(cases((1, 1_000), limits=False))
    assert [len(group) for group in groups] == [3, 1, 1, 1, 1, 1]
    assert groups[1][0].way == "provider"
