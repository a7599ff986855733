"""Time, sleep and looking again come from this one place, so that tests can pass in their own time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

#: Between two looks for something that AWS has just been told, or is about to do.
LOOK_AGAIN_SECONDS = 2.0

Found = TypeVar("Found")


class Clock(Protocol):
    """Whatever waits, or needs a timestamp, gets the time from here."""

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


def look_until(
    look: Callable[[], Found],
    is_enough: Callable[[Found], bool],
    clock: Clock,
    seconds: float,
    pause: Callable[[], float] = lambda: LOOK_AGAIN_SECONDS,
) -> Found:
    """Look again and again, until what is found is enough or the time is up.

    Args:
        look: Finds something, at least once.
        is_enough: Whether that is enough.
        clock: Time and sleep.
        seconds: How long to look; the last look is at the end.
        pause: Returns the seconds until the next look.

    Returns:
        What was found last.
    """
    until = clock.monotonic() + seconds
    while not is_enough(found := look()) and (left := until - clock.monotonic()) > 0:
        clock.sleep(min(pause(), left))
    return found
