"""Values whose names look secret are masked in the rendered fields; AWS gets them as they are."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.operators import BatchJobOperator

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws
    from tests.face.conftest import FinishedRun

    RunDag = Callable[[DAG], FinishedRun]


class Load(JobDefinition, name="load", revision=1):
    """A definition with a parameter that looks secret."""

    api_token: str
    table: str = "reads"


@pytest.fixture
def load(airflow_aws: LocalAws) -> LocalAws:
    """The local AWS with the definition."""
    airflow_aws.register("load", ["true"], parameters={"api_token": "", "table": ""})
    return airflow_aws


@pytest.mark.long
@pytest.mark.parametrize("decorated", [True, False])
def test_what_looks_secret_is_shown_nowhere(run_dag: RunDag, load: LocalAws, *, decorated: bool) -> None:
    """Parameters by their own names, environment values by the names beside them; the rest is shown."""
    token, password = secrets.token_hex(), secrets.token_hex()
    overrides: Any = {"environment": [{"name": "DB_PASSWORD", "value": password}, {"name": "MODE", "value": "fast"}]}
    common: dict[str, Any] = {"job_queue": "default", "container_overrides": overrides, "poll_interval": 0.2}
    with DAG(f"masked_{decorated}", schedule=None) as dag:
        if decorated:

            @task.batch_job(**common)  # type: ignore[untyped-decorator]  # the arguments are any
            def job() -> JobDefinition:
                return Load(api_token=token)

            job()
        else:
            BatchJobOperator(task_id="job", definition=Load(api_token=token), **common)
    run = run_dag(dag)
    assert run.state("job") == "success"
    shown = run.rendered("job")
    assert shown["parameters"] == {"api_token": "***", "table": "reads"}
    assert [each["value"] for each in shown["container_overrides"]["environment"]] == ["***", "fast"]
    assert token not in str(run.xcom("job", "batch_job"))
    [sent] = [request.parameters for request in load.requests("SubmitJob")]
    assert sent["parameters"]["api_token"] == token
    assert sent["containerOverrides"]["environment"][0]["value"] == password
