"""Scripted jobs for the tests of what watches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.watch import Ended
from tests.batch.virtual import lines_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


def numbered(count: int) -> list[str]:
    """Return the lines that a script writes when nothing else is said."""
    return [f"line {number}" for number in range(1, count + 1)]


def submitted(aws: LocalAws, count: int = 1, *, register: dict[str, Any] | None = None, **script: Any) -> list[str]:
    """Submit scripted jobs and return their ids."""
    if script:
        aws.script(definition="talk", **script)
    reference = aws.register("talk", **(register or {}))
    return aws.submit(reference, count=count)


def talking(aws: LocalAws, count: int = 1, **script: Any) -> list[str]:
    """Submit jobs that write a line every second for 30 s, and return their ids."""
    aws.script(definition="talk", **{"running": 30, "lines": {"count": 30, "rate": 1.0}, **script})
    return aws.submit(aws.register("talk"), count=count)


def assert_complete(updates: list[Update], count: int = 30) -> None:
    """Check that all lines came once each and in order, and then the end."""
    assert lines_of(updates) == [f"line {number}" for number in range(1, count + 1)]
    assert isinstance(updates[-1], Ended)
