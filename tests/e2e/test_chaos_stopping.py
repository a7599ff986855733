"""Users stop tasks, and time is up, at moments at which that is awkward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chaos import WAIT, Case, Scene
from tests.e2e.moments import being_read, nothing, runnable, running, succeeded
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.chaos import Row
    from tests.e2e.chaos_world import World
    from tests.e2e.runs import Run

    Deed = Callable[[World, Run], None]

STOPPING = "Server indicated the task shouldn't be running anymore"
TIMED_OUT = "AirflowTaskTimeout"


def mark(state: str, when: Deed) -> Deed:
    """Mark the task at a moment."""

    def deed(world: World, run: Run) -> None:
        when(world, run)
        run.mark(state)

    return deed


def mark_unanswered(state: str) -> Deed:
    """Mark the task while the submit is under way; it goes on when the worker has been told to stop."""

    def deed(world: World, run: Run) -> None:
        world.held(run)
        run.mark(state)
        until(lambda: STOPPING in run.text(), 60, every=0.1)
        world.let_go(run)

    return deed


def clear(when: Deed) -> Deed:
    """Clear the task at a moment."""

    def deed(world: World, run: Run) -> None:
        when(world, run)
        run.clear()

    return deed


def clear_unanswered(world: World, run: Run) -> None:
    """Clear the task while the submit is under way; it goes on when the worker has been told to stop."""
    world.held(run)
    run.clear()
    until(lambda: STOPPING in run.text(), 60, every=0.1)
    world.let_go(run)


def mark_run_failed(world: World, run: Run) -> None:
    """Mark the whole DAG run failed."""
    running(world, run)
    run.api.request("PATCH", f"dags/{run.dag_id}/dagRuns/{run.run_id}", json={"state": "failed"})


def let_time_pass(world: World, run: Run) -> None:
    """Hold the worker until its time is up."""
    world.held(run)


#: SQLite does not bear all of it at once.
DEFERRED, ON_WORKER, AT_THE_END = Scene(), Scene(), Scene()
AFTER_SEND = {"after-send": WAIT}
CASES = [
    Case(
        "marked failed before the answer", "deferred", mark_unanswered("failed"), "waiting", "failed", points=AFTER_SEND
    ),
    Case("marked success before the answer", "on_worker", mark_unanswered("success"), "waiting", points=AFTER_SEND),
    Case("cleared before the answer", "deferred", clear_unanswered, "waiting", jobs=2, points=AFTER_SEND),
    Case(
        "execution_timeout after SubmitJob, no retry left",
        "timed_once",
        let_time_pass,
        "long",
        "failed",
        says=TIMED_OUT,
        points=AFTER_SEND,
    ),
    Case("execution_timeout after SubmitJob, a retry left", "timed", let_time_pass, says=TIMED_OUT, points=AFTER_SEND),
    Case("mapped: marked failed while RUNNING", "mapped", mark("failed", running), "steady", "failed", 3, map_index=1),
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
    Case("execution_timeout while deferred", "timed_once", nothing, "long", "failed", says=TIMED_OUT, scene=AT_THE_END),
    Case(
        "deferred: marked failed while RUNNABLE",
        "deferred",
        mark("failed", runnable),
        "waiting",
        "failed",
        scene=DEFERRED,
    ),
    Case("deferred: marked success while RUNNING", "deferred", mark("success", running), "long", scene=DEFERRED),
    Case("deferred: cleared while RUNNABLE", "deferred", clear(runnable), "waiting", jobs=2, scene=DEFERRED),
    Case("deferred: cleared while RUNNING", "deferred", clear(running), jobs=2, scene=DEFERRED),
    Case(
        "on worker: marked failed while RUNNABLE",
        "on_worker",
        mark("failed", runnable),
        "waiting",
        "failed",
        scene=ON_WORKER,
    ),
    Case("on worker: marked success while RUNNING", "on_worker", mark("success", running), "long", scene=ON_WORKER),
    Case("on worker: cleared while RUNNABLE", "on_worker", clear(runnable), "waiting", jobs=2, scene=ON_WORKER),
    Case("on worker: cleared while RUNNING", "on_worker", clear(running), jobs=2, scene=ON_WORKER),
    Case("cleared when it has succeeded", "deferred", clear(succeeded), jobs=2, scene=AT_THE_END),
    Case("retried when its job has failed", "deferred", nothing, "broken", "failed", jobs=2, scene=AT_THE_END),
    Case("deferred: marked failed during the last reading", "deferred", mark("failed", being_read), "late", "failed"),
    Case("deferred: cleared during the last reading", "deferred", clear(being_read), "late", jobs=2),
    Case(
        "deferred: DAG run marked failed while RUNNING", "deferred", mark_run_failed, "long", "failed", scene=DEFERRED
    ),
    Case("mapped: cleared while RUNNING", "mapped", clear(running), jobs=4, map_index=1, scene=DEFERRED),
    Case("mapped: cleared when it has succeeded", "mapped", clear(succeeded), jobs=4, map_index=2, scene=AT_THE_END),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.run_id)
def test_a_task_that_is_stopped_in_the_middle_of_its_submit_leaves_no_job(row: Row) -> None:
    """The job that may have been started is found and terminated, or adopted by the attempt that follows."""
    row.check()


@pytest.mark.chaos
@pytest.mark.parametrize("case", LONG_CASES, ids=lambda case: case.run_id)
def test_a_task_that_is_stopped_leaves_no_job(row: Row) -> None:
    """There is one job for each wanted run, and none at work that nobody wants."""
    row.check()
