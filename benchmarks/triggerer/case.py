"""A case of the triggerer benchmark: what the jobs do, and the resulting figures."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.waiting.case import Spread

#: The jobs of a case end one group after the other; the number of groups.
_GROUPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Writers:
    """Some jobs that do the same.

    Attributes:
        name: The name of each of them.
        jobs: How many.
        runnable: How many seconds after the submit they wait.
        running: How many seconds they run.
        lines_per_second: What each of them writes.
        is_flood: Whether that is more than the triggerer copies.
    """

    name: str
    jobs: int
    runnable: float
    running: float
    lines_per_second: float
    is_flood: bool = False

    @property
    def lines(self) -> int:
        """How many lines each of them writes."""
        return math.ceil(self.running * self.lines_per_second)


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured.

    Attributes:
        name: For the report.
        writers: All jobs.
    """

    name: str
    writers: tuple[Writers, ...]

    @property
    def tasks(self) -> int:
        """How many tasks wait."""
        return sum(each.jobs for each in self.writers)

    @property
    def seconds(self) -> float:
        """When the last job ends, in seconds after the submit."""
        return max(each.runnable + each.running for each in self.writers)

    @property
    def by_task(self) -> list[Writers]:
        """What the job of each task does."""
        return [each for each in self.writers for _ in range(each.jobs)]


def quiet_case(tasks: int, *, line_seconds: float, runnable: float, first_end: float, last_end: float) -> Case:
    """Return a case of jobs that write a line now and then.

    Args:
        tasks: How many.
        line_seconds: The seconds between two lines of a job.
        runnable: How many seconds after the submit they wait: the triggerer starts meanwhile.
        first_end: How many seconds the first jobs run.
        last_end: How many seconds the last ones run.
    """
    groups = min(_GROUPS, tasks)
    step = (last_end - first_end) / max(1, groups - 1)
    writers = tuple(
        Writers(
            name=f"quiet{group}",
            jobs=tasks // groups + (group < tasks % groups),
            runnable=runnable,
            running=first_end + group * step,
            lines_per_second=1 / line_seconds,
        )
        for group in range(groups)
    )
    return Case(f"{tasks} deferred tasks", writers)


def flood_case(quiet: int, floods: int, *, lines_per_second: float, seconds: float, runnable: float) -> Case:
    """Return a case of jobs that write far more than is copied, next to quiet ones that begin earlier and end later.

    Args:
        quiet: How many quiet ones.
        floods: How many others.
        lines_per_second: What each of the others writes.
        seconds: For how long.
        runnable: How many seconds after the submit the quiet ones wait.
    """
    before, after = 10.0, 20.0
    last_end = before + seconds + after
    others = quiet_case(quiet, line_seconds=5, runnable=runnable, first_end=last_end, last_end=last_end + 10)
    flood = Writers(
        name="flood",
        jobs=floods,
        runnable=runnable + before,
        running=seconds,
        lines_per_second=lines_per_second,
        is_flood=True,
    )
    name = f"{floods} jobs of {lines_per_second:g} lines/s for {seconds:g} s beside {quiet} quiet ones"
    return Case(name, (*others.writers, flood))


@dataclass(frozen=True, slots=True)
class Stalls:
    """How long the event loop was held, if more than 0.1 s.

    Attributes:
        count: How often.
        longest_ms: The longest time.
    """

    count: int
    longest_ms: float

    @classmethod
    def of(cls, seconds: list[float]) -> Stalls:
        """Count some of them."""
        return cls(len(seconds), 1000 * max(seconds, default=0.0))


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What a process used.

    Attributes:
        idle_uss_mib: Its own memory before the first trigger.
        uss_mib: Its own memory at its peak.
        rss_mib: Its memory at its peak, with what it shares.
        cpu_seconds: Its CPU time from its start to the end.
    """

    idle_uss_mib: float
    uss_mib: float
    rss_mib: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured.

    Attributes:
        first_trigger: From the start of the triggerer to that of the first trigger, in seconds.
        all_triggers: To that of the last one.
        all_described: Until every job's state was in its task's log.
        start_stalls: The event loop's stalls until then.
        stalls: Those after it.
        lines_per_second: Lines that came into the task logs, from then to the first job's end.
        peak_lines_per_second: The most within 10 s.
        freshness: From a quiet job's line being readable to its being in the task log, in seconds, in that time.
        worst_freshness: The same, the longest over the whole run, for lines written while the trigger ran.
        processes: The `supervisor` and the `runner`.
        describe_calls: DescribeJobs calls.
        log_calls: FilterLogEvents calls.
        resumed: From a job's end to when its task instance leaves `deferred`, in seconds.
        flood_resumed: The same for the jobs that write more than is copied.
        tasks_lost: Tasks whose trigger ended without an event, or that were deferred at the end.
        lines_written: Lines of all jobs.
        lines_live: Those of them that the triggerer copied.
        lines_by_worker: Those that the event left for a worker.
        lines_lost: Lines that are in no log.
        lines_double: Lines that came more than once.
        problems: Warnings and errors in the task logs, with how often each came.
        load: The machine's load average of the last minute, before and after.
    """

    first_trigger: float
    all_triggers: float
    all_described: float
    start_stalls: Stalls
    stalls: Stalls
    lines_per_second: float
    peak_lines_per_second: float
    freshness: Spread | None
    worst_freshness: float
    processes: dict[str, ProcessUse]
    describe_calls: int
    log_calls: int
    resumed: Spread | None
    flood_resumed: Spread | None
    tasks_lost: int
    lines_written: int
    lines_live: int
    lines_by_worker: int
    lines_lost: int
    lines_double: int
    problems: dict[str, int]
    load: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)
