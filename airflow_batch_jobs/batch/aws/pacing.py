"""How fast to call AWS: a call rate that adapts to throttling, and growing delays.

Time is passed in as seconds of a clock that never runs backwards; nothing here sleeps.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: However often AWS throttles, the rate stays at this share of the limit or above: a limit that several processes share
#: is then still divided among a handful of them, and none stands still.
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
        """Return the seconds until the next call may go out; 0 if it may go out at once."""
        return max(0.0, self._next_call - now)

    def spend(self, now: float) -> None:
        """Count a call that goes out now."""
        self._next_call = max(now, self._next_call) + 1 / self.rate

    def throttled(self, now: float) -> None:
        """Halve the rate. Calls that were in flight together and were all throttled count as one."""
        if now - self._halved < 1 / self.rate:
            return
        self._halved = now
        self.rate = max(self._limit * _LEAST_SHARE, self.rate / 2)
        self._next_call = max(self._next_call, now + 1 / self.rate)

    def succeeded(self) -> None:
        """Let the rate climb back a little."""
        self.rate = min(self._limit, self.rate * _CLIMB)


class Backoff:
    """Delays that double from one failure to the next, each cut at random to between half and all of it."""

    def __init__(self, *, first: float = 1.0, longest: float = 15.0, chance: Callable[[], float] | None = None) -> None:
        """Begin with no failure.

        Args:
            first: The seconds after the first failure.
            longest: The most seconds of any delay.
            chance: Returns a number from 0 to 1; the machine's randomness if None.
        """
        self._first = first
        self._longest = longest
        self._chance = chance or random.random
        self._failures = 0

    def next_delay(self) -> float:
        """Count a failure and return the seconds to wait."""
        delay = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return delay * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0
