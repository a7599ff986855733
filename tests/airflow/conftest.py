"""An Airflow in this process, with a database of its own, whose AWS is the local endpoint."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import DAG

    from airflow_batch_jobs.local.server import LocalAws

# Airflow reads its home when it is imported, so it must be set before any test of this folder imports it.
_HOME = tempfile.mkdtemp(prefix="airflow-batch-jobs-")
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": f"{_HOME}/dags",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}


@pytest.fixture(scope="session")
def airflow_database() -> Iterator[None]:
    """Airflow's database, migrated."""
    from airflow.utils.db import initdb

    Path(_HOME, "dags").mkdir()
    initdb()
    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture
def airflow_aws(aws: LocalAws, airflow_database: None, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The local AWS, as Airflow's connection `aws_default`."""
    del airflow_database
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    return aws


@pytest.fixture
def run_dag(airflow_aws: LocalAws) -> Callable[[DAG], Any]:
    """Run a DAG by `dag.test()` and return the run."""
    del airflow_aws
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def run(dag: DAG) -> Any:
        DagBundlesManager().sync_bundles_to_db()
        bag = DagBag(f"{_HOME}/dags", bundle_name="dags-folder")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag.test()

    return run
