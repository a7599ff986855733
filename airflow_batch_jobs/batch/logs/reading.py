"""Log streams of AWS Batch jobs, read to their end in the calling thread.

`log_follower.LogFollower` follows many streams while their jobs run; `read_all` and `read_on` read one, and
`rest.LogRest` what is left of all streams of a job. All use only FilterLogEvents, since its events carry an id.

**What is guaranteed.** CloudWatch makes an event readable some time after it was written, and nothing bounds that time.
Take an event with timestamp *t* that is readable from the moment *r* on. Within one life of the process it is handed
out exactly once if it becomes readable before the settle time after its job's end is over, and if also

- *r - t* is at most the look-back (`log_lookback_seconds`), or
- nothing in its own stream that is newer than *t* by more than the look-back had been fetched before the last full
  scan that began before *r*.

So a stream may stall for any length of time without losing a line. After a restart with the cursors of the moment at
which the process stopped, nothing is lost and nothing comes twice; with older cursors nothing is lost, and what was
handed out since they were taken comes again. Nor is anything lost with cursors that are partial because a job has too
many streams or lines for them: then some of the last lines come again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import Patience, service
from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock
from airflow_batch_jobs.batch.aws.outage import OUTAGE_SECONDS
from airflow_batch_jobs.batch.aws.pacing import Pace
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs.cursor import LogCursor
from airflow_batch_jobs.batch.logs.stream_reader import StreamReader, no_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.event import LogEvent
    from airflow_batch_jobs.batch.logs.stream_reader import Events

#: A host's clock may be behind AWS's: a line may seem older than its job by this much.
CLOCK_SKEW_MS = 60_000
#: Per second, where nothing else reads: AWS allows 5 for the whole account and region.
_CALLS_ALONE = 4.0
#: Per second, since followers come first.
CALLS_BESIDE_FOLLOWERS = 1.0


def start_of(stream: LogStream) -> int:
    """Return the timestamp (ms) below which a stream has no line.

    Args:
        stream: The stream, with the time at which its attempt started, if that is known.
    """
    return max(0, milliseconds(stream.started_at) - CLOCK_SKEW_MS) if stream.started_at else 0


def read_all(
    clients: ClientFactory,
    stream: LogStream,
    *,
    start_ms: int | None = None,
    clock: Clock | None = None,
) -> Iterator[LogEvent]:
    """Read what a stream has now, all pages, oldest first.

    Does not wait for more: a stream that does not exist yet has no lines.

    Args:
        clients: Makes the `logs` client.
        stream: What to read.
        start_ms: Leave out what is older than this timestamp (ms).
        clock: The machine's own if None.

    Raises:
        AwsError: AWS refused, or did not answer for five minutes, or with no line for as long.
    """
    start, clock = start_of(stream) if start_ms is None else start_ms, clock or SystemClock()
    reader = _reader(clients, stream, LogCursor(start, start), Pace(_CALLS_ALONE), clock)
    return _patiently(reader, reader.whole_read(), clock)


def read_last(
    clients: ClientFactory, stream: LogStream, lines: int, *, start_ms: int | None = None, clock: Clock | None = None
) -> Iterator[LogEvent]:
    """Read the last lines that a stream has now, oldest first.

    Args:
        clients: Makes the `logs` client.
        stream: What to read.
        lines: The most lines, at least 1.
        start_ms: Leave out what is older than this timestamp (ms).
        clock: The machine's own if None.

    Raises:
        AwsError: As `read_all`.
    """
    start, clock = start_of(stream) if start_ms is None else start_ms, clock or SystemClock()
    reader = _reader(clients, stream, LogCursor(start, start), Pace(_CALLS_ALONE), clock)
    return _patiently(reader, reader.last_lines(lines), clock)


def read_on(
    clients: ClientFactory,
    stream: LogStream,
    cursor: LogCursor,
    *,
    max_lines: int = 1_000_000,
    ended_at: datetime | None = None,
    settle_seconds: float = 5.0,
    lookback_seconds: float = 120.0,
    clock: Clock | None = None,
) -> Iterator[LogEvent]:
    """Continue where a follower left a stream whose job has ended, until nothing more comes.

    If the log is longer than `max_lines`, a line of this package's own says how many are left out and where they are,
    and the last 1,000 follow.

    Args:
        clients: Makes the `logs` client.
        stream: What to read.
        cursor: Where to begin, from `Ended.unread` or `JobFollower.cursors()`.
        max_lines: The most lines to read, not counting the last 1,000.
        ended_at: When the job ended; now if None. The last look at the stream is at least `settle_seconds` later.
        settle_seconds: How long lines may still come.
        lookback_seconds: How late a line may come.
        clock: The machine's own if None.

    Raises:
        AwsError: AWS refused, or did not answer for five minutes, or with no line for as long.
    """
    clock = clock or SystemClock()
    reader = _reader(clients, stream, cursor, Pace(CALLS_BESIDE_FOLLOWERS), clock, lookback_seconds)
    ended_ms = milliseconds(ended_at or clock.now())
    return _patiently(reader, reader.lines(ended_ms, settle_seconds, max_lines), clock)


def _reader(
    clients: ClientFactory,
    stream: LogStream,
    cursor: LogCursor,
    pace: Pace,
    clock: Clock,
    lookback_seconds: float = 120,
) -> StreamReader:
    logs = service(clients, "logs", stream.region, Patience.PACED)
    return StreamReader(stream, cursor, logs, pace, clock, lookback_seconds=lookback_seconds)


def _patiently(reader: StreamReader, steps: Iterable[Events], clock: Clock) -> Iterator[LogEvent]:
    """Yield what a reader's steps find, and go on for a while where they find nothing.

    Raises:
        AwsError: They have found nothing for five minutes.
    """
    found, found_at = 0, clock.monotonic()
    for events in steps:
        yield from events
        clock.sleep(max(0.0, reader.due - clock.monotonic()))
        if reader.found > found or reader.is_waiting:
            found, found_at = reader.found, clock.monotonic()
        elif clock.monotonic() - found_at > OUTAGE_SECONDS:
            raise reader.problem or no_lines()
