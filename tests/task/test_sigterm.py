"""How SIGTERM ends what a task's process reads: at each step, and where Python loses what a handler raises."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.task import sigterm
from airflow_batch_jobs.task.sigterm import SigtermError, UntilSigterm
from tests.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Tracer:
    """Calls something at the n-th line of sigterm.py's that runs, as a signal's handler is called."""

    def __init__(self, number: int, handler: Callable[[], None]) -> None:
        self.left = number
        self._handler = handler

    def trace(self, frame: FrameType, event: str, _: Any) -> Any:
        """Take note of a line that is about to run."""
        if frame.f_code.co_filename != sigterm.__file__ or frame.f_code.co_name in {"kill", "_check"}:
            return None
        if event == "line":
            self.left -= 1
            if not self.left:
                sys.settrace(None)
                self._handler()
        return self.trace


def test_it_ends_with_a_result_or_with_the_signal_whichever_step_the_signal_comes_at() -> None:
    """And what comes afterwards is not disturbed by either."""
    ends, before = [], sys.gettrace()
    for number in range(1, 30):
        until = UntilSigterm(ManualClock())
        tracer = Tracer(number, until.kill)
        sys.settrace(tracer.trace)
        try:
            ends.append(until.run(lambda: "read"))
        except SigtermError:
            ends.append("SIGTERM")
        finally:
            sys.settrace(before)
        until.kill()
        until.sleep(1.0)
        if tracer.left > 0:
            break
    assert ends[-1] == "read"  # it came afterwards
    assert "SIGTERM" in ends
    assert len(ends) > 4


def test_a_signal_that_came_before_is_enough() -> None:
    """Nothing is read then."""
    until = UntilSigterm()
    until.kill()
    with pytest.raises(SigtermError):
        until.run(lambda: pytest.fail("is read"))


@pytest.mark.parametrize("ask", [UntilSigterm.now, UntilSigterm.monotonic, lambda until: until.sleep(60.0)])
def test_a_signal_that_interrupts_a_finalizer_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, ask: Callable[[UntilSigterm], Any]
) -> None:
    """Python shows what is raised in one, and goes on."""
    lost = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: lost.append(unraisable.exc_type))
    clock = ManualClock()
    until = UntilSigterm(clock)

    class Killing:
        def __del__(self) -> None:
            until.kill()

    def read() -> None:
        killing = Killing()
        del killing
        ask(until)
        pytest.fail("goes on")

    began = clock.monotonic()
    with pytest.raises(SigtermError):
        until.run(read)
    assert lost == [SigtermError]
    assert clock.monotonic() == began
