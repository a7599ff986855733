"""What a `JobWatcher` does, for code without `async`: log lines as they come, and the end of many jobs at once.

The watcher runs on an event loop in a thread of its own, so this also works where a loop is running already, as in a
notebook.
"""

from __future__ import annotations

import asyncio
import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_batch_jobs.batch.log_stream import incomplete_logs
from airflow_batch_jobs.batch.logs import LogRest
from airflow_batch_jobs.batch.watch.loop import WatchOptions
from airflow_batch_jobs.batch.watch.updates import Ended, LogLines, NoAnswer, Problem, StatusChange
from airflow_batch_jobs.batch.watch.watcher import JobWatcher
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent

#: Nothing else shares this loop, so lines need no budget.
OPTIONS = WatchOptions(log_lines_per_second=1_000_000)
POLL_SECONDS = 2.0

Answer = TypeVar("Answer")


def follow_lines(
    clients: ClientFactory,
    job_id: str,
    on_change: Callable[[JobDetail], None],
    on_problem: Callable[[str], None],
) -> Generator[tuple[LogStream, LogEvent]]:
    """Yield the lines of all streams of a job, including its parts, until it has ended and all lines are read.

    Args:
        clients: Makes the clients.
        job_id: The job.
        on_change: Called with the job at first and whenever its state changes.
        on_problem: Called with one sentence when AWS has not answered for a while, and with an empty one when it does
            again.

    Raises:
        JobNotFoundError: AWS knows no job of this id.
        AwsError: AWS refused, or CloudWatch does not show some of the lines.
    """
    with background_loop() as run:
        follower = JobWatcher(clients, OPTIONS).follow(job_id, poll_interval=POLL_SECONDS)
        run(follower.__aenter__())
        try:
            while not isinstance(update := run(follower.__anext__()), Ended):
                if isinstance(update, LogLines):
                    yield from ((update.stream, event) for event in update.events)
                elif isinstance(update, StatusChange):
                    on_change(update.detail)
                elif isinstance(update, NoAnswer):
                    on_problem(update.problem)
                elif isinstance(update, Problem):
                    raise update.error or AwsError(update.message)
        finally:
            run(follower.__aexit__(None, None, None))
    yield from _rest(clients, update)


def _rest(clients: ClientFactory, end: Ended) -> Iterator[tuple[LogStream, LogEvent]]:
    """Yield the lines that the watcher left over.

    Raises:
        Exception: A stream could not be read to its end; the others were.
    """
    rest = LogRest(
        clients,
        end.unread.values(),
        ended_at=end.detail.stopped_at,
        settle_seconds=OPTIONS.log_settle_seconds,
        lookback_seconds=OPTIONS.log_lookback_seconds,
        whole_seconds=math.inf,
    )
    for stream, events in rest:
        yield from ((stream, event) for event in events)
    for why in rest.missing.values():
        raise why
    for line in incomplete_logs(end.incomplete):
        raise AwsError(line)


def terminate_all(clients: ClientFactory, reasons: Mapping[str, str]) -> dict[str, Exception]:
    """Terminate many jobs at the rate that AWS allows, as `JobWatcher.terminate_all` does, and wait for its answers."""
    if not reasons:
        return {}
    with background_loop() as run:
        return run(JobWatcher(clients).terminate_all(reasons))


@contextmanager
def background_loop() -> Iterator[Callable[[Coroutine[Any, Any, Answer]], Answer]]:
    """Run a loop during the block; yields a function that runs a coroutine on it and waits for the result."""
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop = runner.get_loop()

    def work() -> None:
        with runner:  # it ends what is still at work
            loop.run_forever()

    thread = threading.Thread(target=work, name="airflow-batch-jobs-loop", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Answer]) -> Answer:
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result()
        except BaseException:  # including Ctrl-C
            future.cancel()
            raise

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
