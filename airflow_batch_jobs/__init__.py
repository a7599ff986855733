"""Run pinned AWS Batch jobs from Airflow: submitted once, watched live, stopped with their task.

The public names are imported when they are first used: importing this package loads neither Airflow nor boto3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.cause import Cause
    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
    from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
    from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
    from airflow_batch_jobs.batch.definition import Field, JobDefinition
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.job import BatchJob
    from airflow_batch_jobs.batch.status import JobStatus
    from airflow_batch_jobs.errors import (
        AwsError,
        BatchJobsError,
        DefinitionError,
        JobFailedError,
        JobNotFoundError,
        JobTimeoutError,
        NoDeploymentError,
        NotPinnedError,
        ParameterError,
        RequestError,
        ResultError,
    )
    from airflow_batch_jobs.operators import BatchJobOperator
    from airflow_batch_jobs.retries import BatchRetryPolicy, Retry
    from airflow_batch_jobs.sensors import BatchJobSensor
    from airflow_batch_jobs.sweep import BatchOrphanSweepOperator
    from airflow_batch_jobs.triggers import BatchJobTrigger

    __version__: str

__all__ = [
    "AwsError",
    "BatchJob",
    "BatchJobOperator",
    "BatchJobSensor",
    "BatchJobTrigger",
    "BatchJobsError",
    "BatchOrphanSweepOperator",
    "BatchRetryPolicy",
    "Cause",
    "DefinitionError",
    "Field",
    "JobDefinition",
    "JobDetail",
    "JobFailedError",
    "JobNotFoundError",
    "JobStatus",
    "JobTimeoutError",
    "LongerTimeout",
    "MoreMemory",
    "NoDeploymentError",
    "NotPinnedError",
    "OtherQueue",
    "ParameterError",
    "RequestChange",
    "RequestError",
    "ResultError",
    "Retry",
    "__version__",
]

_MODULES = {
    "BatchJob": "batch.job",
    "BatchJobOperator": "operators",
    "BatchJobSensor": "sensors",
    "BatchJobTrigger": "triggers",
    "BatchOrphanSweepOperator": "sweep",
    "BatchRetryPolicy": "retries",
    "Cause": "batch.cause",
    "Field": "batch.definition",
    "JobDefinition": "batch.definition",
    "JobDetail": "batch.detail",
    "JobStatus": "batch.status",
    "LongerTimeout": "batch.changes.longer_timeout",
    "MoreMemory": "batch.changes.more_memory",
    "OtherQueue": "batch.changes.other_queue",
    "RequestChange": "batch.changes.change",
    "Retry": "retries",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib.metadata import version

        found: Any = version("airflow-batch-jobs")
    else:
        from importlib import import_module

        found = getattr(import_module(f"{__name__}.{_MODULES.get(name, 'errors')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
