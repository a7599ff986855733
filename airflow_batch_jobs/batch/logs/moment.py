"""Moment: a moment on the clocks that log streams are followed by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment on several clocks.

    Attributes:
        seconds: On a clock that never runs backwards, for spans.
        ms: Wall-clock time at AWS in ms since the epoch, to compare with timestamps.
        machine_ms: The same by this machine's clock, which may be minutes off.
    """

    seconds: float
    ms: int
    machine_ms: int = 0
