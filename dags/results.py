"""Let jobs hand back what they found: the result of one feeds a mapped task, and theirs a report.

A job prints one line, `batch-job-result: {json}`, and its task returns that: typed, checked and usable downstream. The
parts of a whole could be chromosomes of a genome; here they are packages of Python's standard library.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import dag, task
from pydantic import BaseModel

from airflow_batch_jobs import BatchJobOperator, JobDefinition


class FindParts(JobDefinition, name="find-parts", revision=1):
    """Find the packages whose names begin with some letters."""

    prefix: str = "e"

    class Result(BaseModel):
        """What it found."""

        prefix: str
        parts: list[str]


class CountPart(JobDefinition, name="count-part", revision=1):
    """Count the modules of one package."""

    part: str

    class Result(BaseModel):
        """What it counted."""

        part: str
        modules: int


@dag(schedule=None)
def results() -> None:
    """Find the parts, count each in a job of its own, and say which is the largest."""

    @task
    def parameters_of(found: dict[str, list[str]]) -> list[dict[str, str]]:
        return [{"part": part} for part in found["parts"]]

    @task
    def report(prefix: str, counts: list[dict[str, int | str]]) -> str:
        most = max(counts, key=lambda count: count["modules"])
        return f"Of {len(counts)} packages with {prefix}, {most['part']} is the largest: {most['modules']} modules"

    # Airflow's types do not know that an output has fields.
    found: Any = BatchJobOperator(task_id="find", job_queue="default", definition=FindParts).output
    count: Any = BatchJobOperator.partial(
        task_id="count",
        job_queue="default",
        definition=CountPart,
        map_index_template="{{ task.parameters['part'] }}",
    ).expand(parameters=parameters_of(found))
    report(found["prefix"], count.output)


results()
