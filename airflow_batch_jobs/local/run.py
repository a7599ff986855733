"""A local AWS in the foreground, and one as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.control import LocalControl
from airflow_batch_jobs.local.server import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.local.access import Access
    from airflow_batch_jobs.local.surface import Surface

#: How long a process may take to end once it is told to.
_END_SECONDS = 10.0


def run_local(
    *, port: int = 0, host: str = "127.0.0.1", on_ready: Callable[[Access], None] | None = None, **settings: Any
) -> None:
    """Run a local AWS until SIGINT or SIGTERM; then end its jobs' processes and return.

    Args:
        port: The port; 0 for any that is free.
        host: The address to listen on. Whoever can reach it and knows the key can run commands here.
        on_ready: Called once it answers requests; None prints how to reach it.
        **settings: The attributes of `Settings`: `slots`, `queues`, …
    """
    # The endpoint imports the server's modules; a client of another process needs none of them.
    from airflow_batch_jobs.local.endpoint import Settings

    def ready(access: Access, surface: Surface, stop: asyncio.Event) -> None:  # noqa: ARG001 - what `serve` calls
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        (on_ready or _print_access)(access)

    asyncio.run(serve(Settings(**settings), host, port, ready))


@contextmanager
def start_process(**settings: Any) -> Iterator[LocalControl]:
    """Run a local AWS in a process of its own, which ends with the context, and with this process.

    Args:
        **settings: The keyword arguments of `run_local` that JSON can carry.

    Raises:
        RuntimeError: The process did not come up.
    """
    command = [sys.executable, "-m", "airflow_batch_jobs.local", json.dumps(settings)]
    # In a session of its own: Ctrl-C is for the process that started it, which then ends it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise RuntimeError(f"The local AWS did not come up: exit code {process.wait(_END_SECONDS)}")
            ready = json.loads(line)
            yield LocalControl(
                ready["endpoint_url"], ready["access_key"], secret_key=ready["secret_key"], region=ready["region"]
            )
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Tell the process to end by closing its standard input, and make sure that it does."""
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _print_access(access: Access) -> None:
    sys.stdout.write(
        f"Local AWS (Batch, CloudWatch Logs, STS) at {access.endpoint_url}\n"
        f"Access key: {access.access_key}\n"
        f"AIRFLOW_CONN_AWS_DEFAULT='{access.airflow_connection()}'\n"
    )
    sys.stdout.flush()
