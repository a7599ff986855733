"""docker-compose.yaml, without a Docker engine: its form, what it exposes, its secrets and its image."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airflow_batch_jobs.local import LocalControl, start_process
from tests.deploy import compose_file
from tests.deploy.profiles import PROFILES, VARIABLES, airflow_words, services
from tests.schemas import problems

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {name for name, value in compose_file.settings().items() if not value} - {"AIRFLOW_DEPLOYMENT"}


def test_the_file_is_what_the_compose_specification_allows(tmp_path: Path) -> None:
    """The file is valid, and is not once a key in it is misspelt."""
    misspelt = tmp_path / "docker-compose.yaml"
    misspelt.write_text(compose_file.PATH.read_text(encoding="utf-8").replace("healthcheck:", "healthchek:"), "utf-8")

    assert problems("vendor.compose-spec", compose_file.PATH) == ""
    assert "healthchek" in problems("vendor.compose-spec", misspelt)


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_listens_beyond_this_machine(profile: str) -> None:
    """Every published port is bound to 127.0.0.1, and only the API server's and the local AWS's are."""
    published = {name: each.ports for name, each in services(profile).items() if each.ports}

    assert set(published) == {"api-server", "local-aws"} & set(services(profile))
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


@pytest.mark.parametrize("profile", PROFILES)
def test_each_service_starts_after_what_it_depends_on(profile: str) -> None:
    """What a service depends on is in its profile and comes first, with a health check if that is waited for."""
    seen: dict[str, compose_file.Service] = {}
    for each in compose_file.services(profile, VARIABLES):
        for name, condition in each.depends_on.items():
            assert name in seen, f"{each.name} comes before {name}"
            assert condition in {"service_healthy", "service_completed_successfully"}
            assert seen[name].healthcheck or condition != "service_healthy", f"{name} has no health check"
            assert (name == "init") == (condition == "service_completed_successfully")
        seen[each.name] = each


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_that_stays_is_looked_after(profile: str) -> None:
    """Every service but the one that ends has a health check and is started again."""
    written = compose_file.document()["services"]
    for name, each in services(profile).items():
        assert bool(each.healthcheck) == (name != "init"), name
        assert written[name]["restart"] == ("no" if name == "init" else "unless-stopped")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_a_whole_airflow(profile: str) -> None:
    """Each profile has one of every component of Airflow, but two triggerers."""
    count: dict[str, int] = {}
    for each in services(profile).values():
        if words := airflow_words(each.command):
            count[" ".join(words)] = count.get(" ".join(words), 0) + each.replicas

    assert count == {"api-server": 1, "celery worker": 1, "dag-processor": 1, "scheduler": 1, "triggerer": 2}


def test_no_secret_stands_in_the_file() -> None:
    """Where the file wants a secret it names a variable that has to be set, and says so when it is not."""
    text = compose_file.PATH.read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text))

    assert set(re.findall(r"\$\{(\w+):\?", text)) == {*SECRETS, "AIRFLOW_DEPLOYMENT"}
    assert used >= SECRETS
    for name in SECRETS:
        assert not re.search(rf"\$\{{{name}(?!:\?)", text), f"{name} may be left out"
        with pytest.raises(compose_file.MissingVariableError, match=name):
            compose_file.services("aws", VARIABLES | {name: ""})


@pytest.mark.parametrize("profile", PROFILES)
def test_what_looks_like_a_secret_is_made_of_variables(profile: str) -> None:
    """Whatever is called key, secret or password, or is an address with a password, changes with its variable."""
    other = {name: f"another-{name.lower()}" for name in SECRETS}
    before, after = services(profile, AWS_SECRET_ACCESS_KEY="a"), services(profile, AWS_SECRET_ACCESS_KEY="b", **other)
    secret = re.compile(r"_(KEY|SECRET|PASSWORD|SQL_ALCHEMY_CONN|RESULT_BACKEND)$")
    found = {(name, key) for name, each in before.items() for key in each.environment if secret.search(key)}

    assert len(found) > 20
    for name, key in found:
        assert before[name].environment[key] != after[name].environment[key], f"{key} of {name}"


def test_the_example_names_every_variable() -> None:
    """`.env.example` has exactly the variables that the file uses, and COMPOSE_PROFILES, which names a profile."""
    text = compose_file.PATH.read_text(encoding="utf-8")
    written = compose_file.document()["services"].values()
    passed_on = {name for each in written for name, value in each.get("environment", {}).items() if value is None}

    documented = compose_file.settings(with_examples=True)

    assert set(documented) == {*re.findall(r"\$\{(\w+):", text), *passed_on, "COMPOSE_PROFILES"}
    assert documented["COMPOSE_PROFILES"] in {profile for each in written for profile in each.get("profiles", ())}


def made(folder: Path) -> dict[str, str]:
    """Run the command that the example names, in a folder that has nothing else, and return what it made."""
    example = compose_file.EXAMPLE.read_text(encoding="utf-8")
    [command] = [line.removeprefix("#     ") for line in example.splitlines() if line.startswith("#     ")]
    folder.mkdir()
    (folder / ".env.example").write_text(example, encoding="utf-8")
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    subprocess.run(["sh", "-c", f"umask 0; {command}"], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    return compose_file.settings(folder / ".env")


def test_the_command_of_the_example_fills_in_what_is_empty(tmp_path: Path) -> None:
    """One word gives every secret a new value of its own, of the form that is needed, in a file for its owner alone."""
    one, two = made(tmp_path / "one"), made(tmp_path / "two")

    assert (tmp_path / "one" / ".env").stat().st_mode & 0o777 == 0o600
    assert len({one[name] for name in SECRETS} | {two[name] for name in SECRETS}) == 2 * len(SECRETS)
    assert len(base64.urlsafe_b64decode(one["AIRFLOW_FERNET_KEY"])) == 32
    assert all(re.fullmatch("[0-9a-f]{64}", one[name]) for name in SECRETS - {"AIRFLOW_FERNET_KEY"})
    assert re.fullmatch("compose-[0-9a-f]{8}", one["AIRFLOW_DEPLOYMENT"])
    assert all(one[name] == value for name, value in compose_file.settings().items() if value)
    assert {each.name for each in compose_file.services(one["COMPOSE_PROFILES"], one)} >= {"worker", "local-aws"}


def test_it_starts_with_two_commands() -> None:
    """The head of the file shows them, and the second is Compose's own."""
    head = [line for line in compose_file.PATH.read_text(encoding="utf-8").splitlines() if line.startswith("#     ")]
    assert [line.partition("  #")[0].strip("# ") for line in head[:2]] == [
        "uv run airflow-batch-jobs compose-env",
        "docker compose up --build --detach",
    ]


@pytest.mark.long
@pytest.mark.parametrize("profile", PROFILES)
def test_podman_compose_reads_the_same(tmp_path: Path, profile: str) -> None:
    """Its parser has the same services in the same environments; all that it needs of Podman is its version."""
    (tmp_path / "podman").write_text("#!/bin/sh\necho podman version 5.4.0\n", encoding="utf-8")
    (tmp_path / "podman").chmod(0o700)
    variables = VARIABLES | {"COMPOSE_PROFILES": profile}
    command = [sys.executable, "-m", "podman_compose", "--file", str(compose_file.PATH), "config"]

    def read(**changes: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **variables, **changes, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    found = yaml.safe_load(read().stdout)["services"]
    expected = compose_file.services(profile, variables)
    assert found.keys() == {each.name for each in expected}
    for each in expected:
        told = {name: str(value) for name, value in found[each.name].get("environment", {}).items() if value}
        assert told == each.environment, each.name
        assert set(found[each.name].get("depends_on", {})) == set(each.depends_on)
        assert found[each.name]["image"] == each.image
    assert read(POSTGRES_PASSWORD="").returncode != 0


def test_the_real_account_knows_no_local_endpoint() -> None:
    """With the profile `aws` nothing names the local AWS, and the worker and the triggerers get the shell's keys."""
    started = services("aws", AWS_ACCESS_KEY_ID="key", AWS_DEFAULT_REGION="eu-central-1")

    assert "local-aws" not in started
    for each in started.values():
        told = [*each.command, *each.healthcheck, *each.environment.values(), *each.depends_on]
        assert not [word for word in told if "local-aws" in word or "4566" in word]
        assert VARIABLES["LOCAL_AWS_ACCESS_KEY"] not in " ".join(told)
    having = {name for name, each in started.items() if "AWS_ACCESS_KEY_ID" in each.environment}
    assert having == {"worker-aws", "triggerer-aws"}
    for name in having:
        environment = started[name].environment
        assert environment["AIRFLOW_CONN_AWS_DEFAULT"] == "aws://"
        assert environment["AWS_DEFAULT_REGION"] == "eu-central-1"
        assert "AWS_SESSION_TOKEN" not in environment, "what the shell has not set is set"


def test_the_local_endpoint_gets_no_key_of_the_shell() -> None:
    """With the profile `local` no service sees AWS's own variables, and who calls AWS has the local connection."""
    started = services("local", AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_SESSION_TOKEN="token")

    assert not [name for each in started.values() for name in each.environment if name.startswith("AWS_")]
    local = LocalControl("http://local-aws:4566", VARIABLES["LOCAL_AWS_ACCESS_KEY"], secret_key="unchecked")
    having = {name: each for name, each in started.items() if "AIRFLOW_CONN_AWS_DEFAULT" in each.environment}
    assert set(having) == {"worker", "triggerer"}
    for each in having.values():
        connection = json.loads(each.environment["AIRFLOW_CONN_AWS_DEFAULT"])
        assert connection == json.loads(local.airflow_connection())
        assert "local-aws" in each.depends_on


def test_jobs_of_the_local_aws_are_kept_apart() -> None:
    """The local AWS has its access key and nothing else, and no network with the database, Redis and the API server."""
    started = services("local")
    local = started["local-aws"]

    assert set(local.environment) == {"LOCAL_AWS_ACCESS_KEY"}
    assert {name for name, each in started.items() if each.networks & local.networks} == {
        "local-aws",
        "worker",
        "triggerer",
    }
    assert local.volumes == ("./dags:/opt/airflow/dags:ro",)


def test_the_health_check_of_the_local_aws_needs_its_key() -> None:
    """The check succeeds where the local AWS runs under that key, and fails with another key and without a server."""
    (program, *arguments) = services("local")["local-aws"].healthcheck
    assert program == "python"

    def check(url: str, key: str) -> int:
        words = [word.replace("http://127.0.0.1:4566", url) for word in arguments]
        assert words != arguments
        environment = {**os.environ, "LOCAL_AWS_ACCESS_KEY": key}
        return subprocess.run(
            [sys.executable, *words], env=environment, stderr=subprocess.DEVNULL, check=False
        ).returncode

    with start_process() as running:
        assert check(running.endpoint_url, running.access_key) == 0
        assert check(running.endpoint_url, "another") != 0
    assert check(running.endpoint_url, running.access_key) != 0


def test_every_volume_and_network_is_declared() -> None:
    """No service mounts a volume, or is in a network, that the file does not declare; none is declared for nothing."""
    written = compose_file.document()
    every = [each for profile in PROFILES for each in services(profile).values()]
    mounted = {volume.split(":")[0] for each in every for volume in each.volumes}

    assert {name for name in mounted if not name.startswith("./")} == set(written["volumes"])
    assert {name for each in every for name in each.networks} == set(written["networks"])
    assert all((compose_file.ROOT / name).is_dir() for name in mounted if name.startswith("./"))


def test_the_image_is_the_airflow_that_we_speak_of() -> None:
    """The image is one exact Airflow, at least the version that the README asks for, and the only one named."""
    written = compose_file.document()["services"]
    dockerfile = written["worker"]["build"]["dockerfile_inline"]
    (base,) = re.findall(r"^FROM apache/airflow:(\d+\.\d+\.\d+)-python3\.1[123]$", dockerfile, re.MULTILINE)
    readme = (compose_file.ROOT / "README.md").read_text(encoding="utf-8")
    (least,) = re.findall(r"needs Airflow (\d+\.\d+) or newer", readme)

    def numbers(version: str) -> list[int]:
        return [int(number) for number in version.split(".")]

    assert numbers(base) >= numbers(least)
    assert set(re.findall(r"\bAirflow (\d+\.\d+\.\d+)\b", readme)) <= {base}
    ours = {each["image"] for each in written.values() if "build" in each}
    assert ours == {f"airflow-batch-jobs:airflow-{base}"}


def test_the_image_is_built_from_what_is_there() -> None:
    """The Dockerfile copies files of this repository, does not end as root, and keeps Celery below 5.7."""
    dockerfile = compose_file.resolve(compose_file.document()["services"]["worker"]["build"]["dockerfile_inline"], {})
    copied = [name for line in re.findall(r"^COPY --\S+ (.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()]

    assert {"pyproject.toml", "README.md", "LICENSE", "airflow_batch_jobs", "dags"} == set(copied)
    assert all((compose_file.ROOT / name).exists() for name in copied)
    assert re.findall(r"^USER (\w+)$", dockerfile, re.MULTILINE)[-1:] == ["airflow"]
    assert '"apache-airflow==${AIRFLOW_VERSION}" "celery<5.7" .' in dockerfile


def test_other_images_are_pinned() -> None:
    """PostgreSQL and Redis are pinned to a minor version."""
    written = compose_file.document()["services"].values()
    others = {each["image"] for each in written if "build" not in each}

    assert len(others) == 2
    assert all(re.fullmatch(r"(postgres|redis):\d+\.\d+", image) for image in others)


def test_variables_are_filled_in_as_compose_does() -> None:
    """The reader knows what Compose knows: a value, a default where there is none, a dollar sign, lists and maps."""
    variables = {"SET": "value", "EMPTY": ""}
    texts = ["${SET}", "${EMPTY:-default}", "${NONE:-}", "a${NONE}b", "$$HOME", "$${SET}", "${SET:?why}"]

    assert compose_file.resolve(texts, variables) == ["value", "default", "", "ab", "$HOME", "${SET}", "value"]
    assert compose_file.resolve({"${SET}": [1, "${SET}"]}, variables) == {"${SET}": [1, "value"]}
    with pytest.raises(compose_file.MissingVariableError, match="NONE: why"):
        compose_file.resolve("${NONE:?why}", variables)


def test_the_file_has_no_key_twice() -> None:
    """No map of the file has a key twice, of which the parser would drop one."""

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the parser's signature
            keys = [key.value for key, _ in node.value]
            doubled = sorted({key for key in keys if keys.count(key) > 1})
            assert not doubled, f"line {node.start_mark.line + 1}: {doubled}"
            return super().construct_mapping(node, deep=deep)

    assert yaml.load(compose_file.PATH.read_text(encoding="utf-8"), Strict) == compose_file.document()  # noqa: S506 - a safe loader
    with pytest.raises(AssertionError, match="twice"):
        yaml.load("{twice: 1, twice: 2}", Strict)  # noqa: S506 - a safe loader
