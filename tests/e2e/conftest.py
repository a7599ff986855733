"""A real Airflow as a process, whose AWS is the local endpoint as another; one of each for all tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
from airflow_batch_jobs.local import LocalControl, start_process
from tests.e2e.runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DAGS = Path(__file__).parent / "dags"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what stands in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalControl]:
    """The local AWS, with a definition that runs a shell script."""
    with start_process(slots=32, kill_seconds=5) as control:
        control.register("shell", ["sh", "-c", "Ref::script"])
        yield control


def own_airflow(cloud: LocalControl, home: Path) -> StandaloneAirflow:
    """Return an Airflow that is not started yet, for a test that breaks parts of it."""
    environment = {"AIRFLOW_CONN_AWS_DEFAULT": cloud.airflow_connection(), "AIRFLOW__BATCH_JOBS__DEPLOYMENT": "e2e"}
    return StandaloneAirflow(home, DAGS, environment)


@pytest.fixture(scope="session")
def airflow(cloud: LocalControl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneAirflow]:
    """The Airflow."""
    with own_airflow(cloud, tmp_path_factory.mktemp("airflow")) as running:
        yield running


@pytest.fixture
def api(airflow: StandaloneAirflow) -> RestApi:
    """The Airflow's REST API."""
    return airflow.api


@pytest.fixture
def start(api: RestApi) -> Callable[..., Run]:
    """Start a run of a DAG with a shell script as its job."""

    def start_run(dag_id: str, script: str = "", task_id: str = "job") -> Run:
        return Run.start(api, dag_id, script, task_id)

    return start_run
