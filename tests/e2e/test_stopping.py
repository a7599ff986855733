"""Users stop tasks in a real Airflow; no job is left running."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local import LocalControl
    from tests.e2e.runs import Run

    Start = Callable[..., Run]

#: Runs on until it is told to end, and says so then.
LONG = "trap 'echo told to end; exit 1' TERM; echo begun; while true; do sleep 0.2; done"


def begun(run: Run) -> str:
    """Wait until the job's first line is in the task log, and return the job's id."""
    until(lambda: "begun" in run.lines(), 60)
    return str(run.job()["job_id"])


def jobs_of(cloud: LocalControl, run: Run) -> list[dict[str, object]]:
    """Return all jobs that were ever started for a run."""
    return [job for job in cloud.jobs() if job.get("tags", {}).get("airflow-run-id") == run.run_id]


@pytest.mark.parametrize("state", ["failed", "success"])
@pytest.mark.parametrize("dag_id", ["deferred", "on_worker"])
def test_a_task_that_a_user_marks_takes_its_job_with_it(
    start: Start, cloud: LocalControl, dag_id: str, state: str
) -> None:
    """The job is terminated, its reason names the user, its last line is in the log, and the mark stands."""
    run = start(dag_id, LONG)
    job_id = begun(run)
    run.mark(state)
    ended = cloud.wait_for_status(job_id, seconds=20)
    assert ended["isTerminated"]
    assert "stopped by a user" in ended["statusReason"]
    until(lambda: "told to end" in run.lines(), 30)
    assert run.state == state
    assert len(jobs_of(cloud, run)) == 1


def test_a_cleared_deferred_task_runs_again_with_a_new_job(start: Start, cloud: LocalControl) -> None:
    """The old job is terminated and a new one is started: never two at work."""
    run = start("deferred", LONG)
    old = begun(run)
    run.clear()
    assert cloud.wait_for_status(old, seconds=30)["isTerminated"]
    new = until(lambda: next((job for job in jobs_of(cloud, run) if job["jobId"] != old), None), 60)
    until(lambda: "begun" in run.lines(2), 60)
    assert len(jobs_of(cloud, run)) == 2
    run.mark("failed")
    assert cloud.wait_for_status(str(new["jobId"]), seconds=30)["isTerminated"]


@pytest.mark.parametrize("dag_id", ["deferred_for_20_seconds", "on_worker_for_20_seconds"])
def test_execution_timeout_terminates_the_job_and_fails_the_task(
    start: Start, cloud: LocalControl, dag_id: str
) -> None:
    """All lines are in the log, also those that the job writes when it is told to end."""
    run = start(dag_id, LONG)
    job_id = begun(run)
    began = time.monotonic()
    assert cloud.wait_for_status(job_id, seconds=40)["isTerminated"]
    assert time.monotonic() - began < 40
    assert run.wait_for_end() == "failed"
    assert "AirflowTaskTimeout" in str(run.log())
    assert "told to end" in run.lines()


def test_a_failed_job_is_tried_again_as_a_new_job(start: Start, cloud: LocalControl) -> None:
    """A retry after a job that failed submits another one."""
    run = start("deferred_with_retry", "echo attempt; exit 1")
    assert run.wait_for_end() == "failed"
    assert len(jobs_of(cloud, run)) == 2
