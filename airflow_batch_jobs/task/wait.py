"""JobWait: waits for a job and writes the task log, in the same way on a worker and in a triggerer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.changes.change import CHANGES
from airflow_batch_jobs.batch.diagnosis import Cause, diagnose
from airflow_batch_jobs.batch.job_history import noted
from airflow_batch_jobs.batch.job_xcom import job_xcom, stopped
from airflow_batch_jobs.batch.log_stream import incomplete_logs
from airflow_batch_jobs.batch.meter import LOG_LAG, tell_end
from airflow_batch_jobs.batch.operations import TERMINATE_SECONDS
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.summary import ending, summarize
from airflow_batch_jobs.batch.waiting import reason_to_wait, why_waiting
from airflow_batch_jobs.batch.watch import DetailChange, Ended, LogLines, NoAnswer, Problem, StatusChange
from airflow_batch_jobs.task import log, stop
from airflow_batch_jobs.task.handover import Outcome
from airflow_batch_jobs.task.trace import tell_job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Self

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.diagnosis import Diagnosis
    from airflow_batch_jobs.batch.job_history import SeenState
    from airflow_batch_jobs.batch.logs import LogEvent
    from airflow_batch_jobs.batch.watch import JobFollower, JobWatcher
    from airflow_batch_jobs.task.handover import WaitPlan

#: How long the wait goes on after it had a job terminated: AWS gives a job 30 s before it kills it, and its last log
#: events come some seconds later.
AFTERMATH_SECONDS = 120.0
#: How long it may take to have a job terminated, and to wait for its end.
AFTER_TIMEOUT_SECONDS = TERMINATE_SECONDS + AFTERMATH_SECONDS
#: How often a waiting job is checked for a reason to worry.
WORRY_SECONDS = 30.0
#: How long a wait whose time is up pauses before it asks again whether it may terminate its job.
ASK_AGAIN_SECONDS = 5.0
#: A process of the task, which has groups in the log, may have begun so long before a wait, and end so long after its
#: begin.
GROUPS_BEFORE = timedelta(seconds=60)
GROUPS_AFTER = timedelta(seconds=2)


class OnNews(Protocol):
    """Is told that there is more to say of a job."""

    def __call__(self, job: Callable[[], Mapping[str, Any]], *, is_urgent: bool) -> object:
        """Take note.

        Args:
            job: Returns what is known of the job by then, as the `batch_job` XCom has it.
            is_urgent: Whether somebody waits for it: the job runs, there is a reason why it does not, or a new stream.
        """


class WaitListener:
    """Keeps what a wait finds out, apart from the task log; this base class keeps nothing."""

    async def load_cursors(self) -> Mapping[str, Any]:
        """Return where an earlier wait stopped copying the log, by stream; called once there is a log."""
        return {}

    def before_lines(self, events: tuple[LogEvent, ...]) -> None:
        """Take note that these lines, oldest first, are about to be written."""

    async def on_lines(self, cursors: Callable[[], Mapping[str, Any]]) -> None:
        """Take note that lines were written.

        Args:
            cursors: Returns how far the log is copied now, by stream.
        """


class JobWait:
    """Waits for one job and writes what happens to it into the task log.

    An async context manager; what it knows stays readable after it is left.

    Args:
        plan: What to wait for.
        watcher: Follows the job.
        listener: Is told how far the log is copied.
        on_news: Is told that the `batch_job` XCom is not current.
        is_current: Asks whether this is still the wait of the task instance; no answer counts as no. Asked when time is
            up, since the job may belong to a newer attempt by then.
        has_groups: Whether Airflow writes groups into this log, which its UI collapses.
        carrier: The task instance's trace context, as Airflow has it.

    Attributes:
        ended: Whether the job has ended, and its log is copied as far as this wait copies it.
        is_open: Whether `outcome` may be awaited.
        is_terminated: Whether AWS has accepted a termination of this wait's.
    """

    def __init__(
        self,
        plan: WaitPlan,
        watcher: JobWatcher,
        *,
        listener: WaitListener | None = None,
        on_news: OnNews | None = None,
        is_current: Callable[[], Awaitable[bool]] | None = None,
        has_groups: bool = False,
        carrier: Mapping[str, str] | None = None,
    ) -> None:
        self.plan = plan
        self.ended = False
        self.is_open = False
        self.is_terminated = False
        self._listener: WaitListener = listener or _NOBODY
        self._on_news = on_news
        self._is_current = is_current
        self._follower: JobFollower = watcher.follow(
            plan.job_id,
            poll_interval=plan.poll_interval,
            copy_logs=plan.copy_logs,
            cursors=self._listener.load_cursors if listener else None,
            submitted_at=plan.submitted_at,
        )
        self._detail: JobDetail | None = None
        self._history: tuple[SeenState, ...] = ()
        self._parts: tuple[JobDetail, ...] | None = None
        self._diagnosis: Diagnosis | None = None
        self._stop_reason = ""
        self._stream_count = 0
        self._clock = watcher.clock
        self._meter = watcher.meter
        self._carrier = carrier
        self._since = begun = self._clock.now()
        self._collapsed = (begun - GROUPS_BEFORE, begun + GROUPS_AFTER) if has_groups else None
        self._worry: tuple[Cause, str] | None = None
        self._timed_out = False
        self._give_up_at: datetime | None = plan.deadline

    async def __aenter__(self) -> Self:
        await self._follower.__aenter__()
        self.is_open = True
        return self

    async def __aexit__(self, *error: object) -> None:
        self.is_open = False
        self._is_current = None  # it refers back to what holds this wait, and a frozen heap keeps such a cycle alive
        await self._follower.__aexit__(None, None, None)

    def cursors(self) -> dict[str, Any]:
        """Return how far the log is copied, by stream, for a wait that continues after this one."""
        return self._follower.cursors()

    @property
    def has_seen_end(self) -> bool:
        """Whether the job has ended, whatever is left of its log."""
        return self._detail is not None and self._detail.is_final

    def job(self) -> dict[str, Any]:
        """Return what is known of the job, as the `batch_job` XCom has it: at least its id."""
        detail, seen_at = self._follower.detail, self._follower.seen_at
        if detail is None or seen_at is None:
            known: dict[str, Any] = {"job_id": self.plan.job_id}
        else:
            parts = self._follower.parts() if self._parts is None else self._parts
            streams = self._follower.log_streams()
            known = job_xcom(
                detail,
                seen_at,
                history=self._history,
                log_streams=streams,
                parts=parts,
                diagnosis=self._diagnosis,
            )
        return stopped(known, self._stop_reason) if self._stop_reason else known

    async def outcome(self) -> Outcome:
        """Wait until the job has ended and its log is copied, or the deadline has passed.

        May be cancelled and called again inside the context: it continues where it was.

        Returns:
            The outcome, even if AWS refused to describe the job.
        """
        try:
            while (outcome := await self._next()) is None:
                pass
        except (errors.JobNotFoundError, errors.AwsError) as error:
            outcome = Outcome.of_error(self.plan.job_id, error)
        job = {**outcome.job, CHANGES: self.plan.on_retry} if self.plan.on_retry else outcome.job
        return replace(outcome, job=job, rendered=self.plan.rendered)

    async def terminate(self, reason: str) -> bool:
        """Have AWS terminate the job, and say in the log whether it accepted.

        Does not wait for the job's end: `outcome` goes on meanwhile and copies its last lines.

        Args:
            reason: Becomes the job's statusReason.

        Returns:
            Whether AWS accepted, now or before, or the job had ended already.
        """
        if self.has_seen_end or self.is_terminated:
            return True
        if self._detail is not None and self._detail.status_reason:
            log.note(f"Its status reason before the termination: {self._detail.status_reason}")
        try:
            await self._follower.terminate(reason)
        except errors.AwsError as error:
            log.problem(f"The job could not be terminated and may still be running. {error}")
            return False
        self.is_terminated = True
        log.note(f"Terminated the job: {reason}")
        self._stop_reason = reason
        return True

    def unfinished(self) -> Outcome:
        """Return the outcome of a wait whose time is up and that ends before the job does."""
        return Outcome(job=self.job(), timed_out=True)

    async def _next(self) -> Outcome | None:
        """Wait for one update and log what it says; return the outcome if there is one now."""
        if (seconds := self._alarm_seconds()) is None:  # true of most jobs, of which there are thousands
            update = await anext(self._follower)
        else:
            try:
                async with asyncio.timeout(seconds):
                    update = await anext(self._follower)
            except TimeoutError:
                return self.unfinished() if await self._is_over() else None
        match update:
            case StatusChange(detail=detail, seen_at=seen_at):
                self._on_status(detail, seen_at or self._clock.now())
            case DetailChange():
                self._has_news(is_urgent=self._is_alone)
            case LogLines(stream=stream, events=events):
                self._listener.before_lines(events)
                if self._meter is not None and events:
                    self._meter.longest(LOG_LAG, (self._clock.now() - events[0].time).total_seconds())
                log.lines(stream, events, self._collapsed)
                self._look_for_streams()
                await self._listener.on_lines(self.cursors)
            case NoAnswer(problem="", service=service):
                log.note(f"{service} answers again.")
            case NoAnswer(problem=text) | Problem(message=text):
                log.problem(text)
            case Ended():
                return self._end(update)
        return None

    def _on_status(self, detail: JobDetail, seen_at: datetime) -> None:
        if self._detail is None and self.plan.copy_logs and (elsewhere := detail.logs_elsewhere()):
            log.note(elsewhere)
        if self._detail is None or self._detail.status is not detail.status:
            self._since = detail.created_at if self._detail is None and detail.created_at else self._clock.now()
        before, self._detail = self._detail, detail
        self._tell_status(detail, before)
        self._history = noted(self._history, detail, seen_at)
        has_reason = detail.status.is_waiting and bool(detail.status_reason)
        self._has_news(is_urgent=has_reason or detail.status is JobStatus.RUNNING)

    def _tell_status(self, detail: JobDetail, before: JobDetail | None) -> None:
        """Say which state the job is in, and if that is one to worry about, what to do."""
        if detail.status is JobStatus.FAILED:
            if self._is_alone:
                self._tell_failure(detail)
            else:  # its parts, which are described next, say why
                log.children(detail)
        elif not self._worry_about_waiting():
            log.status(detail, _why(detail), after=_last_ending(detail, before))

    def _tell_failure(self, detail: JobDetail) -> None:
        """Say why the job has failed, unless this wait has had it terminated: that has been said."""
        self._diagnosis = diagnose(detail, self._parts or ())
        if self._stop_reason and detail.is_terminated:
            log.status(detail)
        else:
            log.failure(self._diagnosis)

    def _has_news(self, *, is_urgent: bool) -> None:
        if self._on_news is not None:
            self._on_news(self.job, is_urgent=is_urgent)

    @property
    def _is_alone(self) -> bool:
        """Whether the job has no parts, whose changes are many."""
        return self._detail is not None and self._detail.array_size is None and self._detail.nodes is None

    def _look_for_streams(self) -> None:
        """Tell of the job's log streams when there are new ones."""
        if (count := len(self._follower.log_streams())) > self._stream_count:
            self._stream_count = count
            if not self._is_alone:  # its own are told of as AWS tells of them
                self._has_news(is_urgent=False)

    def _end(self, end: Ended) -> Outcome:
        self.ended = True
        self._parts = end.parts
        for line in incomplete_logs(end.incomplete):
            log.problem(line)
        if any(cursor.is_partial for _, cursor in end.unread.values()):
            log.note("What is left of the log is read from further back; lines may appear twice.")
        if end.detail.status is JobStatus.FAILED and self._diagnosis is None:
            self._tell_failure(end.detail)
        if self._meter is not None:
            tell_end(self._meter, end.detail, self._diagnosis.cause if self._diagnosis else None)
        tell_job(end.detail, self._diagnosis, self._carrier)
        return Outcome(
            job=self.job(),
            summary=summarize(end.detail, end.parts),
            diagnosis=self._diagnosis.to_dict() if self._diagnosis else None,
            unread=[{**stream.to_dict(), "cursor": cursor.to_dict()} for stream, cursor in end.unread.values()],
            timed_out=self._timed_out,
        )

    def _alarm_seconds(self) -> float | None:
        waits = self._detail is None or self._detail.status.is_waiting
        spans = [WORRY_SECONDS] if waits else []
        if self._give_up_at:
            spans.append(max(0.0, (self._give_up_at - self._clock.now()).total_seconds()))
        return min(spans, default=None)

    async def _is_over(self) -> bool:
        """Return whether the wait is over: act if the deadline has passed, else check for a reason to worry."""
        if self._give_up_at is None or self._clock.now() < self._give_up_at:
            self._worry_about_waiting()
            return False
        if self._timed_out or not self.plan.terminate_on_kill:
            self._timed_out = True
            return True
        if self._is_current is not None and not await self._is_current():
            # This wait will be told to stop, or the API server will answer again.
            self._give_up_at = self._clock.now() + timedelta(seconds=ASK_AGAIN_SECONDS)
            return False
        self._timed_out = True
        log.problem(f"The task's time ran out at {self.plan.deadline}, and the job has not ended.")
        if not await self.terminate(stop.TIME_IS_UP):
            return True
        self._give_up_at = self._clock.now() + timedelta(seconds=AFTERMATH_SECONDS)
        return False

    def _worry_about_waiting(self) -> bool:
        """Say why the job does not start, if that is worth a word; return whether it was one, and a new one."""
        detail = self._detail
        if detail is None:
            return False
        worry = why_waiting(detail, (self._clock.now() - self._since).total_seconds())
        # The text counts the minutes, so it does not tell whether the worry is new.
        if worry is None or (worry.cause, detail.status_reason) == self._worry:
            return False
        self._worry = worry.cause, detail.status_reason
        self._has_news(is_urgent=True)
        log.waiting(detail, worry)
        return True


def _why(detail: JobDetail) -> str:
    """Say what AWS's reason for a job's waiting means; empty if that is not known."""
    why = reason_to_wait(detail, 0)
    is_known = why is not None and why.cause not in {Cause.WAITING, Cause.DEPENDENCY_PENDING}
    return f"{why.summary} ({why.details})" if why and is_known else ""


def _last_ending(detail: JobDetail, before: JobDetail | None) -> str:
    """Say how the attempt before the present one ended, if it has ended since the last look."""
    ended = [attempt for attempt in detail.attempts if attempt.stopped_at]
    known = [attempt for attempt in before.attempts if attempt.stopped_at] if before else []
    return f"attempt {len(ended)}: {ending(ended[-1])}" if len(ended) > len(known) and not detail.is_final else ""


_NOBODY = WaitListener()
