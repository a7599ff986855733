"""LineQueue: the lines of one log stream that are fetched and not handed out."""

from __future__ import annotations

from collections import deque
from itertools import takewhile
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.logs.event import Numbering
from airflow_batch_jobs.batch.logs.room import cost_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.logs.event import LogEvent
    from airflow_batch_jobs.batch.logs.room import Room


class LineQueue:
    """Lines in the order of CloudWatch, whatever order they come in.

    Args:
        room: Where they wait.
        numbered: The millisecond and the number of the last line that was handed out before, see `Numbering`.

    Attributes:
        bytes: How many bytes they take up.
        granted: How many of them may be taken.
    """

    __slots__ = ("_is_sorted", "_lines", "_numbering", "_room", "bytes", "granted")

    def __init__(self, room: Room, numbered: tuple[int, int] | None) -> None:
        self.bytes = 0
        self.granted = 0
        self._room = room
        self._lines: deque[tuple[LogEvent, int]] = deque()
        self._is_sorted = True
        self._numbering = Numbering(numbered) if numbered else Numbering()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def numbered(self) -> tuple[int, int]:
        """The millisecond and the number of the last line that was handed out."""
        return self._numbering.last

    @property
    def keys(self) -> set[int]:
        """The keys of the lines."""
        return {key for _, key in self._lines}

    def put(self, event: LogEvent, key: int, cost: int, *, is_alone: bool) -> bool:
        """Queue a line; return whether there is room for it.

        Args:
            event: The line.
            key: Its key.
            cost: How many bytes it takes up.
            is_alone: Whether its stream is read alone.
        """
        if not self._room.take(cost, self.bytes, is_alone=is_alone):
            return False
        self.bytes += cost
        if self._lines and event.order < self._lines[-1][0].order:
            self._is_sorted = False
        self._lines.append((event, key))
        return True

    def take(self, most: int) -> tuple[LogEvent, ...]:
        """Hand out the oldest lines that are granted."""
        self._sort()
        count = min(most, self.granted)
        events = [self._lines.popleft()[0] for _ in range(count)]
        self.granted -= count
        self._free(sum(map(cost_of, events)))
        return tuple(map(self._numbering.number, events))

    def left_of_millisecond(self) -> int:
        """Return how many lines there are of the millisecond from which the last line was taken."""
        self._sort()
        last, _ = self._numbering.last
        return sum(1 for _ in takewhile(lambda line: line[0].timestamp == last, self._lines))

    def oldest(self, default: int) -> int:
        """Return the timestamp (ms) of the oldest line, or something else if there is none."""
        self._sort()
        return self._lines[0][0].timestamp if self._lines else default

    def clear(self) -> None:
        """Forget the lines: nobody will take them."""
        self._lines.clear()
        self.granted = 0
        self._free(self.bytes)

    def _free(self, cost: int) -> None:
        self.bytes -= cost
        self._room.give_back(cost)

    def _sort(self) -> None:
        if not self._is_sorted:
            self._lines = deque(sorted(self._lines, key=lambda line: line[0].order))
            self._is_sorted = True
