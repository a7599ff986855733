"""The endpoint in the foreground and as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.local import LocalAws, LocalControl, start_process
from airflow_batch_jobs.local.app import Server
from airflow_batch_jobs.local.endpoint import Endpoint, Settings

if TYPE_CHECKING:
    from pathlib import Path


def is_there(pid: int) -> bool:
    """Tell whether a process runs."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout
    return state.strip()[:1] not in {b"", b"Z"}


def is_gone(pid: int) -> bool:
    """Tell whether a process ends within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if not is_there(pid):
            return True
    return False


def test_a_process_of_its_own_serves_and_ends_with_its_jobs(tmp_path: Path) -> None:
    """Settings reach it; at its end everything it started is gone."""
    with start_process(slots=1, queues=["default", "big"], step_seconds=0.0) as aws:
        names = [one["jobQueueName"] for one in aws.clients()("batch").describe_job_queues()["jobQueues"]]
        assert names == ["default", "big"]
        script = f"sleep 65 & echo $! > {tmp_path}/pid; echo up; wait"
        [job_id] = aws.submit(aws.register("slow", ["sh", "-c", script]))
        aws.wait_for_line(job_id, "up")
    assert is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_its_jobs(tmp_path: Path, number: signal.Signals) -> None:
    """With exit code 0, and without a word."""
    command = [sys.executable, "-m", "airflow_batch_jobs.local", json.dumps({"step_seconds": 0.0})]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        aws = LocalControl(ready["endpoint_url"], ready["access_key"])
        script = f"trap '' TERM; sleep 66 & echo $! > {tmp_path}/pid; echo up; wait"
        [job_id] = aws.submit(aws.register("slow", ["sh", "-c", script]))
        aws.wait_for_line(job_id, "up")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_a_setting_that_is_none_keeps_it_from_coming_up(capfd: pytest.CaptureFixture[str]) -> None:
    """And says which."""
    with pytest.raises(RuntimeError, match="did not come up"), start_process(slotz=1):
        pass
    assert "slotz" in capfd.readouterr().err


def test_a_port_that_is_taken_is_an_error_where_it_is_started(aws: LocalAws) -> None:
    """Not somewhere in a thread."""
    port = int(aws.endpoint_url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), LocalAws(port=port):
        pass


def test_the_foreground_says_what_one_needs_to_know() -> None:
    """Address, key, and the connection for Airflow, ready to be pasted."""
    program = "from airflow_batch_jobs.local import run_local; run_local(slots=2)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout
        address, key, connection = (process.stdout.readline().decode().strip() for _ in range(3))
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert address.startswith("Local AWS (Batch, CloudWatch Logs, STS) at http://127.0.0.1:")
    name, _, value = connection.partition("=")
    assert name == "AIRFLOW_CONN_AWS_DEFAULT"
    assert json.loads(value.strip("'"))["login"] == key.removeprefix("Access key: ")


def test_a_client_of_another_process_needs_no_server() -> None:
    """Importing it loads neither a server nor boto3."""
    program = "import sys, airflow_batch_jobs.local.control; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.decode().split()
    assert not {"boto3", "starlette", "uvicorn", "airflow"} & set(loaded)


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_comes_as_it_ends_is_closed(turns: int) -> None:
    """At whichever turn of the event loop: what has been accepted is reset, and nothing is left open."""

    async def come_and_end() -> bytes:
        server = Server(Endpoint(Settings()), "127.0.0.1", 0)
        await server.start()
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.close()
            return await asyncio.to_thread(received, client)

    assert asyncio.run(come_and_end()) == b""


def received(client: socket.socket) -> bytes:
    """Return what a connection brings before its end, which may be a reset."""
    try:
        return client.recv(1)
    except ConnectionResetError:
        return b""
