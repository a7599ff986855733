"""Moments in the life of a chaos case's job to wait for before something happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.runs import until

if TYPE_CHECKING:
    from tests.e2e.chaos_world import World
    from tests.e2e.runs import Run


def nothing(world: World, run: Run) -> None:
    """Let things take their course."""


def runnable(world: World, run: Run) -> None:
    """Wait until the job is waiting for its turn, and the task for the job."""
    world.job(run, "RUNNABLE")
    until(lambda: "RUNNABLE" in run.text(), 60, every=1)


def begun(world: World, run: Run) -> None:
    """Wait until a line of the job is in the task log."""
    del world
    until(run.lines, 90, every=1)


def running(world: World, run: Run) -> None:
    """Wait until lines of the job are in the task log."""
    del world
    until(lambda: len(run.lines()) > 20, 90, every=1)


def crashed(world: World, run: Run) -> None:
    """Wait until a trigger has crashed at the fault point that is armed for it."""
    world.held(run)


def being_read(world: World, run: Run) -> None:
    """Wait until the job has ended; its last lines can be read only some seconds later."""
    del world
    until(lambda: "SUCCEEDED" in run.text(), 120, every=0.5)
    assert run.state == "deferred"


def succeeded(world: World, run: Run) -> None:
    """Wait until the task has succeeded."""
    del world
    until(lambda: run.state == "success", 180, every=1)
