"""A real triggerer with hundreds of deferred tasks: stalls, lines, memory, calls, and how soon a job's end is known.

Run `uv run python -m benchmarks.triggerer --tasks 1000`, or with `--flood`, or beside `--busy 4` loops. Starts the
local AWS and an Airflow of which only the triggerer runs, whose tasks are deferred already, prints a table and ends by
itself within six minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.triggerer.case import flood_case, quiet_case
from benchmarks.triggerer.run import run_case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.triggerer.case import Case, Figures, Stalls
    from benchmarks.waiting.case import Spread

#: How long the jobs wait while the triggerer starts.
_RUNNABLE_SECONDS = 20.0
_FIRST_END_SECONDS, _LAST_END_SECONDS = 60.0, 79.0


def main() -> None:
    """Measure what the command line asks for."""
    options = _options()
    if options.flood:
        case = flood_case(
            options.tasks, options.floods, lines_per_second=options.rate, seconds=30, runnable=_RUNNABLE_SECONDS
        )
    else:
        case = quiet_case(
            options.tasks,
            line_seconds=options.line_seconds,
            runnable=_RUNNABLE_SECONDS,
            first_end=_FIRST_END_SECONDS,
            last_end=_LAST_END_SECONDS,
        )
    with busy(options.busy):
        figures = run_case(case, has_metrics=options.metrics)
    Console().print(table(case, figures))
    if options.json:
        options.json.write_text(json.dumps({"case": asdict(case), "figures": figures.to_dict()}, indent=2) + "\n")


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keep the machine busy with this many processes that do nothing but count."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def table(case: Case, figures: Figures) -> Table:
    """Return the figures in words."""
    shown = Table("what", "figure", title=f"{case.name}; load average {figures.load[0]:.1f} to {figures.load[1]:.1f}")
    for what, figure in _rows(figures):
        shown.add_row(what, figure)
    return shown


def _rows(figures: Figures) -> Iterator[tuple[str, str]]:
    yield "the first trigger runs after", f"{figures.first_trigger:.1f} s"
    yield "all triggers run after", f"{figures.all_triggers:.1f} s"
    yield "every job is described after", f"{figures.all_described:.1f} s"
    yield "stalls > 0.1 s until then", _stalls(figures.start_stalls)
    yield "stalls > 0.1 s after it", _stalls(figures.stalls)
    yield "lines/s into the task logs", f"{figures.lines_per_second:.0f}, at most {figures.peak_lines_per_second:.0f}"
    yield "a quiet job's line, from readable to logged", _spread(figures.freshness)
    yield "  the longest of the whole run", f"{figures.worst_freshness:.1f} s"
    for name, use in figures.processes.items():
        memory = f"{use.uss_mib:.0f} MiB (USS; {use.idle_uss_mib:.0f} before the first trigger; RSS {use.rss_mib:.0f})"
        yield f"memory of the {name}", memory
        yield f"CPU of the {name}", f"{use.cpu_seconds:.1f} s"
    yield "DescribeJobs calls", str(figures.describe_calls)
    yield "FilterLogEvents calls", str(figures.log_calls)
    yield "from a job's end to its task's leaving `deferred`", _spread(figures.resumed)
    if figures.flood_resumed:
        yield "  of the jobs that write more than is copied", _spread(figures.flood_resumed)
    yield "tasks lost", str(figures.tasks_lost)
    yield "lines written", f"{figures.lines_written:,}"
    yield "  copied by the triggerer", f"{figures.lines_live:,}"
    yield "  left for a worker, and copied as it does", f"{figures.lines_by_worker:,}"
    yield "  lost, double", f"{figures.lines_lost:,}, {figures.lines_double:,}"
    for problem, count in figures.problems.items():
        yield f"  {count} times in the logs", problem[:100]


def _stalls(stalls: Stalls) -> str:
    return f"{stalls.count}, the longest {stalls.longest_ms:.0f} ms" if stalls.count else "none"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return f"median {spread.median:.1f} s, p95 {spread.p95:.1f} s, max {spread.largest:.1f} s of {spread.count:,}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=200, help="how many tasks wait; the quiet ones of a flood")
    parser.add_argument("--line-seconds", type=float, default=5.0, help="the seconds between two lines of a quiet job")
    parser.add_argument("--flood", action="store_true", help="with jobs that write far more than is copied live")
    parser.add_argument("--floods", type=int, default=20, help="how many of them")
    parser.add_argument("--rate", type=float, default=2000.0, help="the lines a second of each of them")
    parser.add_argument("--busy", type=int, default=0, help="how many busy loops compete for the machine")
    parser.add_argument("--metrics", action="store_true", help="with Airflow's metrics on, sent to a StatsD socket")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
