"""Practise stopping: mark the task failed, or clear it, while its job counts to 600.

The job is terminated and its last lines, written on SIGTERM, are in the task log.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_batch_jobs import BatchJobOperator, JobDefinition


class CountSeconds(JobDefinition, name="count-seconds", revision=1):
    """Print a line every second."""

    seconds: int = 600


@dag(schedule=None, params={"seconds": 600})
def long_job() -> None:
    """Count for ten minutes."""
    BatchJobOperator(
        task_id="count",
        job_queue="default",
        definition=CountSeconds,
        parameters={"seconds": "{{ params.seconds }}"},
    )


long_job()
