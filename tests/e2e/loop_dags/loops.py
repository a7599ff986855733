"""DAGs of a loop of three passes, whose job runs a shell script, each with another way of waiting; and a sweep."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task_group

from airflow_batch_jobs import BatchJobOperator, BatchOrphanSweepOperator


def looped(dag_id: str, **arguments: Any) -> None:
    """Make a DAG whose passes run the script of the run's conf, which finds the pass in $pass."""
    with DAG(dag_id, schedule=None, params={"script": "echo hello"}):

        @task_group
        def passes() -> None:
            BatchJobOperator(
                task_id="job",
                job_queue="default",
                definition="shell:1",
                parameters={"script": "pass={{ loop.index }}; {{ params.script }}"},
                retries=1,
                retry_delay=timedelta(0),
                **arguments,
            )

        passes.loop(max_iterations=3)  # type: ignore[attr-defined]  # Airflow 3.3, which the types are of, has none


looped("deferred")
looped("on_worker", deferrable=False)
looped("finished_in_triggerer", finish_in_triggerer=True)

with DAG("sweep", schedule=None):
    BatchOrphanSweepOperator(task_id="job", job_queues=["default"], grace_seconds=0, dry_run=False)
