"""OnRetry: what a task's changes make of its request, for one attempt."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain, compress, takewhile
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes import more_memory
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.changes.one_change import one_applied
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.diagnosis import diagnose, out_of_memory
from airflow_batch_jobs.batch.operations import MOST_DESCRIBED, describe_jobs, failed_children
from airflow_batch_jobs.batch.preflight import check_revision
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.errors import AccessDeniedError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.changes.change import Change, RequestChange
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.request import SubmitRequest

#: Changes that have a most.
_GROWING = (MoreMemory, LongerTimeout)
#: Changes of which it is known what they leave alone.
_OURS = (*_GROWING, OtherQueue)
#: The most changes that record and XCom tell.
_MOST_TOLD = 20
#: The most failures that are kept of one job: its parts may fail of different causes.
_MOST_OF_A_JOB = 20


@dataclass(frozen=True, slots=True)
class OnRetry:
    """What is changed in the request of a task's next attempt.

    Attributes:
        clients: Makes the clients.
        changes: What the task's author wants to be changed.
        note: Told in one line each what is changed, or cannot be.
    """

    clients: ClientFactory
    changes: Sequence[RequestChange]
    note: Callable[[str], object]

    @property
    def queues(self) -> list[str]:
        """The queues besides the task's own in which the jobs of its attempts can be."""
        named = (getattr(change, "queue", None) for change in self.changes)
        return [queue for queue in named if isinstance(queue, str)]

    def failures(self, known: Iterable[Failure], jobs: Iterable[JobDetail]) -> tuple[Failure, ...]:
        """Return why the generation's jobs failed.

        Args:
            known: What the record knows; those jobs are not looked at again.
            jobs: The generation's jobs, as AWS describes them.

        Raises:
            AwsError: AWS did not describe the parts of one.
        """
        found = list(known)
        told = {failure.job_id for failure in found}
        failed = [job for job in jobs if job.status is JobStatus.FAILED and job.job_id not in told]
        for job in sorted(failed, key=lambda job: (job.created_at is None, job.created_at, job.job_id)):
            found.extend(failures_of(job, self._failed_parts(job)))
        return tuple(found)

    def applied(self, request: SubmitRequest, failures: Sequence[Failure]) -> tuple[SubmitRequest, tuple[Change, ...]]:
        """Return the request as the earlier failures change it, and what was changed.

        Raises:
            RequestError: A change of the user's own does what it must not, see `one_applied`.
            AwsError: AWS did not describe the revision.
        """
        for called in sorted({failure.called for failure in failures if failure.called}):
            self.note(f"on_retry passes over {called!r}, a cause that this version does not know: update the workers")
        if not failures:
            return request, ()
        made, told = self.made(request, self._revision(request), failures)
        changes = tuple(chain.from_iterable(told))
        for one in changes:
            self.note(f"on_retry: {one}")
        return (request.changed(made) if changes else request), changes[:_MOST_TOLD]

    def left(self, request: SubmitRequest, earlier: Sequence[Failure], job_id: str) -> list[RequestChange] | None:
        """Return the changes that would give another attempt what the job that has failed did not have.

        Args:
            request: The task's own.
            earlier: Why the generation's jobs before it failed.
            job_id: The job that has failed.

        Returns:
            None if AWS does not show that it has failed.

        Raises:
            RequestError: As from `applied`.
            AwsError: AWS did not describe the job or the revision.
        """
        failures = self.failures(earlier, describe_jobs(self.clients, [job_id]))
        if len(failures) == len(earlier):
            return None
        definition = self._revision(request)
        had, told = self.made(request, definition, earlier)
        made, tells = self.made(request, definition, failures)
        if had == made:
            return []
        differs = [_given(one) != _given(other) for one, other in zip(told, tells, strict=True)]
        # One may always say the same, whatever it does.
        return list(compress(self.changes, differs if any(differs) else map(bool, tells)))

    def made(
        self, request: SubmitRequest, definition: Mapping[str, Any], failures: Sequence[Failure]
    ) -> tuple[dict[str, Any], list[list[Change]]]:
        """Return SubmitJob's arguments as the failures change them, and what each of the changes says of it.

        Args:
            request: The task's own.
            definition: The revision, as AWS describes it; empty if the role may not look it up.
            failures: Why the generation's jobs failed; without any, nothing is changed.

        Raises:
            RequestError: As from `applied`.
        """
        fields, queues = request.to_api(), [request.job_queue, *self.queues]
        if not failures:
            return NextJob(fields, definition).to_api(), [[] for _ in self.changes]
        told: list[list[Change]] = []
        given: Iterator[list[Change]] | None = None
        for number, change in enumerate(self.changes):
            # Anew each time: a change may have put another override in the place of one.
            job = NextJob(fields, deepcopy(definition), self.note)
            if isinstance(change, MoreMemory):
                # Those up to the next change of the user's own, which may change the memory as well.
                ours = takewhile(lambda one: isinstance(one, _OURS), self.changes[number:])
                memory = [one for one in ours if isinstance(one, MoreMemory)]
                given = given or iter(more_memory.given(memory, job, failures))
                told.append([one.told_by(type(change).__name__) for one in next(given)])
            else:
                told.append(one_applied(change, job, failures, request, queues))
                given = given if isinstance(change, _OURS) else None
        return NextJob(fields, definition).to_api(), told

    def check(self, definition: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        """Check that the changes have something to give.

        Args:
            definition: The revision, as AWS describes it.
            request: The arguments of SubmitJob, before any change.

        Raises:
            RequestError: The most that one gives is below what the job begins with.
        """
        job = NextJob(dict(request), definition)
        for change in self.changes:
            if isinstance(change, _GROWING) and (problem := change.check(job)):
                raise RequestError("on_retry", problem)

    def _revision(self, request: SubmitRequest) -> Mapping[str, Any]:
        try:
            return check_revision(self.clients, request.job_definition)
        except AccessDeniedError:
            return {}

    def _failed_parts(self, job: JobDetail) -> list[JobDetail]:
        if job.kind is JobKind.ARRAY_PARENT:
            return describe_jobs(self.clients, failed_children(service(self.clients, "batch"), job.job_id))
        return describe_jobs(self.clients, job.part_ids()[:MOST_DESCRIBED]) if job.kind is JobKind.MULTI_NODE else []


def failures_of(job: JobDetail, parts: Sequence[JobDetail] = ()) -> tuple[Failure, ...]:
    """Return why a FAILED job failed: the cause of its diagnosis first, then the others of its parts.

    Of several containers that ran out of memory together, each is told.

    Args:
        job: The job.
        parts: The children of an array or the nodes of a multi-node job, as far as they were described.
    """
    whole = _failure(job, job, diagnose(job, parts).cause)
    failed = [part for part in parts if part.status is JobStatus.FAILED]
    of_parts = [_failure(job, part, diagnose(part).cause) for part in failed]
    alone = [] if job.kind in {JobKind.ARRAY_PARENT, JobKind.MULTI_NODE} else [job]
    ran_out = [
        replace(_failure(job, each, Cause.OUT_OF_MEMORY), container=name)
        for each in (*alone, *failed)
        for name in out_of_memory(each)
    ]
    first = next((failure for failure in of_parts if failure.cause is whole.cause), whole)
    return tuple(dict.fromkeys([first, *of_parts, *ran_out]))[:_MOST_OF_A_JOB]


def _given(changes: Iterable[Change]) -> list[tuple[str, str]]:
    return [(change.field, change.after) for change in changes]


def _failure(job: JobDetail, failed: JobDetail, cause: Cause) -> Failure:
    return Failure(
        job_id=job.job_id,
        cause=cause,
        queue=job.queue_name,
        container=failed.telling_container(),
        node=failed.node_index,
    )
