"""Failure: why one job of a generation failed, as its record keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.diagnosis import diagnose
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.storable import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_batch_jobs.batch.detail import JobDetail

#: The most failures that are kept of one job: its parts may fail of different causes.
_MOST_OF_A_JOB = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a job failed, or one of its parts; a stored format.

    Attributes:
        job_id: The job; of a part, that of the whole.
        cause: The kind of cause; UNKNOWN if `called` is one that this version does not know.
        queue: The name of the queue it ran in.
        container: The container that failed; empty for the only one of a job.
        node: The node that failed, of a multi-node job.
        called: The cause's name in the record.
    """

    job_id: str
    cause: Cause
    queue: str = ""
    container: str = ""
    node: int | None = None
    called: str = ""

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Read the stored form, whatever a later version has written there."""
        called = str(stored.get("cause", ""))
        known = called in {cause.value for cause in Cause}
        return cls(
            job_id=str(stored.get("job_id", "")),
            cause=Cause(called) if known else Cause.UNKNOWN,
            queue=str(stored.get("queue", "")),
            container=str(stored.get("container", "")),
            node=whole_number(stored.get("node")),
            called="" if known else called,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "job_id": self.job_id,
            "cause": self.called or self.cause.value,
            "queue": self.queue,
            "container": self.container,
            "node": self.node,
        }


def failures_of(job: JobDetail, parts: Sequence[JobDetail] = ()) -> tuple[Failure, ...]:
    """Return why a FAILED job failed: the cause of its diagnosis first, then the others of its parts.

    Args:
        job: The job.
        parts: The children of an array or the nodes of a multi-node job, as far as they were described.
    """
    whole = _failure(job, job, diagnose(job, parts).cause)
    of_parts = [_failure(job, part, diagnose(part).cause) for part in parts if part.status is JobStatus.FAILED]
    first = next((failure for failure in of_parts if failure.cause is whole.cause), whole)
    return tuple(dict.fromkeys([first, *of_parts]))[:_MOST_OF_A_JOB]


def _failure(job: JobDetail, failed: JobDetail, cause: Cause) -> Failure:
    return Failure(
        job_id=job.job_id,
        cause=cause,
        queue=job.queue_name,
        container=failed.telling_container(),
        node=failed.node_index,
    )
