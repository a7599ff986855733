"""JobLog: the log of one job and its parts, read as it is now or followed to the job's end."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.logs import read_all
from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.batch.watch.blocking import follow_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent
    from airflow_batch_jobs.batch.logs.window import LogWindow


class JobLog:
    """What a job writes: all attempts and containers, including those of an array's children or of nodes.

    Args:
        clients: Makes the clients.
        detail: The job.
        clock: Time and sleep.
    """

    def __init__(self, clients: ClientFactory, detail: JobDetail, clock: Clock) -> None:
        self._clients = clients
        self._detail = detail
        self._clock = clock

    @property
    def newest(self) -> LogStream | None:
        """The stream whose attempt started last, the first of several; None if the job itself has none."""
        streams = self._detail.log_streams()
        return max(streams, key=lambda stream: stream.started_at.timestamp() if stream.started_at else 0, default=None)

    def events_of_newest(self) -> list[LogEvent]:
        """Return all events that this stream has now, oldest first; none without a stream.

        Raises:
            AwsError: It cannot be read.
        """
        stream = self.newest
        return list(read_all(self._clients, stream, clock=self._clock)) if stream else []

    def read(self, window: LogWindow) -> Iterator[tuple[LogStream, LogEvent]]:
        """Read the lines that are there now, stream by stream.

        Raises:
            AwsError: AWS did not describe the parts, or a stream cannot be read.
        """
        return window.read(self._clients, self._streams(), self._clock)

    def follow(
        self,
        window: LogWindow,
        on_change: Callable[[JobDetail], None],
        on_problem: Callable[[str], None],
    ) -> Iterator[tuple[LogStream, LogEvent]]:
        """Yield the lines as they come, until the job has ended and all are read.

        Args:
            window: Which lines are wanted.
            on_change: As for `follow_lines`.
            on_problem: Likewise.

        Raises:
            JobNotFoundError: AWS knows the job no longer.
            AwsError: AWS refused, or CloudWatch does not show some of the lines.
        """
        if window.tail is not None:
            yield from self.read(window)
        with closing(follow_lines(self._clients, self._detail.job_id, on_change, on_problem)) as lines:
            yield from (line for line in lines if window.wants(*line))

    def _streams(self) -> Iterator[LogStream]:
        for part in (self._detail, *describe_jobs(self._clients, self._detail.part_ids())):
            yield from part.log_streams()
