"""The workflows of the hosted CI: in the form that GitHub takes, and with no more rights than each job needs.

They have not run there: this looks at what they say.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.environments import ROOT, project
from tests.deploy.matrix import ROWS
from tests.schemas import problems

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").iterdir())
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in WORKFLOWS}
JOBS: dict[tuple[str, str], dict[str, Any]] = {
    (workflow, name): job for workflow, text in TEXTS.items() for name, job in yaml.safe_load(text)["jobs"].items()
}


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_github_takes_them(schema: str) -> None:
    """They have its form, and no job may hang for six hours."""
    assert problems(schema, *WORKFLOWS) == ""


def test_the_schema_finds_a_misspelt_key(tmp_path: Path) -> None:
    """So that the test above says something."""
    misspelt = tmp_path / "release.yml"
    misspelt.write_text(TEXTS["release"].replace("runs-on:", "run-on:"), encoding="utf-8")
    assert "run-on" in problems("vendor.github-workflows", misspelt)


def test_pinned_actions_are_kept_up_to_date() -> None:
    """By dependabot, in its form."""
    assert problems("vendor.dependabot", FOLDER / "dependabot.yml") == ""


def test_an_auditor_finds_nothing() -> None:
    """Zizmor, at its strictest: no template in a script, no credentials left behind, no cache in what is published."""
    zizmor = str(Path(sys.executable).with_name("zizmor"))
    command = [zizmor, "--offline", "--quiet", "--no-progress", "--persona", "pedantic", str(FOLDER)]
    audited = subprocess.run(command, capture_output=True, text=True, check=False)
    assert audited.returncode == 0, audited.stdout + audited.stderr


def test_every_action_is_pinned_to_one_commit() -> None:
    """With the release that the commit is, for whoever reads it and for dependabot."""
    used = [line.strip() for text in TEXTS.values() for line in text.splitlines() if "uses:" in line]
    pinned = {re.fullmatch(r"- uses: ([\w-]+/[\w-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in used}
    assert None not in pinned
    assert len({each[0] for each in pinned if each}) == len({each[1] for each in pinned if each})


def test_only_two_jobs_may_do_more_than_read() -> None:
    """They are those that sign and publish; neither of them runs anything of ours, and no secret is used anywhere."""
    rights = {name: job["permissions"] for name, job in JOBS.items()}
    assert {name: each for name, each in rights.items() if each != {"contents": "read"}} == {
        ("release", "attest"): {"attestations": "write", "id-token": "write"},
        ("release", "publish"): {"id-token": "write"},
    }
    assert all("run" not in step for name in ("attest", "publish") for step in JOBS["release", name]["steps"])
    assert all("\npermissions: {}\n" in text and "secrets." not in text for text in TEXTS.values())


def test_nothing_is_published_before_it_was_looked_at() -> None:
    """The jobs of a release need each other: built, checked, attested, published."""
    assert JOBS["release", "check"]["needs"] == "build"
    assert "check" in JOBS["release", "attest"]["needs"]
    assert JOBS["release", "publish"]["needs"] == "attest"


def test_what_they_run_is_there() -> None:
    """Tasks of poe, environments of the matrix, and `.ci/run`."""
    text = "\n".join(TEXTS.values())
    named = set(re.findall(r"uv run poe ([\w-]+)", text))
    assert {"quick", "matrix", "pythons", "release-check"} == named <= project()["tool"]["poe"]["tasks"].keys()
    assert JOBS["matrix", "versions"]["strategy"]["matrix"]["environment"] == [*ROWS]
    assert "bash .ci/run" in text
