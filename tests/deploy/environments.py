"""Environments to run in: another Python, the oldest of what the package needs, or what somebody else has pinned."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
NAME = "airflow-batch-jobs"
#: The Pythons that the tests have run on; newer ones are accepted as well.
SUPPORTED = ("3.11", "3.12", "3.13")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@cache
def pythons() -> dict[str, str]:
    """Find the supported Pythons of this machine: on the PATH, or installed by pyenv or uv."""
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv"))
    uv_folder = Path(os.environ.get("UV_PYTHON_INSTALL_DIR", home / ".local/share/uv/python"))
    found = {}
    for each in SUPPORTED:
        program = f"python{each}"
        installed = [
            shutil.which(program),
            *sorted(pyenv.glob(f"versions/{each}.*/bin/{program}")),
            *sorted(uv_folder.glob(f"cpython-{each}.*/bin/{program}")),
        ]
        if program := next((str(path) for path in installed if path and runs(path)), ""):
            found[each] = program
    return found | {THIS: sys.executable}


def runs(python: str | Path) -> bool:
    """Say whether a program starts: a pyenv shim of a version that is not chosen does not."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


@cache
def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def oldest() -> list[str]:
    """Return constraints that hold each package that we name to its lower bound."""
    named = map(Requirement, project()["project"]["dependencies"])
    return [f"{each.name}=={bound.version}" for each in named for bound in each.specifier if bound.operator == ">="]


def here() -> list[str]:
    """Return what is installed where this runs, without the package itself."""
    installed = {canonicalize_name(each.name): each.version for each in distributions()}
    return [f"{name}=={number}" for name, number in installed.items() if name != NAME]


def uv(*arguments: str | Path, cwd: Path) -> None:
    """Run uv as in an empty folder: without this checkout's environment."""
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    result = subprocess.run(["uv", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def resolve(
    folder: Path,
    python: str,
    wanted: Iterable[str],
    *,
    constraints: Iterable[str] = (),
    kept: Iterable[str] = (),
) -> Path:
    """Choose a version of all that is needed, without installing any of it.

    Args:
        folder: Where the requirements are written.
        python: For which interpreter.
        wanted: Requirements.
        constraints: What the versions have to satisfy.
        kept: Versions to choose unless something that is wanted or a constraint forbids it; else the newest.

    Returns:
        A requirements file with every version.
    """
    # uv keeps a version that its output names already.
    for name, lines in {"wanted": wanted, "constraints": constraints, "versions": kept}.items():
        (folder / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    given = ("wanted.txt", "--constraints", "constraints.txt", "--no-annotate", "--no-header")
    uv("pip", "compile", "--python", python, *given, "--output-file", "versions.txt", cwd=folder)
    return folder / "versions.txt"


def install(folder: Path, python: str, versions: Path) -> Path:
    """Make an environment with these versions and nothing else, and return its interpreter."""
    uv("venv", "--clear", "--python", python, "venv", cwd=folder)
    ours = folder / "venv/bin/python"
    uv("pip", "install", "--python", ours, "--requirements", versions, cwd=folder)
    uv("pip", "check", "--python", ours, cwd=folder)
    return ours
