"""Outage: waits until a client can be made again, for callers that do not ask again by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from airflow_batch_jobs.batch.aws.clock import SystemClock
from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.aws.trouble import may_find_credentials, trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws.clock import Clock

#: How long an outage is waited out.
PATIENCE_SECONDS = 60.0
_LONGEST_DELAY_SECONDS = 5.0

Made = TypeVar("Made")


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
                kind = trouble(error)
                may_pass = (kind.retry and not kind.renew) or may_find_credentials(error)
                if not may_pass or self._is_over(error):
                    raise
            else:
                self._give_up_at = None
                return made
            self._clock.sleep(backoff.next_delay())

    def _is_over(self, error: Exception) -> bool:
        now = self._clock.monotonic()
        if self._give_up_at is None:
            self._give_up_at = now + PATIENCE_SECONDS
            self._tell(error)
        return now >= self._give_up_at
