"""How SIGTERM ends what a task's process reads after its job's end, whatever it is at."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_batch_jobs.batch.aws.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_batch_jobs.batch.aws.clock import Clock

Read = TypeVar("Read")


class SigtermError(BaseException):
    """SIGTERM has come; like AirflowTaskTerminated, no `except Exception` on the way may stop it."""


class UntilSigterm:
    """Runs something until it ends or SIGTERM comes, and is the clock that it goes by.

    The signal's handler raises, so that a call on its way holds nothing up. What a handler raises is lost if it
    interrupts a finalizer or another callback of Python's: then the clock raises, when it is asked the next time.

    Args:
        clock: The machine's own if None.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._is_running = False
        self._may_raise = False
        self.has_come = False

    def run(self, read: Callable[[], Read]) -> Read:
        """Return what is read.

        Raises:
            SigtermError: SIGTERM has come before that.
        """
        try:
            try:
                self._is_running = self._may_raise = True  # first: the signal may come between any two steps
                self._check()
                return read()
            finally:
                self._is_running = self._may_raise = False
        except SigtermError:
            self._is_running = False  # the signal may have come instead of that step
            raise

    def kill(self) -> None:
        """Leave it: SIGTERM has come. Made for a signal handler, in which it raises, the first time."""
        self.has_come = True
        if self._may_raise:
            self._may_raise = False
            raise SigtermError

    def now(self) -> datetime:
        """Return the wall-clock time, aware, in UTC."""
        self._check()
        return self._clock.now()

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for measuring spans."""
        self._check()
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread for a number of seconds."""
        self._check()
        self._clock.sleep(seconds)

    def _check(self) -> None:
        if self.has_come and self._is_running:
            raise SigtermError
