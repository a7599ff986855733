"""A DAG that sweeps for orphans at once: no job is too young for it."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_batch_jobs import BatchOrphanSweepOperator

with DAG("sweep", schedule=None):
    BatchOrphanSweepOperator(task_id="job", job_queues=["swept"], grace_seconds=0, dry_run=False)
