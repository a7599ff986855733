"""Jobs that are given a secret, in each possible way, and one whose error would reveal it."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Variable, task

from airflow_batch_jobs import BatchJobOperator, JobDefinition

PLANTED = "{{ var.value.planted }}"
ENVIRONMENT: dict[str, Any] = {"environment": [{"name": "DB_PASSWORD", "value": PLANTED}]}


class Shell(JobDefinition, name="shell", revision=1):
    """A shell script and a token, which it has no use for."""

    script: str = "echo done"
    api_token: str = ""

    def validate(self) -> None:
        """Refuse what is not a token, in words that contain it."""
        if self.api_token.startswith("bad"):
            raise ValueError(f"{self.api_token} is no token")


with DAG("planted", schedule=None):
    BatchJobOperator(
        task_id="deferred",
        job_queue="default",
        definition=Shell(api_token=PLANTED),
        container_overrides=ENVIRONMENT,
    )
    BatchJobOperator(
        task_id="on_worker",
        job_queue="default",
        definition=Shell,
        parameters={"api_token": PLANTED},
        container_overrides=ENVIRONMENT,
        deferrable=False,
    )
    BatchJobOperator(
        task_id="failing", job_queue="default", definition=Shell(script="exit 3"), container_overrides=ENVIRONMENT
    )
    BatchJobOperator(
        task_id="refused",
        job_queue="default",
        definition=Shell,
        parameters={"api_token": f"bad{PLANTED}"},
    )

    @task.batch_job(job_queue="default")
    def decorated() -> JobDefinition:
        """Take the secret from where it is."""
        return Shell(api_token=str(Variable.get("planted")))

    decorated()
