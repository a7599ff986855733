"""Moments as a shell writes and reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"(?:\d{1,9}[smhd])+")


def moment(time: datetime) -> str:
    """Write a time as scripts sort it: in UTC, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago_or_at(value: str | None, option: str = "") -> datetime | None:
    """Read a time, or how long ago it is: `90s`, `1h30m`, `2026-11-26T09:00`. Without an offset it is local time.

    Raises:
        typer.BadParameter: It is neither.
    """
    if value is None:
        return None
    try:
        if _SPAN.fullmatch(value):
            parts = re.findall(r"(\d{1,9})([smhd])", value)
            seconds = sum(int(amount) * _UNITS[unit] for amount, unit in parts)
            return datetime.now(tz=UTC) - timedelta(seconds=seconds)
        return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{value!r} is neither a span, such as 10m or 1h30m, nor a time", param_hint=option
        ) from error
