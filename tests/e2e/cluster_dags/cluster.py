"""DAGs for several workers and triggerers: many jobs at once, some of which are waited for on a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_batch_jobs import BatchJobOperator

COMMON: dict[str, Any] = {
    "task_id": "job",
    "job_queue": "default",
    "poll_interval": 2,
    "retries": 3,
    "retry_delay": timedelta(seconds=1),
}

#: More than one call of AWS describes.
MANY = 120

with DAG("many", schedule=None, max_active_tasks=MANY, params={"definition": "short"}):
    BatchJobOperator.partial(
        **COMMON,
        definition="{{ params.definition }}:1",
        finish_in_triggerer=True,
        # The local AWS loses half of the answers to requests that have this field.
        submit_options={"retryStrategy": {"attempts": 1}},
    ).expand(parameters=[{"number": str(number)} for number in range(MANY)])

with DAG("two_on_workers", schedule=None):
    BatchJobOperator.partial(**COMMON, definition="lasting:1", deferrable=False).expand(
        parameters=[{"number": str(number)} for number in range(2)]
    )

with DAG("one", schedule=None, params={"definition": "steady"}):
    BatchJobOperator(**COMMON, definition="{{ params.definition }}:1")
