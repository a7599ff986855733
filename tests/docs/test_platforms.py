"""docs/platforms.md: the options that it names are there, and what it says of MWAA's versions is what is tested."""

from __future__ import annotations

import re

from airflow.sdk.configuration import conf

from airflow_batch_jobs.config import OPTIONS
from tests.deploy.environments import project
from tests.deploy.matrix import ROWS
from tests.docs.source import ROOT

PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
MWAA = PAGE[PAGE.index("\n## Amazon MWAA") : PAGE.index("\n## Astronomer")]


def test_every_option_exists() -> None:
    """As MWAA writes them, `section.option`, and as variables."""
    written = re.findall(r"`([a-z_]+)\.(?!txt|zip)([a-z_]+)`", MWAA)
    variables = [name.lower().split("__") for name in re.findall(r"AIRFLOW__(\w+)", PAGE)]
    named = {(section, option) for section, option in [*written, *variables]}
    ours = {("batch_jobs", option) for option in OPTIONS}
    assert {section for section, _ in named} == {"batch_jobs", "triggerer", "secrets", "logging"}
    assert [each for each in named - ours if not conf.has_option(*each)] == []


def test_the_requirements_of_mwaa_are_those_of_the_matrix() -> None:
    """The constraints of its Airflow and its Python, and the wheel that a build makes."""
    versions = dict(line.split("==") for line in ROWS["mwaa"].constraints)
    airflow, python = versions["apache-airflow"], ROWS["mwaa"].python
    assert f"/constraints-{airflow}/constraints-{python}.txt" in MWAA
    assert f"images/airflow/{airflow}" in PAGE
    wheels = set(re.findall(r"airflow_batch_jobs-[\d.]+-\S+?\.whl", PAGE))
    assert wheels == {f"airflow_batch_jobs-{project()['project']['version']}-py3-none-any.whl"}
