"""Retry a job that ran out of memory with more of it, and nothing else: what lasts fails at once.

The job needs 700 MiB and begins with 256. AWS ends it for that, the policy has it tried again at once, and its third
attempt has 1 GiB. An image that does not exist, or an exit code of 2, would fail the task at its first attempt.

A job on the local AWS is a process without a limit to its memory: there it passes at its first attempt.
"""

from __future__ import annotations

from airflow.sdk import dag

from airflow_batch_jobs import BatchJobOperator, BatchRetryPolicy, JobDefinition, MoreMemory, Retry


class FillMemory(JobDefinition, name="fill-memory", revision=1):
    """Need so much memory."""

    mib: int = 700


@dag(schedule=None)
def more_memory() -> None:
    """Run out of memory twice, then succeed."""
    BatchJobOperator(
        task_id="fill",
        job_queue="default",
        definition=FillMemory,
        retries=4,
        retry_policy=BatchRetryPolicy(exit_codes={2: Retry.NEVER}),
        on_retry=[MoreMemory(factor=2, at_most_mib=4096)],
    )


more_memory()
