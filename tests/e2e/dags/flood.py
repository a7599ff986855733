"""A DAG with jobs that write far more than a triggerer copies, beside jobs that write a line now and then."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_batch_jobs import BatchJobOperator

with DAG("flood", schedule=None):
    for kind, count in (("quiet", 3), ("flood", 2)):
        BatchJobOperator.partial(task_id=kind, job_queue="default", definition=f"{kind}:1").expand(
            parameters=[{"number": str(number)} for number in range(count)]
        )
