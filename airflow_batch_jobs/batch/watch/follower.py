"""JobFollower: what happens to one job, as an async iterator."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.watch.updates import Ended
from airflow_batch_jobs.errors import CallOrderError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from airflow_batch_jobs.batch.detail import JobDetail, LogStream
    from airflow_batch_jobs.batch.watch.followed_job import FollowedJob, Following
    from airflow_batch_jobs.batch.watch.loop import WatchLoop
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.batch.watch.watcher import JobWatcher


class JobFollower:
    """Follows one job: an async context manager, and inside of it an async iterator of updates.

    `anext` may be cancelled at any time, by `asyncio.timeout` for instance, and called again: nothing is lost. An
    update counts as handed out when `anext` returns it. What is not consumed waits: log lines stay at CloudWatch when
    some thousand are waiting.

    Leaving the context does not touch the job. What is known then remains readable: `detail`, `log_streams()`,
    `cursors()`.
    """

    def __init__(self, watcher: JobWatcher, wanted: Following) -> None:
        self._watcher = watcher
        self._wanted = wanted
        self._loop: WatchLoop | None = None
        self._job: FollowedJob | None = None
        self._is_over = False

    async def __aenter__(self) -> Self:
        if self._job is not None:
            raise CallOrderError("A follower follows once; make a new one to follow again.")
        self._loop = self._watcher.start()
        self._job = self._loop.add(self._wanted)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over = True
        if self._loop is not None and self._job is not None:
            await self._loop.remove(self._job)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        """Wait for the next update.

        Raises:
            JobNotFoundError: AWS has not known the job for a minute.
            AccessDeniedError: The role may not describe jobs.
            CredentialsError: There are no credentials, or none that hold.
            StopAsyncIteration: `Ended` was handed out.
        """
        job = self._entered()
        while not self._is_over:
            # Whoever consumes a flood of lines without pause lets the others of the loop run all the same.
            await asyncio.sleep(0)
            update = job.next_update()
            if update is not None:
                self._is_over = isinstance(update, Ended)
                return update
            if not await job.find_cursors():
                await job.alarm.rings()
        raise StopAsyncIteration

    @property
    def detail(self) -> JobDetail | None:
        """The job as AWS described it last; None before the first answer."""
        return self._job.detail if self._job else None

    def log_streams(self) -> tuple[LogStream, ...]:
        """Return the log streams followed so far, those of the job's parts included, for `JobDetail.to_xcom`."""
        return self._job.logs.streams() if self._job else ()

    def cursors(self) -> dict[str, dict[str, Any]]:
        """Return, as JSON, how far each stream was handed out; `JobWatcher.follow` goes on from there.

        Empty as long as it was not found out where to begin.
        """
        if self._job is not None:
            return self._job.logs.cursors()
        return {} if callable(given := self._wanted.cursors) else {key: dict(each) for key, each in given.items()}

    async def terminate(self, reason: str) -> None:
        """Have AWS terminate the job. Does not wait for its end, which will be an update.

        Raises:
            AwsError: AWS refused, or did not answer.
        """
        await self._watcher.terminate(self._wanted.job_id, reason)
        if self._job is not None:
            self._job.hurry()

    async def describe_now(self) -> JobDetail | None:
        """Ask AWS about the job at once, and return the answer; what is news is also an update.

        Returns:
            The job; None if AWS does not know it.

        Raises:
            AwsError: AWS refused.
        """
        return await self._entered().describe_now()

    def _entered(self) -> FollowedJob:
        if self._job is None:
            raise CallOrderError("Follow a job inside of `async with watcher.follow(…) as follower`.")
        return self._job
