"""The bounds of what the package needs: they hold together, MWAA's pins are within them, and the oldest works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from tests.deploy.environments import project
from tests.deploy.matrix import ROWS, make, run

if TYPE_CHECKING:
    from pathlib import Path

#: Where the package meets what it needs: Airflow and its SDK, the Amazon provider, botocore, pydantic, typer.
MEETINGS = (
    "tests/face",
    "tests/task/test_connection.py",
    "tests/task/test_supervisor.py",
    "tests/batch/aws",
    "tests/batch/definition",
    "tests/cli/test_cli.py",
)


@pytest.mark.long
@pytest.mark.parametrize(("name", "airflow"), [("oldest", "3.3.0"), ("mwaa", "3.3.1")])
def test_its_versions_go_together(name: str, airflow: str, tmp_path: Path) -> None:
    """Whatever the package names can be had as the constraints have it, and the tests with it."""
    row = ROWS[name]
    versions = row.resolve(tmp_path).read_text(encoding="utf-8").splitlines()
    chosen = {each.name: str(each.specifier).removeprefix("==") for each in map(Requirement, versions)}
    pinned = {each.name: each.specifier for each in map(Requirement, row.constraints)}
    needed = {Requirement(each).name for each in project()["project"]["dependencies"]}
    assert chosen["apache-airflow"] == airflow
    assert [each for each in needed if not pinned[each].contains(chosen[each])] == []


@pytest.mark.e2e
def test_the_oldest_of_all_works() -> None:
    """The tests of where the package meets what it needs; `poe matrix` has the others."""
    make("oldest")
    ran = run("oldest", "quick", MEETINGS)
    assert ran.is_good, ran.output.read_text(encoding="utf-8", errors="replace")[-20_000:]
