"""LineBudget: the log lines that several watchers may hand out together.

Time is passed in as seconds of a clock that never runs backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_batch_jobs.batch.logs.room import Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Grantee(Protocol):
    """A queue of log lines that pass as a `LineBudget` grants it."""

    @property
    def ungranted(self) -> int:
        """How many lines may not pass yet."""

    def grant(self, lines: int) -> None:
        """Let this many more lines pass."""

    def fail(self, error: Exception) -> None:
        """Take note that lines cannot pass, because of this error."""


class LineBudget:
    """The log lines per second that several watchers may hand out together.

    The smallest queues come first, and what they do not use goes to the larger ones, so a quiet stream never waits
    behind a busy one, and two busy ones get the same.

    Attributes:
        lines_per_second: The rate.
        room: Where the lines of all these watchers wait.
    """

    #: The lines that may pass at once after a silence, as seconds of the rate.
    _BURST_SECONDS = 0.5

    def __init__(self, lines_per_second: float) -> None:
        self.lines_per_second = lines_per_second
        self.room = Room()
        self._sources: list[Callable[[], Iterable[Grantee]]] = []
        self._lines = 0.0
        self._shared_at: float | None = None

    def join(self, source: Callable[[], Iterable[Grantee]]) -> None:
        """Include a source's queues, until it leaves."""
        self._sources.append(source)
        self.room.sharers = len(self._sources)

    def leave(self, source: Callable[[], Iterable[Grantee]]) -> None:
        """Stop including a source's queues."""
        self._sources.remove(source)
        self.room.sharers = len(self._sources)

    def share(self, now: float) -> None:
        """Grant what the time since the last call allows."""
        since = self._BURST_SECONDS if self._shared_at is None else max(0.0, now - self._shared_at)
        self._shared_at = now
        burst = max(1.0, self.lines_per_second * self._BURST_SECONDS)
        self._lines = min(burst, self._lines + since * self.lines_per_second)
        queues = [(queue.ungranted, queue) for source in self._sources for queue in source()]
        queues = sorted((entry for entry in queues if entry[0]), key=lambda entry: entry[0])
        left = int(self._lines)
        for place, (ungranted, queue) in enumerate(queues):
            lines = min(ungranted, max(1, left // (len(queues) - place)), left)
            if not lines:
                break
            try:
                queue.grant(lines)
            except Exception as error:  # noqa: BLE001 - it ends the one that it came from
                queue.fail(error)
            left -= lines
            self._lines -= lines
