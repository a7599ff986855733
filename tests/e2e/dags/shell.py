"""DAGs of one task each that run a shell script as a job, each with another way of waiting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_batch_jobs import BatchJobOperator, BatchJobSensor

PARAMS = {"script": "echo hello"}
COMMON: dict[str, Any] = {
    "task_id": "job",
    "job_queue": "default",
    "definition": "shell:1",
    "parameters": {"script": "{{ params.script }}"},
}

with DAG("deferred", schedule=None, params=PARAMS):
    BatchJobOperator(**COMMON)

with DAG("finished_in_triggerer", schedule=None, params=PARAMS):

    @task
    def told(job_id: str) -> str:
        """Read the XCom that the triggerer wrote."""
        return f"told of {job_id}"

    told(BatchJobOperator(**COMMON, finish_in_triggerer=True).output)  # type: ignore[arg-type]  # as in every TaskFlow call

with DAG("on_worker", schedule=None, params=PARAMS):
    BatchJobOperator(**COMMON, deferrable=False)

for name, is_deferrable in {"deferred_briefly": True, "on_worker_briefly": False}.items():
    with DAG(name, schedule=None, params=PARAMS):
        BatchJobOperator(**COMMON, deferrable=is_deferrable, execution_timeout=timedelta(seconds=20))

with DAG("sensed", schedule=None, params=PARAMS):
    submitted = BatchJobOperator(**COMMON, wait=False)
    BatchJobSensor(task_id="sensor", job_id=submitted.output, copy_logs=True)

with DAG("bundle_of_three", schedule=None, params=PARAMS):
    BatchJobOperator(**COMMON, submit_options={"arrayProperties": {"size": 3}})
