"""The Airflow of docker-compose.yaml, its services as processes of this machine instead of containers.

Commands, environments, health checks and the order of starts are read from the file. What differs: the addresses are
127.0.0.1 with free ports; each process has a home with a log folder of its own, so that logs need a remote store; there
is a second worker; and Airflow's settings make it notice soon what has died.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from airflow_batch_jobs.demo.standalone import RestApi, clean_environment, free_ports
from airflow_batch_jobs.local import LocalControl
from tests.deploy.compose_file import services, settings
from tests.e2e import chaos_world, stores
from tests.e2e.parts import Component, end_all
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from tests.deploy.compose_file import Service

#: How many of a service there are, where the file says one.
REPLICAS = {"worker": 2}
START_SECONDS = 180.0
SETTINGS = {
    **{
        name: value
        for name, value in chaos_world.SETTINGS.items()
        if name.startswith(("AIRFLOW__SCHEDULER", "AIRFLOW__WORKERS", "AIRFLOW__DAG_PROCESSOR"))
    },
    # What a dead worker has fetched and not begun is queued again.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "40",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    # Two cores are all there is, and each process that runs tasks loads Airflow anew.
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
    "AIRFLOW__API__HOST": "127.0.0.1",
}


class Cluster:
    """The processes of the profile `local`; a context manager.

    Args:
        home: An empty folder.
        dags: The DAG folder.
        environment: More of Airflow's settings.

    Attributes:
        api: Airflow's REST API, as the user `admin`.
        cloud: The local AWS.
    """

    def __init__(self, home: Path, dags: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.ports = dict(zip(("postgres", "redis", "api-server", "local-aws"), free_ports(4), strict=True))
        self._more = {**SETTINGS, **environment, "AIRFLOW__API__PORT": str(self.ports["api-server"])}
        variables = {name: value or secrets.token_hex(32) for name, value in settings().items()}
        variables["AIRFLOW_FERNET_KEY"] = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        self.services = services("local", variables)
        self._here = {
            "postgres:5432": f"127.0.0.1:{self.ports['postgres']}",
            "redis:6379": f"127.0.0.1:{self.ports['redis']}",
            "redis-cli": f"redis-cli -p {self.ports['redis']}",
            "api-server:8080": f"127.0.0.1:{self.ports['api-server']}",
            "127.0.0.1:8080": f"127.0.0.1:{self.ports['api-server']}",
            "local-aws:4566": f"127.0.0.1:{self.ports['local-aws']}",
            "127.0.0.1:4566": f"127.0.0.1:{self.ports['local-aws']}",
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what it replaces
            "/opt/airflow/dags": str(dags),
            "/opt/airflow/auth": str(home),
        }
        self.api = RestApi(
            f"http://127.0.0.1:{self.ports['api-server']}", ("admin", variables["AIRFLOW_ADMIN_PASSWORD"])
        )
        self.cloud = LocalControl(f"http://127.0.0.1:{self.ports['local-aws']}", variables["LOCAL_AWS_ACCESS_KEY"])
        self.processes: list[Component] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            waited_for = {name for each in self.services for name, how in each.depends_on.items() if "healthy" in how}
            for service in self.services:
                self._start_all(service)
                if service.name in waited_for:
                    until(partial(self.is_healthy, service), START_SECONDS)
            until(self.api.is_healthy, START_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def service(self, name: str) -> Service:
        """Return a service of the file."""
        return next(each for each in self.services if each.name == name)

    def all_of(self, name: str) -> list[Component]:
        """Return the processes of a service, oldest first."""
        return [each for each in self.processes if each.name.rpartition("-")[0] == name]

    def start(self, name: str) -> Component:
        """Start another process of a service."""
        service, number = self.service(name), len(self.all_of(name)) + 1
        home = self.home / f"{name}-{number}"
        home.mkdir()
        command = [*self._words(service.command, home), *_instead(name, number)]
        process = Component(f"{name}-{number}", command, self._environment(service, home), home)
        self.processes.append(process)
        return process

    def is_healthy(self, service: Service) -> bool:
        """Run a service's health check."""
        home = self.home / f"{service.name}-1"
        more = {"PGPORT": str(self.ports["postgres"]), "HOSTNAME": f"{service.name}-1"}
        environment = {**self._environment(service, home), **more}
        environment["PATH"] = os.pathsep.join((*stores.program_folders(), environment["PATH"]))
        check = subprocess.run(
            self._words(service.healthcheck, home),
            env=environment,
            cwd=self.home,
            capture_output=True,
            check=False,
        )
        return check.returncode == 0

    def _start_all(self, service: Service) -> None:
        if service.name == "postgres":
            self._stack.enter_context(stores.postgres(service.environment, self.ports["postgres"]))
        elif service.name == "redis":
            self._stack.enter_context(stores.redis(service.command[1:], self.ports["redis"]))
        elif service.name == "init":
            home = self.home / "init"
            home.mkdir()
            with (home / "init.log").open("wb") as output:
                command, environment = self._words(service.command, home), self._environment(service, home)
                subprocess.run(command, env=environment, cwd=home, check=True, stdout=output, stderr=output)
        else:
            for _ in range(REPLICAS.get(service.name, service.replicas)):
                self.start(service.name)

    def _environment(self, service: Service, home: Path) -> dict[str, str]:
        given = {name: self._word(value, home) for name, value in service.environment.items()}
        if "AIRFLOW__CORE__EXECUTOR" not in given:
            return {**clean_environment(), **given}
        return {**clean_environment(), "AIRFLOW_HOME": str(home), **given, **self._more}

    def _words(self, words: tuple[str, ...], home: Path) -> list[str]:
        return [str(self.ports["local-aws"]) if word == "4566" else self._word(word, home) for word in words]

    def _word(self, word: str, home: Path) -> str:
        here = {**self._here, "/opt/airflow": str(home)}
        # All at once: a port that was put in may begin with the digits of another one.
        return re.sub("|".join(map(re.escape, here)), lambda there: here[there[0]], word)

    def _stop(self) -> None:
        self.api.close()
        end_all(self.processes)
        self._stack.close()


def _instead(name: str, number: int) -> list[str]:
    """Return what containers have of themselves: names of their own, and addresses at which logs are served."""
    if name == "worker":
        return ["--celery-hostname", f"{name}-{number}", "--skip-serve-logs"]
    return ["--skip-serve-logs"] if name == "triggerer" else []
