"""An Airflow whose components are processes of their own, so that each can be killed, held and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from airflow_batch_jobs.demo.standalone import START_SECONDS, StandaloneAirflow
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

#: Log files are read where they are written: none of the processes has to serve them.
COMMANDS = {
    "api-server": ["api-server"],
    "dag-processor": ["dag-processor"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
_END_SECONDS = 20.0


class Component:
    """One component, in a process group of its own. The processes of tasks, which it starts, are in others.

    Args:
        name: What it is.
        command: The program and its arguments.
        environment: All of its variables.
        home: Where it runs, and where its output goes.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], home: Path) -> None:
        self.name = name
        self._seen: set[psutil.Process] = set()
        with (home / f"{name}.log").open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of its first process, and of its group."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its first process alone."""
        self._process.send_signal(number)

    def processes(self) -> list[psutil.Process]:
        """Return its processes, also those that have outlived their parents."""
        found = [process for process in psutil.process_iter() if _group(process) == self.pid]
        found += self._seen.difference(found)
        for process in found:
            with suppress(psutil.NoSuchProcess):
                found += [child for child in process.children() if child not in found]
        self._seen = {process for process in found if process.is_running()}
        return found

    def send_to_all(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """Kill all of its processes, as the loss of their host does."""
        self.send_to_all(signal.SIGKILL)
        self._process.wait()

    def kill_first(self) -> None:
        """Kill its first process; what that has started lives on."""
        self._process.kill()
        self._process.wait()

    def wait(self, seconds: float = 240.0) -> None:
        """Wait until it has ended by itself."""
        self._process.wait(seconds)

    def end(self) -> None:
        """End all of its processes, gently at first."""
        self.send_to_all(signal.SIGCONT)
        self.send_to_all(signal.SIGTERM)
        until_then = time.monotonic() + _END_SECONDS
        while self._process.poll() is None and time.monotonic() < until_then:
            time.sleep(0.1)
        self.kill()


def end_all(components: Sequence[Component]) -> None:
    """End components at once."""
    for component in components:
        component.send_to_all(signal.SIGTERM)
    for component in components:
        component.end()


class SplitAirflow:
    """An Airflow of an API server, a scheduler, a DAG processor and triggerers; a context manager.

    Args:
        home: Becomes AIRFLOW_HOME.
        dags: The DAG folder.
        environment: More environment variables.
    """

    def __init__(self, home: Path, dags: Path, environment: Mapping[str, str]) -> None:
        standalone = StandaloneAirflow(home, dags, environment)
        self.home = home
        self.url = standalone.url
        self.environment = standalone.environment
        self.api = standalone.api
        self._components: list[Component] = []

    def __enter__(self) -> Self:
        try:
            migration = [_airflow(), "db", "migrate"]
            with (self.home / "migration.log").open("wb") as output:
                subprocess.run(migration, env=self.environment, cwd=self.home, check=True, stdout=output, stderr=output)
            for name in COMMANDS:
                self.start(name)
            until(self.api.is_healthy, START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str) -> Component:
        """Start a component, beside those of its kind that are already running."""
        component = Component(name, [_airflow(), *COMMANDS[name]], self.environment, self.home)
        self._components.append(component)
        return component

    def the(self, name: str) -> Component:
        """Return the component of a kind that was started last."""
        return self.all_of(name)[-1]

    def all_of(self, name: str) -> list[Component]:
        """Return the components of a kind, oldest first; some may have ended."""
        return [each for each in self._components if each.name == name]

    def stop(self) -> None:
        """End all components."""
        self.api.close()
        end_all(self._components)
        self._components.clear()

    def kill_worker(self, pid: int) -> None:
        """Kill the process of a task and the one that supervises it.

        Args:
            pid: Of the task's process.
        """
        assert self.is_ours(pid)
        supervisor = psutil.Process(pid).ppid()
        assert self.is_ours(supervisor)
        assert supervisor not in {component.pid for component in self._components}
        # In this order the supervisor cannot tell Airflow how the task has ended.
        os.kill(supervisor, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)

    def is_ours(self, pid: int) -> bool:
        """Tell whether a process belongs to this Airflow."""
        return any(process.pid == pid for component in self._components for process in component.processes())


def _group(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def _airflow() -> str:
    return str(Path(sys.executable).with_name("airflow"))
