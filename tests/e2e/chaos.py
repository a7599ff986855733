"""Chaos: cases in which something dies or is stopped at a certain moment, and what is left after each.

A case is one DAG run. It is made ready, then something happens to it, and when all is over it becomes a row: how many
jobs were started and are left running, how the task ended, which lines of the job are missing in the task's logs or are
twice in one of them. Cases of one scene are played at once, since Airflow is slow to notice that a worker is dead.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.e2e.runs import FINAL, Run, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.e2e.chaos_world import World

#: Holds a process at a fault point.
WAIT = "wait"
#: Kills it there.
KILL = "kill"
#: Cursors are saved so often; lines since then come twice after a kill. With what is fetched at a time.
MOST_DOUBLE = 4 * 35
#: So long after a task's end its job may take to end, and its last lines to arrive.
_AFTERMATH_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class Scene:
    """Cases that are played at once.

    Attributes:
        happens: What happens when all of them are ready; None where each has its own.
    """

    happens: Callable[[World], None] | None = None


ALONE = Scene()


@dataclass(frozen=True, eq=False)
class Case:
    """A run, what happens to it, and what has to be left then.

    Attributes:
        what: What happens, in a few words: the row's name.
        dag_id: What is run.
        deed: Makes the run ready, and lets happen what happens to it alone.
        definition: What its job does.
        state: How the task has to end.
        jobs: How many jobs have to be started: one for each wanted run.
        most_double: How many lines may be twice in the task log.
        says: A text that has to be in the task's logs.
        points: The fault points that are armed for it, with what is to happen there.
        map_index: Of the mapped task instance that it is about.
        scene: With which others it is played.
        seconds: How long it may take after its deed.
        cloud: The name of its AWS; empty for the usual one.
    """

    what: str
    dag_id: str
    deed: Callable[[World, Run], None]
    definition: str = "steady"
    state: str = "success"
    jobs: int = 1
    most_double: int = 0
    says: str = ""
    points: Mapping[str, str] = field(default_factory=dict)
    map_index: int = -1
    scene: Scene = ALONE
    seconds: float = 240.0
    cloud: str = ""

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
        states: The states of the task instances that it is about.
        lines: Lines that the jobs have written.
        lost: Those of them that are in no log of the task.
        double: Those that are twice in the log of one attempt.
        attempts: The highest number of an attempt.
        seconds: How long the case took.
        log: All of the task's logs.
    """

    case: Case
    jobs: int
    left: int
    states: tuple[str, ...]
    lines: int
    lost: int
    double: int
    attempts: int
    seconds: float
    log: str

    def check(self) -> None:
        """Compare with what has to be left."""
        end = self.log[-8000:]
        assert (self.jobs, self.left, self.lost, self.states) == (self.case.jobs, 0, 0, (self.case.state,)), end
        assert self.double <= self.case.most_double, end
        assert self.case.says in self.log, end


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
    if ready is not None:
        ready.wait(300)
    until(lambda: _is_over(run), case.seconds, every=1)
    deadline = time.monotonic() + _AFTERMATH_SECONDS
    while ((row := look(world, case, run, began)).left or row.lost) and time.monotonic() < deadline:
        time.sleep(1)
    return row


def play_all(world: World, cases: Iterable[Case]) -> dict[str, Future[Row]]:
    """Play cases, those of a scene at once; return by their names what came of them."""
    scenes: dict[Scene, list[Case]] = {}
    for case in cases:
        scenes.setdefault(case.scene, []).append(case)
    results: dict[str, Future[Row]] = {}
    for scene, players in scenes.items():
        ready = _barrier(world, scene, len(players))
        with ThreadPoolExecutor(len(players)) as threads:
            results |= {case.what: threads.submit(play, world, case, ready) for case in players}
    return results


def look(world: World, case: Case, run: Run, began: float) -> Row:
    """Ask the local AWS and Airflow what is left of a run."""
    jobs = world.jobs(run)
    active = [job for job in jobs if job["status"] not in ("SUCCEEDED", "FAILED")]
    instances = run.api.task_instances(run.dag_id, run.run_id)
    copied: Counter[str] = Counter()
    double, log = 0, ""
    for about in instances:
        mapped = Run(run.api, run.dag_id, run.run_id, map_index=about["map_index"])
        for number in range(1, about["try_number"] + 1):
            entries = mapped.log(number)
            log += "".join(f"{entry}\n" for entry in entries)
            lines = Counter(str(entry["event"]) for entry in entries if entry.get("logger") == "batch.job")
            double += sum(lines.values()) - len(lines)
            copied |= lines
    written = set(world.written(jobs))
    return Row(
        case=case,
        jobs=len(jobs),
        left=len(active),
        states=tuple({each["state"] for each in instances if case.map_index in (-1, each["map_index"])}),
        lines=len(written),
        lost=len(written - copied.keys()),
        double=double,
        attempts=max(each["try_number"] for each in instances),
        seconds=time.monotonic() - began,
        log=log,
    )


def table(rows: Iterable[Row]) -> list[str]:
    """Return the rows as Markdown."""
    lines = [
        "| what happens | task | attempts | jobs | left running | lines | lost | double | s |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.case.what} | {', '.join(row.states)} | {row.attempts} | {row.jobs} of {row.case.jobs} | {row.left} "
        f"| {row.lines} | {row.lost} | {row.double} | {row.seconds:.0f} |"
        for row in rows
    ]
    return lines


def _is_over(run: Run) -> bool:
    return all(each["state"] in FINAL for each in run.api.task_instances(run.dag_id, run.run_id))


def _barrier(world: World, scene: Scene, parties: int) -> threading.Barrier | None:
    happens = scene.happens
    return None if happens is None else threading.Barrier(parties, lambda: happens(world))
