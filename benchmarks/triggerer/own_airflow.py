"""An Airflow that is only its triggerer, with a database in which tasks are already deferred."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from airflow_batch_jobs.demo.standalone import StandaloneAirflow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

_DATABASE_SCRIPT = Path(__file__).with_name("database.py")
_STOP_SECONDS = 20.0
_LEFT_DEFERRED = (
    "SELECT map_index, state, next_method, scheduled_dttm, next_kwargs FROM task_instance "
    "WHERE map_index >= 0 AND state <> 'deferred'"
)


@dataclass(frozen=True, slots=True)
class Resumed:
    """A task instance whose trigger's event was processed.

    Attributes:
        state: Its state; `scheduled` when all is well.
        method: What runs next; `__fail__` when the trigger was lost.
        at: When, in seconds since the epoch.
        event: The event's payload.
    """

    state: str
    method: str
    at: float
    event: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process of the triggerer had used at a moment.

    Attributes:
        at: When, in seconds since the epoch.
        rss_mib: Its memory, with what it shares with the process it was forked from.
        uss_mib: Its own memory.
        cpu_seconds: Its CPU time.
    """

    at: float
    rss_mib: float
    uss_mib: float
    cpu_seconds: float


class TriggererAirflow:
    """A triggerer as a process group of its own, with a SQLite database; a context manager.

    Args:
        home: Becomes AIRFLOW_HOME.
        environment: More environment variables: connections, configuration.
        tasks: How many tasks its DAG has.
    """

    def __init__(self, home: Path, environment: Mapping[str, str], tasks: int) -> None:
        self.home = home
        self.output = home / "triggerer.log"
        self.tasks = tasks
        dags = home / "dags"
        dags.mkdir()
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        ours = {"AIRFLOW__CORE__FERNET_KEY": key, **environment}
        self.environment = StandaloneAirflow(home, dags, ours).environment
        self._airflow: subprocess.Popen[bytes] | None = None
        self._preparing: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def task_logs(self) -> Path:
        """The folder with a folder for each task instance's logs."""
        return self.home / "logs" / "dag_id=triggerer" / "run_id=bench" / "task_id=job"

    def make_database(self) -> None:
        """Make the database and a run of the DAG in it.

        Raises:
            RuntimeError: That failed; its output is in `database.log`.
        """
        with (self.home / "database.log").open("wb") as output:
            self._preparing = subprocess.Popen(
                [sys.executable, str(_DATABASE_SCRIPT), str(self.tasks)],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                start_new_session=True,
            )
        if self._answer() != "ready":
            raise RuntimeError((self.home / "database.log").read_text()[-2000:])

    def defer(self, job_ids: Sequence[str]) -> None:
        """Defer each task instance to a trigger that waits for its job.

        Raises:
            RuntimeError: Not all are; the output is in `database.log`.
        """
        if self._preparing is None or self._preparing.stdin is None:
            raise RuntimeError("There is no database yet.")
        self._preparing.stdin.write(json.dumps(list(job_ids)) + "\n")
        self._preparing.stdin.flush()
        if self._answer() != str(self.tasks):
            raise RuntimeError((self.home / "database.log").read_text()[-2000:])
        self._preparing.communicate(timeout=60)

    def start(self) -> None:
        """Start the triggerer; returns at once."""
        command = [str(Path(sys.executable).with_name("airflow")), "triggerer", "--skip-serve-logs"]
        with self.output.open("wb") as output:
            self._airflow = subprocess.Popen(
                [*command, "--capacity", str(max(1000, self.tasks))],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """End everything that was started: first with SIGTERM, then with SIGKILL."""
        for process in (self._airflow, self._preparing):
            if process is None or process.poll() is not None:
                continue
            with suppress(subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(_STOP_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def resumed(self) -> dict[int, Resumed]:
        """Return the task instances that are no longer deferred, by their map index."""
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=10)) as database:
            rows = database.execute(_LEFT_DEFERRED).fetchall()
        return {
            index: Resumed(state, method or "", _seconds(scheduled), json.loads(kwargs or "{}").get("event") or {})
            for index, state, method, scheduled, kwargs in rows
        }

    def count_resumed(self) -> int:
        """Return how many task instances are no longer deferred."""
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=10)) as database:
            query = "SELECT count(*) FROM task_instance WHERE map_index >= 0 AND state <> 'deferred'"
            return int(database.execute(query).fetchone()[0])

    def sample(self) -> dict[str, Sample]:
        """Return what the `supervisor` and its child, the `runner`, use now; only of those that run.

        Raises:
            RuntimeError: The triggerer has ended; with the end of its output.
        """
        if self._airflow is None:
            return {}
        if self._airflow.poll() is not None:
            end = self.output.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"The triggerer has ended with {self._airflow.returncode}: {end}")
        found: dict[str, Sample] = {}
        with suppress(psutil.NoSuchProcess):
            supervisor = psutil.Process(self._airflow.pid)
            found["supervisor"] = _sample(supervisor)
            children = supervisor.children(recursive=True)
            if children:
                found["runner"] = _sample(max(children, key=lambda child: child.memory_info().rss))
        return found

    def _answer(self) -> str:
        if self._preparing is None or self._preparing.stdout is None:
            return ""
        return self._preparing.stdout.readline().strip()


def _sample(process: psutil.Process) -> Sample:
    memory, cpu = process.memory_full_info(), process.cpu_times()
    return Sample(time.time(), memory.rss / 2**20, memory.uss / 2**20, cpu.user + cpu.system)


def _seconds(stored: str | None) -> float:
    """Return one of SQLite's times in seconds since the epoch; 0 if there is none."""
    return datetime.fromisoformat(stored).replace(tzinfo=UTC).timestamp() if stored else 0.0
