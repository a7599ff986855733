"""docs/compatibility.md: its versions are those of pyproject.toml, and its stored formats those of the architecture."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from docs.public_names import MODULES
from tests.deploy.environments import SUPPORTED, project
from tests.docs.source import ROOT

PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
#: What stands in a cell that has nothing.
NONE = "\N{EN DASH}"
BOUNDS = {each.name: each.specifier for each in map(Requirement, project()["project"]["dependencies"])} | {
    "Python": SpecifierSet(project()["project"]["requires-python"])
}


def table(text: str, header: str) -> list[list[str]]:
    """Return the cells of the rows of the table whose header begins so."""
    [rows] = re.findall(rf"^\| {header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in rows.splitlines()]


def test_its_versions_are_those_that_pip_takes() -> None:
    """Lower and upper bounds, of Airflow and Python among others."""
    stated = {name.strip("`"): (lowest, below) for name, lowest, below, _ in table(PAGE, "package")}
    assert {"apache-airflow", "Python"} < stated.keys()
    for name, (lowest, below) in stated.items():
        bounds = {f">={lowest}", *([] if below == NONE else [f"<{below}"])}
        assert {str(each) for each in BOUNDS[name]} == bounds, name


def test_every_upper_bound_is_told() -> None:
    """Nothing else keeps a newer version away."""
    bounded = {name for name, bounds in BOUNDS.items() if any(each.operator == "<" for each in bounds)}
    assert bounded == {name.strip("`") for name, _, below, _ in table(PAGE, "package") if below != NONE}


def test_the_end_of_each_supported_python_is_told() -> None:
    """And the span of what was run."""
    assert [*re.findall(r"(3\.\d+) in October", PAGE)] == [*SUPPORTED]
    assert f"it was run on {SUPPORTED[0]} to {SUPPORTED[-1]}" in PAGE


def test_its_stored_formats_are_those_of_the_architecture() -> None:
    """One row each, in the same order."""
    section = ARCHITECTURE[ARCHITECTURE.index("\n## Stored formats") : ARCHITECTURE.index("\n## What must stay true")]
    named = [what.partition(":")[0] for what, *_ in table(section, "what")]
    assert [stored for stored, *_ in table(PAGE, "stored")] == named


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(airflow_batch_jobs\.\w+)`", PAGE))))
def test_every_public_module_is_there(name: str) -> None:
    """None of them may move."""
    assert import_module(name).__name__ == name


def test_every_public_module_is_on_the_page() -> None:
    """By itself, or with the package that it is in; the command line is named by its command."""
    named = set(re.findall(r"`(airflow_batch_jobs\.[\w.]+)`", PAGE))
    astray = {module for module in MODULES if not any(f"{module}.".startswith(f"{name}.") for name in named)}
    assert astray == {"airflow_batch_jobs", "airflow_batch_jobs.decorators", "airflow_batch_jobs.cli"}
