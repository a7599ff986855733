"""Workers are killed and told to end, at every step from the first to the last; AWS loses answers and requests."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chaos import KILL, WAIT, Case, Scene, playable
from tests.e2e.moments import nothing
from tests.e2e.runs import until

if TYPE_CHECKING:
    from tests.e2e.chaos import Row
    from tests.e2e.chaos_world import World
    from tests.e2e.runs import Run


def kill(world: World, run: Run) -> None:
    """Kill the worker where it is held."""
    world.airflow.kill_worker(world.held(run))


def kill_while_it_waits(world: World, run: Run) -> None:
    """Kill the worker when it has copied lines."""
    world.airflow.kill_worker(working(run))


def evict(world: World, run: Run) -> None:
    """Tell the task's process to end where it is held, as its supervisor does when the worker is told."""
    os.kill(world.held(run), signal.SIGTERM)
    world.let_go(run)


def evict_while_it_waits(world: World, run: Run) -> None:
    """Tell the task's process to end when it has copied lines."""
    pid = working(run)
    assert world.airflow.is_ours(pid)
    os.kill(pid, signal.SIGTERM)


def wait_until_it_is_gone(world: World, run: Run) -> None:
    """See the task's process kill itself at a fault point; its supervisor lives."""
    world.held(run)


def kill_the_retry_after_submit(world: World, run: Run) -> None:
    """Kill the worker of the second attempt when it has sent its request."""
    _kill_the_retry(world, run, "after-send")


def kill_the_retry_before_submit(world: World, run: Run) -> None:
    """Kill the worker of the second attempt when it has written its record."""
    _kill_the_retry(world, run, "before-send")


def _kill_the_retry(world: World, run: Run, point: str) -> None:
    run.wait_for("deferred")  # by then the first attempt is past its fault points
    world.arm(run.run_id, point, WAIT)
    world.airflow.kill_worker(world.held(run))


def working(run: Run) -> int:
    """Wait until a worker has copied lines of its job, and return the id of the task's process."""
    until(lambda: len(run.lines()) > 8, 90, every=1)
    return int(run.about()["pid"])


HUNDRED = Scene()
EVICTED = "told to stop and no retry is left"

CASES = [
    Case("worker killed before the record", "deferred", kill, points={"before-record": WAIT}, loses_its_worker=True),
    Case(
        "worker killed between the record and SubmitJob",
        "deferred",
        kill,
        points={"before-send": WAIT},
        seconds=300,
        loses_its_worker=True,
    ),
    Case(
        "worker killed between SubmitJob and the id's store",
        "deferred",
        kill,
        points={"after-send": WAIT},
        loses_its_worker=True,
    ),
    Case(
        "worker killed before the deferral", "deferred", kill, points={"before-deferral": WAIT}, loses_its_worker=True
    ),
    Case(
        "worker killed while it waits", "on_worker", kill_while_it_waits, "flowing", seconds=300, loses_its_worker=True
    ),
    Case("task's process alone killed after SubmitJob", "deferred", wait_until_it_is_gone, points={"after-send": KILL}),
    Case("SubmitJob's answer lost", "first_answer_lost", nothing),
    Case("SubmitJob's request lost", "first_request_lost", nothing, seconds=300),
    Case("worker told to end while it waits, a retry left", "on_worker", evict_while_it_waits, "passing"),
    Case(
        "retry with more memory killed after SubmitJob",
        "changed",
        kill_the_retry_after_submit,
        "hungry",
        jobs=2,
        says="memory is 2048 MiB, not 1024 MiB",
        seconds=300,
    ),
    Case(
        "retry in another queue killed between the record and SubmitJob",
        "changed",
        kill_the_retry_before_submit,
        "on_spot",
        jobs=2,
        says="jobQueue is on-demand, not default",
        seconds=300,
    ),
]
LONG_CASES = [
    Case(
        "worker told to end while it waits, no retry left",
        "on_worker_once",
        evict_while_it_waits,
        "long",
        "failed",
        stopped=1,
        reason=EVICTED,
        last_lines=1,
    ),
    Case("worker told to end after SubmitJob, a retry left", "deferred", evict, points={"after-send": WAIT}),
    Case(
        "worker told to end after SubmitJob, no retry left",
        "deferred_once",
        evict,
        "waiting",
        "failed",
        stopped=1,
        reason=EVICTED,
        points={"after-send": WAIT},
    ),
    Case(
        "mapped: worker killed after SubmitJob",
        "mapped",
        kill,
        jobs=3,
        points={"after-send": WAIT},
        loses_its_worker=True,
    ),
    Case(
        "half of SubmitJob's answers lost, 100 mapped tasks",
        "hundred_answers",
        nothing,
        jobs=100,
        scene=HUNDRED,
        seconds=600,
        cloud="aws_hundred_answers",
    ),
    Case(
        "half of SubmitJob's requests lost, 100 mapped tasks",
        "hundred_requests",
        nothing,
        jobs=100,
        scene=HUNDRED,
        seconds=1500,
        cloud="aws_hundred_requests",
    ),
]


@pytest.mark.parametrize("case", playable(CASES))
def test_a_task_whose_worker_dies_has_one_job(row: Row) -> None:
    """Whenever it dies, the task's retry takes over the existing job; no line is lost."""
    row.check()


@pytest.mark.chaos
@pytest.mark.parametrize("case", playable(LONG_CASES))
def test_a_task_whose_worker_is_told_to_end_has_one_job(row: Row) -> None:
    """The job keeps running if a retry is left, and is terminated if not."""
    row.check()
