"""Run a job without a Python class: its definition by name and revision, its parameters as a mapping."""

from __future__ import annotations

from airflow.sdk import dag

from airflow_batch_jobs import BatchJobOperator


@dag(schedule=None, params={"package": "json"})
def job_without_a_class() -> None:
    """Survey one package with revision 2, which also counts docstrings."""
    BatchJobOperator(
        task_id="survey",
        job_queue="default",
        definition="survey-package:2",
        parameters={"package": "{{ params.package }}"},
    )


job_without_a_class()
