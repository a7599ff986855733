"""The endpoint: one request in, one answer out; it checks access, finds the operation and lets faults strike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_batch_jobs.local.account import Account
from airflow_batch_jobs.local.batch import Batch
from airflow_batch_jobs.local.call import Call
from airflow_batch_jobs.local.clock import Timeline
from airflow_batch_jobs.local.definitions import Definitions
from airflow_batch_jobs.local.describe import Describer
from airflow_batch_jobs.local.faults import ConnectionDropped, FaultKind, Faults, failure
from airflow_batch_jobs.local.jobs import Job, Jobs
from airflow_batch_jobs.local.lifecycle import Lifecycle, Runner, Surroundings
from airflow_batch_jobs.local.logs import Logs
from airflow_batch_jobs.local.process import Processes
from airflow_batch_jobs.local.queues import Queues
from airflow_batch_jobs.local.record import Record, Recorded
from airflow_batch_jobs.local.streams import Streams
from airflow_batch_jobs.local.sts import Sts
from airflow_batch_jobs.local.submit import Submitter
from airflow_batch_jobs.local.timetable import Timetable
from airflow_batch_jobs.local.watchers import Watchers
from airflow_batch_jobs.local.wire import (
    Answer,
    Request,
    ServiceError,
    encode,
    encode_failure,
    find,
    parameters_of,
    service_of,
    unknown,
    unserved,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.call import Operations, Result
    from airflow_batch_jobs.local.model import Operation


@dataclass(frozen=True, slots=True)
class Settings:
    """How a local AWS is set up.

    Attributes:
        slots: How many jobs with processes are STARTING or RUNNING at once.
        access_key: What every request has to carry; empty for a random one.
        queues: The names of the job queues.
        region: The region in ARNs.
        step_seconds: How long a job stays in each state that it only passes through.
        kill_seconds: How long a process has to end after SIGTERM.
        keep_finished: How many finished jobs are remembered.
        keep_log_bytes: How much text of log events is remembered.
        is_frozen: Whether time passes only when it is advanced.
        seed: The seed of everything random.
    """

    slots: int = 4
    access_key: str = ""
    queues: tuple[str, ...] = ("default",)
    region: str = "us-east-1"
    step_seconds: float = 0.2
    kill_seconds: float = 30.0
    keep_finished: int = 20_000
    keep_log_bytes: int = 256 * 1024 * 1024
    is_frozen: bool = False
    seed: int = 0


class Endpoint:
    """The local AWS without its HTTP server. Everything in it runs on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.account = Account(region=settings.region, access_key=settings.access_key)
        self.timeline = Timeline(frozen=settings.is_frozen)
        self.faults = Faults(self.timeline, settings.seed)
        self.record = Record()
        self.watchers = Watchers()
        self.streams = Streams(settings.keep_log_bytes)
        self.definitions = Definitions(self.account)
        self.jobs = Jobs(settings.keep_finished, self._forget_streams)
        queues = Queues(self.account, settings.queues)
        self.submitter = Submitter(self.account, self.timeline, self.definitions, queues, self.jobs)
        self._processes = Processes(
            self.timeline, self.streams, kill_seconds=settings.kill_seconds, on_line=self.watchers.line_written
        )
        self._timetable = Timetable(self.timeline, self.streams, step_seconds=settings.step_seconds)
        surroundings = Surroundings(self._runner_of, self.submitter.children_of, self._changed)
        self.lifecycle = Lifecycle(
            self.timeline, self.jobs, surroundings, slots=settings.slots, step_seconds=settings.step_seconds
        )
        self._processes.lifecycle = self._timetable.lifecycle = self.lifecycle
        self.describer = Describer(self.account)
        batch = Batch(
            timeline=self.timeline,
            definitions=self.definitions,
            queues=queues,
            jobs=self.jobs,
            lifecycle=self.lifecycle,
            submitter=self.submitter,
            describer=self.describer,
            chance=self.faults.chance,
        )
        self._services: dict[str, Operations] = {
            "batch": batch.operations,
            "logs": Logs(self.account, self.timeline, self.streams).operations,
            "sts": Sts(self.account, self.timeline).operations,
        }

    def start(self) -> None:
        """Let time pass on the running event loop."""
        self.timeline.start()

    async def close(self) -> None:
        """End every job's processes."""
        self.timeline.stop()
        await self._processes.close()

    async def answer(self, request: Request) -> Answer:
        """Answer an AWS request.

        Raises:
            ConnectionDropped: The connection is to end without an answer.
        """
        seen = Recorded(time=self.timeline.now())
        try:
            return await self._carry_out(request, seen)
        except ServiceError as refusal:
            seen.outcome = refusal.code
            return encode_failure(service_of(request), refusal)
        except ConnectionDropped:
            seen.outcome = "dropped"
            raise
        finally:
            self.record.add(seen)

    async def _carry_out(self, request: Request, seen: Recorded) -> Answer:
        operation = find(request)
        seen.operation = operation.name if operation else ""
        if operation is None or operation.is_signed:  # none of the others is served
            self._check_access(request)
        if operation is None:
            raise unknown(request)
        carry_out = self._operation(operation)
        parameters = seen.parameters = parameters_of(operation, request)
        answer = await self.faults.strike(operation, parameters, after=False)
        if answer is None:
            changes = self.faults.changes(operation, parameters)
            call = Call(parameters, changes, request.access_key, len(request.body), request.first_revision)
            result = carry_out(call)
            seen.took_effect = True
            answer = await self.faults.strike(operation, parameters, after=True)
            if answer is None:
                return encode(operation, result)
        seen.outcome = "not AWS"
        return answer

    def _operation(self, operation: Operation) -> Callable[[Call], Result]:
        served = self._services[operation.service].get(operation.name)
        if served is None:
            raise unserved(operation)
        return served

    def _check_access(self, request: Request) -> None:
        if "origin" in request.headers:
            raise ServiceError("AccessDeniedException", "Requests from web pages are refused.", 403)
        key = request.access_key
        if not key:
            raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        if not self.account.holds(key):
            code = "InvalidClientTokenId" if service_of(request) == "sts" else "UnrecognizedClientException"
            raise ServiceError(code, "The security token included in the request is invalid.", 403)
        if self.account.is_over(key, self.timeline.now()):
            raise failure(FaultKind.EXPIRED, service_of(request))

    def _runner_of(self, job: Job) -> Runner:
        return self._timetable if job.script else self._processes

    def _changed(self, job: Job) -> None:
        job.written = None
        self.watchers.job_changed(job)

    def _forget_streams(self, job: Job) -> None:
        for attempt in job.all_attempts:
            for part in attempt.parts:
                if part.log_stream:
                    self.streams.forget(part.container.log_group, part.log_stream)
