"""How fast to ask and to copy: a call rate that adapts to throttling, growing delays, a shared line budget.

Time is passed in as seconds of a clock that never runs backwards; nothing here sleeps.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: However often AWS throttles, the rate stays above this share of the limit: a limit that several processes share is
#: then still divided among a handful of them, and nobody stands still.
_LEAST_SHARE = 1 / 4
#: What one good call adds to a rate that was halved.
_CLIMB = 1.03


class Pace:
    """A limit of calls per second that halves when AWS throttles and climbs back with every good call.

    Attributes:
        rate: The calls per second allowed at the moment.
    """

    def __init__(self, calls_per_second: float) -> None:
        self._limit = calls_per_second
        self._next_call = float("-inf")
        self._halved = float("-inf")
        self.rate = calls_per_second

    def delay(self, now: float) -> float:
        """Return the seconds until the next call may go out; 0 when it may at once."""
        return max(0.0, self._next_call - now)

    def spend(self, now: float) -> None:
        """Count a call that goes out now."""
        self._next_call = max(now, self._next_call) + 1 / self.rate

    def throttled(self, now: float) -> None:
        """Halve the rate. Calls that were under way together and were all throttled count as one."""
        if now - self._halved < 1 / self.rate:
            return
        self._halved = now
        self.rate = max(self._limit * _LEAST_SHARE, self.rate / 2)
        self._next_call = max(self._next_call, now + 1 / self.rate)

    def succeeded(self) -> None:
        """Let the rate climb back a little."""
        self.rate = min(self._limit, self.rate * _CLIMB)


class Backoff:
    """Delays that double from one failure to the next, each cut by chance to between half and all of it."""

    def __init__(self, *, first: float = 1.0, longest: float = 15.0, chance: Callable[[], float] | None = None) -> None:
        """Begin with no failure.

        Args:
            first: The seconds after the first failure.
            longest: The seconds that no delay exceeds.
            chance: Returns a number from 0 to 1; the machine's randomness when None.
        """
        self._first = first
        self._longest = longest
        self._chance = chance or random.random
        self._failures = 0

    def next_delay(self) -> float:
        """Count a failure and return the seconds to wait for."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0


class LineQueue(Protocol):
    """A queue of log lines that wait for their share of a `LineBudget`."""

    @property
    def waiting(self) -> int:
        """How many lines have no share yet."""

    def grant(self, lines: int) -> None:
        """Let so many lines of those waiting pass."""


class LineBudget:
    """The log lines per second that all watchers of a process may hand out together.

    The smallest queues come first, and what one does not use goes to the larger ones, so a silent stream never waits
    behind a busy one and two busy ones get the same.
    """

    #: The lines that may pass at once after a silence, as seconds of the rate.
    _BURST_SECONDS = 0.5

    def __init__(self, lines_per_second: float) -> None:
        self.lines_per_second = lines_per_second
        self._sources: list[Callable[[], Iterable[LineQueue]]] = []
        self._lines = 0.0
        self._shared_at: float | None = None

    def join(self, source: Callable[[], Iterable[LineQueue]]) -> None:
        """Count the queues of a source in, until it leaves."""
        self._sources.append(source)

    def leave(self, source: Callable[[], Iterable[LineQueue]]) -> None:
        """Count the queues of a source no longer."""
        self._sources.remove(source)

    def share(self, now: float) -> None:
        """Grant what the time since the last call allows."""
        since = self._BURST_SECONDS if self._shared_at is None else max(0.0, now - self._shared_at)
        self._shared_at = now
        burst = max(1.0, self.lines_per_second * self._BURST_SECONDS)
        self._lines = min(burst, self._lines + since * self.lines_per_second)
        queues = [(queue.waiting, queue) for source in self._sources for queue in source()]
        queues = sorted((entry for entry in queues if entry[0]), key=lambda entry: entry[0])
        left = int(self._lines)
        for place, (waiting, queue) in enumerate(queues):
            lines = min(waiting, max(1, left // (len(queues) - place)), left)
            if not lines:
                break
            queue.grant(lines)
            left -= lines
            self._lines -= lines
