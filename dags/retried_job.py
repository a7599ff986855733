"""Retry a failing job on two levels: AWS Batch makes new attempts of a job, Airflow starts a new job.

Here each job has two attempts, the second only after exit code 75 (a temporary failure), and the task has one retry.
The first job fails in both attempts, the second job succeeds in its second one.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from airflow_batch_jobs import BatchJobOperator, JobDefinition


class FailAtFirst(JobDefinition, name="fail-at-first", revision=1):
    """Fail until Airflow's second try, and at every first attempt."""

    airflow_try: str = "{{ ti.try_number }}"


@dag(schedule=None)
def retried_job() -> None:
    """Fail three times, then succeed."""
    BatchJobOperator(
        task_id="load",
        job_queue="default",
        definition=FailAtFirst,
        submit_options={
            "retryStrategy": {
                "attempts": 2,
                "evaluateOnExit": [
                    {"onExitCode": "75", "action": "RETRY"},
                    {"onReason": "*", "action": "EXIT"},
                ],
            }
        },
        retries=1,
        retry_delay=timedelta(seconds=1),
    )


retried_job()
