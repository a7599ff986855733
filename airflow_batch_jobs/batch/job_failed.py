"""Which error a failed job raises: each family of causes has a class of its own below `JobFailedError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.cause import Cause

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.diagnosis import Diagnosis

#: The class of each cause; JobFailedError itself where AWS does not say enough.
FAMILY: Mapping[Cause, type[errors.JobFailedError]] = {
    Cause.EXIT_CODE: errors.ProgramFailedError,
    Cause.SIGNAL: errors.ProgramFailedError,
    Cause.KILLED: errors.ProgramFailedError,
    Cause.ESSENTIAL_EXITED: errors.ProgramFailedError,
    Cause.OUT_OF_MEMORY: errors.OutOfMemoryError,
    Cause.DISK_FULL: errors.DiskFullError,
    Cause.TIMEOUT: errors.AttemptTimeoutError,
    Cause.CANCELLED: errors.JobStoppedError,
    Cause.TERMINATED: errors.JobStoppedError,
    Cause.DEPENDENCY_FAILED: errors.DependencyFailedError,
    Cause.IMAGE_NOT_FOUND: errors.ImageError,
    Cause.IMAGE_ACCESS_DENIED: errors.ImageError,
    Cause.IMAGE_RATE_LIMIT: errors.ImagePullError,
    Cause.IMAGE_NETWORK: errors.ImagePullError,
    Cause.IMAGE_PULL: errors.ImagePullError,
    Cause.COMMAND_NOT_FOUND: errors.CommandError,
    Cause.NOT_EXECUTABLE: errors.CommandError,
    Cause.WRONG_ARCHITECTURE: errors.CommandError,
    Cause.CANNOT_START: errors.ContainerSetupError,
    Cause.SECRETS: errors.ContainerSetupError,
    Cause.LOG_SETUP: errors.ContainerSetupError,
    Cause.RESOURCE_SETUP: errors.ContainerSetupError,
    Cause.END_UNKNOWN: errors.EndUnknownError,
    Cause.HOST_LOST: errors.HostLostError,
    Cause.CAPACITY: errors.CapacityError,
    Cause.REQUEST_REFUSED: errors.JobRefusedError,
    Cause.MISCONFIGURATION: errors.JobRefusedError,
    Cause.ACTION_REQUIRED: errors.JobRefusedError,
    Cause.AWS_ERROR: errors.AwsFailureError,
    Cause.UNDETERMINED: errors.JobFailedError,
    Cause.WAITING: errors.JobFailedError,
    Cause.DEPENDENCY_PENDING: errors.JobFailedError,
    Cause.UNKNOWN: errors.JobFailedError,
}


def job_failed(job: Mapping[str, Any], diagnosis: Diagnosis) -> errors.JobFailedError:
    """Return the error of a failed job.

    Args:
        job: The job in its last state, as `job_xcom` returns it.
        diagnosis: Why it failed.
    """
    return FAMILY[diagnosis.cause](job, diagnosis)
