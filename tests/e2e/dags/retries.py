"""DAGs of one task each whose job fails, and whose policy decides what then."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from airflow_batch_jobs import BatchJobOperator, BatchRetryPolicy, MoreMemory, OtherQueue

COMMON: dict[str, Any] = {
    "task_id": "job",
    "job_queue": "default",
    "poll_interval": 1,
    "retries": 3,
    "retry_policy": BatchRetryPolicy(),
}

with DAG("hungry", schedule=None):
    BatchJobOperator(**COMMON, definition="hungry:1", on_retry=[MoreMemory(factor=2, at_most_mib=8192)])

with DAG("without_an_image", schedule=None):
    BatchJobOperator(**COMMON, definition="without-an-image:1")

with DAG("on_spot", schedule=None):
    BatchJobOperator(**COMMON, definition="on-spot:1", on_retry=[OtherQueue("on-demand")])
