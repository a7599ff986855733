"""JobWatcher: follow thousands of jobs with one DescribeJobs call per hundred of them.

::

    async with watcher.follow(job_id) as follower:
        async for update in follower:
            match update:
                case StatusChange(detail): ...
                case LogLines(stream, events): ...
                case Ended(detail, parts, unread): ...
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock
from airflow_batch_jobs.batch.numbers import positive
from airflow_batch_jobs.batch.watch.aws_calls import AwsCalls
from airflow_batch_jobs.batch.watch.followed_job import FollowedJob
from airflow_batch_jobs.batch.watch.line_budget import LineBudget
from airflow_batch_jobs.batch.watch.loop import WatchLoop, WatchOptions
from airflow_batch_jobs.batch.watch.terminations import Terminations
from airflow_batch_jobs.batch.watch.updates import Ended
from airflow_batch_jobs.errors import BatchJobsError, CallOrderError, WaitCrashedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from airflow_batch_jobs.batch.aws import ClientFactory, KeptClients
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.meter import Meter
    from airflow_batch_jobs.batch.watch.aws_calls import Runner
    from airflow_batch_jobs.batch.watch.followed_job import Cursors
    from airflow_batch_jobs.batch.watch.updates import Update

Answer = TypeVar("Answer")


class JobWatcher:
    """Follows the jobs of one account and region.

    Works while it has followers, in the event loop of the first: it starts with the first follower and ends with the
    last. boto3 is loaded and called in threads, so the loop never waits for AWS.

    Args:
        clients: Makes the boto3 clients.
        options: How fast to ask and copy.
        budget: Shares the lines among all watchers that are given it; the watcher's own if None.
        clock: The machine's own if None.
        run: Runs blocking work beside the event loop; in threads if None.
        on_size: Called a few times a second with the number of jobs and log streams followed.
        meter: Is told every few seconds how the work goes; None if nobody wants to know.
    """

    def __init__(
        self,
        clients: ClientFactory,
        options: WatchOptions | None = None,
        *,
        budget: LineBudget | None = None,
        clock: Clock | None = None,
        run: Runner | None = None,
        on_size: Callable[[int], None] | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.options = options or WatchOptions()
        self._calls = AwsCalls(clients, run)
        self._terminations = Terminations(self._calls)
        self._budget = budget or LineBudget(self.options.log_lines_per_second)
        self.clock = clock or SystemClock()
        self.meter = meter
        self._on_size = on_size
        self._loop: WatchLoop | None = None

    def follow(
        self,
        job_id: str,
        *,
        poll_interval: float = 5.0,
        copy_logs: bool = True,
        cursors: Cursors | Callable[[], Awaitable[Cursors]] | None = None,
        submitted_at: datetime | None = None,
    ) -> JobFollower:
        """Return a follower of a job; it begins when it is entered.

        Args:
            job_id: The job.
            poll_interval: Seconds between two looks at it, while the rate allows.
            copy_logs: Whether its log lines are wanted.
            cursors: What `JobFollower.cursors()` returned, to continue from there; or a function that finds this out,
                awaited once the job has a log to read.
            submitted_at: When the job was submitted. AWS may not know a job for a minute, which begins with the first
                look at it; if it was submitted days ago, a second look is enough.

        Raises:
            ValueError: `poll_interval` is not a number above 0.
        """
        make = partial(
            FollowedJob,
            job_id,
            poll_interval=positive(poll_interval, "poll_interval"),
            copy_logs=copy_logs,
            cursors=cursors or {},
            submitted_at=submitted_at,
        )
        return JobFollower(self, job_id, make, {} if callable(cursors) else cursors or {})

    async def terminate(self, job_id: str, reason: str, *, is_urgent: bool = True) -> None:
        """Have AWS terminate a job, with a call for many if many are to be terminated. Does not wait for its end.

        What AWS does not accept at once is tried again, also when nobody waits for the answer any more.

        Args:
            job_id: The job.
            reason: Becomes its statusReason.
            is_urgent: Whether it goes ahead of those that are not.

        Raises:
            AwsError: AWS refused, or was busy or away for 45 s.
        """
        await self._terminations.terminate(job_id, reason, is_urgent=is_urgent)

    async def terminate_all(self, reasons: Mapping[str, str], *, is_urgent: bool = True) -> dict[str, Exception]:
        """Have AWS terminate many jobs, as `terminate` does.

        Args:
            reasons: What becomes their statusReason, by their ids.
            is_urgent: Whether they go ahead of those that are not.

        Returns:
            Why not, of those that were not terminated.
        """
        calls = (self.terminate(job_id, reason, is_urgent=is_urgent) for job_id, reason in reasons.items())
        results = zip(reasons, await asyncio.gather(*calls, return_exceptions=True), strict=True)
        return {job_id: result for job_id, result in results if isinstance(result, Exception)}

    @property
    def has_ended(self) -> bool:
        """Whether it has had followers and has none any more."""
        return self._loop is not None and self._loop.is_over

    async def ends_within(self, seconds: float) -> bool:
        """Wait until it has no followers any more, at most this many seconds; return whether that is so.

        Args:
            seconds: How long to wait at most.
        """
        if self._loop is None:
            await asyncio.sleep(seconds)
        else:
            await self._loop.ends_within(seconds)
        return self.has_ended

    def queues(self) -> tuple[str, ...]:
        """Return the queues of the jobs followed now, as far as AWS has described the jobs."""
        return () if self._loop is None else self._loop.queues()

    @property
    def clients(self) -> KeptClients:
        """The clients, for a caller's own work `beside` the event loop."""
        return self._calls.clients

    async def beside(self, work: Callable[[], Answer]) -> Answer:
        """Do blocking work in a thread, and return what it returns, or raise what it raises.

        Args:
            work: What blocks; it is called without arguments.
        """
        return await self._calls.run(work)

    def start(self) -> WatchLoop:
        """Return the loop that works for all followers; start it if there is none."""
        if self._loop is None or self._loop.is_over:
            self._loop = WatchLoop(
                self._calls,
                self.options,
                self._budget,
                self.clock,
                self._on_size,
                self._terminations.keep_prepared,
                self.meter,
            )
        return self._loop


class JobFollower:
    """Follows one job: an async context manager, and inside it an async iterator of updates.

    `anext` may be cancelled at any time, by `asyncio.timeout` for instance, and called again: nothing is lost. An
    update counts as handed out once `anext` returns it. What is not consumed waits: once some thousand log lines are
    waiting, further ones stay in CloudWatch.

    Leaving the context does not touch the job. What is known by then remains readable: `detail`, `log_streams()`,
    `cursors()`.

    Args:
        watcher: The watcher that asks AWS.
        job_id: The job to follow.
        make: Makes the state of a followed job, inside the context.
        cursors: Where the copy of each log stream stood; empty for its beginning.
    """

    def __init__(self, watcher: JobWatcher, job_id: str, make: Callable[..., FollowedJob], cursors: Cursors) -> None:
        self._watcher = watcher
        self._job_id = job_id
        self._make: Callable[..., FollowedJob] | None = make
        self._cursors = cursors
        self._loop: WatchLoop | None = None
        self._job: FollowedJob | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        if self._make is None:
            raise CallOrderError("A follower can be used only once; make a new one to follow again.")
        make, self._make = self._make, None
        self._loop = self._watcher.start()
        self._job = self._loop.add(make)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        if self._loop is not None and self._job is not None:
            with self._named_crash():
                await self._loop.remove(self._job)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """Wait for the next update.

        Raises:
            JobNotFoundError: AWS has not known the job for a minute.
            AccessDeniedError: The role may not describe jobs.
            CredentialsError: There are no credentials, or none that are valid.
            WaitCrashedError: Something that nobody foresaw.
            StopAsyncIteration: `Ended` was handed out.
        """
        job = self._entered()
        while not self._is_over:
            # A consumer that takes a flood of lines without pause must still let the loop's other tasks run.
            await asyncio.sleep(0)
            with self._named_crash():
                update = job.next_update()
                if update is not None:
                    self._is_over = isinstance(update, Ended)
                    return update
                if not await job.find_cursors():
                    await job.alarm.rings()
        raise StopAsyncIteration

    @property
    def detail(self) -> JobDetail | None:
        """The job as AWS last described it; None before the first answer."""
        return self._job.detail if self._job else None

    def log_streams(self) -> tuple[LogStream, ...]:
        """Return the log streams followed so far, including those of the job's parts."""
        return self._job.logs.streams() if self._job else ()

    @property
    def seen_at(self) -> datetime | None:
        """When AWS was asked for what `detail` says, by AWS's clock; None before the first answer."""
        return self._job.seen_at if self._job else None

    def parts(self) -> tuple[JobDetail, ...]:
        """Return the job's children or nodes by their number, as far as AWS has described them."""
        return self._job.parts() if self._job else ()

    def cursors(self) -> dict[str, dict[str, Any]]:
        """Return, as JSON, how far each stream was handed out; `JobWatcher.follow` continues from there.

        Empty until it has been found out where to begin.
        """
        if self._job is not None:
            return self._job.cursors()
        return {key: dict(each) for key, each in self._cursors.items()}

    async def terminate(self, reason: str) -> None:
        """Have AWS terminate the job. Does not wait for its end, which comes as an update.

        Args:
            reason: Why, for AWS's status reason.

        Raises:
            AwsError: AWS refused, or was busy or away for 45 s.
        """
        await self._watcher.terminate(self._job_id, reason)
        if self._job is not None:
            self._job.hurry()

    @contextmanager
    def _named_crash(self) -> Iterator[None]:
        """Name the job in whatever nobody foresaw."""
        try:
            yield
        except BatchJobsError:
            raise
        except Exception as error:
            raise WaitCrashedError(self._job_id, error) from error

    def _entered(self) -> FollowedJob:
        if self._job is None:
            raise CallOrderError("Follow a job inside `async with watcher.follow(…) as follower`.")
        return self._job
