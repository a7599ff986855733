"""Time and sleep, in the one place they come from, so that tests pass their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What waits and what is stamped asks this for the time."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for measuring spans."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for a number of seconds."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        return datetime.now(tz=UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for measuring spans."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for a number of seconds."""
        time.sleep(seconds)
