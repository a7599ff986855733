"""Clocks that stand still until something sleeps, for tests that wait for hours in an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws

_BEGIN = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


class ManualClock:
    """A clock that moves nothing else.

    Attributes:
        slept: The seconds slept, together.
    """

    def __init__(self) -> None:
        self.slept = 0.0

    def now(self) -> datetime:
        """The wall-clock time."""
        return _BEGIN + timedelta(seconds=self.slept)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self.slept

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept += seconds


class FrozenClock:
    """The time of a frozen local AWS, which passes there when something sleeps.

    Attributes:
        slept: The seconds slept, together.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.slept = 0.0
        self._aws = aws

    def now(self) -> datetime:
        """The wall-clock time."""
        return datetime.fromtimestamp(self._aws.now(), tz=UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return self._aws.now()

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.slept += seconds
        self._aws.advance(seconds)
