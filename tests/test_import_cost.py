"""What importing costs: DAG files are parsed again and again, so nothing heavy comes in unasked."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import airflow_batch_jobs
from airflow_batch_jobs import batch

HEAVY = ("airflow", "boto3", "botocore", "pydantic", "starlette", "uvicorn", "rich", "typer")

_REPORT = """
import importlib, json, sys
loaded = {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    loaded[name] = sorted({module.partition(".")[0] for module in sys.modules} & set(json.loads(sys.argv[2])))
print(json.dumps(loaded))
"""


def loaded_by(*modules: str) -> dict[str, list[str]]:
    """Import modules one after the other in a fresh process; return which heavy packages are loaded after each."""
    command = [sys.executable, "-c", _REPORT, json.dumps(modules), json.dumps(HEAVY)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    loaded: dict[str, list[str]] = json.loads(result.stdout)
    return loaded


def test_the_package_loads_nothing_heavy() -> None:
    """Its public names are imported when they are used, and pydantic with them."""
    loaded = loaded_by("airflow_batch_jobs", "airflow_batch_jobs.errors", "airflow_batch_jobs.batch.status")
    assert set(map(tuple, loaded.values())) == {()}


def test_what_a_dag_says_of_retries_loads_no_diagnosis() -> None:
    """AWS's words are a hundred patterns, which take longer to compile than a DAG file's import may."""
    homes = {airflow_batch_jobs._MODULES[name] for name in ("Cause", "LongerTimeout", "MoreMemory", "OtherQueue")}
    imports = "; ".join(f"import airflow_batch_jobs.{home}" for home in sorted(homes))
    command = [sys.executable, "-c", f"{imports}; import sys; print(*sys.modules)"]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "airflow_batch_jobs.batch.changes.more_memory" in loaded
    assert not [name for name in loaded if "aws_messages" in name or "preflight" in name]


def test_no_batch_module_loads_airflow_or_boto3() -> None:
    """The AWS side of the package can be used without Airflow, and boto3 is loaded where AWS is called."""
    modules = [module.name for module in pkgutil.walk_packages(batch.__path__, f"{batch.__name__}.")]
    loaded = loaded_by(*modules)
    assert {name: packages for name, packages in loaded.items() if set(packages) - {"pydantic"}} == {}


def test_type_checkers_see_every_public_name_where_it_is() -> None:
    """The lazy names and those of the TYPE_CHECKING block come from the same modules."""
    tree = ast.parse(Path(str(airflow_batch_jobs.__file__)).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: str(node.module) for node in imports for alias in node.names}
    own = {name: module for name, module in seen.items() if module.startswith("airflow_batch_jobs.")}
    homes = airflow_batch_jobs._MODULES
    lazy = {name: f"airflow_batch_jobs.{homes.get(name, 'errors')}" for name in airflow_batch_jobs.__all__}
    del lazy["__version__"]
    assert own == lazy


def test_public_names_are_what_they_stand_for() -> None:
    """Those that need no Airflow."""
    from airflow_batch_jobs.batch.definition import JobDefinition
    from airflow_batch_jobs.batch.status import JobStatus
    from airflow_batch_jobs.errors import JobFailedError

    assert airflow_batch_jobs.JobDefinition is JobDefinition
    assert airflow_batch_jobs.JobStatus is JobStatus
    assert airflow_batch_jobs.JobFailedError is JobFailedError
    assert airflow_batch_jobs.__version__ == version("airflow-batch-jobs")
    assert set(airflow_batch_jobs.__all__) <= set(dir(airflow_batch_jobs))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Like every module's."""
    with pytest.raises(AttributeError, match=r"module 'airflow_batch_jobs' has no attribute 'BatchOperator'"):
        _ = airflow_batch_jobs.BatchOperator
