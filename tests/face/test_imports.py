"""What importing the face loads: DAG files are parsed again and again, and a triggerer's event loop imports it too."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

#: What a task needs when it runs, and a DAG file does not.
_AT_WORK = "airflow_batch_jobs.task"
_LIGHT = {_AT_WORK, f"{_AT_WORK}.arguments", f"{_AT_WORK}.execution_timeout"}
_REPORT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
before = set(sys.modules)
importlib.import_module(sys.argv[2])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def loaded(first: str, module: str) -> set[str]:
    """Import two modules in a fresh process; return what the second one loads in addition to the first."""
    command = [sys.executable, "-c", _REPORT, first, module]
    result = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ))
    return set(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.long
def test_a_trigger_loads_neither_boto3_nor_the_amazon_provider() -> None:
    """The event loop of a triggerer would stand still for seconds; both are loaded in threads."""
    found = loaded("airflow.sdk.execution_time.task_runner", "airflow_batch_jobs.triggers")
    assert f"{_AT_WORK}.in_triggerer" in found
    assert not [name for name in found if name.startswith(("boto", "airflow.providers"))]


@pytest.mark.long
@pytest.mark.parametrize("module", ["operators", "sensors", "decorators", "sweep"])
def test_a_dag_file_loads_nothing_of_a_task_at_work(module: str) -> None:
    """Nor boto3, nor the Amazon provider."""
    found = loaded("airflow.sdk.bases.decorator", f"airflow_batch_jobs.{module}")
    assert {name for name in found if name.startswith(_AT_WORK)} <= _LIGHT
    assert not [name for name in found if name.startswith(("boto", "airflow.providers", "airflow.sdk.execution_time"))]


@pytest.mark.long
def test_the_plugin_loads_links_alone() -> None:
    """Every component of Airflow imports it."""
    found = loaded("airflow.plugins_manager", "airflow_batch_jobs.plugin")
    ours = {name for name in found if name.startswith("airflow_batch_jobs")}
    assert ours - {"airflow_batch_jobs"} == {"airflow_batch_jobs.plugin", "airflow_batch_jobs.links"}
