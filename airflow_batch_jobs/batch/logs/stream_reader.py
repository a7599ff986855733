"""StreamReader: reads one log stream, from a cursor to its end, one call a step."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.aws.trouble import may_pass
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs.cursor import EventKeys
from airflow_batch_jobs.batch.logs.event import LogEvent, Numbering
from airflow_batch_jobs.batch.logs.page import (
    MOST_EVENTS,
    LogPage,
    fetch_at_pace,
    is_missing,
    is_stale_token,
    knows_start_from_head,
)
from airflow_batch_jobs.errors import AwsError, EndpointError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from typing import TypeAlias

    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.aws.pacing import Pace
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.cursor import LogCursor

    #: What one step of a reader found.
    Events: TypeAlias = tuple[LogEvent, ...]

#: How many lines at the end of a log that is too long are read all the same.
TAIL_LINES = 1_000
#: FilterLogEvents gives the newest first only of what was written since 2024-01-01; AWS Batch forgets jobs sooner.
_NEWEST_FIRST_SINCE_MS = 1_704_067_200_000


class StreamReader:
    """Reads one stream.

    What it returns are iterators over steps. A step makes at most one call and yields what is new, which may be
    nothing: after a call that failed, or a page without news. Whoever iterates waits until `due`, and decides when to
    give up.

    Args:
        stream: What to read.
        cursor: Where to begin.
        logs: CloudWatch Logs in the stream's region.
        pace: Shared by whatever is read at the same time.
        clock: Time and sleep.
        lookback_seconds: How late a line may come.

    Attributes:
        due: When the next step is to be made, in seconds.
        found: How many lines were found so far, whether or not they were yielded.
        is_waiting: Whether nothing is to be asked before `due`, since late lines may come until then.
        problem: What the last call ended in; None for an answer.
    """

    def __init__(
        self,
        stream: LogStream,
        cursor: LogCursor,
        logs: Service,
        pace: Pace,
        clock: Clock,
        *,
        lookback_seconds: float = 120.0,
    ) -> None:
        self.stream = stream
        self.due = float("-inf")
        self.found = 0
        self.is_waiting = False
        self.problem: AwsError | None = None
        self._logs = logs
        self._pace = pace
        self._clock = clock
        self._lookback_ms = int(lookback_seconds * 1000)
        self._floor = cursor.floor
        self._keys = EventKeys(cursor.keys)
        self._numbering = Numbering(cursor.numbered)

    def lines(self, ended_ms: int, settle_seconds: float, max_lines: int) -> Iterator[Events]:
        """Read to the end.

        If there are more than `max_lines`, a line of this package's own says how many are left out and where they are,
        and the last 1,000 follow.

        Args:
            ended_ms: When the writer ended, in ms.
            settle_seconds: How long lines may still come after that.
            max_lines: The most lines, not counting the last 1,000.

        Raises:
            AwsError: AWS refused.
        """
        steps, left = self._settled_read(ended_ms, settle_seconds), max_lines
        for events in steps:
            if len(events) > left:
                yield events[:left]
                yield from self._last_of(events[left:], steps, at_most_counted=max_lines)
                return
            left -= len(events)
            yield events

    def whole_read(self) -> Iterator[Events]:
        """Read from the floor to the end of what is there now.

        Raises:
            AwsError: AWS refused.
        """
        began = self._now_ms()
        start = position = self._floor
        token: str | None = None
        while True:
            try:
                page = yield from self._page(startTime=start, **({"nextToken": token} if token else {}))
            except _StaleTokenError:
                start, token = position, None
                yield ()
                continue
            events = tuple(
                self._numbering.number(event)
                for _, event, key in page.events
                if event.timestamp >= self._floor and self._keys.add(event.timestamp, key)
            )
            self.found += len(events)
            position = max(position, page.last_timestamp or 0)
            self._floor = max(self._floor, min(position, began) - self._lookback_ms)
            self._keys.forget_below(self._floor)
            token = page.token
            yield events
            if token is None:
                self._keys.forget_restored()
                return

    def last_lines(self, lines: int) -> Iterator[Events]:
        """Read the last lines of what is there now: from the end, where botocore can ask for that.

        Args:
            lines: The most lines.

        Raises:
            AwsError: AWS refused.
        """
        if knows_start_from_head(self._logs):
            yield (yield from self._tail(lines))
            return
        tail: deque[LogEvent] = deque(maxlen=lines)
        for events in self.whole_read():
            tail.extend(events)
            yield ()
        yield tuple(tail)

    def _settled_read(self, ended_ms: int, settle_seconds: float) -> Iterator[Events]:
        """Wait until late lines have come, then read what is there: a second read would fetch much of it again.

        The end is in AWS's time; a clock that is behind it counts from now.
        """
        ago = max(0.0, (self._now_ms() - ended_ms) / 1000)
        if settle_seconds > ago:
            self.due, self.is_waiting = self._clock.monotonic() + settle_seconds - ago, True
            yield ()
            self.is_waiting = False
        yield from self.whole_read()

    def _last_of(self, rest: Events, steps: Iterable[Events], *, at_most_counted: int) -> Iterator[Events]:
        """Read the last lines of a log that is too long, after a line about those before them.

        Args:
            rest: What was found and is already too much.
            steps: The steps that find more.
            at_most_counted: How many lines may be read only to be counted; a longer log is read from its end, where
                botocore can ask for that.
        """
        tail, count, left = deque(rest, maxlen=TAIL_LINES), len(rest), iter(steps)
        while not (goes_on := count > at_most_counted and knows_start_from_head(self._logs)):
            if (events := next(left, None)) is None:
                break
            tail.extend(events)
            count += len(events)
            yield ()
        last = (yield from self._tail(TAIL_LINES)) if goes_on else tuple(tail)
        left_out = (at_most_counted if goes_on else count) - len(last)
        if left_out > 0 or goes_on:
            how_many = f"More than {left_out:,}" if goes_on else f"{left_out:,}"
            message = f"… {how_many} lines are left out here. The whole log is in CloudWatch: {self.stream.where}"
            yield (LogEvent(last[0].timestamp if last else 0, message),)
        yield last

    def _tail(self, lines: int) -> Generator[Events, None, Events]:
        """Read the stream's last lines, whether or not they were read before."""
        start = max(self._floor, _NEWEST_FIRST_SINCE_MS)
        request: dict[str, Any] = {"startTime": start, "startFromHead": False, "limit": min(lines, MOST_EVENTS)}
        newest_first: dict[int, LogEvent] = {}
        while len(newest_first) < lines:
            try:
                page = yield from self._page(**request)
            except _StaleTokenError:
                del request["nextToken"]  # what was read is known
                yield ()
                continue
            known = len(newest_first)
            newest_first |= {key: event for _, event, key in page.events if key not in newest_first}
            self.found += len(newest_first) - known
            yield ()
            if page.token is None:
                break
            request["nextToken"] = page.token
        oldest_first = list(newest_first.values())[:lines]
        oldest_first.reverse()  # the sort keeps the order of those of one millisecond
        oldest_first.sort(key=lambda event: event.order)
        return tuple(map(self._numbering.number, oldest_first))

    def _page(self, **request: Any) -> Generator[Events, None, LogPage]:
        """Ask until there is an answer, one call a step."""
        names = {"logGroupName": self.stream.group, "logStreamNames": [self.stream.stream]}
        backoff = Backoff()
        while True:
            try:
                page = fetch_at_pace(self._logs, {**names, **request}, self._pace, self._clock)
            except AwsError as error:
                if is_missing(error):
                    return LogPage()
                if "nextToken" in request and is_stale_token(error):
                    raise _StaleTokenError from error
                if not may_pass(error):
                    raise
                self.problem, self.due = error, self._clock.monotonic() + backoff.next_delay()
                yield ()
            else:
                self.problem = None
                return page

    def _now_ms(self) -> int:
        return milliseconds(self._clock.now())


def no_lines() -> EndpointError:
    """Return the error of a read that CloudWatch answers for minutes, and never with a line."""
    return EndpointError("CloudWatch gives page after page of the log stream, and no line on them.")


class _StaleTokenError(Exception):
    """CloudWatch has forgotten the token of the next page."""
