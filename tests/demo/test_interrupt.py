"""Signals are checked for; they do not break anything off."""

from __future__ import annotations

import signal

import pytest

from airflow_batch_jobs.demo.interrupt import InterruptedByUserError, Interrupts


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_raised_only_where_it_is_looked_for(number: signal.Signals, exit_code: int) -> None:
    """Between two looks nothing is broken off; the exit code is what shells expect."""
    with Interrupts() as interrupts:
        signal.raise_signal(number)
        with pytest.raises(InterruptedByUserError) as caught:
            interrupts.check()

    assert caught.value.exit_code == exit_code


def test_the_first_signal_counts() -> None:
    """Pressing Ctrl-C again changes nothing."""
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(InterruptedByUserError, match="SIGTERM"):
            interrupts.pause(60)


def test_without_a_signal_a_pause_just_ends() -> None:
    """Nothing is raised when nothing came, and the handlers from before are back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts() as interrupts:
        interrupts.check()
        interrupts.pause(0.01)

    assert signal.getsignal(signal.SIGTERM) is before
