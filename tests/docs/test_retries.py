"""docs/retries.md: its tables are those of the code."""

from __future__ import annotations

import re
from inspect import signature

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.job_failed import FAMILY
from airflow_batch_jobs.retries import BY_CAUSE, BY_ERROR, BatchRetryPolicy, Retry
from tests.docs.source import ROOT

PAGE = (ROOT / "docs" / "retries.md").read_text(encoding="utf-8")
WORDS = {Retry.NEVER: "fails", Retry.NOW: "at once", Retry.LATER: "later", Retry.DEFAULT: "Airflow decides"}


def rows(header: str) -> list[list[str]]:
    """Return the cells of the rows of the table whose header begins so."""
    [(_, table)] = re.findall(rf"^(\| {header} \|.*\n\|[-|]+\n)((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip(" `") for cell in line.strip("|\n").split(" | ")] for line in table.splitlines()]


def test_every_cause_has_its_default_and_its_exception() -> None:
    """In the table, as in the code."""
    expected = {cause.value: (WORDS[BY_CAUSE[cause]], FAMILY[cause].__name__) for cause in Cause}
    assert {cause: (default, kind) for cause, default, kind in rows("cause")} == expected


def test_every_error_has_its_default() -> None:
    """In the table, as in the code."""
    assert dict(rows("error")) == {kind.__name__: WORDS[answer] for kind, answer in BY_ERROR.items()}


def test_the_policys_arguments_are_listed() -> None:
    """All of them, and no other."""
    listed = [name for names, _ in rows("argument") for name in re.findall(r"\w+", names)]
    assert listed == list(signature(BatchRetryPolicy).parameters)
