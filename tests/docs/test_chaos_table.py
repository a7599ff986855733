"""docs/chaos.md: the table has every case of the suite, as it came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.source import ROOT
from tests.e2e import test_chaos_platform, test_chaos_stopping, test_chaos_triggerer, test_chaos_worker

if TYPE_CHECKING:
    from tests.e2e.chaos import Case

MODULES = (test_chaos_platform, test_chaos_stopping, test_chaos_triggerer, test_chaos_worker)
CASES = [case for module in MODULES for case in (*module.CASES, *getattr(module, "LONG_CASES", ()))]


def rows() -> dict[str, list[str]]:
    """Return the cells of each row after the first, by the first."""
    lines = (ROOT / "docs" / "chaos.md").read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]
    return {first: rest for first, *rest in table[1:]}


def test_every_case_has_a_row_and_no_other_has() -> None:
    """A new case is shown, one that is gone is not."""
    assert sorted(rows()) == sorted(case.what for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.run_id)
def test_a_row_says_that_all_is_well(case: Case) -> None:
    """One job for each wanted run, none left running, no line lost, none double except after a kill."""
    state, _, jobs, left, _, lost, double, _ = rows()[case.what]
    assert (state, jobs, left, lost) == (case.state, f"{case.jobs} of {case.jobs}", "0", "0")
    assert int(double) <= case.most_double
