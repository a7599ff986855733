"""Users stop tasks, and timeouts pass, at awkward moments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chaos import WAIT, Case
from tests.e2e.moments import begun, being_read, nothing, runnable, running, succeeded
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.chaos import Row
    from tests.e2e.chaos_world import World
    from tests.e2e.runs import Run

    Deed = Callable[[World, Run], None]

STOPPING = "Server indicated the task shouldn't be running anymore"
BY_A_USER = "stopped by a user"
TIMED_OUT = "AirflowTaskTimeout"


def mark(state: str, when: Deed) -> Deed:
    """Mark the task at a moment."""

    def deed(world: World, run: Run) -> None:
        when(world, run)
        run.mark(state)

    return deed


def mark_unanswered(state: str) -> Deed:
    """Mark the task during the submit, which continues once the worker has been told to stop."""

    def deed(world: World, run: Run) -> None:
        world.held(run)
        run.mark(state)
        until(lambda: STOPPING in run.text(), 60)
        world.let_go(run)

    return deed


def clear(when: Deed) -> Deed:
    """Clear the task at a moment."""

    def deed(world: World, run: Run) -> None:
        when(world, run)
        run.clear()

    return deed


def clear_and_mark(world: World, run: Run) -> None:
    """Clear the task while its first job runs, and mark it failed while its second one does."""
    clear(running)(world, run)
    until(lambda: len(run.lines(2)) > 20, 90, every=1)
    run.mark("failed")


def clear_unanswered(world: World, run: Run) -> None:
    """Clear the task during the submit, which continues once the worker has been told to stop."""
    world.held(run)
    run.clear()
    until(lambda: STOPPING in run.text(), 60)
    world.let_go(run)


def mark_run_failed(world: World, run: Run) -> None:
    """Mark the whole DAG run failed."""
    running(world, run)
    run.api.request("PATCH", f"dags/{run.dag_id}/dagRuns/{run.run_id}", json={"state": "failed"})


def let_time_pass(world: World, run: Run) -> None:
    """Hold the worker until its time is up."""
    world.held(run)


AFTER_SEND = {"after-send": WAIT}
SUBMIT_CASES = [
    Case(
        "marked failed before the answer",
        "deferred",
        mark_unanswered("failed"),
        "waiting",
        "failed",
        stopped=1,
        reason=BY_A_USER,
        points=AFTER_SEND,
    ),
    Case(
        "marked success before the answer",
        "on_worker",
        mark_unanswered("success"),
        "waiting",
        stopped=1,
        reason=BY_A_USER,
        points=AFTER_SEND,
    ),
    Case("cleared before the answer", "deferred", clear_unanswered, "waiting", jobs=2, stopped=1, points=AFTER_SEND),
    Case(
        "execution_timeout after SubmitJob, no retry left",
        "timed_once",
        let_time_pass,
        "long",
        "failed",
        stopped=1,
        says=TIMED_OUT,
        points=AFTER_SEND,
    ),
    Case("execution_timeout after SubmitJob, a retry left", "timed", let_time_pass, says=TIMED_OUT, points=AFTER_SEND),
]
STOPPED_CASES = [
    *(
        Case(
            f"{where}: marked {state} while RUNNING",
            dag_id,
            mark(state, running),
            "long",
            state,
            stopped=1,
            reason=f"{BY_A_USER}: now {state}",
            stop_seconds=60,
            last_lines=1,
        )
        for where, dag_id in (("deferred", "deferred"), ("on worker", "on_worker"))
        for state in ("failed", "success")
    ),
    Case(
        "mapped: marked failed while RUNNING",
        "mapped",
        mark("failed", running),
        "passing",
        "failed",
        jobs=3,
        stopped=1,
        reason=BY_A_USER,
        stop_seconds=40,
        map_index=1,
    ),
    Case("deferred: cleared while RUNNING", "deferred", clear(running), "passing", jobs=2, stopped=1, seconds=300),
    Case(
        "deferred: cleared and marked failed, both while RUNNING",
        "deferred",
        clear_and_mark,
        "long",
        "failed",
        jobs=2,
        stopped=2,
        stop_seconds=60,
        last_lines=1,
    ),
    *(
        Case(
            f"{where}: execution_timeout while RUNNING",
            dag_id,
            begun,
            "long",
            "failed",
            stopped=1,
            reason="execution_timeout has passed",
            stop_seconds=60,
            last_lines=1,
            says=TIMED_OUT,
        )
        for where, dag_id in (("deferred", "timed_once"), ("on worker", "timed_on_worker"))
    ),
    Case("retried when its job has failed", "deferred", nothing, "broken", "failed", jobs=2),
]
LONG_CASES = [
    Case(
        "execution_timeout between the record and SubmitJob",
        "timed_once",
        let_time_pass,
        "waiting",
        "failed",
        jobs=0,
        says=TIMED_OUT,
        points={"before-send": WAIT},
    ),
    Case(
        "deferred: marked failed while RUNNABLE",
        "deferred",
        mark("failed", runnable),
        "waiting",
        "failed",
        stopped=1,
        reason=BY_A_USER,
    ),
    Case("deferred: cleared while RUNNABLE", "deferred", clear(runnable), "waiting", jobs=2, stopped=1),
    Case(
        "on worker: marked failed while RUNNABLE",
        "on_worker",
        mark("failed", runnable),
        "waiting",
        "failed",
        stopped=1,
        reason=BY_A_USER,
    ),
    Case("on worker: cleared while RUNNABLE", "on_worker", clear(runnable), "waiting", jobs=2, stopped=1),
    Case("on worker: cleared while RUNNING", "on_worker", clear(running), "passing", jobs=2, stopped=1),
    Case("cleared when it has succeeded", "deferred", clear(succeeded), jobs=2),
    Case("deferred: marked failed during the last reading", "deferred", mark("failed", being_read), "late", "failed"),
    Case("deferred: cleared during the last reading", "deferred", clear(being_read), "late", jobs=2),
    Case(
        "deferred: DAG run marked failed while RUNNING",
        "deferred",
        mark_run_failed,
        "long",
        "failed",
        stopped=1,
        reason=BY_A_USER,
        last_lines=1,
    ),
    Case("mapped: cleared while RUNNING", "mapped", clear(running), "passing", jobs=4, stopped=1, map_index=1),
    Case("mapped: cleared when it has succeeded", "mapped", clear(succeeded), jobs=4, map_index=2),
]
CASES = [*SUBMIT_CASES, *STOPPED_CASES]


@pytest.mark.parametrize("case", SUBMIT_CASES, ids=lambda case: case.run_id)
def test_a_task_that_is_stopped_in_the_middle_of_its_submit_leaves_no_job(row: Row) -> None:
    """The job that may have been started is found and terminated, or adopted by the attempt that follows."""
    row.check()


@pytest.mark.parametrize("case", STOPPED_CASES, ids=lambda case: case.run_id)
def test_a_task_that_is_stopped_takes_its_job_with_it(row: Row) -> None:
    """The job ends soon, says why and leaves its last lines; there is one job for each wanted run."""
    row.check()


@pytest.mark.chaos
@pytest.mark.parametrize("case", LONG_CASES, ids=lambda case: case.run_id)
def test_a_task_that_is_stopped_leaves_no_job(row: Row) -> None:
    """There is one job for each wanted run, and no unwanted one is running."""
    row.check()
