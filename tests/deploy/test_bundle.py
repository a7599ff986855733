"""The bundle of the tab in the UI: what is committed is what its source makes, and its own tests pass."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.plugin import BUNDLE
from tests.docs.source import ROOT

if TYPE_CHECKING:
    from pathlib import Path

UI = ROOT / "ui"
NPM = shutil.which("npm")


@pytest.mark.e2e
@pytest.mark.skipif(
    NPM is None and "REQUIRE_NPM" not in os.environ, reason="no npm on the PATH, which only a change of the tab needs"
)
def test_a_fresh_build_makes_the_bundle_that_is_committed(tmp_path: Path) -> None:
    """With the versions that are pinned; and the source passes its own checks."""
    source = tmp_path / "ui"
    shutil.copytree(UI, source, ignore=shutil.ignore_patterns("node_modules"))
    for command in ("ci", "run check", "run build"):
        subprocess.run([str(NPM), *command.split()], cwd=source, check=True)
    assert (tmp_path / BUNDLE.relative_to(ROOT)).read_bytes() == BUNDLE.read_bytes()


def test_every_version_is_pinned_and_no_registry_is_named() -> None:
    """In the package, and in the lock, where each package has its hash."""
    package = json.loads((UI / "package.json").read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["devDependencies"].values())
    lock = json.loads((UI / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert len(packages) > len(package["devDependencies"])
    assert [name for name, each in packages.items() if "resolved" in each or "integrity" not in each] == []
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]


def test_what_is_installed_needs_no_node() -> None:
    """The UI has what the bundle runs on."""
    assert "dependencies" not in json.loads((UI / "package.json").read_text(encoding="utf-8"))
