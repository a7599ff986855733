"""`airflow-batch-jobs local`, as a process."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_batch_jobs.demo.examples import example_definitions
from airflow_batch_jobs.local import LocalControl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMMAND = [sys.executable, "-c", "from airflow_batch_jobs.cli import app; app()"]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*_COMMAND, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """Run `local`, give the process and what it exports, and kill it at the end if it is still there."""
    process = subprocess.Popen(
        [*_COMMAND, "local", *arguments], env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    exported: dict[str, str] = {}
    try:
        while "AWS_SECRET_ACCESS_KEY" not in exported and "LOCAL_AWS_ACCESS_KEY" not in environment:
            line = process.stdout.readline()
            assert line, "it ended"
            if line.startswith("export "):
                exported |= dict(word.split("=", 1) for word in shlex.split(line)[1:])
        yield process, exported
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_it_exports_is_all_that_the_other_commands_need(number: signal.Signals) -> None:
    """A job of a registered folder runs by the printed variables alone, and a signal ends both without a trace."""
    with running("--definitions", str(example_definitions())) as (process, exported):
        submitted = run("submit", "count-seconds:1", "-q", "default", "-p", "seconds=60", **exported)
        assert submitted.returncode == 0, submitted.stderr
        followed = subprocess.Popen(
            [*_COMMAND, "logs", submitted.stdout.strip(), "--follow"],
            env={**os.environ, **exported},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert followed.stdout
        assert any("second 2 of 60" in line for line in followed.stdout)
        followed.kill()
        followed.wait()
        followed.stdout.close()
        jobs = psutil.Process(process.pid).children(recursive=True)
        assert jobs
        process.send_signal(number)

        assert process.wait(60) == 0
        assert psutil.wait_procs(jobs, timeout=60)[1] == []


def test_a_given_access_key_holds_and_is_not_printed() -> None:
    """The user who sets one knows it, and the output of a container is kept."""
    key = secrets.token_hex()
    with running("--host", "0.0.0.0", LOCAL_AWS_ACCESS_KEY=key) as (process, _):  # noqa: S104 - as in a container
        assert process.stdout
        said = process.stdout.readline()
        [url] = re.findall(r"http://[\d.]+:\d+", said)
        assert LocalControl(url.replace("0.0.0.0", "127.0.0.1"), key).now()  # noqa: S104 - as it says
        with pytest.raises(PermissionError):
            LocalControl(url.replace("0.0.0.0", "127.0.0.1"), "another").now()  # noqa: S104 - as it says
        process.send_signal(signal.SIGINT)
        assert key not in said + process.stdout.read()


@pytest.mark.long
def test_a_kept_key_opens_the_next_start_as_well(tmp_path: Path) -> None:
    """What the first start printed is still good, and only its owner can read the key."""
    key_file = tmp_path / "key"
    with running("--key-file", str(key_file)) as (_, first):
        port = first["AWS_ENDPOINT_URL"].rpartition(":")[2]
    assert key_file.stat().st_mode & 0o777 == 0o600
    with running("--key-file", str(key_file), "--port", port) as (_, second):
        assert second["AWS_ACCESS_KEY_ID"] == first["AWS_ACCESS_KEY_ID"]
        assert LocalControl(first["AWS_ENDPOINT_URL"], first["AWS_ACCESS_KEY_ID"]).now()
        assert run("queue", "default", **first).returncode == 0


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("a" * 32, 0o644, "is open to others"),
        ("", 0o600, "has no access key in it"),
        ("a b" * 10, 0o600, "has no access key in it"),
        ("short", 0o600, "has no access key in it"),
        ("\ud800", 0o600, "cannot be read: it is not text in UTF-8"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_a_usage_error(tmp_path: Path, text: str, mode: int, message: str) -> None:
    """Whoever has the key can run commands, so it has to be long, and for its owner alone; the file stays as it is."""
    key_file = tmp_path / "key"
    key_file.write_bytes(text.encode(errors="surrogatepass"))
    key_file.chmod(mode)
    result = run("local", "--key-file", str(key_file), COLUMNS="200")

    assert result.returncode == 2
    assert message in result.stderr
    assert key_file.read_bytes() == text.encode(errors="surrogatepass")


def test_a_key_file_that_is_a_link_to_nothing_is_a_usage_error(tmp_path: Path) -> None:
    """No key is written to where it leads, and the message says what it is."""
    key_file = tmp_path / "key"
    key_file.symlink_to(tmp_path / "gone")
    result = run("local", "--key-file", str(key_file), COLUMNS="200")

    assert result.returncode == 2
    assert "cannot be read: it is a link to a file that is not there" in result.stderr
    assert not key_file.exists()


def test_one_key_is_enough(tmp_path: Path) -> None:
    """A key in the environment, too, would leave open which of them holds."""
    result = run("local", "--key-file", str(tmp_path / "key"), LOCAL_AWS_ACCESS_KEY="a" * 32, COLUMNS="200")

    assert result.returncode == 2
    assert "use only one of them" in result.stderr
    assert not (tmp_path / "key").exists()


def test_a_key_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    """The folder is not there, say."""
    result = run("local", "--key-file", str(tmp_path / "none" / "key"), COLUMNS="200")

    assert result.returncode == 2
    assert "cannot be written: No such file or directory" in result.stderr


def test_a_taken_port_is_a_usage_error() -> None:
    """A port that is already in use is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("local", "--port", port)

    assert result.returncode == 2
    assert port in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_without_definitions_is_a_usage_error(tmp_path: Path) -> None:
    """A folder that has no definitions is told what they are called."""
    result = run("local", "--definitions", str(tmp_path))

    assert result.returncode == 2
    assert "<name>.<revision>.json" in result.stderr
