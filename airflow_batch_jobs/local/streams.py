"""Log streams: what processes have written, and scripted lines, which are made when they are read."""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from itertools import count, groupby
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_batch_jobs.local.scripted import Delivery, LineNames, ScriptedLines

#: What CloudWatch Logs adds to an event's text when it counts its size.
EVENT_OVERHEAD_BYTES = 26
#: The text of one event is at most 1 MiB including the overhead.
MOST_EVENT_BYTES = 1024 * 1024 - EVENT_OVERHEAD_BYTES


class Position(NamedTuple):
    """An event's place in the order of CloudWatch Logs; times in milliseconds since the epoch."""

    timestamp: int
    ingestion_time: int
    stream_number: int
    line_number: int


class Event(NamedTuple):
    """A log event; events sort by their fields."""

    position: Position
    text: str


@dataclass(frozen=True, slots=True)
class Window:
    """Which events a reader asks for.

    Attributes:
        start: The lowest timestamp, in milliseconds.
        end: The highest timestamp, in milliseconds.
        readable_until: Events ingested after this, in milliseconds, cannot be read yet.
        newest_first: The order asked for.
    """

    start: int
    end: int
    readable_until: int
    newest_first: bool = False


class Stream(Protocol):
    """A log stream."""

    number: int
    group: str
    name: str
    created_at: int

    def read(self, window: Window) -> Iterator[Event]:
        """Yield the events of a window, in the window's order."""


class WrittenStream:
    """A log stream that holds its events."""

    def __init__(self, number: int, group: str, name: str, created_at: int) -> None:
        self.number = number
        self.group = group
        self.name = name
        self.created_at = created_at
        self.size_bytes = 0
        self._events: list[Event] = []
        self._next_index = 0

    def write(self, text: str, timestamp: int) -> int:
        """Add an event after the last one and return its size in bytes."""
        if self._events:
            timestamp = max(timestamp, self._events[-1].position.timestamp)
        self._events.append(Event(Position(timestamp, timestamp, self.number, self._next_index), text))
        self._next_index += 1
        size = len(text) + EVENT_OVERHEAD_BYTES
        self.size_bytes += size
        return size

    def drop_oldest_half(self) -> int:
        """Forget the older half of the events and return how many bytes that freed."""
        half = len(self._events) // 2 + 1
        freed = sum(len(event.text) + EVENT_OVERHEAD_BYTES for event in self._events[:half])
        del self._events[:half]
        self.size_bytes -= freed
        return freed

    def read(self, window: Window) -> Iterator[Event]:
        """Yield the events of a window, in the window's order."""
        first = bisect_left(self._events, window.start, key=lambda event: event.position.timestamp)
        last = bisect_right(self._events, window.end, key=lambda event: event.position.timestamp)
        span = range(last - 1, first - 1, -1) if window.newest_first else range(first, last)
        for index in span:
            event = self._events[index]
            if event.position.ingestion_time <= window.readable_until:
                yield event


class ScriptedStream:
    """A log stream whose lines follow a timetable; a line is made only when it is read."""

    def __init__(
        self,
        number: int,
        group: str,
        name: str,
        created_at: int,
        *,
        lines: ScriptedLines,
        delivery: Delivery,
        seconds: float,
        names: LineNames,
    ) -> None:
        """Lay out the lines over an attempt.

        Args:
            number: Its number among all streams.
            group: Its log group.
            name: Its name.
            created_at: When the attempt began, in milliseconds since the epoch.
            lines: Which lines, and when.
            delivery: How late they can be read.
            seconds: How long the attempt runs.
            names: What `{…}` in a line's text may refer to.
        """
        self.number = number
        self.group = group
        self.name = name
        self.created_at = created_at
        self._lines = lines
        self._delivery = delivery
        self._names = names
        self._interval_ms = lines.interval_seconds(seconds) * 1000
        self._ends_at = created_at + round(seconds * 1000)
        self._order = sorted(range(len(lines.offsets)), key=lambda index: lines.offsets[index])

    def stop(self, at: int) -> None:
        """Write no line after a moment, in milliseconds since the epoch."""
        self._ends_at = min(self._ends_at, at)

    def read(self, window: Window) -> Iterator[Event]:
        """Yield the events of a window, in the window's order."""
        ahead = round(self._lines.ahead_seconds * 1000)
        # Lines that are not readable yet are not made: none can be read before it is written and delivered.
        last = min(window.end - ahead, window.readable_until - round(self._delivery.delay * 1000), self._ends_at)
        indexes: Iterable[int] = self._between(window.start - ahead, last)
        if window.newest_first:
            indexes = reversed(list(indexes))
        for _, equals in groupby(map(self._event, indexes), key=lambda event: event.position.timestamp):
            for event in sorted(equals, reverse=window.newest_first):
                if event.position.ingestion_time <= window.readable_until:
                    yield event

    def _between(self, first_ms: int, last_ms: int) -> Iterable[int]:
        """Return the indexes of the lines written in a span of time, oldest first."""
        if self._order:
            start = bisect_left(self._order, first_ms, key=self._written_at)
            return self._order[start : bisect_right(self._order, last_ms, key=self._written_at)]
        if not self._interval_ms:
            return range(self._lines.count if first_ms <= self.created_at <= last_ms else 0)
        # A line up to half a millisecond outside may be rounded into the span.
        start = max(0, int((first_ms - 0.5 - self.created_at) / self._interval_ms) - 1)
        while start < self._lines.count and self._written_at(start) < first_ms:
            start += 1
        end = min(self._lines.count, int((last_ms + 0.5 - self.created_at) / self._interval_ms) + 2)
        while end > start and self._written_at(end - 1) > last_ms:
            end -= 1
        return range(start, end)

    def _written_at(self, index: int) -> int:
        if self._lines.offsets:
            return self.created_at + round(self._lines.offsets[index] * 1000)
        return self.created_at + round(index * self._interval_ms)

    def _event(self, index: int) -> Event:
        written_at = self._written_at(index)
        readable_at = self._delivery.readable_at(written_at, self.created_at, self.number, index)
        timestamp = written_at + round(self._lines.ahead_seconds * 1000)
        return Event(Position(timestamp, readable_at, self.number, index), self._lines.text_of(index, self._names))


class Streams:
    """All log streams, by group and name; when they hold too much, the oldest complete ones are forgotten."""

    def __init__(self, most_bytes: int) -> None:
        """Start empty.

        Args:
            most_bytes: How much text is held at most.
        """
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._groups: dict[str, dict[str, Stream]] = {}
        self._complete: deque[WrittenStream] = deque()
        self._numbers = count(1)

    def next_number(self) -> int:
        """Return the number of the next stream."""
        return next(self._numbers)

    def add(self, stream: Stream) -> None:
        """Add a stream."""
        self._groups.setdefault(stream.group, {})[stream.name] = stream

    def write(self, stream: WrittenStream, text: str, timestamp: int) -> None:
        """Add an event to a stream, and make room for it."""
        self._size_bytes += stream.write(text, timestamp)
        while self._size_bytes > self._most_bytes and self._complete:
            oldest = self._complete[0]
            self.forget(oldest.group, oldest.name)
        if self._size_bytes > self._most_bytes:
            self._size_bytes -= stream.drop_oldest_half()

    def complete(self, stream: WrittenStream) -> None:
        """Note that nothing more will be written to a stream."""
        self._complete.append(stream)

    def forget(self, group: str, name: str) -> None:
        """Forget a stream, if there is one with that name."""
        stream = self._groups.get(group, {}).pop(name, None)
        if isinstance(stream, WrittenStream):
            self._complete.remove(stream)
            self._size_bytes -= stream.size_bytes

    def group(self, name: str) -> dict[str, Stream] | None:
        """Return a group's streams by name; None if there is no such group."""
        return self._groups.get(name)


def merged(streams: Iterable[Stream], window: Window, after: Position | None) -> Iterator[Event]:
    """Yield the events of several streams in one order, starting after a position."""
    every = heapq.merge(*(stream.read(window) for stream in streams), reverse=window.newest_first)
    for event in every:
        if after is None or (event.position < after if window.newest_first else event.position > after):
            yield event
