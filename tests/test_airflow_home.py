"""The tests have an Airflow of their own, in whichever order they are collected, and nothing that others have set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from airflow.configuration import AIRFLOW_HOME, conf

from tests.airflow_home import HOME

ROOT = Path(__file__).resolve().parent.parent


def test_airflow_lives_in_the_home_of_the_tests() -> None:
    """Airflow was imported after its home had been set: its database is not the one in the user's home."""
    assert AIRFLOW_HOME == HOME
    assert conf.get("database", "sql_alchemy_conn") == f"sqlite:///{HOME}/airflow.db"


def test_what_somebody_has_set_is_not_that_of_the_tests() -> None:
    """Not the database that they would migrate, nor the profile or the colours; a proxy is not for this machine."""
    foreign = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db",
        "AWS_PROFILE": "nobody",
        "COLUMNS": "40",
        "FORCE_COLOR": "1",
        "GIT_DIR": "/nowhere",
        "TRACEPARENT": "00-0-0-01",
    }
    proxy = {"HTTP_PROXY": "http://nowhere", "NO_PROXY": "registry"}
    program = "import tests.conftest, json, os; print(json.dumps(dict(os.environ)))"
    asked = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "no_proxy": "", **foreign, **proxy},
        capture_output=True,
        text=True,
        check=True,
    )
    left = json.loads(asked.stdout)
    assert not foreign.keys() & left.keys()
    assert left["HTTP_PROXY"] == "http://nowhere"
    assert left["NO_PROXY"] == left["no_proxy"] == "registry,127.0.0.1,localhost"
