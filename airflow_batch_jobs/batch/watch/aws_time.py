"""AwsTime: the wall-clock time at AWS, which may be minutes from this machine's."""

from __future__ import annotations

from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.log_stream import milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.aws.clock import Clock


class AwsTime:
    """Tells the time at AWS: this machine's, corrected by as little as AWS's answers allow.

    An answer carries AWS's time, in whole seconds, which lies between the question and the answer. While it does so by
    this machine's clock too, nothing is corrected, and nothing before the first answer.

    Args:
        clock: This machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Return the time at AWS, in ms since the epoch."""
        return self.machine_ms() + self._ahead_ms

    def machine_ms(self) -> int:
        """Return the time of this machine's clock, in ms since the epoch."""
        return milliseconds(self._clock.now())

    def answered(self, answer: Mapping[str, Any], asked_ms: int) -> None:
        """Learn from an answer, in the thread that got it.

        Args:
            answer: The answer, as botocore hands it out; one without a date teaches nothing.
            asked_ms: What `machine_ms` returned before the question.
        """
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
        with suppress(ValueError, TypeError, OverflowError):  # something in between may write anything
            told_ms = milliseconds(parsedate_to_datetime(date))
            least, most = told_ms - self.machine_ms(), told_ms + 1000 - asked_ms
            self._ahead_ms = min(max(self._ahead_ms, least), most)
