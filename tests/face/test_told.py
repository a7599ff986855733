"""What a task tells its job, and what it tells of it to Airflow's Stats when it submits."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.sdk.observability import stats

from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.task import submitting
from airflow_batch_jobs.task.job_environment import AIRFLOWS
from airflow_batch_jobs.task.metrics import StatsMeter
from tests.face.attempts import Attempts, deferred

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def job(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS with a definition of jobs that run for a minute."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    for name in [name for name in os.environ if name.startswith(AIRFLOWS)]:  # another test's task ran in this process
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "d")
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", type("Comms", (), {"send": print}), raising=False)
    aws.register("job")
    aws.script(definition="job", running=60)
    return aws


def attempt(attempts: Attempts, number: int = 1, **how: Any) -> str:
    """Run an attempt up to its deferral; return its job."""
    with DAG("d", schedule=None):
        task = BatchJobOperator(task_id="t", job_queue="default", definition="job:1", retries=1)
    context = attempts.context(number, **{"retries": 1, **how})
    task.render_template_fields(context)
    return deferred(task, context).job_id


def variables(aws: LocalAws) -> list[dict[str, str]]:
    """Return the variables of each request that reached AWS."""
    requests = [request.parameters for request in aws.requests("SubmitJob")]
    environments = [(request.get("containerOverrides") or {}).get("environment") or [] for request in requests]
    return [{one["name"]: one["value"] for one in environment} for environment in environments]


def test_a_retry_adopts_a_job_that_was_told_otherwise(job: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables differ from attempt to attempt, and have no part in what decides."""
    attempts = Attempts()
    monkeypatch.setenv("AIRFLOW_CTX_TRY_NUMBER", "1")
    first = attempt(attempts)
    monkeypatch.setenv("AIRFLOW_CTX_TRY_NUMBER", "2")
    assert attempt(attempts, 2) == first
    assert variables(job) == [{"AIRFLOW_CTX_DAG_ID": "d", "AIRFLOW_CTX_TRY_NUMBER": "1", "AIRFLOW_CTX_MAP_INDEX": "-1"}]


def test_a_job_can_be_told_nothing(job: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request has no overrides then."""
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__JOB_ENVIRONMENT", "False")
    attempt(Attempts())
    assert "containerOverrides" not in job.requests("SubmitJob")[0].parameters


def test_jobs_of_retries_are_counted(job: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first one, nor one that is taken up, nor that of a run after a clear."""
    told: list[tuple[str, int, dict[str, Any]]] = []
    monkeypatch.setattr(stats, "incr", lambda stat, count, *, tags: told.append((stat, count, tags)))
    meters: list[StatsMeter] = []

    def meter() -> StatsMeter:
        meters.append(StatsMeter(stats, has_tags=True))
        return meters[-1]

    monkeypatch.setattr(submitting, "worker_meter", meter)
    attempts = Attempts()
    attempt(attempts)
    attempt(attempts, 2)
    job_id = attempt(attempts, 2)
    job.clients()("batch").terminate_job(jobId=job_id, reason="lost")
    job.wait_for_status(job_id)
    assert not meters
    attempt(attempts, 2)
    attempt(attempts, 3, cleared=2)
    for each in meters:
        each.flush()
    assert told == [("batch_jobs.retried", 1, {"by": "airflow", "queue": "default", "definition": "job"})]
