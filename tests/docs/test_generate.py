"""docs/generate.py, as `poe docs` runs it: outside of the tests' environment."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("griffe", reason="the matrix has no generator of sites")


@pytest.mark.long
def test_the_pages_are_made_without_the_developers_airflow(tmp_path: Path) -> None:
    """Its settings count for nothing, and nothing is written into the developer's home."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    foreign = {"HOME": str(tmp_path), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "broken"}
    command = [sys.executable, "docs/generate.py"]
    subprocess.run(command, cwd=ROOT, env={**own, **foreign, "SITE_PAGES": str(tmp_path / "pages")}, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["pages"]
