"""WatchLoop: the asyncio tasks of a working watcher, from its first follower to its last."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.logs.log_follower import LogFollower
from airflow_batch_jobs.batch.logs.moment import Moment
from airflow_batch_jobs.batch.meter import WATCHER_CALLS, WATCHER_LAG, WATCHER_THROTTLED
from airflow_batch_jobs.batch.numbers import positive
from airflow_batch_jobs.batch.watch.apart import start_apart
from airflow_batch_jobs.batch.watch.aws_time import AwsTime
from airflow_batch_jobs.batch.watch.channel import Channel
from airflow_batch_jobs.batch.watch.log_copy import LogCopy
from airflow_batch_jobs.batch.watch.status_poll import StatusPoll
from airflow_batch_jobs.errors import BatchJobsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.meter import Meter
    from airflow_batch_jobs.batch.watch.aws_calls import AwsCalls
    from airflow_batch_jobs.batch.watch.followed_job import FollowedJob
    from airflow_batch_jobs.batch.watch.line_budget import LineBudget

#: The process's own: what concerns no job in particular belongs in no task's log.
_LOG = logging.getLogger(__name__)
#: How often lines are shared out, ends looked for, and AWS's silence noticed.
_TICK_SECONDS = 0.25
#: How often what is measured is told.
_MEASURE_SECONDS = 5.0
_JOBS_AT_ONCE = 200
#: Calls in flight at the same time: enough for the rate even if a call takes half a second.
_STATUS_CALLS_AT_ONCE = 4
_LOG_CALLS_AT_ONCE = 3


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """How fast a watcher asks and copies.

    Attributes:
        status_calls_per_second: The most DescribeJobs calls.
        log_calls_per_second: The most FilterLogEvents calls per region; AWS allows 5 for the whole account.
        log_lines_per_second: The most log lines, for all watchers that share a budget together.
        log_settle_seconds: How long, at least, late events are looked for after a job's end.
        log_lookback_seconds: How late an event may come.
        unread_bytes: What `Ended.unread` may take up as JSON, with the names of the streams; no limit if None. What
            does not fit is read again from further back, so that lines come twice.
    """

    status_calls_per_second: float = 10
    log_calls_per_second: float = 4
    log_lines_per_second: float = 400
    log_settle_seconds: float = 5
    log_lookback_seconds: float = 120
    unread_bytes: int | None = None

    def __post_init__(self) -> None:
        """Check each number by its name.

        Raises:
            ValueError: One is not above 0; the two spans may be 0.
        """
        for each in fields(self):
            if (given := getattr(self, each.name)) is not None or each.default is not None:
                positive(given, each.name, or_zero=each.name in {"log_settle_seconds", "log_lookback_seconds"})


class WatchLoop:
    """Asks AWS about all followed jobs, in the running event loop.

    Args:
        calls: Calls AWS.
        options: How fast to ask and copy.
        budget: Shares out the lines.
        clock: Tells the wall-clock time.
        on_size: Called now and then with the number of followed jobs and streams.
        beside: Work of the watcher's own that goes on as long.
        meter: Is told how the work goes; None if nobody wants to know.
    """

    def __init__(
        self,
        calls: AwsCalls,
        options: WatchOptions,
        budget: LineBudget,
        clock: Clock,
        on_size: Callable[[int], None] | None = None,
        beside: Callable[[], Coroutine[None, None, None]] | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._calls = calls
        self._budget = budget
        self._time = AwsTime(clock)
        self._on_size = on_size or (lambda _: None)
        self._beside = beside
        self._meter = meter
        self._measured_at = asyncio.get_running_loop().time()
        self._jobs: set[FollowedJob] = set()
        self._told: dict[Channel, set[FollowedJob]] = {}
        self._status_channel = Channel(calls, "batch", None, options.status_calls_per_second, _STATUS_CALLS_AT_ONCE)
        self._poll = StatusPoll(self._status_channel, self._time)
        self._logs = LogFollower(
            settle_seconds=options.log_settle_seconds,
            lookback_seconds=options.log_lookback_seconds,
            lines_per_second=budget.lines_per_second,
            room=budget.room,
            unread_bytes=options.unread_bytes,
        )
        open_channel = partial(self._open_log_channel, calls_per_second=options.log_calls_per_second)
        self._log_copy = LogCopy(self._logs, open_channel, self._moment)
        self._now = self._moment  # one bound method for all jobs
        self._is_ending = False
        self._task = start_apart(self._run(), "JobWatcher")
        self._task.add_done_callback(self._over)

    @property
    def is_over(self) -> bool:
        """Whether it has stopped working, or is about to: whoever arrives now needs another one."""
        return self._is_ending or self._task.done()

    async def ends_within(self, seconds: float) -> None:
        """Wait until it has stopped working, at most this many seconds."""
        await asyncio.wait({self._task}, timeout=seconds)

    def queues(self) -> tuple[str, ...]:
        """Return the queues of the jobs it follows, as far as AWS has described the jobs."""
        return tuple(dict.fromkeys(job.detail.job_queue for job in self._jobs if job.detail))

    def add(self, make: Callable[..., FollowedJob]) -> FollowedJob:
        """Follow a job. `make` is called with what describes jobs, what follows log streams, and the clock."""
        job = make(self._poll, self._logs, self._now)
        self._jobs.add(job)
        return job

    async def remove(self, job: FollowedJob) -> None:
        """Stop following a job; with the last one the work ends, without waiting for calls in flight."""
        for jobs in (self._jobs, *self._told.values()):
            jobs.discard(job)
        try:
            job.close()
        finally:
            if not self._jobs and not self._task.done():
                self._is_ending = True
                self._task.cancel()
                await asyncio.wait({self._task})

    async def _run(self) -> None:
        self._budget.join(self._logs.streams)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._poll.run())
                tasks.create_task(self._log_copy.run())
                tasks.create_task(self._tick())
                if self._beside is not None:
                    tasks.create_task(self._beside())
        finally:
            self._budget.leave(self._logs.streams)
            if self._meter is not None:
                self._measure(self._meter)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            try:
                self._budget.share(asyncio.get_running_loop().time())
                self._tell_problems()
                self._on_size(len(self._jobs) + self._logs.stream_count)
                now = asyncio.get_running_loop().time()
                if self._meter is not None and now - self._measured_at >= _MEASURE_SECONDS:
                    self._measured_at = now
                    self._measure(self._meter)
            except Exception:  # noqa: BLE001 - one of the streams is the reason
                _LOG.exception("Some log streams are in the way of the others.")
                self._logs.expel_broken(self._moment())
            self._log_copy.ring()
            await self._look_for_ends()

    def _measure(self, meter: Meter) -> None:
        """Tell how many calls went out since the last time, and how long a job has to wait for its turn."""
        for metric, calls in ((WATCHER_CALLS, self._calls.made), (WATCHER_THROTTLED, self._calls.throttled)):
            for service, number in calls.items():
                if number:
                    meter.count(metric, number, service=service)
            calls.clear()
        now = asyncio.get_running_loop().time()
        meter.longest(WATCHER_LAG, max((job.overdue(now) for job in self._jobs), default=0.0))
        meter.send()

    async def _look_for_ends(self) -> None:
        """Wake the followers of jobs that are done to the last line, letting the event loop run in between."""
        for number, job in enumerate([job for job in self._jobs if job.is_ending]):
            if number % _JOBS_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                job.look_for_end()
            except Exception as error:  # noqa: BLE001 - it ends the one that it came from
                job.fail(error)

    def _tell_problems(self) -> None:
        """Tell the followers when AWS has not answered for a while, and when it answers again.

        A region's logs concern the jobs that have some there, AWS Batch concerns all.
        """
        self._tell_problem(self._status_channel)
        for region, channel in self._log_copy.channels.items():
            self._tell_problem(channel, region)

    def _tell_problem(self, channel: Channel, region: str | None = None) -> None:
        """Tell those that have not heard of a channel's problem, or, when it is over, those that have.

        Args:
            channel: The channel.
            region: Where a job must have streams for the channel to concern it; None if it concerns all.
        """
        problem, told = channel.problem(), self._told.setdefault(channel, set())
        for job in self._jobs - told if problem else tuple(told):
            try:
                if not problem or region is None or job.logs.is_in(region):
                    (told.add if problem else told.remove)(job)
                    job.no_answer(problem, channel.name)
            except Exception as error:  # noqa: BLE001 - it ends the one that it came from
                job.fail(error)

    def _over(self, task: asyncio.Task[None]) -> None:
        """Fail all followers: what they wait for has stopped."""
        error = None if task.cancelled() else task.exception()
        for job in self._jobs:
            job.fail(_first(error) if error else BatchJobsError("What followed the job was cancelled."))

    def _moment(self) -> Moment:
        return Moment(asyncio.get_running_loop().time(), self._time.now_ms(), self._time.machine_ms())

    def _open_log_channel(self, region: str, *, calls_per_second: float) -> Channel:
        return Channel(self._calls, "logs", region, calls_per_second, _LOG_CALLS_AT_ONCE)


def _first(error: BaseException) -> Exception:
    """Return the first of the errors that a task group gathered."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else BatchJobsError(f"What followed the job has stopped: {error!r}")
