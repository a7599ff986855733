"""A release, before it is published: `poe release-check`, together with what tests/deploy/test_packaging.py finds.

With `RELEASE_TAG` set it is about the release of that tag, whose files are in dist/. Without it, about the next one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from readme_renderer import markdown

from tests.deploy.environments import NAME, ROOT, project, uv

if TYPE_CHECKING:
    from pathlib import Path

    from tests.deploy.build import Built

TAG = os.environ.get("RELEASE_TAG", "")
VERSION: str = project()["project"]["version"]


def changelog() -> dict[str, tuple[str, str]]:
    """Return each section of the changelog by its version: the date, which `Unreleased` lacks, and the text."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    parts = (re.fullmatch(r"\[([^\]]+)\](?: - (\S+))?\n(.*)", section, re.DOTALL) for section in sections)
    return {each[1]: (each[2] or "", each[3].strip()) for each in parts if each}


def urls() -> dict[str, str]:
    """Return the addresses of the project by name."""
    named: dict[str, str] = project()["project"].get("urls", {})
    return named


def test_the_version_is_major_minor_patch() -> None:
    """As Semantic Versioning has it, and written as pip writes it; a release candidate may come before."""
    assert re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", VERSION)
    assert str(Version(VERSION)) == VERSION


def test_the_changelog_is_in_order() -> None:
    """What is not released yet first, then version by version down to the oldest, each with its day."""
    first, *released = changelog()
    days = [date.fromisoformat(changelog()[each][0]) for each in released]
    assert first == "Unreleased"
    assert released == sorted(released, key=Version, reverse=True)
    assert days == sorted(days, reverse=True)


def test_the_changelog_tells_of_this_version() -> None:
    """In its own section, or in `Unreleased` as long as it is to come."""
    _, text = changelog().get(VERSION, changelog()["Unreleased"])
    assert re.findall(r"^### (?:Added|Changed|Deprecated|Removed|Fixed|Security)\n\n\* ", text, re.MULTILINE)


@pytest.mark.skipif(
    Version(version("twine")) < Version("7"), reason="this twine does not know the metadata that hatchling writes"
)
def test_the_index_takes_wheel_and_sdist(built: Built) -> None:
    """Their metadata are valid, and their description can be rendered: nothing that twine would even warn of."""
    command = [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_link_leads_somewhere_on_the_index(built: Built) -> None:
    """To another site, or to a heading: the index has none of our files, so it gets their names without a link."""
    page = markdown.render(str(built.metadata().get_payload()), stream=sys.stderr)
    assert page is not None
    targets = re.findall(r'(?:href|src)="([^"]*)"', page)
    anchors = {f"#{each}" for each in re.findall(r'\bid="([^"]+)"', page)}
    assert anchors
    assert [each for each in targets if not each.startswith("https://") and each not in anchors] == []


def test_the_bill_of_materials_has_all_that_is_needed(tmp_path: Path) -> None:
    """Each requirement, also of the extra, with its version and hash, and nothing that only development takes."""
    written = tmp_path / "sbom.cdx.json"
    options = ("--quiet", "--all-extras", "--no-default-groups", "--format", "cyclonedx1.5", "--output-file", written)
    uv("export", *options, cwd=ROOT)
    bill = json.loads(written.read_text(encoding="utf-8"))
    subject = bill["metadata"]["component"]
    assert (bill["bomFormat"], subject["name"], subject["version"]) == ("CycloneDX", NAME, VERSION)
    listed = {each["name"]: each for each in bill["components"]}
    given = project()["project"]
    needed = [*given["dependencies"], *given["optional-dependencies"]["client"]]
    assert {canonicalize_name(Requirement(each).name) for each in needed} <= listed.keys()
    assert "pytest" not in listed
    assert all(each["version"] and each["purl"] for each in listed.values())


def faults(tag: str, folder: Path, built: Built) -> list[str]:
    """Return what keeps the files in a folder from being published as the release of a tag."""
    ready = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".gitignore"}
    made = {path.name: path.read_bytes() for path in (built.wheel, built.sdist)}
    others = [name for name in ready.keys() & made.keys() if ready[name] != made[name]]
    found = {
        f"the tag is {tag}, the version {VERSION}": tag != f"v{VERSION}",
        f"CHANGELOG.md has no section {VERSION}": VERSION not in changelog(),
        "pyproject.toml names no Repository, where weaknesses are reported": "Repository" not in urls(),
        f"there is {sorted(ready)}, not {sorted(made)}": ready.keys() != made.keys(),
        f"a build of this commit makes others of {sorted(others)}": bool(others),
    }
    return [fault for fault, is_there in found.items() if is_there]


def test_what_is_about_to_be_published_is_what_the_tag_makes(built: Built) -> None:
    """Byte by byte, and nothing else: what was built for it in dist/, if a tag is being released."""
    assert not TAG or faults(TAG, ROOT / "dist", built) == []


def test_a_release_of_something_else_is_found(built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag on the wrong commit, a changelog that was not written, a file that was changed, one that is left over."""
    for each in (built.wheel, built.sdist):
        shutil.copy(each, tmp_path)
    monkeypatch.setattr(f"{__name__}.changelog", lambda: {VERSION: ("2026-01-31", "")})
    monkeypatch.setattr(f"{__name__}.urls", lambda: {"Repository": "https://github.com/OWNER/REPOSITORY"})
    assert faults(f"v{VERSION}", tmp_path, built) == []
    assert faults("v0.0.7", tmp_path, built) == [f"the tag is v0.0.7, the version {VERSION}"]

    (tmp_path / "left.whl").touch()
    with (tmp_path / built.wheel.name).open("ab") as changed:
        changed.write(b"more")
    left, other = faults(f"v{VERSION}", tmp_path, built)
    assert "left.whl" in left
    assert other == f"a build of this commit makes others of {[built.wheel.name]}"

    monkeypatch.setattr(f"{__name__}.changelog", dict)
    monkeypatch.setattr(f"{__name__}.urls", dict)
    unwritten, nowhere, *_ = faults(f"v{VERSION}", tmp_path, built)
    assert unwritten == f"CHANGELOG.md has no section {VERSION}"
    assert "names no Repository" in nowhere
