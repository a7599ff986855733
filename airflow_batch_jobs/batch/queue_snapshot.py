"""QueueSnapshot: what waits in a job queue, and what starts next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service, until_nobody_leaves
from airflow_batch_jobs.batch.listing import listed_jobs
from airflow_batch_jobs.batch.members import name, structure, structures, text
from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.batch.preflight.existing import find_queue
from airflow_batch_jobs.batch.status import ACTIVE
from airflow_batch_jobs.errors import AccessDeniedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.status import JobStatus


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """What waits in a queue.

    Attributes:
        name: The queue's name.
        state: Whether it takes jobs: ENABLED or DISABLED.
        status: Whether it can start jobs: VALID, INVALID, …
        status_reason: What AWS says about that.
        waiting: The jobs that wait: those that start next in their order, then others, the oldest first.
        positions: The places of the RUNNABLE jobs that start next, by their ids: `1`, or `1 of lab` in a share's own
            line. AWS tells the first hundred.
        counts: How many jobs are in which state, without an array's children.
        no_positions: Why there are no positions; None if AWS tells them.
    """

    name: str
    state: str
    status: str
    status_reason: str
    waiting: tuple[JobDetail, ...]
    positions: Mapping[str, str]
    counts: Mapping[JobStatus, int] = field(default_factory=dict)
    no_positions: AccessDeniedError | None = None


def snapshot(clients: ClientFactory, queue: str, limit: int) -> QueueSnapshot:
    """Look at a queue.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.
        limit: The most waiting jobs to return; all are counted.

    Raises:
        QueueNotFoundError: There is no such queue.
        AwsError: AWS could not be asked.
    """
    entry = find_queue(clients, queue)
    # In the end a job has the status that was listed last, however far it got meanwhile.
    statuses = {job.job_id: job.status for job in until_nobody_leaves(lambda: listed_jobs(clients, [queue], ACTIVE))}
    positions, no_positions = {}, None
    try:
        positions = _positions(clients, queue)
    except AccessDeniedError as error:
        no_positions = error
    newest_first = [job_id for job_id, status in statuses.items() if status.is_waiting]
    ids = dict.fromkeys([*positions, *reversed(newest_first)])
    return QueueSnapshot(
        name=name(entry, "jobQueueName"),
        state=name(entry, "state"),
        status=name(entry, "status"),
        status_reason=text(entry, "statusReason"),
        waiting=tuple(job for job in describe_jobs(clients, [*ids][:limit]) if job.status.is_waiting),
        positions=positions,
        counts=Counter(statuses.values()),
        no_positions=no_positions,
    )


def _positions(clients: ClientFactory, queue: str) -> dict[str, str]:
    batch = service(clients, "batch")
    return batch.call("get_job_queue_snapshot", lambda answer: dict(_places(answer)), jobQueue=queue)


def _places(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    shares = structure(structure(answer, "frontOfQuotaShares"), "quotaShares")
    for share in shares:
        yield from ((job_id, f"{place} of {share}") for job_id, place in _line(shares, share))
    yield from _line(structure(answer, "frontOfQueue"), "jobs")


def _line(entry: Mapping[str, Any], member: str) -> Iterator[tuple[str, str]]:
    for place, job in enumerate(structures(entry, member), 1):
        if job_id := name(job, "jobArn").rpartition("/")[2]:
            yield job_id, str(place)
