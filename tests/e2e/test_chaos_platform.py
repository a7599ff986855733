"""The scheduler and the API server are killed while tasks are deferred and while workers wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.chaos import Case, Scene, playable
from tests.e2e.moments import running
from tests.e2e.runs import until

if TYPE_CHECKING:
    from tests.e2e.chaos import Row
    from tests.e2e.chaos_world import World

pytestmark = pytest.mark.chaos


def kill_scheduler(world: World) -> None:
    """Kill the scheduler with its workers, and start another one."""
    world.airflow.the("scheduler").kill()
    world.airflow.start("scheduler")


def kill_scheduler_alone(world: World) -> None:
    """Kill the scheduler without its workers, and start another one."""
    world.airflow.the("scheduler").kill_first()
    world.airflow.start("scheduler")


def kill_api_server(world: World) -> None:
    """Kill the API server, and start another one."""
    world.airflow.the("api-server").kill()
    world.airflow.start("api-server")
    until(world.airflow.api.is_healthy, 120)


SCHEDULER, SCHEDULER_ALONE, API_SERVER = Scene(kill_scheduler), Scene(kill_scheduler_alone), Scene(kill_api_server)

CASES = [
    Case("API server killed while deferred", "deferred", running, "flowing", scene=API_SERVER),
    Case("API server killed while a worker waits", "on_worker", running, "flowing", scene=API_SERVER),
    Case("scheduler killed while deferred", "deferred", running, "flowing", scene=SCHEDULER),
    Case(
        "scheduler killed with the worker that waits",
        "on_worker",
        running,
        "flowing",
        scene=SCHEDULER,
        loses_its_worker=True,
    ),
    Case("scheduler killed, the worker that waits lives on", "on_worker", running, "flowing", scene=SCHEDULER_ALONE),
    Case(
        "scheduler killed, the worker that waits lives on, no retry left",
        "on_worker_once",
        running,
        "flowing",
        scene=SCHEDULER_ALONE,
    ),
]


@pytest.mark.parametrize("case", playable(CASES))
def test_a_task_outlives_its_airflow(row: Row) -> None:
    """What was at work goes on with the same job."""
    row.check()
