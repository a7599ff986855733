"""The table of moto's own tests, moto.md: which of them the local AWS should pass, and which it should not."""

from __future__ import annotations

import ast
from pathlib import Path

FOLDER = Path(__file__).parent


def rows(heading: str) -> dict[str, str]:
    """Return the rows of the table under a heading: moto's test, and what is said of it."""
    section = (FOLDER / "moto.md").read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| test_")]
    assert all(len(row) == 2 for row in cells)
    return {row[0]: row[1] for row in cells}


SHOULD, SHOULD_NOT = rows("Those that it should pass"), rows("Those that it should not")


def test_each_test_that_the_table_names_exists() -> None:
    """In the module of this folder that it names."""
    for ours in SHOULD.values():
        module, name = ours.split(".")
        tree = ast.parse((FOLDER / f"{module}.py").read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, ours


def test_no_test_of_motos_is_in_both_halves() -> None:
    """Nor in the second one by the beginning of its name."""
    beginnings = tuple(name.removesuffix("*") for name in SHOULD_NOT if name.endswith("*"))
    assert not [name for name in SHOULD if name in SHOULD_NOT or name.startswith(beginnings)]
