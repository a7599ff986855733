"""`execution_timeout` that passes while the submit is under way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from airflow.sdk import DAG

from airflow_batch_jobs.operators import BatchJobOperator

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
    airflow_aws.fault("SubmitJob", "latency", seconds=15, after=True)
    with DAG(f"too_late_{terminate_on_kill}", schedule=None) as dag:
        BatchJobOperator(
            task_id="job",
            job_queue="default",
            definition="endless:1",
            execution_timeout=timedelta(seconds=5),
            terminate_on_kill=terminate_on_kill,
        )
    run = run_dag(dag)
    assert run.state("job") == "failed"
    assert "AirflowTaskTimeout" in run.output
    [job] = airflow_aws.jobs()
    assert bool(job.get("isTerminated")) is terminate_on_kill
    if terminate_on_kill:
        assert "execution_timeout" in airflow_aws.wait_for_status(job["jobId"])["statusReason"]
