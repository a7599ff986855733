"""Airflow's `execution_timeout` is an alarm: it raises AirflowTaskTimeout wherever the task's main thread is at."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AT_ONCE_SECONDS = 0.001


def disarm() -> bool:
    """Switch the alarm off, for work that has an end of its own; return whether it was on.

    It would raise in the middle of an event loop, or fail a task whose job has succeeded in time.
    """
    return _is_here() and signal.setitimer(signal.ITIMER_REAL, 0)[0] > 0


@contextmanager
def held() -> Iterator[None]:
    """Keep the alarm from interrupting the block; an alarm that is due meanwhile comes right after it.

    A question to the supervisor must not be interrupted: its answer would be read as that of the next question.
    """
    if not _is_here():
        yield
        return
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    begun = time.monotonic()
    try:
        yield
    finally:
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - begun), _AT_ONCE_SECONDS))


def _is_here() -> bool:
    return threading.current_thread() is threading.main_thread()
