"""Failure: why one job of a generation failed, as its record keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.storable import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        """Read the stored form, whatever a later version has written there.

        Args:
            stored: The form in the record.
        """
        called = str(stored.get("cause", ""))
        known = Cause.named(called)
        return cls(
            job_id=str(stored.get("job_id", "")),
            cause=known or Cause.UNKNOWN,
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
