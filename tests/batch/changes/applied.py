"""One change: a revision, a request and failures in, a request out."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.changes.change import Change

REQUEST = {"jobName": "d-t-0", "jobQueue": "spot", "jobDefinition": "align:7"}


def needs(memory: int, vcpus: str = "1") -> list[dict[str, str]]:
    """Return resourceRequirements."""
    return [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": str(memory)}]


def failed(*causes: Cause, **fields: Any) -> list[Failure]:
    """Return failures of as many jobs."""
    return [
        Failure(**{"job_id": f"job-{number}", "cause": cause, "queue": "spot", **fields})
        for number, cause in enumerate(causes)
    ]


def applied(
    change: Any, failures: list[Failure], definition: dict[str, Any], **request: Any
) -> tuple[dict[str, Any], list[Change]]:
    """Return what a change makes of a request, without the fields that all have, and what it says."""
    job = NextJob(deepcopy({**REQUEST, **request}), definition)
    changes = list(change.apply(job, failures))
    made = job.to_api()
    check_plan(Plan.of(definition, made))
    return {name: value for name, value in made.items() if REQUEST.get(name) != value}, changes


def single(memory: int = 1024, vcpus: str = "1", **more: Any) -> dict[str, Any]:
    """Return a revision of one container."""
    return {"containerProperties": {"image": "i", "resourceRequirements": needs(memory, vcpus)}, **more}


OUT = Cause.OUT_OF_MEMORY
