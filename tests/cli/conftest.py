"""The command line, talking to the local AWS; DAG files to be migrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airflow_batch_jobs.cli import app, jobs
from airflow_batch_jobs.migration import MARK
from tests.cli import migrating

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws
    from tests.cli.migrating import Rewrite


@pytest.fixture(autouse=True)
def commands_are_brisk(brisk: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a job looks often."""
    del brisk
    monkeypatch.setattr(jobs, "_POLL_SECONDS", 0.1)


@pytest.fixture
def run(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command against the local AWS, with credentials and address from the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", aws.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", aws.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", aws.region)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.fixture
def dag_file(tmp_path: Path) -> Path:
    """A DAG file that is still to be written."""
    return tmp_path / "dag.py"


@pytest.fixture
def rewrite(dag_file: Path) -> Rewrite:
    """Rewrite a DAG file's code; a second run must find nothing to change, and say the same."""

    def rewritten(code: str, *options: str) -> str:
        dag_file.write_bytes(code.encode())
        first = migrating.run(dag_file, "--write", *options)
        after = dag_file.read_bytes().decode()
        second = migrating.run(dag_file, "--write", *options)
        assert dag_file.read_bytes().decode() == after
        assert second.exit_code == first.exit_code == (1 if MARK in after else 0)
        assert migrating.places(second) == migrating.places(first)
        return after

    return rewritten
