"""OtherQueue: the next job goes to another queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.arguments import check_text
from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change, causes, why
from airflow_batch_jobs.batch.definition.values import is_late, without_enums
from airflow_batch_jobs.batch.numbers import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob


@dataclass(frozen=True)
class OtherQueue:
    """Submit the next job to another queue once one has failed in the queue that it would go to.

    Several of them are taken one after the other: the second once a job has failed in the first one's queue.

    Args:
        queue: The queue's name or ARN; no template.
        after: The causes that it answers.

    Raises:
        ValueError: An argument is not of its kind; the error names it.
    """

    queue: str
    after: Collection[Cause] = field(default=(Cause.HOST_LOST, Cause.CAPACITY))

    def __post_init__(self) -> None:
        check_text(self.queue, "OtherQueue queue")
        object.__setattr__(self, "queue", without_enums(self.queue))
        if is_late(self.queue):
            raise ValueError(f"OtherQueue queue must be a name or an ARN, not the template {shown(self.queue)}")
        object.__setattr__(self, "after", causes(self.after, "OtherQueue after"))

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterator[Change]:
        """Replace the queue if a job has failed there.

        Args:
            job: The job that will be submitted; its request is changed.
            failures: Why the generation's jobs failed, in the order of the jobs.

        Yields:
            The change of the queue, if there is one.
        """
        before = str(job.request["jobQueue"])
        there = [one for one in failures if one.cause in self.after and one.queue == _name(before)]
        if there and _name(before) != _name(self.queue):
            job.request["jobQueue"] = self.queue
            yield Change("jobQueue", before, self.queue, why(there), is_most=True)


def _name(queue: str) -> str:
    return queue.rpartition("/")[2]
