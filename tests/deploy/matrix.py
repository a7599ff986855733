"""The tests in other environments than the checkout's own; prints a table.

Run `uv run poe matrix`: it makes the environments below `.matrix/`, one after the other, and runs the quick lane in
each. `--lane e2e` and `--lane chaos` run those instead, `--only oldest` leaves out the other environments, and whatever
else is given goes to pytest.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.deploy.environments import ROOT, THIS, here, install, oldest, project, pythons, resolve, uv

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = ROOT / ".matrix"
#: Of `pip install` with MWAA's own constraints, what the package and its tests take.
MWAA_PINS = ROOT / "tests/deploy/mwaa-3.3.1.txt"
#: The task of pyproject.toml behind each lane, and where its tests are, if not everywhere.
LANES = {"quick": ("fast",), "e2e": ("slow", "tests/e2e"), "chaos": ("chaos",)}
SHOWN = {"Airflow": "apache-airflow", "Amazon provider": "apache-airflow-providers-amazon", "botocore": "botocore"}


@dataclass(frozen=True, slots=True)
class Row:
    """One environment.

    Attributes:
        title: What it stands for.
        python: The Python that belongs in it; another one where the machine lacks it.
        wanted: Requirements beside those of the package and its tests.
        constraints: What the versions have to satisfy.
        is_newest: Whether all else is the newest that there is, rather than what the tests run with here.
    """

    title: str
    python: str = THIS
    wanted: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    is_newest: bool = False

    @property
    def program(self) -> str:
        """Its interpreter."""
        return pythons().get(self.python, sys.executable)

    def resolve(self, folder: Path) -> Path:
        """Choose a version of all that the package and its tests need, and return them as a requirements file."""
        given = project()
        return resolve(
            folder,
            self.program,
            [*given["project"]["dependencies"], *given["dependency-groups"]["dev"], *self.wanted],
            constraints=[*given["tool"]["uv"]["constraint-dependencies"], *self.constraints],
            kept=() if self.is_newest else here(),
        )


ROWS = {
    "oldest": Row("the lower bounds of all that we name", constraints=tuple(oldest())),
    "mwaa": Row(
        "MWAA's image of 3.3.1",
        python="3.12",
        constraints=tuple(line for line in MWAA_PINS.read_text().splitlines() if not line.startswith("#")),
    ),
    "newest": Row("the newest releases", is_newest=True),
    "next": Row(
        "the newest pre-release",
        # uv takes a pre-release only of what is asked for like this.
        wanted=("apache-airflow>=3.4.0b0", "apache-airflow-core>=3.4.0b0", "apache-airflow-task-sdk>=1.4.0b0"),
        is_newest=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a lane came to.

    Attributes:
        counts: How many tests ended in which way: `passed`, `failed`, `skipped`, `error`, …; none if pytest broke off.
        failures: The lines about those that did not pass.
        seconds: How long it took.
        output: What pytest wrote.
    """

    counts: dict[str, int]
    failures: tuple[str, ...]
    seconds: float
    output: Path

    @property
    def is_good(self) -> bool:
        """Whether there were tests, and none failed."""
        return "passed" in self.counts and not self.failures


def make(name: str) -> Path:
    """Make an environment with the package, as it is in this checkout, and what its tests need.

    Returns:
        The environment's interpreter.
    """
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    python = install(folder, ROWS[name].program, ROWS[name].resolve(folder))
    uv("pip", "install", "--python", python, "--no-deps", "--editable", ROOT, cwd=folder)
    return python


def run(name: str, lane: str, more: Sequence[str] = ()) -> Ran:
    """Run a lane in an environment that was made.

    Args:
        name: Which environment.
        lane: Which tests.
        more: Arguments for pytest.
    """
    task, *where = LANES[lane]
    program, *arguments = shlex.split(project()["tool"]["poe"]["tasks"][task]["cmd"])
    folder, began = FOLDER / name, time.monotonic()
    output, scripts = folder / f"{lane}.txt", folder / "venv/bin"
    environment = os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "CHAOS_TABLE": str(folder / "chaos.md")}
    for each in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(each, None)
    with output.open("w") as written:
        command = [str(scripts / program), *arguments, *where, *more]
        subprocess.run(command, cwd=ROOT, env=environment, stdout=written, stderr=subprocess.STDOUT, check=False)
    lines = output.read_text(errors="replace").splitlines()
    counted = re.findall(r"(\d+) ([a-z]+)", lines[-1].partition(" in ")[0]) if lines else []
    return Ran(
        counts={way: int(count) for count, way in counted},
        failures=tuple(line for line in lines if re.match(r"(FAILED|ERROR) tests/", line)),
        seconds=time.monotonic() - began,
        output=output,
    )


def versions(name: str) -> list[str]:
    """Return the versions to show of an environment."""
    chosen = dict(re.findall(r"^([\w-]+)==([^\s;]+)", (FOLDER / name / "versions.txt").read_text(), re.MULTILINE))
    return [chosen[package] for package in SHOWN.values()]


def main() -> int:
    """Run what is asked for, and print a table; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="environments (default: all)")
    parser.add_argument("--lane", nargs="+", choices=LANES, default=["quick"], help="tests (default: quick)")
    given, more = parser.parse_known_args()
    failed: list[Ran] = []
    titles = ["environment", "Python", *SHOWN, "lane", "passed", "failed", "skipped", "minutes"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}", flush=True)
    for name in given.only:
        python = make(name)
        release = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
        for lane in given.lane:
            ran = run(name, lane, more)
            counts = [ran.counts.get("passed", 0), len(ran.failures), ran.counts.get("skipped", 0)]
            cells = [ROWS[name].title, release, *versions(name), lane, *counts, round(ran.seconds / 60)]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            if not ran.is_good:
                failed.append(ran)
    for ran in failed:
        print(f"\n{ran.output.relative_to(ROOT)}:", *ran.failures, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
