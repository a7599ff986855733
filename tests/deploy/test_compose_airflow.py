"""docker-compose.yaml: Airflow knows the settings and commands in it, and its processes agree on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.config import OPTIONS
from tests.deploy.profiles import PROFILES, VARIABLES, airflow_words, services

if TYPE_CHECKING:
    from pathlib import Path

#: What Airflow says about a list of options and of command lines, and the tasks of a Celery application, as JSON.
ASK_AIRFLOW = """
import contextlib, io, json, sys
from airflow.cli.cli_parser import get_parser
from airflow.configuration import retrieve_configuration_description
from celery.app.utils import find_app
given = json.load(sys.stdin)
known = retrieve_configuration_description(include_providers=True)
options = [[section, key] for section, key in given["options"] if key not in known.get(section, {}).get("options", {})]
commands = []
for command in given["commands"]:
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            get_parser().parse_args(command)
        except SystemExit:
            commands.append([command, said.getvalue()[-500:]])
tasks = sorted(find_app(given["application"]).tasks)
json.dump({"options": options, "commands": commands, "tasks": tasks}, sys.stdout)
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What of the file's options and commands this Airflow does not know, and the tasks of its Celery application."""
    every = [each for profile in PROFILES for each in services(profile).values()]
    names = {name for each in every for name in each.environment if name.startswith("AIRFLOW__")}
    commands = [words for each in every for line in (each.command, each.healthcheck) if (words := airflow_words(line))]
    given: dict[str, Any] = {
        "options": sorted(name.removeprefix("AIRFLOW__").lower().split("__") for name in names),
        "commands": [*commands, ["triggerer", "--replicas", "2"]],
        "application": health_check_of_the_worker()[2],
    }
    given["options"].append(["core", "no_such_option"])
    home = str(tmp_path_factory.mktemp("airflow"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    done = subprocess.run(
        [sys.executable, "-c", ASK_AIRFLOW],
        input=json.dumps(given),
        env={**environment, "AIRFLOW_HOME": home, "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])  # loading Celery's application writes a log
    return found


def health_check_of_the_worker() -> list[str]:
    """Return its words."""
    shell, option, check = services("local")["worker"].healthcheck
    assert (shell, option) == ("sh", "-c")
    return check.split()


def test_what_init_writes_is_what_the_api_server_reads(tmp_path: Path) -> None:
    """The passwords file that `init` writes is JSON whatever the password is, and no other user may read it."""
    password = "\"quoted\" and $HOME and 'more'"
    init, api_server = (services("local", AIRFLOW_ADMIN_PASSWORD=password)[name] for name in ("init", "api-server"))
    variable = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
    folder = init.environment[variable].rpartition("/")[0]
    shell, options, script = init.command
    assert "airflow db migrate\n" in script
    assert f"auth:{folder}" in init.volumes
    assert f"auth:{folder}" in api_server.volumes
    assert api_server.environment[variable] == init.environment[variable]
    assert "AIRFLOW_ADMIN_PASSWORD" not in api_server.environment

    written = tmp_path / "passwords.json"
    subprocess.run(
        [shell, options, script.replace("airflow db migrate", "true").replace("python ", f"{sys.executable} ")],
        env={**os.environ, **init.environment, variable: str(written)},
        check=True,
    )

    assert json.loads(written.read_text(encoding="utf-8")) == {"admin": password}
    assert written.stat().st_mode & 0o077 == 0
    assert init.environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"].split(":")[0] == "admin"


def test_all_of_airflow_agrees() -> None:
    """Every process of Airflow has the same settings, whatever it is and wherever jobs run."""
    common = [
        {name: value for name, value in each.environment.items() if name.startswith("AIRFLOW__")}
        for profile in PROFILES
        for each in services(profile).values()
        if airflow_words(each.command) or each.name == "init"
    ]

    assert len(common) == 12
    assert all(each == common[0] for each in common)
    assert common[0]["AIRFLOW__BATCH_JOBS__DEPLOYMENT"] == VARIABLES["AIRFLOW_DEPLOYMENT"]


def test_logs_are_in_one_place() -> None:
    """The services that write task logs and those that show them share a volume, in the folder that Airflow is told."""
    for profile in PROFILES:
        for each in services(profile).values():
            if {"api-server", "celery", "triggerer"} & set(each.command):
                assert f"logs:{each.environment['AIRFLOW__LOGGING__BASE_LOG_FOLDER']}" in each.volumes, each.name


def test_our_options_exist() -> None:
    """Every AIRFLOW__BATCH_JOBS__ variable is an option of this package."""
    prefix = "AIRFLOW__BATCH_JOBS__"
    every = [each for profile in PROFILES for each in services(profile).values()]
    ours = {name.removeprefix(prefix).lower() for each in every for name in each.environment if name.startswith(prefix)}

    assert "deployment" in ours
    assert ours <= set(OPTIONS)


@pytest.mark.long
def test_airflow_knows_every_option(answer: dict[str, Any]) -> None:
    """Airflow and its Celery provider know every AIRFLOW__ variable; an option that is none is found."""
    assert answer["options"] == [["core", "no_such_option"]]


def test_airflow_knows_every_command(answer: dict[str, Any]) -> None:
    """Airflow's command line takes every command and health check; an option that is none is found."""
    assert [command for command, _ in answer["commands"]] == [["triggerer", "--replicas", "2"]], answer["commands"]


def test_the_celery_application_of_the_health_check_exists(answer: dict[str, Any]) -> None:
    """What `celery --app` is told names the Celery application of the provider."""
    words = health_check_of_the_worker()
    assert words[:2] == ["celery", "--app"]
    assert words[-1] == '"celery@$HOSTNAME"'
    assert "execute_workload" in answer["tasks"]
