"""Room: the memory for log lines that were fetched and not handed out, shared by all streams of a process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.logs.page import MOST_EVENTS

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.logs.event import LogEvent

#: For all queued lines: some 30,000 of the usual length, more than a minute of a triggerer's line budget.
SIZE = 16 * 1024 * 1024
#: For single lines that are too long for a share of it: a line can take up 4 MiB.
_SPARE = 8 * 1024 * 1024
#: The share of what is free that a stream may fill. However many fill theirs, some is free for those that are quiet.
_SHARE = 1 / 8
#: What an event takes up besides its text: the objects it is made of, its id, its key, its place in the queue.
_EVENT_BYTES = 420
#: The fewest events to ask for in a page. Several pages are under way at a time, and each takes up to 15 MiB until it
#: is taken in, so fewer events than AWS gives are asked for while there is little room, or with many watchers.
_LEAST_PAGE_LINES = 500


class Room:
    """Bytes that log lines take up while they wait.

    Attributes:
        size: How many there are.
        used: How many are in use.
        sharers: How many watchers fetch lines into it.
    """

    def __init__(self, size: int = SIZE) -> None:
        self.size = size
        self.used = 0
        self.sharers = 1

    def take(self, cost: int, queued: int, *, is_alone: bool) -> bool:
        """Make room for an event if there is enough; return whether there was.

        Args:
            cost: The bytes the event takes up.
            queued: The bytes of its stream's other events.
            is_alone: Whether its stream is read alone, having been given a share before.
        """
        free = self.size - self.used
        fits = cost <= free if is_alone else queued + cost <= free * _SHARE
        if not fits and (queued or cost > free + _SPARE):
            return False
        self.used += cost
        return True

    def give_back(self, cost: int) -> None:
        """Count an event's bytes, or those of several, as free again."""
        self.used -= cost

    def share(self, streams: int) -> int:
        """Return the bytes to read at a time of one of several streams that have more lines than there is room for.

        Returns:
            0 while there is too little for any of them.
        """
        if self.used > self.size * 3 // 4:  # the rest is for those that are not read alone
            return 0
        return min(self.size // 8, max(self.size // 32, self.size // 2 // max(1, streams)))

    @property
    def page_lines(self) -> int:
        """The most events to ask for at a time."""
        most = MOST_EVENTS if self.used <= self.size // 4 else MOST_EVENTS // 2
        return max(_LEAST_PAGE_LINES, most // max(1, self.sharers))


def cost_of(event: LogEvent) -> int:
    """Return about how many bytes a queued event takes up."""
    return _EVENT_BYTES + sys.getsizeof(event.message)
