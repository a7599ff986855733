"""Numbers as users give them: seconds, and things per second."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any


def positive(value: Any, name: str, *, or_zero: bool = False) -> float:
    """Return a finite number above 0, given as a number, as text, or as a timedelta in place of its seconds.

    Args:
        value: What was given.
        name: What it is called where it was given, for the error.
        or_zero: Whether 0 will do.

    Raises:
        ValueError: It is anything else: NaN, infinite, True, a list.
    """
    number = value.total_seconds() if isinstance(value, timedelta) else value
    try:
        read = float(number) if isinstance(number, (int, float, str)) and not isinstance(number, bool) else math.nan
    except (ValueError, OverflowError):
        read = math.nan
    if not (0 < read < math.inf or (or_zero and read == 0)):
        raise ValueError(f"{name} must be a number {'from 0' if or_zero else 'above 0'}, not {value!r}")
    return read if isinstance(number, str) else number
