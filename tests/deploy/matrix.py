"""The tests in other environments than the checkout's own.

Makes the environments below `.matrix/`, one after the other, runs the quick lane in each, and ends with a table of what
ran where. Whatever else is given goes to pytest.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.deploy.environments import ROOT, SUPPORTED, THIS, here, install, oldest, project, pythons, resolve, uv
from tests.e2e.stores import redis_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FOLDER = ROOT / ".matrix"
#: Of `pip install` with MWAA's own constraints, what the package and its tests take.
MWAA_PINS = ROOT / "tests/deploy/mwaa-3.3.1.txt"
#: The task of pyproject.toml behind each lane, and where its tests are, if not everywhere.
LANES = {"quick": ("short",), "e2e": ("slow", "tests/e2e"), "chaos": ("chaos",)}
SHOWN = {"Airflow": "apache-airflow", "Amazon provider": "apache-airflow-providers-amazon", "botocore": "botocore"}
TITLES = ("environment", "Python", *SHOWN, "ran", "on", "passed", "failed", "skipped", "minutes")


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
    "oldest": Row("the lower bounds of all that we name", python=SUPPORTED[0], constraints=tuple(oldest())),
    "mwaa": Row(
        "MWAA's image of 3.3.1",
        python="3.12",
        constraints=tuple(line for line in MWAA_PINS.read_text().splitlines() if not line.startswith("#")),
    ),
    "newest": Row("the newest releases", python=SUPPORTED[-1], is_newest=True),
    "next": Row(
        "the newest pre-release",
        python=SUPPORTED[-1],
        # uv takes a pre-release only of what is asked for like this.
        wanted=("apache-airflow>=3.4.0b0", "apache-airflow-core>=3.4.0b0", "apache-airflow-task-sdk>=1.4.0b0"),
        is_newest=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Ran:
    """What a lane came to.

    Attributes:
        is_good: Whether there were tests, and none failed.
        counts: How many tests ended in which way: `passed`, `failed`, `skipped`, `error`, …; none if pytest broke off.
        seconds: How long it took.
        output: What pytest wrote.
    """

    is_good: bool
    counts: dict[str, int]
    seconds: float
    output: Path

    def told(self) -> str:
        """Return pytest's lines about what failed; its last lines where it came to none."""
        lines = self.output.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([line for line in lines if re.match(r"(FAILED|ERROR) tests/", line)] or lines[-20:])


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
        more: Arguments for pytest. Files and folders among them take the place of the lane's own.
    """
    task, *where = LANES[lane]
    program, *arguments = shlex.split(project()["tool"]["poe"]["tasks"][task]["cmd"])
    is_narrowed = any((ROOT / each.partition("::")[0]).exists() for each in more)
    folder, began = FOLDER / name, time.monotonic()
    output, scripts = folder / f"{lane}.txt", folder / "venv/bin"
    # Redis comes as a wheel, which an environment with another Python may lack.
    path = os.pathsep.join([str(scripts), *_folder_of(redis_server()), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "CHAOS_TABLE": str(folder / "chaos.md")}
    for each in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(each, None)
    with output.open("w") as written:
        command = [str(scripts / program), *arguments, *(() if is_narrowed else where), *more]
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=written, stderr=subprocess.STDOUT, check=False
        )
    lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    counted = re.findall(r"(\d+) ([a-z]+)", lines[-1].rpartition(" in ")[0]) if lines else []
    return Ran(
        is_good=ended.returncode == 0,
        counts={way.removesuffix("s") if way == "errors" else way: int(count) for count, way in counted},
        seconds=time.monotonic() - began,
        output=output,
    )


def _folder_of(program: str | None) -> list[str]:
    return [str(Path(program).parent)] if program else []


def versions(name: str) -> list[str]:
    """Return the versions to show of an environment."""
    chosen = dict(re.findall(r"^([\w-]+)==([^\s;]+)", (FOLDER / name / "versions.txt").read_text(), re.MULTILINE))
    return [chosen[package] for package in SHOWN.values()]


def row(cells: Iterable[object]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Run what is asked for, and print a table; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="poe matrix", description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", action="append", choices=ROWS, help="one environment; may be given again")
    parser.add_argument("--no-quick", dest="quick", action="store_false", help="leave out the quick lane")
    parser.add_argument("--e2e", action="store_true", help="also the tests of a real Airflow, 20 minutes in each")
    parser.add_argument("--chaos", action="store_true", help="also all cases of the chaos table, half an hour in each")
    given, more = parser.parse_known_args()
    lanes = [lane for lane in LANES if getattr(given, lane)]
    failed: list[Ran] = []
    table = [row(TITLES), "|---" * len(TITLES) + "|"]
    for name in given.only or ROWS:
        print(f"{name}: making it", file=sys.stderr, flush=True)
        python = make(name)
        release = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
        for lane in lanes:
            print(f"{name}: {lane}, see {(FOLDER / name / lane).relative_to(ROOT)}.txt", file=sys.stderr, flush=True)
            ran = run(name, lane, more)
            counts = (ran.counts.get("passed", 0), ran.counts.get("failed", 0) + ran.counts.get("error", 0))
            cells = (ROWS[name].title, release, *versions(name), shlex.join([lane, *more]), f"{datetime.now(UTC):%F}")
            table.append(row([*cells, *counts, ran.counts.get("skipped", 0), round(ran.seconds / 60)]))
            if not ran.is_good:
                failed.append(ran)
    print(*table, sep="\n")
    for ran in failed:
        print(f"\n{ran.output.relative_to(ROOT)}:\n{ran.told()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
