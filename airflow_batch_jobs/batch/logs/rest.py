"""LogRest: what is left to read of an ended job's log, all of its streams together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import KeptClients, Patience, service
from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock
from airflow_batch_jobs.batch.aws.pacing import Pace
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs.reading import CALLS_BESIDE_FOLLOWERS
from airflow_batch_jobs.batch.logs.stream_reader import StreamReader, no_lines
from airflow_batch_jobs.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.cursor import LogCursor
    from airflow_batch_jobs.batch.logs.stream_reader import Events

#: How long it goes on without a new line or a stream that is done, at most and at least. In between, it is what is left
#: of the third figure after the job's end: a task ends within five minutes of its job where CloudWatch gives no line.
QUIET_SECONDS = 120.0
LEAST_QUIET_SECONDS = 60.0
END_SECONDS = 265.0
#: How long it goes on at all: more lines than anybody reads.
WHOLE_SECONDS = 1_800.0


class LogRest:
    """Reads what a follower has left of the streams of a job that has ended.

    All streams share one client a region and one call a second. A stream is read on as long as it has news; whatever
    goes wrong for one costs only what is left of that one.

    Args:
        clients: Makes the `logs` clients.
        unread: The streams, and where to begin in each: from `Ended.unread`.
        max_lines: The most lines of a stream to read; see `read_on`.
        ended_at: When the job ended; now if None.
        settle_seconds: How long lines may still come.
        lookback_seconds: How late a line may come.
        whole_seconds: How long to read at all.
        clock: The machine's own if None.

    Attributes:
        missing: What was not read to its end, and why.
    """

    def __init__(
        self,
        clients: ClientFactory,
        unread: Iterable[tuple[LogStream, LogCursor]],
        *,
        max_lines: int = 1_000_000,
        ended_at: datetime | None = None,
        settle_seconds: float = 5.0,
        lookback_seconds: float = 120.0,
        whole_seconds: float = WHOLE_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        self.missing: dict[LogStream, Exception] = {}
        self._clock = clock or SystemClock()
        self._whole_seconds = whole_seconds
        kept, pace = KeptClients.of(clients), Pace(CALLS_BESIDE_FOLLOWERS)
        now_ms = milliseconds(self._clock.now())
        ended_ms = milliseconds(ended_at) if ended_at else now_ms
        self._quiet_seconds = _quiet_seconds((now_ms - ended_ms) / 1000)
        self._steps: dict[StreamReader, Iterator[Events]] = {}
        for stream, cursor in unread:
            logs = service(kept, "logs", stream.region, Patience.PACED)
            reader = StreamReader(stream, cursor, logs, pace, self._clock, lookback_seconds=lookback_seconds)
            self._steps[reader] = reader.lines(ended_ms, settle_seconds, max_lines)

    def __iter__(self) -> Iterator[tuple[LogStream, Events]]:
        """Yield lines of one stream at a time, until all streams are read, or it is of no use to go on."""
        begun = quiet_since = self._clock.monotonic()
        while self._steps:
            now = self._clock.monotonic()
            if now - begun >= self._whole_seconds:
                minutes = round(self._whole_seconds / 60)
                for stream in self.left():
                    self.drop(stream, EndpointError(f"{minutes} minutes were not enough to read it."))
            elif now - quiet_since >= self._quiet_seconds:
                self._give_up([reader for reader in self._steps if not (reader.is_waiting and reader.due > now)])
                quiet_since = now
            elif (wait := min(reader.due for reader in self._steps) - now) > 0:
                self._clock.sleep(wait)
                if all(reader.is_waiting for reader in self._steps):
                    quiet_since += wait
            else:
                reader = next(reader for reader in self._steps if reader.due <= now)
                found = reader.found
                if events := self._step(reader):
                    yield reader.stream, events
                if reader.found > found or reader not in self._steps:
                    quiet_since = self._clock.monotonic()

    def drop(self, stream: LogStream, why: Exception) -> None:
        """Read no more of a stream: its lines cannot be used.

        Args:
            stream: The stream; nothing happens if it is not read.
            why: What is wrong with it, which `missing` then tells.
        """
        for reader in [reader for reader in self._steps if reader.stream == stream]:
            del self._steps[reader]
        self.missing[stream] = why

    def left(self) -> tuple[LogStream, ...]:
        """Return the streams that are not read to their end yet."""
        return tuple(reader.stream for reader in self._steps)

    def _step(self, reader: StreamReader) -> Events:
        """Let a stream take a step; one with news stays in front, one without goes to the end of the line."""
        found = reader.found
        try:
            events = next(self._steps[reader], None)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others' lines do not depend on it
            self.drop(reader.stream, error)
            return ()
        steps = self._steps.pop(reader)
        if events is None:
            return ()
        if reader.found > found:
            self._steps = {reader: steps, **self._steps}
        else:
            self._steps[reader] = steps
        return events

    def _give_up(self, readers: Collection[StreamReader]) -> None:
        """Read no more of some streams, for the reason that CloudWatch gave for at least one of them."""
        given = next((reader.problem for reader in readers if reader.problem), None) or no_lines()
        for reader in readers:
            self.drop(reader.stream, reader.problem or given)


def _quiet_seconds(ago: float) -> float:
    """Return how long to go on without news.

    Args:
        ago: How many seconds ago the job ended, by a clock that may differ from AWS's.
    """
    return max(LEAST_QUIET_SECONDS, min(QUIET_SECONDS, END_SECONDS - ago))
