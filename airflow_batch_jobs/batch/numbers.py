"""Numbers as users give them: seconds, and things per second."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from airflow_batch_jobs.batch.excerpt import excerpt

#: What a user can mean: of a span or a rate beyond these, sums and quotients may overflow.
LEAST, MOST = 0.000_001, 1_000_000_000
_LONGEST_SHOWN = 80


def reasonable(value: Any, name: str, *, or_zero: bool = False) -> float:
    """Return a number that a user has given, read as `positive` reads it, if it is not beyond all reason.

    Args:
        value: What was given.
        name: What it is called where it was given, for the error.
        or_zero: Whether 0 will do.

    Raises:
        ValueError: It is no number above 0, or it is below `LEAST` or above `MOST`.
    """
    number = positive(value, name, or_zero=or_zero)
    if number and not LEAST <= number <= MOST:
        raise ValueError(f"{name} must be between {LEAST:f} and {MOST:,}, not {shown(value)}")
    return number


def shown(value: Any) -> str:
    """Return what was given, for an error: whatever it is, and no more of it than anyone reads."""
    try:
        return excerpt(repr(value), _LONGEST_SHOWN)
    except Exception:  # noqa: BLE001 - a number can have too many digits to be written, an object any code
        return f"a value of type {type(value).__name__}"


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
        raise ValueError(f"{name} must be a number {'from 0' if or_zero else 'above 0'}, not {shown(value)}")
    return read if isinstance(number, str) else number
