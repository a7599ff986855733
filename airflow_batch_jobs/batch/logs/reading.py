"""Log streams of AWS Batch jobs, read to their end in the calling thread.

`log_follower.LogFollower` follows many streams while their jobs run; `read_all` and `read_on` read one. All use only
FilterLogEvents, since its events carry an id.

**What is guaranteed.** CloudWatch makes an event readable some time after it was written, and nothing bounds that time.
Take an event with timestamp *t* that is readable from the moment *r* on. Within one life of the process it is handed
out exactly once if it becomes readable before the settle time after its job's end is over, and if also

- *r - t* is at most the look-back (`log_lookback_seconds`), or
- nothing in its own stream that is newer than *t* by more than the look-back had been fetched before the last full
  scan that began before *r*.

So a stream may stall for any length of time without losing a line. After a restart with the cursors of the moment at
which the process stopped, nothing is lost and nothing comes twice; with older cursors nothing is lost, and what was
handed out since they were taken comes again.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import Patience, Trouble, service, trouble
from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock
from airflow_batch_jobs.batch.aws.pacing import Backoff, Pace
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs.cursor import EventKeys, LogCursor
from airflow_batch_jobs.batch.logs.event import LogEvent, Numbering
from airflow_batch_jobs.batch.logs.page import LogPage, fetch_page, is_missing, is_stale_token
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.log_stream import LogStream

#: A host's clock may be behind AWS's: a line may seem older than its job by this much.
CLOCK_SKEW_MS = 60_000
#: How many lines at the end of a log that is too long are read all the same.
TAIL_LINES = 1_000
#: How long a read keeps asking while every call fails.
PATIENCE_SECONDS = 300.0

#: Per second: AWS allows 5 for the whole account and region, and followers come first.
_CALLS_BESIDE_FOLLOWERS = 1.0


def start_of(stream: LogStream) -> int:
    """Return the timestamp (ms) below which a stream has no line."""
    return max(0, milliseconds(stream.started_at) - CLOCK_SKEW_MS) if stream.started_at else 0


def read_all(
    clients: ClientFactory,
    stream: LogStream,
    *,
    start_ms: int | None = None,
    limit: int | None = None,
    calls_per_second: float = 4.0,
    clock: Clock | None = None,
) -> Iterator[LogEvent]:
    """Read what a stream has now, all pages, oldest first.

    Does not wait for more: a stream that does not exist yet has no lines.

    Args:
        clients: Makes the `logs` client.
        stream: What to read.
        start_ms: Leave out what is older than this timestamp (ms).
        limit: The most lines to read.
        calls_per_second: The most calls per second; AWS allows 5 for the whole account and region.
        clock: The machine's own if None.

    Raises:
        AwsError: AWS refused, or did not answer for five minutes.
    """
    start = start_of(stream) if start_ms is None else start_ms
    reader = _Reader(clients, stream, LogCursor(start, start), Pace(calls_per_second), clock or SystemClock())
    return islice(reader.pass_once(), limit)


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
        AwsError: AWS refused, or did not answer for five minutes.
    """
    clock = clock or SystemClock()
    pace, lookback_ms = Pace(_CALLS_BESIDE_FOLLOWERS), int(lookback_seconds * 1000)
    reader = _Reader(clients, stream, cursor, pace, clock, lookback_ms=lookback_ms)
    events = reader.passes(milliseconds(ended_at or clock.now()), int(settle_seconds * 1000))
    yield from islice(events, max_lines)
    yield from _last_of(events, reader, at_most_counted=max_lines)


def _last_of(events: Iterator[LogEvent], reader: _Reader, *, at_most_counted: int) -> Iterator[LogEvent]:
    """Read the last lines of a log that is too long, after a line about those before them.

    Args:
        events: The rest of the log.
        reader: Where it comes from.
        at_most_counted: How many lines may be read only to be counted; a longer log is read from its end.
    """
    tail: deque[LogEvent] = deque(maxlen=TAIL_LINES)
    count = 0
    for event in islice(events, at_most_counted):
        tail.append(event)
        count += 1
    goes_on = next(events, None) is not None
    last = reader.tail(TAIL_LINES) if goes_on else list(tail)
    left_out = count - len(last)
    if left_out > 0 or goes_on:
        where = f"log group {reader.stream.group}, stream {reader.stream.stream}, region {reader.stream.region}"
        how_many = f"More than {left_out:,}" if goes_on else f"{left_out:,}"
        message = f"… {how_many} lines are left out here. The whole log is in CloudWatch: {where}"
        yield LogEvent(last[0].timestamp if last else 0, message)
    yield from last


class _Reader:
    """Reads one stream, in passes from its floor to its end."""

    def __init__(
        self,
        clients: ClientFactory,
        stream: LogStream,
        cursor: LogCursor,
        pace: Pace,
        clock: Clock,
        *,
        lookback_ms: int = 120_000,
    ) -> None:
        self.stream = stream
        self._logs = service(clients, "logs", stream.region, Patience.PACED)
        self._pace = pace
        self._clock = clock
        self._lookback_ms = lookback_ms
        self._floor = cursor.floor
        self._keys = EventKeys(cursor.keys)
        self._numbering = Numbering(cursor.numbered)

    def passes(self, ended_ms: int, settle_ms: int) -> Iterator[LogEvent]:
        """Read until a pass that began `settle_ms` after the end and after the last late line finds nothing new."""
        due, first = ended_ms + settle_ms, True
        while True:
            began, new = self._now_ms(), False
            for event in self.pass_once():
                new = True
                yield event
            if began >= due and (first or not new):
                return
            if new and not first:
                due = self._now_ms() + settle_ms
            first = False
            self._clock.sleep(max(0.0, (due - self._now_ms()) / 1000))

    def pass_once(self) -> Iterator[LogEvent]:
        """Read from the floor to the end of what is there now."""
        began = self._now_ms()
        start = position = self._floor
        token: str | None = None
        while True:
            try:
                page = self._page(startTime=start, **({"nextToken": token} if token else {}))
            except _StaleTokenError:
                start, token = position, None
                continue
            for _, event, key in page.events:
                if event.timestamp >= self._floor and self._keys.add(event.timestamp, key):
                    yield self._numbering.number(event)
            position = max(position, page.last_timestamp or 0)
            self._floor = max(self._floor, min(position, began) - self._lookback_ms)
            self._keys.forget_below(self._floor)
            token = page.token
            if token is None:
                self._keys.forget_restored()
                return

    def tail(self, lines: int) -> list[LogEvent]:
        """Read the stream's last lines, whether or not they were read before."""
        request: dict[str, Any] = {"startTime": self._floor, "startFromHead": False, "limit": lines}
        newest_first: list[LogEvent] = []
        while len(newest_first) < lines:
            page = self._page(**request)
            newest_first += [event for _, event, _ in page.events]
            if page.token is None:
                break
            request["nextToken"] = page.token
        return sorted(newest_first[:lines], key=lambda event: event.order)

    def _page(self, **request: Any) -> LogPage:
        """Ask until there is an answer."""
        backoff, asked_since = Backoff(), self._clock.monotonic()
        while True:
            self._clock.sleep(self._pace.delay(self._clock.monotonic()))
            self._pace.spend(self._clock.monotonic())
            try:
                page = fetch_page(self._logs, {**self._names, **request})
            except AwsError as error:
                kind = trouble(error)
                if is_missing(error):
                    return LogPage()
                if "nextToken" in request and is_stale_token(error):
                    raise _StaleTokenError from error
                if not kind.retry or self._clock.monotonic() - asked_since > PATIENCE_SECONDS:
                    raise
                if kind is Trouble.THROTTLED:
                    self._pace.throttled(self._clock.monotonic())
                self._clock.sleep(backoff.next_delay())
            else:
                self._pace.succeeded()
                return page

    @property
    def _names(self) -> dict[str, Any]:
        return {"logGroupName": self.stream.group, "logStreamNames": [self.stream.stream]}

    def _now_ms(self) -> int:
        return milliseconds(self._clock.now())


class _StaleTokenError(Exception):
    """CloudWatch has forgotten the token of the next page."""
