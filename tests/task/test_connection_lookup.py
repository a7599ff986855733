"""look_up: a connection that does not exist is told from one that cannot be looked up."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection, GetDRCount, XComResult

from airflow_batch_jobs.errors import ConfigurationError, ConnectionUnansweredError
from airflow_batch_jobs.task import connection_lookup
from airflow_batch_jobs.task.connection_lookup import look_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.task.api_server import ApiServer

PROD = json.dumps({"conn_type": "aws", "login": "AKIA", "password": "s3cret-of-prod", "extra": {"region_name": "r"}})


class Backend:
    """A secrets backend that knows one connection, or raises.

    Args:
        told: What it tells of any connection.
    """

    def __init__(self, told: Connection | BaseException | None) -> None:
        self._told = told

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Connection | None:
        """Tell what it knows."""
        del conn_id, team_name
        if isinstance(self._told, BaseException):
            raise self._told
        return self._told


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set what Airflow asks, in this order."""

    def backends(*each: Backend) -> None:
        monkeypatch.setattr(connection_lookup, "ensure_secrets_backend_loaded", lambda: list(each))

    return backends


def test_a_connection_is_as_the_api_server_tells_it(api_server: ApiServer) -> None:
    """With one question, and its secrets are masked from then on."""
    from airflow.sdk._shared.secrets_masker import redact

    api_server.connections["prod"] = PROD
    found = look_up("prod")
    assert found is not None
    assert (found.conn_id, found.login, found.password) == ("prod", "AKIA", "s3cret-of-prod")
    assert found.extra_dejson == {"region_name": "r"}
    assert len(api_server.told(GetConnection)) == 1
    assert redact("s3cret-of-prod") == "***"


def test_a_connection_of_the_environment_needs_no_api_server(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Airflow has it."""
    monkeypatch.setenv("AIRFLOW_CONN_PROD", PROD)
    found = look_up("prod")
    assert found is not None
    assert found.login == "AKIA"
    assert not api_server.told(GetConnection)


def test_a_connection_that_is_not_defined_is_none(api_server: ApiServer) -> None:
    """If the API server says so, and can ask its database."""
    assert look_up("prod") is None
    assert [type(each) for each in api_server.asked] == [GetConnection, GetDRCount, GetConnection]


def test_without_its_database_the_api_server_is_not_believed(api_server: ApiServer) -> None:
    """It says then that there is no such connection."""
    api_server.connections["prod"] = PROD
    api_server.is_without_database = True
    with pytest.raises(ConnectionUnansweredError, match=r"'prod' \(API_SERVER_ERROR: \{'status_code': 500\}"):
        look_up("prod")


@pytest.mark.parametrize(
    "answer",
    [
        ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}),
        ErrorResponse(error=ErrorType.GENERIC_ERROR),
        AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
        TimeoutError("no answer"),
        EOFError("the supervisor is gone"),
        XComResult(key="x", value="the answer to another question"),
        None,
    ],
)
def test_any_other_answer_than_a_connection_is_none_at_all(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """However the outage shows."""

    def send(_message: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(api_server, "send", send)
    with pytest.raises(ConnectionUnansweredError, match="did not return the AWS connection 'prod'"):
        look_up("prod")


@pytest.mark.parametrize("error", [OSError("vault is sealed"), asyncio.CancelledError("vault is sealed")])
def test_a_secrets_backend_that_fails_is_not_passed_over(backends: Callable[..., None], error: BaseException) -> None:
    """Airflow would go on, and might find another identity under the same name."""
    backends(Backend(None), Backend(error), Backend(Connection(conn_id="prod", conn_type="aws")))
    with pytest.raises(ConnectionUnansweredError, match="vault is sealed"):
        look_up("prod")


def test_an_answer_that_is_malformed_is_not_quoted(backends: Callable[..., None]) -> None:
    """What a parser complains of may be the secret."""
    backends(Backend(ValueError("invalid port: s3cret")))
    with pytest.raises(ConnectionUnansweredError, match="ValueError") as caught:
        look_up("prod")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_secrets_backends_are_asked_in_airflows_order(backends: Callable[..., None]) -> None:
    """The first one that knows the connection decides."""
    first, second = (Connection(conn_id="prod", conn_type="aws", login=login) for login in ("first", "second"))
    backends(Backend(None), Backend(first), Backend(second))
    assert look_up("prod") is first


def test_a_connection_that_airflow_denies_is_no_outage(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is denied for good."""
    denied = ErrorResponse(error=ErrorType.PERMISSION_DENIED, detail={"status_code": 403})
    monkeypatch.setattr(api_server, "send", lambda _: denied)
    with pytest.raises(ConfigurationError, match="does not give this task the AWS connection 'prod'"):
        look_up("prod")


def test_a_malformed_connection_of_the_environment_is_no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays so until someone corrects it; what it contains is in no message."""
    monkeypatch.setenv("AIRFLOW_CONN_PROD", '{"password": "s3cret"')
    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_PROD is neither a URI nor JSON") as caught:
        look_up("prod")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
