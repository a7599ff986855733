"""DAGs whose tasks are killed and stopped: one task each, which runs the definition that the run's conf names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_batch_jobs import BatchJobOperator, BatchRetryPolicy, MoreMemory, OtherQueue

COMMON: dict[str, Any] = {"task_id": "job", "job_queue": "default", "poll_interval": 2}
RETRY: dict[str, Any] = {"retries": 1, "retry_delay": timedelta(seconds=1)}
TIMEOUT: dict[str, Any] = {"execution_timeout": timedelta(seconds=25)}
ON_WORKER: dict[str, Any] = {"deferrable": False}

KINDS: dict[str, dict[str, Any]] = {
    "deferred": RETRY,
    "deferred_once": {},
    "on_worker": {**RETRY, **ON_WORKER},
    "on_worker_once": ON_WORKER,
    "timed": {**RETRY, **TIMEOUT},
    "timed_once": TIMEOUT,
    "timed_on_worker": {**TIMEOUT, **ON_WORKER},
    "changed": {
        **RETRY,
        "retries": 4,
        "retry_policy": BatchRetryPolicy(),
        "on_retry": [MoreMemory(at_most_mib=4096), OtherQueue("on-demand")],
    },
    # The local AWS loses answers to requests that have these fields.
    "first_answer_lost": {**RETRY, "submit_options": {"retryStrategy": {"attempts": 1}}},
    "first_request_lost": {**RETRY, "submit_options": {"timeout": {"attemptDurationSeconds": 600}}},
}

for kind, options in KINDS.items():
    with DAG(kind, schedule=None, params={"definition": "steady"}):
        BatchJobOperator(**COMMON, **options, definition="{{ params.definition }}:1")

with DAG("mapped", schedule=None, params={"definition": "steady"}):
    BatchJobOperator.partial(**COMMON, **RETRY, definition="{{ params.definition }}:1").expand(
        parameters=[{"number": str(number)} for number in range(3)]
    )

for kind in ("hundred_answers", "hundred_requests"):
    with DAG(kind, schedule=None, max_active_tasks=100):
        BatchJobOperator.partial(
            **COMMON,
            definition="short:1",
            aws_conn_id=f"aws_{kind}",
            retries=20,
            retry_delay=timedelta(seconds=1),
            finish_in_triggerer=True,
        ).expand(parameters=[{"number": str(number)} for number in range(100)])
