"""A trigger that has crashed: what is told of it, and when its wait goes on."""

from __future__ import annotations

import asyncio
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.task.crash import FORGIVEN_SECONDS, PAUSE_SECONDS, cause, has_happened, pause, taken_up_again
from airflow_batch_jobs.task.handover import WaitPlan
from tests.batch.virtual import run

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLAN = WaitPlan(job_id="1a2b", deadline=NOW + timedelta(hours=5), submitted_at=NOW, rendered={"a": "b"})


def told(error: Exception) -> dict[str, Any]:
    """Return what Airflow tells the worker that resumes."""
    return {"error": "Trigger failure", "traceback": traceback.format_exception(error)}


def raised(error: Exception, by: Exception | None = None) -> Exception:
    """Return an error with a traceback, and with what it was raised from."""

    def crash() -> None:
        raise error from by

    with pytest.raises(type(error)):
        crash()
    return error


def test_only_a_crash_is_one() -> None:
    """An event, and Airflow's own timeout, are not."""
    assert has_happened("__fail__", told(ValueError("x")))
    assert has_happened("__fail__", {})
    assert not has_happened("execute_complete", {"event": {}})
    assert not has_happened("__fail__", {"error": "Trigger timeout"})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (raised(ValueError("bad\n  and worse")), "ValueError: bad and worse"),
        (raised(RuntimeError("late"), raised(KeyError("early"))), "RuntimeError: late"),
        (ValueError("without a frame"), "ValueError: without a frame"),
        (raised(KeyError()), "KeyError"),
        (raised(ExceptionGroup("all", [raised(OSError("a disk"))])), "OSError: a disk"),
    ],
)
def test_the_cause_is_the_exception_that_ended_the_trigger(error: Exception, says: str) -> None:
    """In one line, whatever its message looks like."""
    assert cause(told(error)) == says


def test_without_a_traceback_the_cause_is_what_airflow_calls_it() -> None:
    """Older versions, and events that cannot be read, bring none."""
    assert cause({"error": "Trigger failure", "traceback": None}) == "Trigger failure"
    assert cause({}) == "Unknown"


@given(parts=st.lists(st.text() | st.sampled_from(['  File "x", line 1, in f\n', "Traceback\n", "  | File \n"])))
def test_whatever_a_traceback_looks_like_its_cause_is_one_short_line(parts: list[str]) -> None:
    """The text may be anybody's."""
    line = cause({"error": "Trigger failure", "traceback": parts})
    assert line
    assert len(line) <= 200
    assert "\n" not in line


def test_a_wait_is_taken_up_again_three_times_each_time_later() -> None:
    """Everything else about it stays: above all its deadline."""
    plan, now, pauses = PLAN, NOW, []
    for _ in range(3):
        again = taken_up_again(plan, now)
        assert again is not None
        assert again.begins_at is not None
        pauses.append((again.begins_at - now).total_seconds())
        assert replace(again, resumed=0, begins_at=None) == PLAN
        plan, now = again, again.begins_at + timedelta(seconds=1)
    assert taken_up_again(plan, now) is None
    assert pauses == sorted(set(pauses)) == list(PAUSE_SECONDS)


def test_a_crash_after_a_long_time_is_the_first_again() -> None:
    """A job of many days may meet more than three deployments."""
    begun = replace(PLAN, resumed=3, begins_at=NOW)
    assert taken_up_again(begun, NOW + timedelta(seconds=FORGIVEN_SECONDS)) is None
    again = taken_up_again(begun, NOW + timedelta(seconds=FORGIVEN_SECONDS + 1))
    assert again is not None
    assert again.resumed == 1


@pytest.mark.parametrize(
    ("begins_in", "deadline_in", "seconds"),
    [
        (None, None, 0),
        (None, 5, 0),
        (60, None, 60),
        (60, 3600, 60),
        (60, 20, 20),
        (60, -5, 0),
        (-5, None, 0),
        (9e4, None, 180),
    ],
)
def test_a_trigger_pauses_until_it_is_to_begin_or_its_time_is_up(
    begins_in: float | None, deadline_in: float | None, seconds: float
) -> None:
    """Never longer than the longest pause, however far the worker's clock is ahead."""

    def moment(seconds: float | None) -> datetime | None:
        return None if seconds is None else datetime.now(tz=UTC) + timedelta(seconds=seconds)

    async def main() -> float:
        await pause(WaitPlan(job_id="1", begins_at=moment(begins_in), deadline=moment(deadline_in)))
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(seconds, abs=1)
