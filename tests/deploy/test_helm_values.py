"""docs/helm-values.yaml: that it parses, and says the same as docker-compose.yaml.

The chart and its schema are not here; a change is to be held against them by hand.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from airflow_batch_jobs.config import OPTIONS
from tests.deploy import compose_file

VARIABLES = {name: value or "set" for name, value in compose_file.settings().items()}
SECONDS = {"s": 1, "m": 60}


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    """The values."""
    read: dict[str, Any] = yaml.safe_load((compose_file.ROOT / "docs/helm-values.yaml").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The services of the compose file, as they are written."""
    services: dict[str, Any] = compose_file.document()["services"]
    return services


def seconds(duration: str) -> int:
    """Return a duration of Compose in seconds."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


def test_it_is_the_same_airflow(values: dict[str, Any], compose: dict[str, Any]) -> None:
    """The image's tag and both versions are those of the compose file."""
    version = values["airflowVersion"]

    assert f"airflow-batch-jobs:{values['images']['airflow']['tag']}" == compose["worker"]["image"]
    assert f"FROM apache/airflow:{version}-" in compose["worker"]["build"]["dockerfile_inline"]
    assert values["defaultAirflowTag"] == version
    assert values["images"]["airflow"]["repository"].endswith("/airflow-batch-jobs")


def test_its_settings_agree_with_the_compose_file(values: dict[str, Any]) -> None:
    """The executor and every option of the chart's `config` are set by the compose file too, ours exist."""
    (worker,) = (each for each in compose_file.services("aws", VARIABLES) if each.name == "worker-aws")
    options = {(section, key) for section, keys in values["config"].items() for key in keys}

    assert values["executor"] == worker.environment["AIRFLOW__CORE__EXECUTOR"]
    assert ("batch_jobs", "deployment") in options
    assert {f"AIRFLOW__{section}__{key}".upper() for section, key in options} <= set(worker.environment)
    assert set(values["config"]["batch_jobs"]) <= set(OPTIONS)


def test_workers_and_triggerers_reach_aws_alike(values: dict[str, Any]) -> None:
    """Both have the connection of the compose file's profile `aws`, and the same role."""
    (worker,) = (each for each in compose_file.services("aws", VARIABLES) if each.name == "worker-aws")
    name = "AIRFLOW_CONN_AWS_DEFAULT"
    parts = [values["workers"]["celery"], values["triggerer"]]

    assert all(part["env"] == [{"name": name, "value": worker.environment[name]}] for part in parts)
    role = parts[0]["serviceAccount"]["annotations"]
    assert parts[1]["serviceAccount"]["annotations"] == role
    assert re.fullmatch("arn:aws:iam::ACCOUNT:role/.+", role["eks.amazonaws.com/role-arn"])


def test_they_get_the_same_time_to_end(values: dict[str, Any], compose: dict[str, Any]) -> None:
    """Workers and triggerers have as long to end as in the compose file, and there are as many triggerers."""
    parts = {"worker-aws": values["workers"]["celery"], "triggerer-aws": values["triggerer"]}

    for name, part in parts.items():
        assert part["terminationGracePeriodSeconds"] == seconds(compose[name]["stop_grace_period"])
    assert values["triggerer"]["replicas"] == compose["triggerer-aws"]["deploy"]["replicas"] == 2


def test_it_names_secrets_and_holds_none(values: dict[str, Any]) -> None:
    """Every shared secret is the name of a Secret, and the user with the well-known password is not made."""
    named = {key: value for key, value in [*values.items(), *values["data"].items()] if key.endswith("SecretName")}

    assert set(named) | {"jwtSecretName"} == {
        "apiSecretKeySecretName",
        "brokerUrlSecretName",
        "fernetKeySecretName",
        "jwtSecretName",
        "metadataSecretName",
    }
    assert len({*named.values(), values["jwtSecretName"], values["redis"]["passwordSecretName"]}) == 6
    assert not {"fernetKey", "apiSecretKey", "jwtSecret"} & set(values)
    assert "password" not in values["redis"]
    assert values["createUserJob"] == {"enabled": False}
    assert values["postgresql"] == {"enabled": False}
