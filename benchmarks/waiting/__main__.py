"""Waiting for many jobs: the Amazon provider's trigger, this package's, and the floor, side by side in one run.

Each waits in a process of its own for scripted jobs in a local AWS of its own. The whole run takes about twelve minutes
on two cores and ends by itself; `--quick` takes less than two. `benchmarks/README.md` says what the columns mean and
has the results.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console

from benchmarks.waiting.case import Case, Result
from benchmarks.waiting.report import LARGE_CASE, LIVE_CASE, THROTTLED_CASE, figures_table, targets_table
from benchmarks.waiting.run import run_case

#: The width of the output: wide enough that no line wraps.
WIDTH = 230
#: The provider's process is not asked to wait for more jobs than this: starting one takes it 40 ms of CPU.
MOST_FOR_PROVIDER = 1_000
#: Waiting for this few jobs leaves two cores nearly idle, unless the provider does it.
MOST_SIDE_BY_SIDE = 100
JOBS = (1, 100, 1_000, 10_000)
QUICK_JOBS = (100,)


def cases(jobs: tuple[int, ...], *, limits: bool) -> list[Case]:
    """Return what is measured.

    Args:
        jobs: The numbers of jobs.
        limits: Whether to include the cases with an account's limits.
    """
    found: list[Case] = []
    for count in jobs:
        if count > MOST_FOR_PROVIDER:
            # More jobs end later and write less, so that endpoint, line budget and a single machine are enough.
            times = {"first_end": 30.0, "last_end": 50.0, "line_seconds": 30.0}
        elif count >= MOST_FOR_PROVIDER:
            times = {"first_end": 25.0, "last_end": 35.0, "line_seconds": 5.0}
        else:
            times = {"first_end": 10.0, "last_end": 15.0, "line_seconds": 5.0}
        name = LARGE_CASE if count == JOBS[-1] else f"{count:,} job{'s' if count > 1 else ''}"
        ways = ["floor", "ours", "ours + logs"] + (["provider"] if count <= MOST_FOR_PROVIDER else [])
        found += [_case(name, way, count, **times) for way in ways]
    if limits:
        found += [_case(THROTTLED_CASE, way, 1_000, batch_rate=50.0) for way in ("ours", "ours + logs", "provider")]
        found.append(
            _case(
                LIVE_CASE,
                "ours + logs",
                1_000,
                first_end=70.0,
                last_end=75.0,
                line_seconds=4.0,
                delivery_seconds=2.0,
                logs_rate=5.0,
            )
        )
    return found


def side_by_side(wanted: list[Case]) -> list[list[Case]]:
    """Return the cases in groups that are measured at the same time: small ones, which do not disturb each other."""
    groups: list[list[Case]] = []
    for case in wanted:
        last = groups[-1][-1] if groups else None
        if last and last.name == case.name and case.jobs <= MOST_SIDE_BY_SIDE and case.way != "provider":
            groups[-1].append(case)
        else:
            groups.append([case])
    return groups


def _case(name: str, title: str, jobs: int, **more: float) -> Case:
    way, _, logs = title.partition(" + ")
    return Case(name=name, way=way, jobs=jobs, copy_logs=bool(logs), **more)


def can_run_provider(python: str) -> bool:
    """Tell whether an interpreter has what the provider's trigger needs."""
    source = "import aiobotocore, psutil, airflow.providers.amazon.aws.triggers.batch"
    return subprocess.run([python, "-c", source], capture_output=True, check=False).returncode == 0


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--jobs", type=int, nargs="+", help="numbers of jobs, and no limits (default: 1 100 1000 10000)"
    )
    parser.add_argument("--ways", nargs="+", choices=("floor", "ours", "provider"), help="default: all")
    parser.add_argument("--quick", action="store_true", help="100 jobs and no limits; less than two minutes")
    parser.add_argument("--no-limits", action="store_true", help="leave out the cases with an account's limits")
    parser.add_argument("--only-limits", action="store_true", help="leave out all other cases")
    parser.add_argument("--provider-python", default=sys.executable, help="an interpreter that has aiobotocore")
    parser.add_argument("--markdown", action="store_true", help="draw the tables as Markdown does")
    parser.add_argument("--json", type=Path, help="write all figures here as well")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    given = options()
    began = time.monotonic()
    jobs = tuple(given.jobs or (QUICK_JOBS if given.quick else JOBS))
    wanted = cases(() if given.only_limits else jobs, limits=not (given.quick or given.no_limits or given.jobs))
    wanted = [case for case in wanted if case.way in (given.ways or ("floor", "ours", "provider"))]
    has_provider = can_run_provider(given.provider_python)
    console = Console(width=WIDTH)
    results: list[Result] = []
    for together in side_by_side(wanted):
        names = ", ".join(case.title for case in together)
        console.print(
            f"{time.monotonic() - began:5.0f} s  load {os.getloadavg()[0]:.1f}  {together[0].name}: {names} …"
        )
        if together[0].way == "provider" and not has_provider:
            results.append(Result(together[0], None, "not installed"))
            continue
        python = given.provider_python if together[0].way == "provider" else sys.executable
        with ThreadPoolExecutor() as threads:
            results += threads.map(run_case, together, [python] * len(together))
        if given.json:
            given.json.write_text(json.dumps([result.to_dict() for result in results], indent=1) + "\n")
    console.print(figures_table(results, markdown=given.markdown))
    console.print("seconds: median/p95/max; a line: from its being readable to its being logged")
    console.print(targets_table(results, markdown=given.markdown))
    console.print(f"{time.monotonic() - began:.0f} s on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if not has_provider and any(case.way == "provider" for case in wanted):
        console.print("provider: its triggers need aiobotocore; see benchmarks/README.md for --provider-python")


if __name__ == "__main__":
    main()
