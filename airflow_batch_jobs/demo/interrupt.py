"""Ctrl-C and SIGTERM as something that is looked at, so that nothing is broken off halfway."""

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
    """Somebody wants the program to end.

    Attributes:
        number: The signal's number.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"ended by {signal.Signals(number).name}")

    @property
    def exit_code(self) -> int:
        """What shells give a program that a signal ended."""
        return 128 + self.number


class Interrupts:
    """Notes SIGINT, SIGTERM and SIGHUP while its context is open; a second one changes nothing.

    A signal is noted wherever it comes and raised only in `check` and `pause`, so that whatever is being started is
    known to whoever has to end it, and whatever is being ended ends.
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

    @property
    def noted(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def check(self) -> None:
        """Do nothing, unless a signal came.

        Raises:
            InterruptedByUserError: One came.
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
