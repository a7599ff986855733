"""An Airflow in this process, with a database of its own, whose AWS is the local endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tests.airflow_process  # noqa: F401 - sets it
from tests.airflow_home import HOME

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import DAG

    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture(autouse=True)
def workers_are_brisk(brisk: None) -> None:
    """A task whose job has ended is not kept waiting for late lines."""
    del brisk


@pytest.fixture(scope="session")
def airflow_database() -> None:
    """Airflow's database, migrated."""
    from airflow.utils.db import initdb

    Path(HOME, "dags").mkdir()
    initdb()


@pytest.fixture
def airflow_aws(aws: LocalAws, airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The local AWS, as Airflow's connection `aws_default`."""
    del airflow_database
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    return aws


@dataclass(frozen=True)
class FinishedRun:
    """What a run of a DAG left behind."""

    run: Any
    output: str

    def state(self, task_id: str, map_index: int = -1) -> str | None:
        """Return the state of a task instance."""
        return next(
            None if ti.state is None else str(ti.state)
            for ti in self.run.get_task_instances()
            if (ti.task_id, ti.map_index) == (task_id, map_index)
        )

    def label(self, task_id: str, map_index: int) -> Any:
        """Return what a mapped task instance is called; None if it has no name."""
        tis = self.run.get_task_instances()
        return next(ti.rendered_map_index for ti in tis if (ti.task_id, ti.map_index) == (task_id, map_index))

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom; None where there is none."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(
                run_id=self.run.run_id, key=key, task_ids=task_id, dag_ids=self.run.dag_id, map_indexes=map_index
            )
            found = session.scalars(query).first()
            return None if found is None else XComModel.deserialize_value(found)

    def rendered(self, task_id: str) -> dict[str, Any]:
        """Return a task instance's rendered fields, as the UI shows them."""
        from airflow.models.renderedtifields import RenderedTaskInstanceFields

        ti = next(ti for ti in self.run.get_task_instances() if ti.task_id == task_id)
        return dict(RenderedTaskInstanceFields.get_templated_fields(ti) or {})


@pytest.fixture
def run_dag(airflow_aws: LocalAws, capsys: pytest.CaptureFixture[str]) -> Callable[..., FinishedRun]:
    """Run a DAG with `dag.test()`, including its triggers."""
    del airflow_aws
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def run(dag: DAG, conf: dict[str, Any] | None = None) -> FinishedRun:
        DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]  # Airflow's, untyped
        bag = DagBag(f"{HOME}/dags", bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        capsys.readouterr()
        finished = dag.test(run_conf=conf)
        return FinishedRun(finished, capsys.readouterr().out)

    return run
