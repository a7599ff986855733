"""What Airflow is told of the provider: in the form that it documents, and true of the package."""

from __future__ import annotations

import json
from importlib import import_module
from importlib.metadata import entry_points, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator
from airflow.triggers.base import BaseTrigger

import airflow_batch_jobs
from airflow_batch_jobs.provider import get_provider_info
from tests.schemas import problems

INFO = get_provider_info()
#: What Airflow's own providers add in their provider.yaml, and their registry reads: here the release says it.
OF_A_RELEASE = {"state": "ready", "versions": [version("airflow-batch-jobs")], "source-date-epoch": 0}


def load(path: str) -> Any:
    """Return what a dotted path leads to."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


@pytest.mark.parametrize(
    ("schema", "info"),
    [("provider_info.schema.json", INFO), ("provider.yaml.schema.json", INFO | OF_A_RELEASE)],
)
def test_it_has_the_form_that_airflow_documents(schema: str, info: dict[str, Any], tmp_path: Path) -> None:
    """That of an entry point, and that of Airflow's registry, which takes no field that it does not know."""
    written = tmp_path / "provider.json"
    written.write_text(json.dumps(info), encoding="utf-8")
    assert problems(Path(str(files("airflow").joinpath(schema))), written) == ""


def test_airflow_finds_it() -> None:
    """By the entry point of the installed package."""
    (ours,) = (each for each in entry_points(group="apache_airflow_provider") if each.value.startswith("airflow_batch"))
    assert ours.load()() == INFO
    assert ours.dist is not None
    assert ours.dist.name == INFO["package-name"]


@pytest.mark.parametrize(
    ("field", "base", "but"),
    [
        ("operators", BaseOperator, BaseSensorOperator),
        ("sensors", BaseSensorOperator, ()),
        ("triggers", BaseTrigger, ()),
    ],
)
def test_every_public_class_is_in_a_module_that_is_listed(field: str, base: type, but: type | tuple[()]) -> None:
    """And no module is listed in vain."""
    public = [getattr(airflow_batch_jobs, name) for name in airflow_batch_jobs.__all__]
    ours = {
        each.__module__
        for each in public
        if isinstance(each, type) and issubclass(each, base) and not issubclass(each, but)
    }
    (listed,) = INFO[field]
    assert set(listed["python-modules"]) == ours


def test_every_class_that_is_named_is_there() -> None:
    """Links, decorators and plugins."""
    assert all(issubclass(load(each), BaseOperatorLink) for each in INFO["extra-links"])
    assert all(callable(load(each["class-name"])) for each in INFO["task-decorators"])
    assert [load(each["plugin-class"]).name for each in INFO["plugins"]] == [each["name"] for each in INFO["plugins"]]
