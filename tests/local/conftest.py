"""boto3 clients of the local AWS that check every answer against the service's own model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.model import OperationModel

    from airflow_batch_jobs.local import Control

#: The model asks for it, and AWS leaves it out before a job has started.
_MAY_BE_ABSENT = {"startedAt"}
_SCALARS = {"string": str, "boolean": bool, "integer": int, "long": int}


def _differences(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Yield what in a value is not as its shape in the service's model."""
    kind = shape.type_name
    if kind == "structure":
        for name in value.keys() - shape.members.keys():
            yield f"{where}: the model has no {name}"
        for name in set(shape.required_members) - value.keys() - _MAY_BE_ABSENT:
            yield f"{where}: {name} is missing"
        for name in value.keys() & shape.members.keys():
            yield from _differences(value[name], shape.members[name], f"{where}.{name}")
    elif kind in {"list", "map"}:
        for item in value.values() if kind == "map" else value:
            yield from _differences(item, shape.value if kind == "map" else shape.member, f"{where}[]")
    elif not isinstance(value, _SCALARS[kind]) or not _is_listed(value, shape):
        yield f"{where}: {value!r} is no {shape.name}"


def _is_listed(value: Any, shape: Any) -> bool:
    """Tell whether a value is one of its enumeration; AWS tells the actions of evaluateOnExit in lower case."""
    shown = value.upper() if shape.name == "RetryAction" else value
    return shown in shape.metadata.get("enum", [shown])


def _hold_against_model(response_dict: dict[str, Any], operation_model: OperationModel, **_: Any) -> None:
    if response_dict["status_code"] == 200 and operation_model.output_shape:
        answer = json.loads(response_dict["body"])
        found = list(_differences(answer, operation_model.output_shape, operation_model.name))
        assert not found, found


@pytest.fixture
def client_of() -> Callable[[Control, str], Any]:
    """Make a client without retries that checks every answer against the service's model."""

    def make(aws: Control, service: str) -> Any:
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=10)
        client = aws.clients()(service, config=config)
        if service != "sts":
            client.meta.events.register("before-parse", _hold_against_model)
        return client

    return make


@pytest.fixture
def batch(aws: Control, client_of: Callable[[Control, str], Any]) -> Any:
    """Batch of `aws`."""
    return client_of(aws, "batch")


@pytest.fixture
def logs(aws: Control, client_of: Callable[[Control, str], Any]) -> Any:
    """Logs of `aws`."""
    return client_of(aws, "logs")


@pytest.fixture
def frozen_batch(frozen_aws: Control, client_of: Callable[[Control, str], Any]) -> Any:
    """Batch of `frozen_aws`."""
    return client_of(frozen_aws, "batch")


@pytest.fixture
def frozen_logs(frozen_aws: Control, client_of: Callable[[Control, str], Any]) -> Any:
    """Logs of `frozen_aws`."""
    return client_of(frozen_aws, "logs")
