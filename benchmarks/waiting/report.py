"""What the waiting benchmark says: a table of ratios to the floor of the same run, and whether the targets are met."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.waiting.case import Figures, Result, Spread

#: The case whose figures the targets are for, and those that have targets of their own.
MAIN_CASE = "1,000 jobs"
LARGE_CASE = "10,000 jobs"
THROTTLED_CASE = "1,000 jobs, 50 calls/s of Batch"
LIVE_CASE = "1,000 jobs, 5 calls/s of Logs"


COLUMNS = (
    "DescribeJobs calls",
    "peak calls/s",
    "throttled",
    "memory KiB/job",
    "peak KiB/job",
    "CPU ms/job",
    "stall ms, start",
    "stall ms, after",
    "GC ms",
    "end known, s",
    "event, s",
    "line, s",
    "ended",
    "load",
)


class Target(NamedTuple):
    """One target and what was reached.

    Attributes:
        what: The figure.
        most: What it may be, in words.
        reached: What it is, in words.
        is_met: Whether the target is met.
    """

    what: str
    most: str
    reached: str
    is_met: bool


def figures_table(results: Sequence[Result], *, markdown: bool = False) -> Table:
    """Return the table of all figures; in parentheses, the ratio to the floor of the same case.

    Args:
        results: What was measured.
        markdown: Whether to draw it as Markdown does.
    """
    table = _table("Waiting for jobs; in parentheses, how many times the floor", markdown=markdown)
    for name in ("case", "way"):
        table.add_column(name, no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    last = ""
    for result in results:
        name = result.case.name
        if name != last and not markdown:
            table.add_section()
        cells = [] if result.figures is None else _cells(result.figures, _floor_of(result, results))
        way = f"{result.case.title}: {result.problem}" if result.problem else result.case.title
        table.add_row("" if name == last else name, way, *cells)
        last = name
    return table


def targets_table(results: Sequence[Result], *, markdown: bool = False) -> Table:
    """Return the table of the targets that these results are enough for.

    Args:
        results: What was measured.
        markdown: Whether to draw it as Markdown does.
    """
    table = _table("Targets", markdown=markdown)
    for name in ("figure", "target", "reached", "verdict"):
        table.add_column(name)
    for target in targets(results):
        table.add_row(target.what, target.most, target.reached, "met" if target.is_met else "MISSED")
    return table


def _table(title: str, *, markdown: bool) -> Table:
    if markdown:
        return Table(box=box.MARKDOWN)
    return Table(title=title, title_justify="left")


def targets(results: Sequence[Result]) -> list[Target]:
    """Return the targets that these results are enough for."""
    found = {(result.case.name, result.case.title): result.figures for result in results if result.figures}
    main, copying = found.get((MAIN_CASE, "ours")), found.get((MAIN_CASE, "ours + logs"))
    both = ("ours", "ours + logs")
    return [
        *_calls(MAIN_CASE, main, found.get((MAIN_CASE, "floor"))),
        *_memory(f"{MAIN_CASE}, ours", main, 25),
        *_memory(f"{MAIN_CASE}, ours + logs", copying, 60),
        *_cpu(main, found.get((MAIN_CASE, "floor"))),
        *chain.from_iterable(_stall(MAIN_CASE, way, found.get((MAIN_CASE, way)), 100) for way in both),
        *chain.from_iterable(_stall(LARGE_CASE, way, found.get((LARGE_CASE, way)), 200) for way in both),
        *chain.from_iterable(
            _detection(name, way, found.get((name, way))) for name in (MAIN_CASE, THROTTLED_CASE) for way in both
        ),
        *_live(found.get((LIVE_CASE, "ours + logs"))),
        *_calls(LARGE_CASE, found.get((LARGE_CASE, "ours")), found.get((LARGE_CASE, "floor"))),
        *chain.from_iterable(_delivered(result) for result in results if result.case.name == LARGE_CASE),
    ]


def _calls(name: str, ours: Figures | None, floor: Figures | None) -> list[Target]:
    if ours is None or floor is None:
        return []
    times = ours.calls / floor.calls
    return [Target(f"{name}: DescribeJobs calls", "≤ 1.1 x floor", f"{times:.2f} x", times <= 1.1)]


def _cpu(ours: Figures | None, floor: Figures | None) -> list[Target]:
    if ours is None or floor is None:
        return []
    times = ours.cpu_ms / floor.cpu_ms
    return [Target(f"{MAIN_CASE}: CPU per job", "≤ 2 x floor", f"{times:.1f} x", times <= 2)]


def _stall(name: str, way: str, some: Figures | None, most: float) -> list[Target]:
    if some is None:
        return []
    longest = max(some.start_stall_ms, some.stall_ms)
    said = f"{some.start_stall_ms:.0f} ms at the start, {some.stall_ms:.0f} ms after, GC {some.pause_ms:.0f} ms"
    return [Target(f"{name}, {way}: longest stall", f"≤ {most:.0f} ms", said, longest <= most)]


def _detection(name: str, way: str, some: Figures | None) -> list[Target]:
    if some is None or some.detection is None:
        return []
    spread = some.detection
    is_met = spread.median <= 2.6 and spread.largest <= 5.5
    said = f"{spread.median:.2f} s, {spread.largest:.2f} s"
    return [Target(f"{name}, {way}: detection, median and max", "≤ 2.6 s, ≤ 5.5 s", said, is_met)]


def _live(some: Figures | None) -> list[Target]:
    if some is None:
        return []
    return [
        Target(
            f"{LIVE_CASE}: live lines {which}, p50 and p95",
            "≤ 5 s, ≤ 8 s",
            f"{spread.median:.1f} s, {spread.p95:.1f} s",
            spread.median <= 5 and spread.p95 <= 8,
        )
        for which, spread in (("from the first", some.freshness), ("after 15 s", some.steady_freshness))
        if spread
    ]


def _delivered(result: Result) -> list[Target]:
    if result.figures is None:
        return []
    said = f"{result.figures.events:,} of {result.case.jobs:,}"
    is_met = result.figures.events == result.case.jobs
    return [Target(f"{result.case.name}, {result.case.title}: events delivered", "all", said, is_met)]


def _memory(what: str, some: Figures | None, most: float) -> list[Target]:
    if some is None or some.memory_kib is None:
        return []
    said = f"{some.memory_kib:.0f} KiB"
    return [Target(f"{what}: memory per waiting job", f"≤ {most:.0f} KiB", said, some.memory_kib <= most)]


def _floor_of(result: Result, results: Sequence[Result]) -> Figures | None:
    """Return the floor for the same jobs; an account's limits do not matter to it, so it is measured without them."""
    mine = result.case
    for one in results:
        if one.case.way == "floor" and (one.case.jobs, one.case.last_end) == (mine.jobs, mine.last_end):
            return one.figures
    return None


def _cells(mine: Figures, floor: Figures | None) -> list[str]:
    def times(of: Callable[[Figures], float | None], digits: int = 0) -> str:
        value, unit = of(mine), of(floor) if floor else None
        if value is None:
            return "-"
        said = f"{value:,.{digits}f}"
        return f"{said} ({value / unit:.1f}x)" if unit and floor is not mine else said

    return [
        times(lambda one: one.calls),
        times(lambda one: one.peak_calls),
        f"{mine.throttled:,}",
        times(lambda one: one.memory_kib),
        times(lambda one: one.peak_kib),
        times(lambda one: one.cpu_ms, 2),
        f"{mine.start_stall_ms:.0f}",
        f"{mine.stall_ms:.0f}",
        f"{mine.pause_ms:.0f}",
        _spread(mine.detection),
        _spread(mine.event),
        _spread(mine.freshness),
        f"{mine.events:,}",
        f"{mine.load:.1f}",
    ]


def _spread(spread: Spread | None) -> str:
    return f"{spread.median:.1f}/{spread.p95:.1f}/{spread.largest:.1f}" if spread else "-"
