"""What the tests of `migrate` share: the imports on both sides, short files with one call, and the command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import typer
from typer.testing import CliRunner

from airflow_batch_jobs.cli.migrate import migrate
from airflow_batch_jobs.migration import MARK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Rewrite = Callable[..., str]

MODULE = "airflow.providers.amazon.aws.operators.batch"
IMPORT = f"from {MODULE} import BatchOperator\n"
OURS = "from airflow_batch_jobs import BatchJobOperator\n"
SENSORS = "airflow.providers.amazon.aws.sensors.batch"
SENSOR_IMPORT = f"from {SENSORS} import BatchSensor\n"
OUR_SENSOR = "from airflow_batch_jobs import BatchJobSensor\n"


def run(*arguments: object) -> Any:
    """Run the command."""
    app = typer.Typer()
    app.command()(migrate)
    return CliRunner().invoke(app, [str(each) for each in arguments])


def airflow(code: str, tmp_path: Path, *arguments: str) -> Any:
    """Run code with an Airflow whose home is a temporary folder; return the JSON on the last line that it prints."""
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-W", "ignore", "-c", dedent(code), *arguments]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def marked(code: str) -> list[str]:
    """Return what is left for a person."""
    return [line.partition(MARK)[2] for line in code.splitlines() if MARK in line]


def places(result: Any) -> list[str]:
    """Return the lines of an answer that name a line of a file."""
    return [line for line in result.stderr.splitlines() if re.match(r"\S+:\d+: ", line)]


def call(**arguments: str) -> str:
    """Return a file with one call, whose arguments are given as code over those that BatchOperator must have."""
    given = {"task_id": '"t"', "job_name": '"j"', "job_definition": '"a:1"', "job_queue": '"q"', **arguments}
    return f"{IMPORT}BatchOperator({', '.join(f'{name}={value}' for name, value in given.items())})\n"


def our_call(**arguments: str) -> str:
    """Return what `call` is to become, with our arguments behind the others."""
    given = {"task_id": '"t"', "job_name": '"j"', "definition": '"a:1"', "job_queue": '"q"', **arguments}
    return f"{OURS}BatchJobOperator({', '.join(f'{name}={value}' for name, value in given.items())})\n"
