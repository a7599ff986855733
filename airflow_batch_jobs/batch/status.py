"""JobStatus: the seven states of an AWS Batch job, in the order of its life."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job, as AWS names it.

    A job can skip states between two looks at it, and an attempt that failed with attempts left goes back from
    RUNNING to RUNNABLE. The parent of an array job is never RUNNABLE or RUNNING: it is PENDING until all its children
    are final.
    """

    #: AWS has accepted the job, but the scheduler has not looked at it yet.
    SUBMITTED = "SUBMITTED"
    #: The job is waiting for a job that it depends on, or, as an array's parent, for its children.
    PENDING = "PENDING"
    #: The job is only waiting for a free place in the compute environment.
    RUNNABLE = "RUNNABLE"
    #: A place has been found; the host pulls the image and starts the container.
    STARTING = "STARTING"
    #: The container is running.
    RUNNING = "RUNNING"
    #: The last attempt ended with exit code 0.
    SUCCEEDED = "SUCCEEDED"
    #: All attempts failed, or the job was cancelled, terminated or timed out, or a job it depends on failed.
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended and will not change again."""
        return self in FINAL

    @property
    def is_active(self) -> bool:
        """Whether the job has not ended yet."""
        return self in ACTIVE

    @property
    def is_waiting(self) -> bool:
        """Whether the job has no place to run on yet: SUBMITTED, PENDING or RUNNABLE."""
        return self in WAITING


#: The states before a place has been found.
WAITING = frozenset({JobStatus.SUBMITTED, JobStatus.PENDING, JobStatus.RUNNABLE})
#: The states of a job that has not ended.
ACTIVE = WAITING | {JobStatus.STARTING, JobStatus.RUNNING}
#: The states that a job ends in.
FINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED})
