"""docs/batch-job-xcom.md: every field of the XCom, and no other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.job_xcom import job_xcom
from tests.batch.conftest import CREATED, Entries
from tests.docs.source import ROOT

PAGE = (ROOT / "docs" / "batch-job-xcom.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (`\w[^|]*`) \| (.*) \|$", PAGE, re.MULTILINE))
#: The fields that others add: what marks the attempt, and what `on_retry` changed.
ADDED = {"try_number", "max_tries", "changes"}


def values() -> list[dict[str, Any]]:
    """Return the values of jobs that have something in each field."""
    entries = Entries()
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"
    failed = [entries.read(entries.child(number, entries.failed())) for number in range(30)]
    many = [entries.attempt(number) for number in range(1, 13)]
    streams = [stream for number in range(200) for stream in entries.read(entries.child(number)).log_streams()]
    return [
        job_xcom(entries.read(entries.waiting(statusReason=reason)), CREATED),
        job_xcom(entries.read(entries.failed(attempts=many)), CREATED),
        job_xcom(entries.read(entries.array({"FAILED": 30})), CREATED, parts=failed, log_streams=streams),
    ]


def named(text: str) -> set[str]:
    """Return what a text has in backticks."""
    return set(re.findall(r"`(\w+)`", text))


def test_every_field_has_a_row() -> None:
    """And every row a field."""
    written = {name for value in values() for name in value}
    assert {name for row in ROWS for name in named(row)} == written | ADDED


@pytest.mark.parametrize(
    "name", ["history", "attempts", "resources", "why_waiting", "diagnosis", "failed_children", "log_streams"]
)
def test_a_row_names_what_is_in_its_field(name: str) -> None:
    """Each member of a list's entries, or of a mapping."""
    row = next(text for names, text in ROWS.items() if name in named(names))
    first = next(value[name] for value in values() if value.get(name))
    assert set(first[0] if isinstance(first, list) else first) <= named(row)


def test_the_kinds_are_all_there() -> None:
    """As the field has them."""
    assert {kind.value for kind in JobKind} == set(re.findall(r"`([^`]+)`", ROWS["`kind`"]))
