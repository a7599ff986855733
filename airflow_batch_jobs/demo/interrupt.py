"""Ctrl-C and SIGTERM as something to check for, so that nothing is broken off halfway."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: How long a signal may go unnoticed during a pause.
_STEP_SECONDS = 0.1


class InterruptedByUserError(Exception):
    """A user, or a signal, wants the program to end.

    Attributes:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"ended by {signal.Signals(number).name}")

    @property
    def exit_code(self) -> int:
        """The exit code by which shells report a program that a signal ended."""
        return 128 + self.number


class Interrupts:
    """Notes SIGINT, SIGTERM and SIGHUP while its context is open; a second signal changes nothing.

    A signal is noted whenever it comes but raised only in `check` and `pause`, so that whatever is being started is
    known to the code that has to end it, and whatever is being ended does end.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Do nothing, unless a signal has come.

        Raises:
            InterruptedByUserError: A signal has come.
        """
        if self._number is not None:
            raise InterruptedByUserError(self._number)

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            InterruptedByUserError: A signal came.
        """
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(_STEP_SECONDS, left))
            self.check()

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._number = self._number or number
