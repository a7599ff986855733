"""End jobs whose task no longer waits for them: it was stopped, or its DAG deleted, while no triggerer ran.

Needs `[batch_jobs] deployment`, and only says what it would terminate. Once its log shows what you expect, set
`dry_run=False`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import dag

from airflow_batch_jobs import BatchOrphanSweepOperator


@dag(schedule="*/10 * * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, max_active_runs=1)
def orphan_sweep() -> None:
    """Look every ten minutes at the active jobs of this Airflow."""
    BatchOrphanSweepOperator(task_id="sweep", job_queues=["default"], dry_run=True)


orphan_sweep()
