"""Submit exactly once: AWS Batch has no client token, so a task instance remembers what it sends before it sends it.

Words: an *attempt* is one try of a task instance; a *generation* is one wanted run of it. A retry stays in its
generation, a user's clear begins a new one. The rules, in the order of `Submission.run`:

1. Look first, whatever would refuse a new submit by now. Unless this is the first try and nothing was ever recorded,
   list the jobs whose names begin with the task instance's prefix and read their tags, see `earlier_jobs`. A job of
   this generation that succeeded is the result; an active one that was submitted for the same request is adopted, as is
   one of whatever request if this attempt's own is refused. All other active jobs of this generation, and of the older
   one that the record names, are terminated first and their ends awaited. So are those of earlier attempts where
   nothing was recorded before this one, since a clear may have discarded the record; what such a clear may have left
   just now is waited for, until 60 s after this attempt began. Jobs of other deployments, and of generations that no
   record names, are left alone. In a loop the first attempt looks as well, and all other generations of its pass are
   older ones: a clear may make a pass anew, with first attempts and an empty store.
2. Check, record, then send. The record goes into the store before the request goes out, and the id after; so does the
   id of an adopted job. The write is the fence: if the store refuses it, another attempt has taken over and this one
   must not act any more. If the store is out of order, the job is submitted only if AWS can be asked which jobs exist.
   The request that goes out is the task's own, changed by `on_retry` for each job of the generation that failed: what
   failed is what AWS lists and the record has, so no attempt forgets a change or makes it twice. What decides whether a
   job is adopted is the digest of the request before that.
3. One send, see `operations.send`. If a record has no id, its answer was lost: the name is looked up, until 60 s after
   it was sent, before anything else happens.

What this cannot prevent is left to the sweep, see `orphans`: a second job from a process that pauses between its last
check and the send, and a job that was sent while the store was out of order and whose task instance was cleared before
the next attempt, if the store had a record of an earlier one.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import InitVar, dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import UNKNOWN_GRACE_SECONDS
from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock, look_until
from airflow_batch_jobs.batch.earlier_jobs import EarlierJobs
from airflow_batch_jobs.batch.fault_points import reach
from airflow_batch_jobs.batch.identity import new_job_name, task_tags
from airflow_batch_jobs.batch.operations import describe_jobs, send, terminate
from airflow_batch_jobs.batch.record import Record, RecordStore
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.submitted import Submitted
from airflow_batch_jobs.errors import (
    BatchJobsError,
    DefinitionError,
    RecordUnavailableError,
    RequestError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.changes.change import Change
    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.on_retry import OnRetry
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.identity import TaskIdentity
    from airflow_batch_jobs.batch.request import SubmitRequest

#: A record older than this when the request goes out is written again first: an attempt that paused between the two
#: may have been replaced meanwhile.
LEASE_SECONDS = 20.0
#: How long to wait for the end of an older generation's job.
END_SECONDS = 120.0
#: The statusReason of an older generation's job.
REPLACED_REASON = "Replaced by a newer run of the same Airflow task"


@dataclass(slots=True, kw_only=True)
class Submission:
    """One attempt's submit of the one job of its task instance.

    Attributes:
        clients: Makes the clients.
        identity: Whose job it is.
        request: What to submit; the submission gives it its name and the tags that tell whose job it is.
        store: Where the record lives.
        note: Told in one line what was found.
        job_name: The readable part of the job's name; None for `<dag>-<task>`.
        is_detached: Whether the job may outlive its task instance.
        check: Returns the definition that would run; raises what is wrong with the request. Only asked before a send.
        refusal: Why there is no request that could be sent; None if there is one. Then `request` only tells where to
            look.
        on_retry: What changes the request for each job of the generation that failed; None for nothing.
        clock: Time and sleep.
    """

    clients: ClientFactory
    identity: TaskIdentity
    request: SubmitRequest
    store: RecordStore
    note: Callable[[str], None]
    check: Callable[[SubmitRequest], str] = attrgetter("job_definition")
    job_name: InitVar[str | None] = None
    is_detached: bool = False
    refusal: Exception | None = None
    on_retry: OnRetry | None = None
    clock: Clock = field(default_factory=SystemClock)
    _prefix: str = field(init=False)
    _is_recorded: bool = field(default=False, init=False)
    _is_sent: bool = field(default=False, init=False)
    _forgotten_before: int = field(default=0, init=False)
    _failures: tuple[Failure, ...] = field(default=(), init=False)

    def __post_init__(self, job_name: str | None) -> None:
        self._prefix = self.identity.job_name_prefix(job_name)
        tags = task_tags(self.identity, is_detached=self.is_detached)
        self.request = replace(self.request, job_name=new_job_name(self._prefix), tags=tags)

    def run(self) -> Submitted:
        """Return the job: an earlier attempt's if there is one, otherwise a new one.

        Raises:
            StaleAttemptError: Another attempt has taken over.
            SubmitUnansweredError: It is unknown whether a job was started.
            AwsError: AWS refused.
            Exception: The `refusal`.
        """
        begun = self.clock.monotonic()
        earlier = self._jobs(self.store.read(), begun)
        self._forgotten_before = earlier.forgotten_before
        return (self._look(earlier) if earlier.may_exist else None) or self._send(earlier)

    def unfinished(self) -> list[Submitted]:
        """Return the generation's active jobs, after a `run` that was interrupted.

        A job that `run` sent but whose answer it did not get is looked for for up to 60 s. Terminates nothing, and does
        not ask whether this attempt has been replaced.

        Raises:
            AwsError: AWS could not be asked.
        """
        jobs = self._jobs(None, self.clock.monotonic())
        own = look_until(
            lambda: [job for job in jobs.listed() if jobs.is_own(job)],
            lambda found: not self._is_sent or any(job.job_name == self.request.job_name for job in found),
            self.clock,
            UNKNOWN_GRACE_SECONDS,
        )
        return [self._submitted(job, self.request) for job in own if job.status.is_active and not job.is_terminated]

    def _jobs(self, record: Record | None, begun: float) -> EarlierJobs:
        others = self.on_retry.queues if self.on_retry else []
        return EarlierJobs(
            clients=self.clients,
            identity=self.identity,
            prefix=self._prefix,
            queues=[self.request.job_queue, *([record.job_queue] if record else []), *others],
            record=record,
            forgets=self.store.forgets,
            begun=begun,
            clock=self.clock,
        )

    def _send(self, earlier: EarlierJobs) -> Submitted:
        if self.refusal is not None:
            raise self.refusal
        request, changes = self._changed()
        definition, digest = self.check(request), self.request.digest()
        record = self._own_record(request, digest, changes)
        reach("before-record", self.identity.key.run_id)
        try:
            record = self._lease(record)
        except RecordUnavailableError as error:
            self.note(f"{error} Asking AWS instead which jobs exist.")
            if found := self._look(earlier):
                return found
        reach("before-send", self.identity.key.run_id)
        sent = self.clock.now()
        self._is_sent = True
        job_id = send(self.clients, request, clock=self.clock, before_repeat=lambda: self._renew(record))
        reach("after-send", self.identity.key.run_id)
        # With the current time: a throttled request may have gone out long after its record was made.
        self._remember(replace(record, job_id=job_id, sent_at=self.clock.now().isoformat()))
        return Submitted(job_id, request, sent, is_recorded=self._is_recorded, definition=definition, changes=changes)

    def _changed(self) -> tuple[SubmitRequest, tuple[Change, ...]]:
        """Return what is to be sent, after the generation's failures, and what was changed in it."""
        if self.on_retry is None:
            return self.request, ()
        return self.on_retry.applied(self.request, self._failures)

    def _record(
        self,
        digest: str,
        job_name: str,
        job_queue: str,
        sent_at: datetime,
        job_id: str | None = None,
        changes: tuple[Change, ...] = (),
    ) -> Record:
        """Return this attempt's record of a job."""
        return Record(
            job_name=job_name,
            job_queue=job_queue,
            generation=self.identity.generation,
            request_digest=digest,
            try_number=self.identity.try_number,
            max_tries=self.identity.max_tries,
            sent_at=sent_at.isoformat(),
            job_id=job_id,
            forgotten_before=self._forgotten_before,
            failures=self._failures,
            changes=changes,
        )

    def _own_record(self, request: SubmitRequest, digest: str, changes: tuple[Change, ...] = ()) -> Record:
        """Return the record of a request that has not been sent yet."""
        return self._record(digest, request.job_name, request.job_queue, self.clock.now(), changes=changes)

    def _write(self, record: Record) -> None:
        self.store.write(record)
        self._is_recorded = True

    def _remember(self, record: Record) -> None:
        """Write a record with an id. Without the store the job can still be found by its name."""
        try:
            self._write(record)
        except RecordUnavailableError as error:
            self.note(f"{error} The job can be found by its name: {record.job_name}")

    def _lease(self, record: Record) -> Record:
        """Write the record; again if that took long, since an attempt that pauses may be replaced meanwhile."""
        begun = self.clock.monotonic()
        self._write(record)
        if self.clock.monotonic() - begun > LEASE_SECONDS:
            record = replace(record, sent_at=self.clock.now().isoformat())
            self._write(record)
        return record

    def _renew(self, record: Record) -> None:
        """Write the record again before a throttled request is repeated: its time bounds how long a job may be unseen.

        Without the store the request goes out all the same, as the first one did.
        """
        with suppress(RecordUnavailableError):
            self._write(replace(record, sent_at=self.clock.now().isoformat()))

    def _look(self, earlier: EarlierJobs) -> Submitted | None:
        """Return the job that an earlier attempt left for this one, after ending those that are no longer wanted.

        Raises:
            StaleAttemptError: Another attempt has taken over.
        """
        jobs, told = earlier.find(), earlier.own_record
        own = [job for job in jobs if earlier.is_own(job)]
        known = told.failures if told else ()
        self._failures = self._failures_of(own, known)
        asked = self._digest()
        is_same = told is None or asked is None or told.request_digest == asked
        taken = _best(own, is_same=is_same)
        unwanted = [job for job in jobs if job is not taken and earlier.is_unwanted(job)]
        if unwanted:
            # The record as it was read: if this attempt paused since then, it may have been replaced, and these jobs
            # may be another attempt's.
            self.store.write(earlier.record or self._own_record(self.request, asked or ""))
            self._end(unwanted)
            # What was active may have succeeded meanwhile, and what was to be adopted may have ended.
            own = describe_jobs(self.clients, [job.job_id for job in own])
            self._failures = self._failures_of(own, known)
            taken = _best(own, is_same=is_same)
        return None if taken is None else self._adopt(taken, told, asked or (told.request_digest if told else ""))

    def _failures_of(self, own: list[JobDetail], known: tuple[Failure, ...]) -> tuple[Failure, ...]:
        """Return why the generation's jobs failed: what the record knows, and what AWS says of the others."""
        return known if self.on_retry is None else self.on_retry.failures(known, own)

    def _digest(self) -> str | None:
        """Return the request's digest; None if it would be refused: then it is not a reason to leave what runs."""
        if self.refusal is not None:
            return None
        try:
            self.request.validate()
            return self.request.digest()
        except (RequestError, DefinitionError):
            return None

    def _adopt(self, job: JobDetail, told: Record | None, digest: str) -> Submitted:
        """Adopt a job, and remember that: if listings lag, the next attempt knows its id.

        Args:
            job: The job.
            told: The generation's record; it has what was changed for this job, if it is of this job.
            digest: That of the request.
        """
        changes = told.changes if told and job.job_name == told.job_name else ()
        request = self._sent(told, changes) if told and changes else self.request
        self.note(f"Taking up the job of an earlier attempt, which is {job.status}: {job.job_id}")
        sent_at = job.created_at or self.clock.now()
        self._remember(self._record(digest, job.job_name, job.job_queue, sent_at, job.job_id, changes))
        return self._submitted(job, request, changes)

    def _sent(self, told: Record, changes: tuple[Change, ...]) -> SubmitRequest:
        """Return the request of a recorded job: made again of the same failures, if the changes are the same again.

        If not, the task's own, to the queue of the job: nothing has the rest.
        """
        if self.on_retry is not None:
            with suppress(BatchJobsError):  # what is shown is no reason to leave the job
                request, made = replace(self.on_retry, note=lambda _: None).applied(self.request, told.failures)
                if made == changes:
                    return request
        return replace(self.request, job_queue=told.job_queue)

    def _submitted(self, job: JobDetail, request: SubmitRequest, changes: tuple[Change, ...] = ()) -> Submitted:
        return Submitted(job.job_id, request, job.created_at, job, is_recorded=self._is_recorded, changes=changes)

    def _end(self, jobs: list[JobDetail]) -> None:
        """Terminate jobs and wait until they have ended, so that two runs of one task never overlap."""
        for job in jobs:
            self.note(f"Terminating the job of an earlier run of this task, which is {job.status}: {job.job_id}")
            terminate(self.clients, job.job_id, REPLACED_REASON, self.clock)
        ids = [job.job_id for job in jobs]
        look_until(
            lambda: describe_jobs(self.clients, ids),
            lambda found: not any(job.status.is_active for job in found),
            self.clock,
            END_SECONDS,
        )


def _best(own: list[JobDetail], *, is_same: bool) -> JobDetail | None:
    """Return which of a generation's jobs an attempt can adopt: one that succeeded, otherwise one that is active.

    Args:
        own: The jobs, the likeliest first.
        is_same: Whether they were submitted for the same request.
    """
    succeeded = (job for job in own if job.status is JobStatus.SUCCEEDED)
    at_work = (job for job in own if is_same and job.status.is_active and not job.is_terminated)
    return next(succeeded, None) or next(at_work, None)
