"""Whether those beside a job in trouble got all that is theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.watch import Ended
from tests.batch.virtual import lines_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch.updates import Update

#: How many lines each of their streams has.
LINES = 12


def is_whole(updates: list[Update] | BaseException) -> bool:
    """Tell whether a job was followed to its end and every line of each of its streams came once."""
    if isinstance(updates, BaseException) or not isinstance(updates[-1], Ended):
        return False
    lines = lines_of(updates)
    wanted = [f"line {number}" for number in range(1, LINES + 1)]
    return sorted(lines) == sorted(wanted * (2 if updates[-1].detail.array_size else 1))
