"""Which queues an account has, and which jobs are in them: DescribeJobQueues and ListJobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.members import name, number
from airflow_batch_jobs.batch.operations import job_id_if_any
from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from airflow_batch_jobs.batch.aws import ClientFactory


@dataclass(frozen=True, slots=True)
class ListedJob:
    """What a list tells of a job that it is found by.

    Attributes:
        job_id: Its id.
        job_name: Its name.
        status: The status that was listed.
    """

    job_id: str
    job_name: str
    status: JobStatus


def queue_names(clients: ClientFactory) -> list[str]:
    """Return the names of all queues that the role may see.

    Raises:
        AwsError: AWS did not list them.
    """
    batch = service(clients, "batch")
    found = batch.pages("describe_job_queues", "jobQueues", lambda queue: name(queue, "jobQueueName"))
    return sorted(filter(None, found))


def active_revisions(clients: ClientFactory, definition: str = "") -> Iterator[tuple[str, int]]:
    """Yield names and numbers of the revisions that are ACTIVE; asks as it goes, and may miss some that change.

    Args:
        clients: Makes the clients.
        definition: The name of the only definition that matters; empty for all.

    Raises:
        AwsError: AWS did not list them.
    """
    named = {"jobDefinitionName": definition} if definition else {}
    batch = service(clients, "batch")
    return batch.pages_once("describe_job_definitions", "jobDefinitions", _revision, status="ACTIVE", **named)


def listed_jobs(clients: ClientFactory, queues: Iterable[str], statuses: Collection[JobStatus]) -> Iterator[ListedJob]:
    """Yield the jobs of some queues that have one of these statuses, without an array's children; asks as it goes.

    The statuses are listed in the order of a job's life: a job that advances meanwhile is seen twice rather than
    missed. One that goes back for its next attempt may be missed: read it `until_nobody_leaves`.

    Raises:
        AwsError: AWS did not list them.
    """
    batch = service(clients, "batch")
    for queue in dict.fromkeys(queues):
        for status in filter(statuses.__contains__, JobStatus):

            def read(entry: Any, status: JobStatus = status) -> ListedJob | None:
                job_id = job_id_if_any(entry)
                return ListedJob(job_id, name(entry, "jobName"), status) if job_id else None

            found = batch.pages_once("list_jobs", "jobSummaryList", read, jobQueue=queue, jobStatus=status.value)
            yield from filter(None, found)


def _revision(entry: dict[str, Any]) -> tuple[str, int]:
    return name(entry, "jobDefinitionName"), number(entry, "revision") or 0
