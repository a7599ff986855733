"""A whole Airflow: `airflow standalone` in a temporary home, on free ports, ended with all its child processes."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

#: How long a start may take, in seconds: 25 to 35 on two idle cores.
START_SECONDS = 360.0
#: How long the child processes get for a clean end, and how long one that is killed may take to be gone.
STOP_SECONDS, KILL_SECONDS = 15.0, 3.0
#: How long a request is repeated while SQLite is busy; each attempt takes 5 s.
BUSY_SECONDS = 60.0
#: Below those of Linux for the near ends of connections.
_PORTS = range(20_000, 32_000)
#: How many errors of Airflow's own output are told, what a line has that tells of one (a level, or the end of a
#: traceback), and the colours of a terminal.
_MOST_ERRORS = 5
_ERROR = re.compile(r"\[(?:error|critical) *\]|\b(?:ERROR|CRITICAL)\b|\w(?:Error|Exception): ")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
#: Names another database than SQLite.
_DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


class AirflowStartError(RuntimeError):
    """Airflow ended, or did not become healthy; the message says where its output is."""


class StandaloneAirflow:
    """A whole Airflow as one process group, on SQLite unless it is given another database; a context manager.

    Everyone who can reach the port is an admin: it listens on 127.0.0.1 only, and is for demos and tests. Airflow's log
    servers listen on all addresses, which cannot be changed, but answer only to a signed token.

    Args:
        home: The AIRFLOW_HOME; made if it is missing.
        dags: The DAG folder.
        environment: More environment variables: connections, configuration.
        on_wait: Called about once a second while Airflow starts.
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: Mapping[str, str] | None = None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.home = home
        self.port, *self._log_ports = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = home / "standalone.log"
        self.environment = {**clean_environment(), **self._settings(dags), **(environment or {})}
        self._on_wait = on_wait
        self._process: subprocess.Popen[bytes] | None = None
        self.api = RestApi(self.url, busy_seconds=0.0 if _DATABASE in self.environment else BUSY_SECONDS)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start Airflow and wait until all its parts are healthy.

        Raises:
            AirflowStartError: Airflow did not start.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [_airflow(), "standalone"],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self.api.is_healthy():
            if self._process.poll() is not None:
                raise AirflowStartError(f"Airflow ended with {self._process.returncode}; its output: {self.output}")
            if time.monotonic() > until:
                raise AirflowStartError(f"Airflow was not healthy after {START_SECONDS:g} s; its output: {self.output}")
            self._on_wait()
            time.sleep(0.5)

    def stop(self) -> None:
        """End Airflow and every process it has started: first with SIGTERM, then with SIGKILL."""
        self.api.close()
        if self._process is None:
            return
        group = self._process.pid
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            _signal_group(group, number)
            until = time.monotonic() + seconds
            while _group_lives(group, self._process) and time.monotonic() < until:
                time.sleep(0.1)
        self._process.wait()
        self._process = None

    def errors(self) -> str:
        """Return the last errors in Airflow's own output, where a task has them that could not begin; may be empty."""
        lines = _COLOUR.sub("", self.output.read_text(errors="replace")).splitlines()
        return "\n".join([line for line in lines if _ERROR.search(line)][-_MOST_ERRORS:])

    def _settings(self, dags: Path) -> dict[str, str]:
        worker_log, trigger_log = self._log_ports
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
            ),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_log),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_log),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        }


class RestApi:
    """As much of Airflow's REST API as the demo and the tests need.

    Args:
        url: The address of the API server.
        user: A name and a password; None if everyone is an admin.
        busy_seconds: How long to repeat a request that is answered with a server error, for an Airflow on SQLite: its
            API server logs in its event loop who asks for what. If a worker's request holds the database and needs
            that loop to continue, the two wait for each other until SQLite gives up, and the user gets a 500.
    """

    def __init__(self, url: str, user: tuple[str, str] | None = None, *, busy_seconds: float = 0.0) -> None:
        self._client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self._user = user
        self._busy_seconds = busy_seconds
        self._token = ""

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def is_healthy(self) -> bool:
        """Tell whether all parts of Airflow report that they are healthy."""
        try:
            answer = self._client.get("/api/v2/monitor/health")
        except httpx.HTTPError:
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return answer.is_success and all(answer.json().get(part, {}).get("status") == "healthy" for part in parts)

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Ask the public API and return the JSON of the answer.

        Args:
            method: The HTTP method.
            path: The path below `/api/v2/`.
            **arguments: For httpx: `json`, `params`.

        Raises:
            httpx.HTTPStatusError: The API refused.
        """
        self._token = self._token or self._log_in()
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        until = time.monotonic() + self._busy_seconds
        while True:
            answer = self._client.request(method, f"/api/v2/{path}", headers=headers, **arguments)
            if not answer.is_server_error or time.monotonic() > until:
                break
            time.sleep(0.25)
        if answer.is_error:
            raise httpx.HTTPStatusError(
                f"{method} {path}: {answer.status_code} {answer.text[:500]}", request=answer.request, response=answer
            )
        return answer.json() if answer.content else None

    def _log_in(self) -> str:
        if self._user is None:
            answer = self._client.get("/auth/token")
        else:
            name, password = self._user
            answer = self._client.post("/auth/token", json={"username": name, "password": password})
        return str(answer.raise_for_status().json()["access_token"])

    def dag_ids(self) -> set[str]:
        """Return the ids of the DAGs that Airflow has read."""
        return {dag["dag_id"] for dag in self.request("GET", "dags", params={"limit": 100})["dags"]}

    def import_errors(self) -> list[str]:
        """Return why DAG files could not be read."""
        return [each["stack_trace"] for each in self.request("GET", "importErrors")["import_errors"]]

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Unpause a DAG, start a run of it and return the run's id."""
        self.request("PATCH", f"dags/{dag_id}", json={"is_paused": False})
        run = self.request("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self.request("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path, found = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances", list[dict[str, Any]]()
        while True:
            page = self.request("GET", path, params={"limit": 100, "offset": len(found), "order_by": "map_index"})
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance."""
        return dict(self.request("GET", _ti_path(dag_id, run_id, task_id, map_index)))

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance failed or successful, as a user does in the UI."""
        self.request("PATCH", _ti_path(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str, map_index: int = -1) -> Any:
        """Return an XCom's value; None if there is none."""
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        found = self.find(path, {"map_index": map_index, "deserialize": False})
        return None if found is None else found["value"]

    def log(
        self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1
    ) -> list[dict[str, Any]]:
        """Return a task's log as the UI gets it: one entry per line, `{timestamp, event, level, logger, …}`.

        Empty for an attempt that has not begun.
        """
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        found = self.find(path, {"map_index": map_index, "full_content": True}) or {"content": []}
        return [each if isinstance(each, dict) else {"event": each} for each in found["content"]]

    def find(self, path: str, parameters: Mapping[str, Any]) -> Any:
        """Ask for something that may not exist; return None if it does not."""
        try:
            return self.request("GET", path, params=parameters)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.NOT_FOUND:
                return None
            raise


def _ti_path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    return path if map_index < 0 else f"{path}/{map_index}"


def clean_environment() -> dict[str, str]:
    """Return the environment without what would misdirect this Airflow, with this Python's scripts first on PATH.

    A proxy is not asked for what is on this machine, and no file in `~/.aws` is read.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
    scripts = str(Path(sys.executable).parent)
    without_proxy = ",".join(filter(None, (kept.get("no_proxy"), kept.get("NO_PROXY"), "127.0.0.1")))
    return {
        **kept,
        "NO_PROXY": without_proxy,
        "no_proxy": without_proxy,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PATH": f"{scripts}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def _airflow() -> str:
    beside = Path(sys.executable).with_name("airflow")
    found = str(beside) if beside.exists() else shutil.which("airflow")
    if found is None:
        raise AirflowStartError("There is no `airflow` command beside this Python or on PATH.")
    return found


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on, and that the system gives to no connection before somebody does."""
    found: list[int] = []
    while len(found) < count:
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found += [port] if port not in found else []
    return found


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _group_lives(group: int, leader: subprocess.Popen[bytes]) -> bool:
    leader.poll()  # a zombie would keep its group alive
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
