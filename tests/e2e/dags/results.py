"""DAGs whose jobs hand results back: one whose result feeds mapped jobs, and one whose job has none."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task
from pydantic import BaseModel

from airflow_batch_jobs import BatchJobOperator

COMMON: dict[str, Any] = {"job_queue": "default", "definition": "shell:1", "poll_interval": 1, "retries": 3}


class Found(BaseModel):
    """What the first job finds."""

    bam: str
    parts: list[str]


class Counted(BaseModel):
    """What each of the mapped ones counts."""

    part: str


@task
def scripts_of(found: dict[str, Any]) -> list[dict[str, str]]:
    """Return the parameters of a job for each part."""
    return [{"script": f"""echo 'batch-job-result: {{"part": "{part}"}}'"""} for part in found["parts"]]


@task
def report(bam: str, parts: list[dict[str, str]]) -> str:
    """Return what all have handed back."""
    return f"{bam}: {', '.join(each['part'] for each in parts)}"


SCRIPT = """echo 'batch-job-result: {"bam": "s3://b", "parts": ["x", "y"]}'; echo done"""
with DAG("results", schedule=None):
    job: Any = BatchJobOperator(
        task_id="job",
        **COMMON,
        parameters={"script": SCRIPT},
        result=Found,
        copy_logs=False,
        finish_in_triggerer=True,
    ).output
    count: Any = BatchJobOperator.partial(task_id="count", **COMMON, result=Counted).expand(parameters=scripts_of(job))
    report(job["bam"], count.output)

with DAG("without_a_result", schedule=None):
    BatchJobOperator(task_id="job", **COMMON, parameters={"script": "echo 'batch-job-result: {'"}, result=Found)
