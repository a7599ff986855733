"""The XCom `batch_job` while a job lives and after its end, in a real Airflow whose triggerer is killed meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.chaos import Case
from tests.e2e.moments import nothing
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.chaos_world import World
    from tests.e2e.runs import Run

REASON = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - it asks for more than any instance has"
STOPPED = "Airflow task stopped by a user: now failed"
CASES = {
    "runs": Case("its XCom, deferred", "deferred", nothing, "long"),
    "waits": Case("its XCom, which waits", "deferred", nothing, "stuck"),
    "runs on a worker": Case("its XCom, on a worker", "on_worker", nothing, "long"),
}


@pytest.fixture(scope="module")
def runs(world: World) -> dict[str, Run]:
    """The runs, which have been started at once."""
    world.cloud.register("stuck")
    world.cloud.script(definition="stuck", runnable=3600, runnable_reason=REASON, stopping=1)
    return {name: world.start(case) for name, case in CASES.items()}


def told(run: Run, what: Callable[[dict[str, Any]], object], seconds: float = 120) -> dict[str, Any]:
    """Wait until the XCom says something, and return it."""
    return dict(until(lambda: next((job for job in [run.job()] if what(job)), None), seconds, every=1))


def states(job: dict[str, Any]) -> list[str]:
    """Return the states of a job's history."""
    return [change["status"] for change in job["history"]]


@pytest.mark.parametrize("name", ["runs", "runs on a worker"])
def test_it_says_that_the_job_runs(runs: dict[str, Run], name: str) -> None:
    """Since when, and where its log is, while the task waits in a triggerer or on a worker."""
    run = runs[name]
    job = told(run, lambda job: job["status"] == "RUNNING" and job["log_streams"])
    assert run.state == ("deferred" if name == "runs" else "running")
    [attempt] = job["attempts"]
    assert (attempt["number"], attempt["started_at"], attempt["stopped_at"]) == (1, job["started_at"], None)
    assert attempt["log_streams"] == job["log_streams"]
    assert states(job)[0] == "SUBMITTED"
    assert states(job)[-1] == "RUNNING"
    assert job["created_at"] <= job["started_at"]
    assert (job["why_waiting"], job["diagnosis"]) == (None, None)


def test_it_says_why_the_job_waits(runs: dict[str, Run]) -> None:
    """At once, with what to do; the log is more patient."""
    job = told(runs["waits"], lambda job: job.get("why_waiting"))
    assert job["status"] == "RUNNABLE"
    why = job["why_waiting"]
    assert (why["cause"], why["reason"]) == ("misconfiguration", REASON)
    assert why["remedy"]
    assert job["created_at"] <= why["since"] <= job["as_of"]


def test_another_triggerer_carries_it_on(world: World, runs: dict[str, Run]) -> None:
    """What the first one saw is still there, and nothing comes twice."""
    deferred = {name: runs[name] for name in ("runs", "waits")}
    before = {name: run.job() for name, run in deferred.items()}
    assert states(before["runs"])[-1] == "RUNNING"
    assert before["waits"]["why_waiting"]
    for each in world.airflow.all_of("triggerer"):
        each.kill()
    world.airflow.start("triggerer")
    for name, run in deferred.items():
        after = told(run, lambda job, name=name: job["as_of"] > before[name]["as_of"], 180)  # type: ignore[misc]
        assert after["history"] == before[name]["history"]
        assert (after["status"], after["attempts"]) == (before[name]["status"], before[name]["attempts"])
        assert (after["try_number"], after["max_tries"]) == (1, 1)


@pytest.mark.parametrize("name", ["runs", "waits"])
def test_it_says_that_the_job_was_stopped_and_how_it_ended(runs: dict[str, Run], name: str) -> None:
    """And nothing of what it waited for."""
    run = runs[name]
    run.mark("failed")
    job = told(run, lambda job: job["status"] == "FAILED")
    assert job["is_terminated"] or job["diagnosis"]["cause"] == "cancelled"
    assert job["status_reason"] == STOPPED
    assert STOPPED in job["diagnosis"]["summary"]
    assert job["why_waiting"] is None
    assert states(job)[-1] == "FAILED"
    assert job["stopped_at"]


def test_it_says_on_a_worker_that_the_job_was_stopped(runs: dict[str, Run]) -> None:
    """Airflow gives a worker no time to see the end."""
    run = runs["runs on a worker"]
    run.mark("failed")
    job = told(run, lambda job: job["is_terminated"])
    assert job["stop_reason"] == STOPPED
    assert job["diagnosis"]["cause"] == "terminated"
