"""A DAG whose jobs say what they are told: one is waited for in the triggerer, and one on a worker."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_batch_jobs import BatchJobOperator

TELL = "env | grep -e ^AIRFLOW_CTX_ -e ^TRACEPARENT="
COMMON: dict[str, Any] = {"job_queue": "default", "definition": "shell:1"}

with DAG("measured", schedule=None):
    BatchJobOperator(
        **COMMON,
        task_id="job",
        parameters={"script": f"{TELL}; sleep 1; test $AWS_BATCH_JOB_ATTEMPT -eq 2"},
        submit_options={"retryStrategy": {"attempts": 2}},
    )
    BatchJobOperator(**COMMON, task_id="on_worker", deferrable=False, parameters={"script": f"{TELL}; exit 3"})
