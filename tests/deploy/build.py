"""Wheel and sdist, built from what is in the repository, and what is in them."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from email import message_from_bytes
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from tests.deploy.environments import ROOT, uv

if TYPE_CHECKING:
    from email.message import Message
    from pathlib import Path

#: What work in a checkout leaves behind, and no build may pick up.
LEFTOVERS = (
    ".coverage",
    ".matrix/oldest/versions.txt",
    ".venv/bin/python",
    "airflow_batch_jobs/__pycache__/cli.cpython-311.pyc",
    "dags/__pycache__/long_job.cpython-311.pyc",
    "dags/definitions/__pycache__/count_seconds.cpython-311.pyc",
    "dist/old.whl",
    "uv.lock",
)


@dataclass(frozen=True, slots=True)
class Built:
    """What was built.

    Attributes:
        files: The files of the repository, as paths in it.
        wheel: Built from the repository.
        sdist: Built from the repository.
        wheel_of_sdist: Built from the sdist.
    """

    files: set[str]
    wheel: Path
    sdist: Path
    wheel_of_sdist: Path

    def metadata(self) -> Message:
        """Return the wheel's metadata."""
        (content,) = (content for name, content in contents(self.wheel).items() if name.endswith("dist-info/METADATA"))
        return message_from_bytes(content)

    def requirements(self) -> dict[str, Requirement]:
        """Return what the wheel needs without any extra, by name."""
        given = map(Requirement, self.metadata().get_all("Requires-Dist", []))
        return {each.name: each for each in given if each.marker is None or "extra" not in str(each.marker)}


def build(folder: Path) -> Built:
    """Build all of it below a folder, from a copy of the repository where work has left things behind."""
    tree = folder / "tree"
    listed = subprocess.run(
        # The checkout may be another user's.
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    for name in files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    for name in LEFTOVERS:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("left behind")

    uv("build", "--wheel", "--sdist", "--out-dir", folder / "dist", cwd=tree)
    (wheel,), (sdist,) = (folder / "dist").glob("*.whl"), (folder / "dist").glob("*.tar.gz")
    uv("build", "--wheel", "--out-dir", folder / "again", sdist, cwd=folder)
    return Built(files=files, wheel=wheel, sdist=sdist, wheel_of_sdist=folder / "again" / wheel.name)


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def sdist_names(sdist: Path) -> set[str]:
    """Return the paths of an sdist's files below its one folder."""
    with tarfile.open(sdist) as opened:
        return {member.name.partition("/")[2] for member in opened if member.isfile()}
