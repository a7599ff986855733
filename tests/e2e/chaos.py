"""Chaos: cases in which something dies or is stopped at a certain moment, and what is left after each.

A case is one DAG run. It is made ready, then something happens to it, and when all is over it becomes a row: how many
jobs were started, were terminated and are left running, how the task ended, which lines of the job are missing from the
task's logs or appear twice in one of them. Cases of one scene are played at once, since Airflow is slow to notice that
a worker is dead.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chaos_world import told_to_end
from tests.e2e.runs import FINAL, PATIENCE, Run, until
from tests.e2e.versions import LOST_TASKS_STAY_LOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from _pytest.mark import ParameterSet

    from tests.e2e.chaos_world import World

#: Holds a process at a fault point.
WAIT = "wait"
#: Kills it there.
KILL = "kill"
#: Has what runs there crash.
RAISE = "raise"
#: How often cursors are saved, plus what is fetched at a time: lines since then may come twice after a kill.
MOST_DOUBLE = 4 * 35
#: What the rows' table begins with, as Markdown.
HEAD = """\
| what happens | task | attempts | jobs | left running | lines | lost | double | s |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""
_LOSES_ITS_WORKER = pytest.mark.skipif(bool(LOST_TASKS_STAY_LOST), reason=LOST_TASKS_STAY_LOST)
#: How long after a task's end its job may take to end, and its last lines to arrive.
_AFTERMATH_SECONDS = 30.0 * PATIENCE


@dataclass(frozen=True, eq=False)
class Scene:
    """Cases that are played at once, or where they have nothing in common, as many of them as two cores bear.

    Attributes:
        happens: What happens when all of them are ready; None where each has its own.
    """

    happens: Callable[[World], None] | None = None


EACH_ITS_OWN = Scene()
#: How many cases to which different things happen are played at once: two cores manage no more.
AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Case:
    """A run, what happens to it, and what has to be left afterwards.

    Attributes:
        what: What happens, in a few words: the row's name.
        dag_id: What is run.
        deed: Makes the run ready, and does what happens to it alone.
        definition: What its job does.
        state: How the task has to end.
        jobs: How many jobs have to be started: one for each wanted run.
        stopped: How many of them have to be terminated.
        reason: A text that has to be in the status reason of these.
        stop_seconds: How long after the deed they have to have ended.
        last_lines: How many lines they have to write, at least, after they have been told to end.
        most_double: How many lines may appear twice in the task log. If 0, the lines have to be in order there.
        says: A text that has to be in the task's logs.
        points: The fault points that are armed for it, with what is to happen there.
        map_index: The index of the mapped task instance that it is about.
        scene: The scene, which tells the other cases it is played with.
        seconds: How long it may take after its deed. Of cases to which different things happen the longest begin first.
        cloud: The name of its AWS; empty for the usual one.
        loses_its_worker: Whether Airflow finds out by itself that the task's worker is gone.
    """

    what: str
    dag_id: str
    deed: Callable[[World, Run], None]
    definition: str = "steady"
    state: str = "success"
    jobs: int = 1
    stopped: int = 0
    reason: str = ""
    stop_seconds: float = 240.0
    last_lines: int = 0
    most_double: int = 0
    says: str = ""
    points: Mapping[str, str] = field(default_factory=dict)
    map_index: int = -1
    scene: Scene = EACH_ITS_OWN
    seconds: float = 240.0
    cloud: str = ""
    loses_its_worker: bool = False

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return re.sub(r"[^a-z0-9]+", "-", self.what.lower()).strip("-")


@dataclass(frozen=True)
class Row:
    """What is left of a case.

    Attributes:
        case: The case.
        jobs: Jobs that were started.
        left: Jobs that are still running.
        overlapping: Jobs that were started before an earlier one of the same task had ended or was told to.
        reasons: The status reasons of the jobs that were terminated.
        stop_seconds: How long after the deed the last of these ended.
        last_lines: The lines that these wrote after they had been told to end.
        states: The states of the task instances that it is about.
        lines: Lines that the jobs have written.
        lost: Those that are in none of the task's logs.
        double: Those that are twice in the log of one attempt.
        disordered: Those that come after a later line in an attempt's log.
        attempts: The highest number of an attempt.
        seconds: How long the case took.
        log: All of the task's logs.
    """

    case: Case
    jobs: int
    left: int
    overlapping: int
    reasons: tuple[str, ...]
    stop_seconds: float
    last_lines: int
    states: tuple[str, ...]
    lines: int
    lost: int
    double: int
    disordered: int
    attempts: int
    seconds: float
    log: str

    def __str__(self) -> str:
        """The row as Markdown."""
        cells = [
            self.case.what,
            ", ".join(self.states),
            self.attempts,
            f"{self.jobs} of {self.case.jobs}",
            self.left,
            self.lines,
            self.lost,
            self.double,
            f"{self.seconds:.0f}",
        ]
        return f"| {' | '.join(map(str, cells))} |"

    def check(self) -> None:
        """Compare with what has to be left."""
        end, case = self.log[-8000:], self.case
        assert (self.jobs, self.left, self.lost, self.states) == (case.jobs, 0, 0, (case.state,)), end
        assert not self.overlapping, end
        assert len(self.reasons) == case.stopped, end
        assert all(case.reason in reason for reason in self.reasons), self.reasons
        assert self.stop_seconds <= case.stop_seconds, end
        assert self.last_lines >= case.last_lines, end
        assert self.double <= case.most_double, end
        assert case.most_double or not self.disordered, end
        assert case.says in self.log, end


def playable(cases: Iterable[Case]) -> list[ParameterSet]:
    """Return the cases as a test's parameters, with a mark on those that this Airflow does not survive."""
    return [
        pytest.param(case, marks=_LOSES_ITS_WORKER if case.loses_its_worker else (), id=case.run_id) for case in cases
    ]


def play(world: World, case: Case, ready: threading.Barrier | None) -> Row:
    """Play a case and look at what is left."""
    world = world.others.get(case.cloud, world)
    began = time.monotonic()
    run = world.start(case)
    try:
        case.deed(world, run)
    except BaseException:
        if ready is not None:
            ready.abort()
        raise
    acted_at = time.time()
    if ready is not None:
        ready.wait(300 * PATIENCE)
    until(lambda: _is_over(run), case.seconds, every=2)
    deadline = time.monotonic() + _AFTERMATH_SECONDS
    while ((row := look(world, case, run, began, acted_at)).left or row.lost) and time.monotonic() < deadline:
        time.sleep(1)
    return row


class Playbill:
    """Cases that are played when they are asked for, each with all others of its scene.

    Args:
        world: Where they are played.
        cases: All that may be asked for.
    """

    def __init__(self, world: World, cases: Iterable[Case]) -> None:
        self._world = world
        self._scenes: dict[Scene, list[Case]] = {}
        for case in cases:
            self._scenes.setdefault(case.scene, []).append(case)
        self._rows: dict[str, Future[Row]] = {}

    def row(self, case: Case) -> Row:
        """Return what is left of a case."""
        if case.what not in self._rows:
            self._play(case.scene)
        return self._rows[case.what].result()

    def _play(self, scene: Scene) -> None:
        players = sorted(self._scenes[scene], key=lambda case: -case.seconds)
        ready = _barrier(self._world, scene, len(players))
        with ThreadPoolExecutor(AT_ONCE if ready is None else len(players)) as threads:
            self._rows |= {case.what: threads.submit(play, self._world, case, ready) for case in players}


def look(world: World, case: Case, run: Run, began: float, acted_at: float) -> Row:
    """Ask the local AWS and Airflow what is left of a run.

    Args:
        world: Where it was played.
        case: The case.
        run: Its run.
        began: When it began, by the monotonic clock.
        acted_at: When its deed was done, in seconds since the epoch.
    """
    jobs = world.jobs(run)
    stopped = [job for job in jobs if job.get("isTerminated")]
    active = [job for job in jobs if job["status"] not in ("SUCCEEDED", "FAILED")]
    instances = run.api.task_instances(run.dag_id, run.run_id)
    copied: Counter[str] = Counter()
    double, disordered, log = 0, 0, ""
    for about in instances:
        mapped = Run(run.api, run.dag_id, run.run_id, map_index=about["map_index"])
        for number in range(1, about["try_number"] + 1):
            entries = mapped.log(number)
            log += "".join(f"{entry}\n" for entry in entries)
            shown = [str(entry["event"]) for entry in entries if entry.get("logger") == "batch.job"]
            lines = Counter(shown)
            double += sum(lines.values()) - len(lines)
            disordered += _disordered(shown)
            copied |= lines
    written = set(world.written(jobs))
    return Row(
        case=case,
        jobs=len(jobs),
        left=len(active),
        overlapping=_overlapping(jobs),
        reasons=tuple(str(job.get("statusReason")) for job in stopped),
        stop_seconds=max((job.get("stoppedAt", 0) / 1000 - acted_at for job in stopped), default=0.0),
        last_lines=sum(world.last_lines(job) for job in stopped),
        states=tuple({each["state"] for each in instances if case.map_index in (-1, each["map_index"])}),
        lines=len(written),
        lost=len(written - copied.keys()),
        double=double,
        disordered=disordered,
        attempts=max(each["try_number"] for each in instances),
        seconds=time.monotonic() - began,
        log=log,
    )


def _is_over(run: Run) -> bool:
    return all(each["state"] in FINAL for each in run.api.task_instances(run.dag_id, run.run_id))


def _overlapping(jobs: Iterable[dict[str, Any]]) -> int:
    """Return how many jobs were started before an earlier one of the same task had ended or was told to."""
    tasks: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        tasks.setdefault(job["tags"]["airflow-map-index"], []).append(job)
    pairs = (pair for each in tasks.values() for pair in pairwise(each))
    return sum("stoppedAt" not in earlier or later["createdAt"] < told_to_end(earlier) for earlier, later in pairs)


def _disordered(lines: Iterable[str]) -> int:
    """Return how many lines come after a later line of the same job."""
    numbers: dict[str, list[int]] = {}
    for line in lines:
        job_id, _, number = line.rpartition(" ")
        numbers.setdefault(job_id, []).append(int(number))
    return sum(later < earlier for each in numbers.values() for earlier, later in pairwise(each))


def _barrier(world: World, scene: Scene, parties: int) -> threading.Barrier | None:
    happens = scene.happens
    return None if happens is None else threading.Barrier(parties, lambda: happens(world))
