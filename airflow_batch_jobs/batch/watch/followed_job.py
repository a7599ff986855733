"""FollowedJob: what is known about one followed job, and what its follower has yet to be told."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import UNKNOWN_GRACE_SECONDS
from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.watch.alarm import Alarm
from airflow_batch_jobs.batch.watch.followed_logs import FollowedLogs
from airflow_batch_jobs.batch.watch.followed_parts import FollowedParts
from airflow_batch_jobs.batch.watch.updates import DetailChange, Ended, NoAnswer, Problem, StatusChange
from airflow_batch_jobs.errors import BatchJobsError, JobNotFoundError, WaitCrashedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.logs.log_follower import LogFollower
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.batch.watch.status_poll import StatusPoll
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.errors import AwsError

    Cursors = Mapping[str, Mapping[str, Any]]

#: New jobs are asked for together if they come within this time.
_GATHER_SECONDS = 0.05
#: After a termination the end is near: how often, and for how long, to look for it.
_HURRY_INTERVAL_SECONDS = 1.0
_HURRY_SECONDS = 40.0
#: A follower that is not consumed keeps this many updates, the newest, besides its lines.
_MOST_UPDATES = 100
#: Without its log, at most this many failed parts of a job are described at its end.
_MOST_FAILED = 100
#: How long after an attempt's start AWS may not tell its log stream yet.
_STREAM_SECONDS = 60.0
#: AWS shows a job that was submitted longer ago, or has forgotten it. The clocks of the worker that submitted it and of
#: this machine can both be wrong, but not by days: the minute in which AWS may not show a job yet is not told by them.
_LONG_AGO_SECONDS = 2 * 86_400.0
#: How long after the job's end AWS may still report a part as running, or not know it.
_PART_GRACE_SECONDS = 60.0
_PART_UNKNOWN_SECONDS = 10.0


class FollowedJob:
    """One job on the way to one follower.

    Args:
        job_id: The job.
        poll: Describes jobs.
        logs: Follows log streams.
        moment: Tells the time.
        poll_interval: Seconds between two looks at the job.
        copy_logs: Whether its lines are wanted.
        cursors: Where an earlier follower left off, by the stream's key; or a function that finds that out, called once
            there is a log.
        submitted_at: When the job was submitted, by the clock of the machine that did it; None if unknown.

    Attributes:
        alarm: Rings when there is news.
        detail: The job as AWS described it last; None before the first answer.
        seen_at: When AWS was asked for that, by AWS's clock, and not before what it told.
    """

    def __init__(
        self,
        job_id: str,
        poll: StatusPoll,
        logs: LogFollower,
        moment: Callable[[], Moment],
        *,
        poll_interval: float,
        copy_logs: bool,
        cursors: Cursors | Callable[[], Awaitable[Cursors]],
        submitted_at: datetime | None,
    ) -> None:
        self.alarm = Alarm()
        self.detail: JobDetail | None = None
        self.seen_at: datetime | None = None
        self._job_id = job_id
        self._poll_interval = poll_interval
        self._copy_logs = copy_logs
        self._submitted_at = submitted_at
        self._find_cursors = cursors if callable(cursors) else None
        known = None if callable(cursors) else cursors
        self._poll = poll
        self._moment = moment
        self._begun_at = moment().seconds
        self._updates: deque[Update] = deque(maxlen=_MOST_UPDATES)
        self._told: dict[str, None] = {}
        self.logs = FollowedLogs(logs, known, has_news=self.alarm.ring, has_problem=self._has_problem, fail=self.fail)
        self._parts = FollowedParts()
        self._asked_at = float("-inf")
        self._missing_since: float | None = None
        self._hurry_until = float("-inf")
        self._ended_at: float | None = None
        self._is_listing = False
        self._is_closed = False
        self._error: Exception | None = None
        self._ask(self._begun_at + _GATHER_SECONDS)

    # What the follower gets

    def next_update(self) -> Update | None:
        """Return what comes next; None if there is nothing yet.

        Raises:
            Exception: What ended the following, once all that was known before it has been handed out.
        """
        if self._updates:
            return self._updates.popleft()
        if lines := self.logs.take():
            return lines
        if self._error is not None:
            raise self._error
        return self._end()

    async def find_cursors(self) -> bool:
        """Find out where an earlier follower left off, if that is the next thing to do; return whether it was."""
        if not self.logs.wants_cursors or self._find_cursors is None:
            return False
        self.logs.go_on_from(await self._find_cursors(), self._moment())
        return True

    def no_answer(self, problem: str, service: str) -> None:
        """Tell the follower that a service of AWS does not answer, or, with an empty problem, that it does again."""
        self._tell(NoAnswer(problem, service))

    @property
    def is_ending(self) -> bool:
        """Whether the job has ended, so that the end may be due at any time."""
        return self._ended_at is not None

    def overdue(self, now: float) -> float:
        """Return for how many seconds longer than its poll interval AWS has not described it; 0 once it has ended."""
        looked = max(self._asked_at, self._begun_at)
        return 0.0 if self.is_ending else max(0.0, now - looked - self._poll_interval)

    def look_for_end(self) -> None:
        """Ring if the last update is there: it comes just because time has passed."""
        if self._end() is not None:
            self.alarm.ring()

    def fail(self, error: BaseException) -> None:
        """End the following with an error; one that is not ours becomes a `WaitCrashedError`."""
        if self._error is None:
            self._error = error if isinstance(error, BatchJobsError) else WaitCrashedError(self._job_id, error)
            self.alarm.ring()

    def close(self) -> None:
        """Ask for nothing more, and ignore answers that still come."""
        self._is_closed = True
        self._poll.forget(self, (self._job_id, *self._parts.open))
        self.logs.close(self._known_until())

    def cursors(self) -> dict[str, dict[str, Any]]:
        """Return, as JSON, how far each stream was handed out."""
        return self.logs.cursors(self._known_until())

    def parts(self) -> tuple[JobDetail, ...]:
        """Return the job's parts by their number, as far as AWS has described them."""
        return self._parts.in_order()

    # The job's status

    def hurry(self) -> None:
        """Look more often from now on: the job has been terminated."""
        if self._is_closed:
            return
        now = self._moment().seconds
        self._hurry_until = now + _HURRY_SECONDS
        self._ask(now + _HURRY_INTERVAL_SECONDS)

    def answered(self, job_id: str, detail: JobDetail | None, asked_at: float) -> None:
        """Take what AWS says about the job or a part of it."""
        if self._is_closed:
            return
        if job_id != self._job_id:
            self._part_answered(job_id, detail, asked_at)
            return
        if self.is_ending or asked_at < self._asked_at:  # two calls can overtake each other
            return
        self._asked_at = asked_at
        if detail is None:
            self._unknown(asked_at)
            return
        self._missing_since = None
        now = self._moment()
        self.seen_at = _seen_at(detail, asked_at, now)
        if self.detail is None or _telling(detail) != _telling(self.detail):
            self._tell(StatusChange(detail, self.seen_at))
        elif _less_telling(detail) != _less_telling(self.detail) and DetailChange() not in self._updates:
            self._tell(DetailChange())
        self.detail = detail
        if self._copy_logs:
            self.logs.retire()
            self.logs.watch(detail, asked_at, self._moment())
        if detail.is_final:
            self._ended_at = now.seconds
            self._look_for_failed(detail)
        else:
            self._ask(asked_at + self._interval())
        if self._copy_logs:
            self._ask_parts(self._parts.look(detail), asked_at)
        self.alarm.ring()

    def listed(self, job_ids: Sequence[str]) -> None:
        """Take the ids of an array's failed children."""
        if self._is_closed:
            return
        self._is_listing = False
        self._parts.expect(job_ids)
        self._ask_parts(job_ids, self._moment().seconds)
        self.alarm.ring()

    def _part_answered(self, job_id: str, detail: JobDetail | None, asked_at: float) -> None:
        now = self._moment()
        self._parts.answered(job_id, detail, asked_at)
        if detail is not None and self._copy_logs:
            self.logs.watch(detail, asked_at, now)
            if self.logs.wants_cursors:
                self.alarm.ring()
        if self._ended_at is None or job_id not in self._parts.open:
            return
        if now.seconds - self._ended_at < (_PART_GRACE_SECONDS if detail else _PART_UNKNOWN_SECONDS):
            self._ask_parts((job_id,), asked_at + self._interval())
        else:
            self._parts.give_up(job_id)

    def _look_for_failed(self, detail: JobDetail) -> None:
        """Have the failed parts described if the log is not copied: then they are not known yet."""
        if self._copy_logs or detail.status is not JobStatus.FAILED:
            return
        if detail.kind is JobKind.ARRAY_PARENT:
            self._is_listing = True
            self._poll.list_failed(detail.job_id, self)
        else:
            self.listed(detail.part_ids()[:_MOST_FAILED])

    def _unknown(self, asked_at: float) -> None:
        """Decide what it means that AWS does not mention the job."""
        first = self._missing_since is None
        since = asked_at if self._missing_since is None else self._missing_since
        self._missing_since = since
        patient_until = since + UNKNOWN_GRACE_SECONDS
        is_forgotten = not first and self.detail is None and self._is_of_long_ago()
        if asked_at >= patient_until or is_forgotten:
            self.fail(JobNotFoundError(self._job_id))
        else:
            self._ask(asked_at + self._interval())

    def _is_of_long_ago(self) -> bool:
        """Tell whether the job was submitted so long ago that no clock can be wrong about it."""
        now = self._moment()
        return self._submitted_at is not None and (
            min(now.ms, now.machine_ms) / 1000 - self._submitted_at.timestamp() > _LONG_AGO_SECONDS
        )

    def _ask(self, due: float) -> None:
        self._poll.ask(self._job_id, self, due)

    def _ask_parts(self, job_ids: Sequence[str], due: float) -> None:
        self._parts.asked(job_ids, due)
        for job_id in job_ids:
            self._poll.ask(job_id, self, due, is_part=True)

    def _interval(self) -> float:
        hurries = self._moment().seconds < self._hurry_until
        return min(self._poll_interval, _HURRY_INTERVAL_SECONDS) if hurries else self._poll_interval

    def _end(self) -> Ended | None:
        """Return the last update; None while something is to come before it."""
        if self.detail is None or self._ended_at is None or self._is_listing or self._parts.open:
            return None
        parts = self._parts.in_order()
        if not self._copy_logs:
            return Ended(self.detail, tuple(part for part in parts if part.status is JobStatus.FAILED))
        now = self._moment()
        self.logs.end(now)
        rest = self.logs.rest(now, self._ended_at)
        return None if rest is None else Ended(self.detail, parts, *rest)

    def _known_until(self) -> int:
        """Return the time (ms) before which no log stream started that has not been seen."""
        now, seen_at = self._moment(), min(self._asked_at, self._parts.seen_since())
        return now.ms - int(1000 * (now.seconds - seen_at + _STREAM_SECONDS)) if seen_at > float("-inf") else 0

    def _has_problem(self, problem: str, error: AwsError | None) -> None:
        """Tell the follower about a problem, once for each."""
        if problem not in self._told:
            self._told[problem] = None
            self._tell(Problem(problem, error))

    def _tell(self, update: Update) -> None:
        self._updates.append(update)
        self.alarm.ring()


def _seen_at(detail: JobDetail, asked_at: float, now: Moment) -> datetime:
    """Return when a job was as AWS told now: a call may have been long on its way, and then tells of later times."""
    asked, answered = (
        datetime.fromtimestamp(ms / 1000, tz=UTC) for ms in (now.ms - 1000 * (now.seconds - asked_at), now.ms)
    )
    told = (at for at in (detail.created_at, detail.started_at, detail.stopped_at) if at is not None)
    return min(max([asked, *told]), answered)


def _telling(detail: JobDetail) -> tuple[Any, ...]:
    """Return the fields of a job whose change is news."""
    return detail.status, detail.status_reason, len(detail.attempts)


def _less_telling(detail: JobDetail) -> tuple[Any, ...]:
    """Return what else of a job is worth a word when it changes."""
    return detail.children, [result.log_stream_name for result in detail.results]
