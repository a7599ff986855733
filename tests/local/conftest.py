"""boto3 clients of the local AWS that check every answer against the service's own model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.documented import differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel

    from airflow_batch_jobs.local import Control


def _hold_against_model(response_dict: dict[str, Any], operation_model: OperationModel, **_: Any) -> None:
    if response_dict["status_code"] == 200 and operation_model.output_shape:
        answer = json.loads(response_dict["body"])
        found = list(differences(answer, operation_model.output_shape, operation_model.name))
        assert not found, found


@pytest.fixture
def client_of() -> Callable[[Control, str], Any]:
    """Make a client without retries that checks every answer against the service's model."""

    def make(aws: Control, service: str) -> Any:
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=60)
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
