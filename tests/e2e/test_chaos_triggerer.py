"""Triggerers are killed, ended and held while tasks are deferred to them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.chaos import MOST_DOUBLE, RAISE, Case, Scene
from tests.e2e.moments import being_read, crashed, runnable, running
from tests.e2e.runs import until

if TYPE_CHECKING:
    from tests.e2e.chaos import Row
    from tests.e2e.chaos_world import World

MAY_COME_TWICE = "lines since then may appear twice"
HELD_SECONDS = 45.0


def kill(world: World) -> None:
    """Kill the triggerer and start another one."""
    world.airflow.the("triggerer").kill()
    world.airflow.start("triggerer")


def end(world: World) -> None:
    """Tell the triggerer to end, and start another one."""
    old = world.airflow.the("triggerer")
    old.send(signal.SIGTERM)
    old.wait()
    old.kill()
    world.airflow.start("triggerer")


def hold(world: World) -> None:
    """Hold the triggerer for 45 s beside another one, which takes over meanwhile."""
    old, began = world.airflow.the("triggerer"), time.monotonic()
    world.airflow.start("triggerer")
    old.send_to_all(signal.SIGSTOP)
    until(lambda: time.monotonic() - began > HELD_SECONDS, HELD_SECONDS + 5)
    old.send_to_all(signal.SIGCONT)


KILLED, ENDED, HELD = Scene(kill), Scene(end), Scene(hold)

KILLED_CASES = [
    Case("triggerer killed while RUNNABLE", "deferred", runnable, "waiting_longer", scene=KILLED),
    Case(
        "triggerer killed while RUNNING",
        "deferred",
        running,
        "flowing",
        most_double=MOST_DOUBLE,
        says=MAY_COME_TWICE,
        scene=KILLED,
    ),
    Case(
        "triggerer killed during the last reading",
        "deferred",
        being_read,
        "late",
        most_double=MOST_DOUBLE,
        says=MAY_COME_TWICE,
        scene=KILLED,
    ),
]
ENDED_CASES = [Case("triggerer told to end while RUNNING", "deferred", running, "passing", scene=ENDED)]
CRASHED_CASES = [
    Case(
        "trigger crashes while RUNNING, no retry left",
        "deferred_once",
        crashed,
        "passing",
        says="resumption 1 of 3",
        points={"after-lines": RAISE},
    )
]
CASES = [*KILLED_CASES, *ENDED_CASES, *CRASHED_CASES]
LONG_CASES = [
    Case(
        "mapped: triggerer killed while RUNNING",
        "mapped",
        running,
        "flowing",
        jobs=3,
        most_double=3 * MOST_DOUBLE,
        says=MAY_COME_TWICE,
        map_index=1,
        scene=KILLED,
    ),
    Case(
        "triggerer held for 45 s beside another",
        "deferred",
        running,
        "flowing",
        most_double=MOST_DOUBLE,
        says=MAY_COME_TWICE,
        scene=HELD,
    ),
    Case("triggerer held for 45 s while RUNNABLE", "deferred", runnable, "waiting_longer", scene=HELD),
]


@pytest.mark.parametrize("case", KILLED_CASES, ids=lambda case: case.run_id)
def test_a_task_whose_triggerer_is_killed_goes_on(row: Row) -> None:
    """Another triggerer takes over its job; no line is lost, and lines that may appear twice are announced."""
    row.check()


@pytest.mark.parametrize("case", ENDED_CASES, ids=lambda case: case.run_id)
def test_a_task_whose_triggerer_is_told_to_end_goes_on(row: Row) -> None:
    """Another triggerer continues where the old one stopped: no line is lost, duplicated or out of order."""
    row.check()
    assert MAY_COME_TWICE not in row.log


@pytest.mark.parametrize("case", CRASHED_CASES, ids=lambda case: case.run_id)
def test_a_task_whose_trigger_crashes_goes_on(row: Row) -> None:
    """With another trigger, in the same attempt: its job is the same, and its log is whole."""
    row.check()
    assert row.attempts == 1


@pytest.mark.chaos
@pytest.mark.parametrize("case", LONG_CASES, ids=lambda case: case.run_id)
def test_a_task_whose_triggerer_is_replaced_goes_on(row: Row) -> None:
    """A triggerer that was taken for dead stops no job when it comes back."""
    row.check()
    assert row.case.says or MAY_COME_TWICE not in row.log
