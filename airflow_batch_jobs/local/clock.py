"""The time of the local AWS: everything planned is on one timeline, which tests can freeze and advance."""

from __future__ import annotations

import asyncio
import heapq
import time
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: How long due entries may run before the event loop gets its turn.
_STRETCH_SECONDS = 0.005


class Timer:
    """One entry of a timeline."""

    __slots__ = ("act",)

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        """Take the entry off the timeline; do nothing if it has already acted."""
        self.act = None


class Timeline:
    """A clock and what is due on it, as one heap: ten thousand waiting jobs are ten thousand entries and no task.

    While an entry acts, `now()` is the moment for which it was planned, so that a chain of entries keeps its intervals
    to the millisecond, however busy the process is.
    """

    def __init__(self, *, frozen: bool = False) -> None:
        """Start at the machine's time.

        Args:
            frozen: Whether time passes only by `advance`.
        """
        self._frozen_at = float(int(time.time())) if frozen else None
        self._skipped_seconds = 0.0
        self._planned: float | None = None
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Run what is due on the running event loop from now on."""
        self._loop = asyncio.get_running_loop()
        self._set_alarm()

    def stop(self) -> None:
        """Run nothing more."""
        self._loop = None
        self._heap.clear()
        if self._alarm:
            self._alarm.cancel()

    def now(self) -> float:
        """Return seconds since the epoch."""
        if self._planned is not None:
            return self._planned
        return self._clock()

    def now_ms(self) -> int:
        """Return milliseconds since the epoch, as AWS writes times."""
        return round(self.now() * 1000)

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Plan something for a number of seconds from now."""
        timer = Timer(act)
        when = self.now() + seconds
        heapq.heappush(self._heap, (when, next(self._order), timer))
        if self._heap[0][2] is timer and self._planned is None:
            self._set_alarm()
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass at once: everything due within it acts in order, each entry at its own time."""
        until = self._clock() + seconds
        self._run_until(until, stretch_seconds=None)
        if self._frozen_at is None:
            self._skipped_seconds += seconds
        else:
            self._frozen_at = until
        self._set_alarm()

    def _clock(self) -> float:
        return time.time() + self._skipped_seconds if self._frozen_at is None else self._frozen_at

    def _run_until(self, until: float, stretch_seconds: float | None) -> None:
        began = time.monotonic()
        try:
            while self._heap and self._heap[0][0] <= until:
                if stretch_seconds is not None and time.monotonic() - began > stretch_seconds:
                    return
                self._planned, _, timer = heapq.heappop(self._heap)
                act, timer.act = timer.act, None
                if act:
                    act()
        finally:
            self._planned = None

    def _set_alarm(self) -> None:
        if self._alarm:
            self._alarm.cancel()
            self._alarm = None
        if self._loop and self._heap and self._frozen_at is None:
            self._alarm = self._loop.call_later(max(0.0, self._heap[0][0] - self._clock()), self._ring)

    def _ring(self) -> None:
        try:
            self._run_until(self._clock(), _STRETCH_SECONDS)
        finally:
            self._set_alarm()
