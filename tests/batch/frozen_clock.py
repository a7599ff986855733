"""A clock whose time is that of a frozen local AWS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


class FrozenClock:
    """The local AWS's time, which passes when somebody sleeps."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws

    def now(self) -> datetime:
        """Return the endpoint's time."""
        return datetime.fromtimestamp(self._aws.now(), tz=UTC)

    def monotonic(self) -> float:
        """Return the endpoint's time in seconds."""
        return self._aws.now()

    def sleep(self, seconds: float) -> None:
        """Let the endpoint's time pass."""
        self._aws.advance(seconds)
