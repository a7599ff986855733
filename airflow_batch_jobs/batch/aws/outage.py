"""Waits out what may pass, for callers that do not ask again by themselves: for an answer, or for a client."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_batch_jobs.batch.aws.clock import SystemClock
from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.aws.trouble import Trouble, may_pass, trouble
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws.clock import Clock

#: How long a job's end, and its log, are waited for while AWS gives no answer, or none with anything new.
OUTAGE_SECONDS = 300.0
#: How long a service may fail, or be silent, before whoever waits for it is told.
SILENT_SECONDS = 30.0
#: How long it is tried to make a client.
CLIENT_SECONDS = 60.0
_LONGEST_DELAY_SECONDS = 5.0

Answer = TypeVar("Answer")
Made = TypeVar("Made")


def ask_until(
    ask: Callable[[], Answer],
    clock: Clock,
    seconds: float,
    backoff: Backoff,
    passes: Callable[[AwsError], bool] = lambda error: trouble(error).retry,
) -> Answer:
    """Ask AWS, and again while what is wrong may pass.

    Args:
        ask: Asks once.
        clock: Time and sleep.
        seconds: For how long; the last question may be asked a delay after that.
        backoff: The delays between the questions.
        passes: What may pass; what does so by itself if not given.

    Raises:
        AwsError: It refused, or gave no answer.
    """
    give_up_at = clock.monotonic() + seconds
    while True:
        try:
            return ask()
        except AwsError as error:
            if not passes(error) or clock.monotonic() >= give_up_at:
                raise
        clock.sleep(backoff.next_delay())


class Outage:
    """Tries again to make a client while what it is made with is away, with growing delays.

    All clients together have one minute, which begins anew once one was made: a caller with many calls does not wait a
    minute for each.

    Args:
        tell: Told of an outage, once.
        clock: Time and sleep; the machine's own if None.
    """

    def __init__(self, tell: Callable[[Exception], object], clock: Clock | None = None) -> None:
        self._tell = tell
        self._clock = clock or SystemClock()
        self._give_up_at: float | None = None

    def wait_out(self, make: Callable[[], Made]) -> Made:
        """Make something, and raise what keeps it from being made only if that lasts, or is sure to."""
        backoff = Backoff(longest=_LONGEST_DELAY_SECONDS)
        while True:
            try:
                made = make()
            except Exception as error:
                is_renewed = trouble(error) is Trouble.EXPIRED  # by the caller, with another session
                if is_renewed or not may_pass(error) or self._is_over(error):
                    raise
            else:
                self._give_up_at = None
                return made
            self._clock.sleep(backoff.next_delay())

    def _is_over(self, error: Exception) -> bool:
        now = self._clock.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + CLIENT_SECONDS
            self._tell(error)
        return now >= self._give_up_at
