"""The command line itself: what it costs, what it teaches, how it shows things on a terminal."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from airflow_batch_jobs.batch.aws import Trouble
from airflow_batch_jobs.cli import app
from airflow_batch_jobs.cli.aws_options import clients_of
from airflow_batch_jobs.cli.console import errors_told
from airflow_batch_jobs.errors import CallAbortedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.core import TyperGroup
    from typer.models import CommandInfo

    from airflow_batch_jobs.local.server import LocalAws


def test_import_loads_neither_airflow_nor_boto3() -> None:
    """`--help` answers without loading Airflow or boto3."""
    code = (
        "import sys, airflow_batch_jobs.cli; print([m for m in ('airflow', 'boto3', 'botocore') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]"


def test_version_is_the_package_s() -> None:
    """`--version` prints the version alone."""
    from airflow_batch_jobs import __version__

    assert CliRunner().invoke(app, ["--version"]).stdout == f"{__version__}\n"


def shown_name(command: CommandInfo) -> str:
    """Return what a command is called."""
    return str(command.name or getattr(command.callback, "__name__", ""))


COMMANDS = [shown_name(each) for each in app.registered_commands]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_an_example(command: str) -> None:
    """The help shows how the command is written."""
    assert f"airflow-batch-jobs {command} " in CliRunner().invoke(app, [command, "--help"]).stdout.replace("Usage", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_a_table_of_exit_codes(command: str) -> None:
    """With what success and failure mean for it; those that ask AWS tell its silence from its refusal."""
    text = CliRunner().invoke(app, [command, "--help"]).stdout
    table = text.partition("Exit codes:")[2].partition("\u2500")[0]  # up to the frame of the options
    codes = {word for line in table.splitlines() for word in line.split()[:1] if word.isdecimal()}

    assert codes >= {"0", "1"}
    assert ("3" in codes) == ("--endpoint-url" in text)


def blocks(command: str) -> list[str]:
    """Return the lines of a command's help that are to be shown as they are: examples and exit codes."""
    [callback] = [each.callback for each in app.registered_commands if shown_name(each) == command]
    lines = str(inspect.getdoc(callback)).splitlines()
    return [line.strip() for line in lines if line.startswith("    ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_in_one_piece_at_80_columns(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that the help breaks cannot be pasted."""
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, [command, "--help"]).stdout
    assert [line for line in blocks(command) if line not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_examples_are_command_lines(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command takes what its help shows."""
    (tmp_path / "dags" / "definitions").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__DEPLOYMENT", "prod")
    found = 0
    for line in blocks(command):
        if line.startswith(f"airflow-batch-jobs {command}"):
            words = [word for word in shlex.split(line.partition("   ")[0]) if word != "$OVERRIDE"]
            end = next((at for at, word in enumerate(words) if word in {"|", "&&", ">"}), len(words))
            arguments = [*words[2:end], *(["{}"] if "$OVERRIDE" in line else [])]
            cast("TyperGroup", get_command(app)).commands[command].make_context(command, arguments)
            found += 1
    assert found


def test_help_explains_the_exit_codes() -> None:
    """The exit codes that scripts rely on are in the help."""
    text = CliRunner().invoke(app, ["--help"]).stdout

    assert all(
        each in text for each in ("0  success", "1  the job has failed", "2  the command line", "3  AWS or Airflow")
    )


def test_status_is_a_table_on_a_terminal(
    run: Callable[..., Any], aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People get a table with the diagnosis in it."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    [job_id] = aws.submit(aws.register("shell", ["sh", "-c", "exit 7"]))
    aws.wait_for_status(job_id)
    shown = run("status", job_id).stdout

    assert "┃" in shown
    assert job_id in shown
    assert "exit code 7" in shown


def test_an_id_is_whole_in_a_narrow_terminal(
    run: Callable[..., Any], aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there to be copied, and a child's number is its end; the rest of the table has what is left."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    [array] = aws.submit(aws.register("shell", ["sh", "-c", "exit 7"]), arrayProperties={"size": 2})
    aws.wait_for_status(array)
    shown = run("status", f"{array}:0", f"{array}:1").stdout

    assert all(f"{array}:{index}" in shown for index in range(2))


@pytest.mark.long
def test_a_wait_turns_a_spinner_on_a_terminal(
    run: Callable[..., Any], aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person sees that something is going on; a script's output has no spinner."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    aws.script(definition="slow", runnable=8, running=0.1)  # the command looks at once, and after two seconds
    result = run("submit", aws.register("slow"), "-q", "default", "--wait")

    assert "RUNNABLE" in result.stderr
    assert "SUCCEEDED" in result.stderr
    assert result.stdout == f"{aws.jobs()[0]['jobId']}\n"


@pytest.mark.long
def test_orphans_are_a_table_on_a_terminal(
    run: Callable[..., Any], aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People see what became of each job, and why."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")
    aws.register("job")
    aws.script(definition="job", running=60)
    [job_id] = aws.submit("job:1", tags={"airflow-deployment": "here"})
    address = ("--airflow-url", "http://127.0.0.1:1", "--airflow-token", "unused", "--deployment", "here")
    result = run("orphans", "-q", "default", *address)

    assert result.exit_code == 0
    assert "┃" in result.stdout
    assert job_id in result.stdout
    assert "cannot tell" in result.stdout


@pytest.mark.parametrize("kind", Trouble)
def test_every_trouble_with_aws_has_its_exit_code(kind: Trouble) -> None:
    """2 for what the user has to correct, 1 for what AWS refuses, 3 for the rest, an aborted call included."""
    code = {Trouble.MISCONFIGURED: 2, Trouble.REFUSED: 1}.get(kind, 3)
    errors = [kind.error("it failed"), *([CallAbortedError("it failed")] if kind is Trouble.TRANSIENT else [])]
    for error in errors:
        with pytest.raises(typer.Exit) as end, errors_told():
            raise error
        assert end.value.exit_code == code


def test_credentials_that_have_expired_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that goes on for hours outlasts its keys, as those of a profile are replaced."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "before")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    clients = clients_of("eu-central-1", None, "http://127.0.0.1:1")
    batch = clients("batch")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "after")
    clients.renew(batch)

    assert "Credential=before" in batch.generate_presigned_url("describe_jobs", {"jobs": []})
    assert "Credential=after" in clients("batch").generate_presigned_url("describe_jobs", {"jobs": []})
