"""EarlierJobs: what the attempts before one have left at AWS, and which of it counts for that attempt."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import UNKNOWN_GRACE_SECONDS
from airflow_batch_jobs.batch.aws.clock import look_until
from airflow_batch_jobs.batch.identity import DEPLOYMENT_TAG, GENERATION_TAG, TRY_NUMBER_TAG, legal_tag_value
from airflow_batch_jobs.batch.operations import describe_jobs, find_by_name
from airflow_batch_jobs.batch.preflight import check_queue
from airflow_batch_jobs.errors import QueueNotFoundError, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.identity import TaskIdentity
    from airflow_batch_jobs.batch.record import Record


@dataclass(slots=True, kw_only=True)
class EarlierJobs:
    """The jobs of a task instance, as one of its attempts looks for them. The rules are those of `submission`.

    Does not terminate any.

    Attributes:
        clients: Makes the clients.
        identity: The attempt.
        prefix: How the names of the task instance's jobs begin.
        queues: Where they may be.
        record: What the task instance remembers of its last submit; None for nothing.
        forgets: Whether a clear discards the record.
        begun: When the attempt began, in seconds of the clock's `monotonic`.
        clock: Time and sleep.
    """

    clients: ClientFactory
    identity: TaskIdentity
    prefix: str
    queues: Sequence[str]
    record: Record | None
    forgets: bool
    begun: float
    clock: Clock
    _generations: set[str] = field(init=False)

    def __post_init__(self) -> None:
        # An unknown trace matches any other.
        self._generations = {self.identity.generation, replace(self.identity, traceparent=None).generation}
        record = self.record
        if self.identity.traceparent is None and record is not None and record.max_tries == self.identity.max_tries:
            self._generations.add(record.generation)

    @property
    def may_exist(self) -> bool:
        """Whether there can be any: not if this is the first try and nothing was ever recorded."""
        return self.record is not None or self.identity.try_number > 1 or self._is_looped

    @property
    def own_record(self) -> Record | None:
        """The record, if it is of this generation: that of an older one does not tell what this one asked for."""
        return self.record if self.record and self.record.generation in self._generations else None

    @property
    def forgotten_before(self) -> int:
        """The attempt that found nothing recorded, see `Record`."""
        if self.record is not None:
            return self.record.forgotten_before
        return self.identity.try_number if self.may_exist else 0

    def find(self) -> list[JobDetail]:
        """Return the jobs of this task instance and deployment: the record's first, then the newest first.

        AWS may not know yet what has just been sent: the job of a recorded send is looked for until 60 s after it; that
        of the last attempt, if a clear may have discarded its record, until 60 s after this one began.

        Raises:
            AwsError: AWS did not list or describe them.
        """
        if (record := self.record) is None:
            last = self.identity.try_number - 1
            return look_until(
                self.listed,
                lambda found: not (last and self.forgets) or any(_attempt(job) == last for job in found),
                self.clock,
                UNKNOWN_GRACE_SECONDS - (self.clock.monotonic() - self.begun),
            )
        return look_until(
            self.listed,
            lambda found: any(job.job_id == record.job_id or job.job_name == record.job_name for job in found),
            self.clock,
            (_grace_end(record) - self.clock.now()).total_seconds(),
        )

    def listed(self) -> list[JobDetail]:
        """Return the jobs that AWS lists now, in the order of `find`.

        Raises:
            AwsError: AWS did not list or describe them.
        """
        deployment = legal_tag_value(self.identity.deployment)
        jobs = describe_jobs(self.clients, self._ids())
        return [job for job in jobs if job.tags.get(DEPLOYMENT_TAG, "") == deployment]

    def is_own(self, job: JobDetail) -> bool:
        """Tell whether a job is of this generation."""
        return job.tags.get(GENERATION_TAG) in self._generations

    def is_unwanted(self, job: JobDetail) -> bool:
        """Tell whether a job that is not adopted has to end before another one starts."""
        if not job.status.is_active:
            return False
        is_own = self.is_own(job)
        if self._is_looped and not is_own:
            return True  # whatever its attempt: each time a pass is made anew, its attempts are counted anew
        return (is_own or self._is_recorded(job) or self._is_forgotten(job)) and not self._is_newer(job)

    @property
    def _is_looped(self) -> bool:
        return self.identity.key.loop_index is not None

    def _is_recorded(self, job: JobDetail) -> bool:
        """Tell whether a job is of the generation that the record names."""
        return self.record is not None and job.tags.get(GENERATION_TAG) == self.record.generation

    def _is_forgotten(self, job: JobDetail) -> bool:
        """Tell whether a job is of an attempt that nothing was recorded of: a run before a clear."""
        attempt = _attempt(job)
        return attempt is not None and attempt < self.forgotten_before

    def _is_newer(self, job: JobDetail) -> bool:
        attempt = _attempt(job)
        return attempt is not None and attempt > self.identity.try_number

    def _ids(self) -> Iterator[str]:
        """Yield the ids of what may be this task instance's jobs."""
        if self.record is not None and self.record.job_id:
            yield self.record.job_id
        for queue in dict.fromkeys(self.queues):
            yield from self._named(queue)

    def _named(self, queue: str) -> list[str]:
        """Return the ids of this task instance's jobs in a queue; none if the queue is gone.

        Raises:
            AwsError: AWS did not list the queue's jobs.
        """
        try:
            return find_by_name(self.clients, queue, f"{self.prefix}*")
        except RequestRefusedError:
            with suppress(QueueNotFoundError):
                check_queue(self.clients, queue)
                raise
            return []


def _attempt(job: JobDetail) -> int | None:
    """Return the attempt that submitted a job; None if its tags do not tell."""
    number = job.tags.get(TRY_NUMBER_TAG, "")
    return int(number) if number.isdecimal() else None


def _grace_end(record: Record) -> datetime:
    return datetime.fromisoformat(record.sent_at) + timedelta(seconds=UNKNOWN_GRACE_SECONDS)
