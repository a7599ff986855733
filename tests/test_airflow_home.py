"""The tests have an Airflow of their own, whatever the order in which they are collected."""

from __future__ import annotations

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


def test_the_developers_airflow_is_not_that_of_the_tests() -> None:
    """A database in the environment is not what the tests migrate and write to."""
    environment = {**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db"}
    program = "import tests.conftest, os; print(os.environ.get('AIRFLOW__DATABASE__SQL_ALCHEMY_CONN'))"
    asked = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert asked.stdout == "None\n"
