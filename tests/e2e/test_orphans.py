"""Jobs that no task waits for, in a real Airflow: they are found and ended, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest
from typer.testing import CliRunner

from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, new_job_name, task_tags
from airflow_batch_jobs.cli import app
from tests.e2e.runs import Run, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.demo.standalone import StandaloneAirflow
    from airflow_batch_jobs.local import LocalControl

    Start = Callable[..., Run]

#: A queue for these tests alone, so that the sweep sees no job of another test.
QUEUE = "swept"
LONG = "sleep 600"


@pytest.fixture(scope="module")
def queue(cloud: LocalControl) -> str:
    """The queue."""
    order = [{"order": 1, "computeEnvironment": "local"}]
    cloud.clients()("batch").create_job_queue(jobQueueName=QUEUE, priority=1, computeEnvironmentOrder=order)
    return QUEUE


class Jobs:
    """Submits jobs as task instances do, whether or not these exist; ends them afterwards."""

    def __init__(self, cloud: LocalControl, queue: str) -> None:
        self.cloud = cloud
        self._queue = queue
        self._ids: list[str] = []

    def of(self, identity: TaskIdentity, *, is_detached: bool = False) -> str:
        """Submit a job for a task instance and return its id."""
        [job_id] = self.cloud.submit(
            "shell:1",
            jobName=new_job_name(identity.job_name_prefix()),
            jobQueue=self._queue,
            parameters={"script": LONG},
            tags=task_tags(identity, is_detached=is_detached),
        )
        self._ids.append(job_id)
        return job_id

    def terminated(self) -> set[str]:
        """Return which of them were terminated."""
        return {job_id for job_id in self._ids if self.cloud.job(job_id)["isTerminated"]}

    def end(self) -> None:
        """End them all."""
        client = self.cloud.clients()("batch")
        for job_id in self._ids:
            client.terminate_job(jobId=job_id, reason="the test is over")


def identity_of(run: Run, deployment: str = "e2e", **changes: object) -> TaskIdentity:
    """Return the identity of a run's task instance in this Airflow."""
    key = TaskKey(run.dag_id, run.run_id, run.task_id)
    return TaskIdentity(replace(key, **changes), deployment=deployment)  # type: ignore[arg-type]  # as the test says


def test_the_orphans_are_found_from_a_shell_and_ended_by_a_dag(
    start: Start,
    airflow: StandaloneAirflow,
    cloud: LocalControl,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Jobs of a finished and of two gone task instances end; the others keep running: live, foreign, detached, odd."""
    jobs = Jobs(cloud, queue)
    try:
        finished, running = start("deferred", "true"), start("deferred", LONG)
        assert finished.wait_for_end() == "success"
        running.wait_for("deferred")
        orphans = {
            jobs.of(identity_of(finished)),
            jobs.of(identity_of(finished, map_index=3)),
            jobs.of(identity_of(finished, run_id="manual__2020-01-01T00:00:00+00:00")),
            jobs.of(identity_of(finished, dag_id="no_such_dag")),
        }
        left = {
            jobs.of(identity_of(running)),
            jobs.of(identity_of(finished, deployment="another")),
            jobs.of(identity_of(finished), is_detached=True),
            jobs.of(identity_of(finished, run_id="odd~run")),
        }

        told = orphans_from_a_shell(airflow.url, cloud, monkeypatch)
        assert {job_id for job_id, verdict in told.items() if verdict == "would be terminated"} == orphans
        assert sorted(told.values()) == ["cannot tell", "left", "left", *["would be terminated"] * 4]
        assert not jobs.terminated()

        sweep = start("sweep")
        assert sweep.wait_for_end() == "success"
        assert set(sweep.xcom("return_value")) == orphans
        assert jobs.terminated() == orphans
        assert "7 active jobs of this deployment: 4 terminated, 1 cannot tell, 2 left" in sweep.text()
        for job_id in orphans:
            assert cloud.wait_for_status(job_id)["statusReason"].startswith("Orphan of an Airflow task")
        for job_id in left:
            cloud.wait_for_status(job_id, "RUNNING")
        assert running.state == "deferred"

        running.mark("failed")
        until(lambda: cloud.job(running.job()["job_id"])["isTerminated"], 30)
        told = orphans_from_a_shell(airflow.url, cloud, monkeypatch, "--terminate")
        assert [verdict for verdict in told.values() if verdict == "terminated"] == ["terminated"]
        assert len(jobs.terminated()) == len(orphans) + 1
    finally:
        jobs.end()


def test_a_job_that_its_task_does_not_wait_for_is_left(
    start: Start, airflow: StandaloneAirflow, cloud: LocalControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator marks it when it submits, so that a finished task says nothing about it."""
    run = start("sensed", LONG)
    assert run.wait_for_end() == "success"
    job_id = str(run.job()["job_id"])
    told = orphans_from_a_shell(airflow.url, cloud, monkeypatch, queue="default")
    assert told[job_id] == "left"
    cloud.clients()("batch").terminate_job(jobId=job_id, reason="the test is over")


def orphans_from_a_shell(
    url: str,
    cloud: LocalControl,
    monkeypatch: pytest.MonkeyPatch,
    *arguments: str,
    queue: str = QUEUE,
) -> dict[str, str]:
    """Run `airflow-batch-jobs orphans` and return what it says of each job."""
    token = httpx.get(f"{url}/auth/token", trust_env=False).raise_for_status().json()["access_token"]
    monkeypatch.setenv("AIRFLOW_CLI_TOKEN", token)
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__DEPLOYMENT", "e2e")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", cloud.region)
    given = ("orphans", "-q", queue, "--airflow-url", url, "--endpoint-url", cloud.endpoint_url)
    result = CliRunner().invoke(app, [*given, "--grace", "0", *arguments])
    assert result.exit_code == 0, result.output
    assert token not in result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    return {row[0]: row[1] for row in rows}
