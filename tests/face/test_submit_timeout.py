"""`execution_timeout` that passes while the submit is under way."""

from __future__ import annotations

import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time import comms, task_runner

from airflow_batch_jobs.batch import submission
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.task.wait import AFTER_TIMEOUT_SECONDS
from tests.face.attempts import Attempts
from tests.task.api_server import ApiServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws
    from tests.face.conftest import FinishedRun

    RunDag = Callable[[DAG], FinishedRun]


@pytest.mark.long
@pytest.mark.parametrize("terminate_on_kill", [True, False])
def test_a_job_whose_answer_comes_too_late_is_terminated(
    run_dag: RunDag, airflow_aws: LocalAws, *, terminate_on_kill: bool
) -> None:
    """No retry will find it; it lives on only where the DAG's author wants that."""
    airflow_aws.register("endless")
    airflow_aws.script(definition="endless", running=3600)
    airflow_aws.fault("SubmitJob", "latency", seconds=60, after=True)
    with DAG(f"too_late_{terminate_on_kill}", schedule=None) as dag:
        BatchJobOperator(
            task_id="job",
            job_queue="default",
            definition="endless:1",
            execution_timeout=timedelta(seconds=10),
            terminate_on_kill=terminate_on_kill,
        )
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "AirflowTaskTimeout" in run.output
    [job] = airflow_aws.jobs()
    assert bool(job.get("isTerminated")) is terminate_on_kill
    if terminate_on_kill:
        assert "execution_timeout" in airflow_aws.wait_for_status(job["jobId"])["statusReason"]


class Supervisor(ApiServer):
    """That of Airflow 3.4, which ends a process that outlives its task's time, unless it is told of more."""

    def __init__(self) -> None:
        super().__init__()
        self.states = {"t": "running"}
        self.allowed: list[float] = []

    def send(self, message: Any) -> Any:
        """Answer a question, or carry out a command."""
        if isinstance(message, SimpleNamespace):
            self.allowed.append(message.timeout_seconds)
            return None
        return super().send(message)


def test_the_supervisor_is_told_how_long_the_end_of_a_late_submit_may_take(
    airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is looked for and ended after the timeout, which may take longer than Airflow waits by itself."""
    airflow_aws.register("late")
    airflow_aws.script(definition="late", running=3600, stopping=1)
    supervisor = Supervisor()
    monkeypatch.setattr(comms, "SetExecutionTimeout", SimpleNamespace, raising=False)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    monkeypatch.setattr(submission, "reach", out_of_time)
    with DAG("late", schedule=None):
        task = BatchJobOperator(
            task_id="t", job_queue="default", definition="late:1", execution_timeout=timedelta(hours=1)
        )
    context = Attempts().context()
    context["ti"].id = uuid.uuid4()
    with pytest.raises(AirflowTaskTimeout, match="ran longer"):
        task.execute(context)
    assert supervisor.allowed[0] > AFTER_TIMEOUT_SECONDS
    [job] = airflow_aws.jobs()
    assert job["statusReason"] == "The Airflow task's execution_timeout has passed"


def out_of_time(point: str, _run_id: str) -> None:
    """Let the alarm come right after the request."""
    if point == "after-send":
        raise AirflowTaskTimeout
