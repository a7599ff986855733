"""Looks up a connection in Airflow, and tells one that does not exist from one that cannot be looked up."""

from __future__ import annotations

from asyncio import CancelledError
from typing import Any

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSecretsBackendAccessDenied, ErrorType
from airflow.sdk.execution_time.comms import ConnectionResult, GetConnection, GetDRCount
from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend
from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
from airflow.sdk.log import mask_secret
from airflow.secrets.environment_variables import EnvironmentVariablesBackend

from airflow_batch_jobs.errors import ConfigurationError, ConnectionUnansweredError
from airflow_batch_jobs.task.supervisor import ask_blocking


def look_up(conn_id: str) -> Connection | None:
    """Ask Airflow for a connection, in the calling thread.

    Asks whom Airflow itself would ask, in the same order, but does not pass over one that fails, as Airflow does: what
    the next one says may be another identity.

    Returns:
        The connection; None if Airflow has none of this id.

    Raises:
        ConnectionUnansweredError: Airflow cannot tell at the moment.
        ConfigurationError: Airflow does not give the task this connection, or its text in the environment is malformed.
    """
    backend: Any = None
    try:
        for backend in ensure_secrets_backend_loaded():
            ask = _ask_supervisor if isinstance(backend, ExecutionAPISecretsBackend) else backend.get_connection
            if (connection := ask(conn_id)) is not None:
                for secret in filter(None, (connection.password, connection.extra)):
                    mask_secret(secret)
                return connection
    except AirflowSecretsBackendAccessDenied as error:
        raise ConfigurationError(
            f"Airflow does not give this task the AWS connection {conn_id!r} ({error}). Allow it, or name another one."
        ) from error
    except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever is raised there, it does not tell
        # An error about a value may quote the secret.
        cause = None if isinstance(error, ValueError) else error
        if cause is None and isinstance(backend, EnvironmentVariablesBackend):
            raise ConfigurationError(
                f"AIRFLOW_CONN_{conn_id.upper()} is neither a URI nor JSON. Correct it."
            ) from cause
        why = type(error).__name__ if cause is None else str(cause) or repr(cause)
        raise ConnectionUnansweredError(
            f"Airflow did not return the AWS connection {conn_id!r} ({why}), so AWS is not asked either. "
            "Check the API server, its database and the secrets backend."
        ) from cause
    return None


def _ask_supervisor(conn_id: str) -> Connection | None:
    """Ask the API server, through the supervisor.

    While its database is away, the API server says that there is no such connection. So it is believed only if it
    answers a question about the database as well, and then says so again.
    """
    if (found := _ask_once(conn_id)) is not None:
        return found
    ask_blocking(GetDRCount(dag_id="-"))
    return _ask_once(conn_id)


def _ask_once(conn_id: str) -> Connection | None:
    try:
        answer = ask_blocking(GetConnection(conn_id=conn_id))
    except AirflowRuntimeError as error:
        if error.error.error is ErrorType.CONNECTION_NOT_FOUND:
            return None
        if error.error.error is ErrorType.PERMISSION_DENIED:
            raise AirflowSecretsBackendAccessDenied(str(error)) from error
        raise
    if not isinstance(answer, ConnectionResult):
        raise TypeError(f"Expected a connection, received {answer!r}")
    return Connection(**answer.model_dump(exclude={"type"}, by_alias=True))
