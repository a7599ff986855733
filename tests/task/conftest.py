"""What the tests in this folder ask Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tests.airflow_process  # noqa: F401 - sets it

if TYPE_CHECKING:
    from tests.task.api_server import ApiServer


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    """What this process asks through its supervisor."""
    from airflow.sdk.execution_time import task_runner

    from tests.task.api_server import ApiServer

    server = ApiServer()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", server, raising=False)
    return server
