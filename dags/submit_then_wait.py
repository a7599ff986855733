"""Submit a job in one task and wait for it in another: the tasks between them run while the job does."""

from __future__ import annotations

from airflow.sdk import dag, task

from airflow_batch_jobs import BatchJobOperator, BatchJobSensor, JobDefinition


class CountSeconds(JobDefinition, name="count-seconds", revision=1):
    """Print a line every second."""

    seconds: int = 600


@dag(schedule=None)
def submit_then_wait() -> None:
    """Start a job, do something else meanwhile, then wait for the job to end."""
    submit = BatchJobOperator(task_id="submit", job_queue="default", definition=CountSeconds(seconds=3), wait=False)

    @task
    def prepare() -> None:
        print("This runs while the job runs.")

    wait = BatchJobSensor(task_id="wait", job_id=submit.output, copy_logs=True)
    submit >> prepare() >> wait


submit_then_wait()
