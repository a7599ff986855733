"""Lateness: how late the events of a log group have been, as far as proven."""

from __future__ import annotations

import heapq

_KEPT_SECONDS = 600.0
_MARGIN = 1.5
#: Enough to know the second largest among all streams but any given one.
_MOST_LOOKED_AT = 3


class Lateness:
    """How late events came in the last ten minutes, by stream.

    An event is proven late if a scan that should have found it did not.
    """

    def __init__(self) -> None:
        self._proven: dict[str, tuple[int, float]] = {}
        self._largest: list[tuple[int, str]] = []
        self._holds_until = float("-inf")

    def note(self, stream: str, late_ms: int, now: float) -> None:
        """Take note that an event of a stream came this late."""
        known_ms, at = self._proven.get(stream, (0, now))
        if late_ms >= known_ms or now - at > _KEPT_SECONDS:
            self._proven[stream] = late_ms, now
            self._holds_until = float("-inf")

    def settle_seconds(self, stream: str, *, least: float, most: float, now: float) -> float:
        """Return how long to look for late events of a stream.

        This is one and a half times the lateness of the stream itself, or of at least two others: an outage of one
        stream says nothing about the rest.
        """
        if now >= self._holds_until:
            self._forget(now)
        own = self._proven.get(stream, (0, now))[0]
        others = [late_ms for late_ms, name in self._largest if name != stream]
        shared = others[1] if len(others) > 1 else 0
        return min(most, max(least, _MARGIN * max(own, shared) / 1000))

    def _forget(self, now: float) -> None:
        self._proven = {name: proven for name, proven in self._proven.items() if now - proven[1] <= _KEPT_SECONDS}
        entries = ((late_ms, name) for name, (late_ms, _) in self._proven.items())
        self._largest = heapq.nlargest(_MOST_LOOKED_AT, entries)
        self._holds_until = min((at + _KEPT_SECONDS for _, at in self._proven.values()), default=float("inf"))
