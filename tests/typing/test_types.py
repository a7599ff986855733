"""What users' type checkers say of users' definitions."""

from __future__ import annotations

from pathlib import Path

from mypy import api

HERE = Path(__file__).parent


def test_mypy_accepts_and_refuses_what_it_must() -> None:
    """Mypy accepts all of accepted.py, and refuses every line of rejected.py that says so."""
    config = HERE.parents[1] / "pyproject.toml"
    files = [str(HERE / name) for name in ("accepted.py", "rejected.py")]
    report, errors, status = api.run(["--config-file", str(config), *files])
    assert status == 0, report + errors
