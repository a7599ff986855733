"""LogWindow: which lines of a job's streams are wanted, of those that are there and of those that come."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs.reading import read_all, read_last, start_of
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.event import LogEvent

#: So many lines before the last ones are read as well, to know those of the same millisecond when they come again.
_MORE = 100


@dataclass(slots=True)
class LogWindow:
    """The lines since a time, or the last ones of each stream, or both.

    Attributes:
        since: No line is older; None for the beginning.
        tail: How many of the lines that are there now are wanted of each stream; None for all.
    """

    since: datetime | None = None
    tail: int | None = None
    #: For each stream of which the last lines were read: when the first that is wanted was written (ms), and all ids.
    _read: dict[str, tuple[int, frozenset[str]]] = field(default_factory=dict, init=False)

    def read(
        self, clients: ClientFactory, streams: Iterable[LogStream], clock: Clock
    ) -> Iterator[tuple[LogStream, LogEvent]]:
        """Read what is there now, stream by stream; one that cannot be read costs no other.

        Raises:
            AwsError: A stream cannot be read, once all others were; where others of its log group could not be read
                either, they were not tried.
        """
        first: AwsError | None = None
        blind: set[tuple[str, str]] = set()
        for stream in streams:
            if (stream.region, stream.group) in blind:
                continue
            try:
                yield from ((stream, event) for event in self._read_one(clients, stream, clock))
            except AwsError as error:
                first = first or error
                if trouble(error) is not Trouble.REFUSED:
                    blind.add((stream.region, stream.group))
        if first is not None:
            raise first

    def _read_one(self, clients: ClientFactory, stream: LogStream, clock: Clock) -> Iterator[LogEvent]:
        start = max(start_of(stream), milliseconds(self.since) if self.since else 0)
        if self.tail is None:
            lines = read_all(clients, stream, start_ms=start, clock=clock)
        else:
            last = list(read_last(clients, stream, self.tail + _MORE, start_ms=start, clock=clock))
            lines = islice(last, max(0, len(last) - self.tail), None)
            if last:
                first = last[-min(len(last), max(1, self.tail))]
                self._read[stream.key] = first.timestamp, frozenset(event.event_id for event in last)
        return lines

    def wants(self, stream: LogStream, event: LogEvent) -> bool:
        """Tell whether a line is wanted of those that a follower hands out, which begins with the first of all.

        With a tail, those that `read` had, and older ones, are not.
        """
        if self.since and event.timestamp < milliseconds(self.since):
            return False
        first, ids = self._read.get(stream.key, (0, frozenset[str]()))
        return event.timestamp >= first and event.event_id not in ids
