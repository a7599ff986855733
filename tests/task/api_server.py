"""An API server in memory, as seen through the supervisor of a worker or of a triggerer."""

from __future__ import annotations

import asyncio
import json
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import (
    ConnectionResult,
    DeleteXCom,
    DRCount,
    ErrorResponse,
    GetConnection,
    GetDRCount,
    GetTaskBreadcrumbs,
    GetTaskStates,
    GetTaskStateStore,
    GetXCom,
    MaskSecret,
    OKResponse,
    SetXCom,
    TaskBreadcrumbsResult,
    TaskStatesResult,
    TaskStateStoreResult,
    XComResult,
)

#: Whose trigger asks, as Airflow 3.4 keeps it; None for nobody's.
ASKS_AS: ContextVar[str | None] = ContextVar("asks_as", default=None)


class ApiServer:
    """Answers what a process asks through its supervisor.

    Attributes:
        states: The states of the task instances of every run, by the names that Airflow gives those.
        final: The final task instances of every run, as a worker may ask for them.
        xcoms: The XComs of every task instance.
        connections: The connections, as JSON, by their ids.
        is_without_database: Whether its database is away: it knows no connections then, and counts no runs.
        is_replaced: Whether the attempt that asks has been replaced: it may not read its record, and its trigger
            nothing at all.
        seconds: How long an answer takes.
        is_serial: Whether it answers one question after the other, as a supervisor does.
        failures: How many questions from now on end in an error.
        asked: What was asked, and told.
        most_at_once: The most questions that were open at the same time.
    """

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}
        self.final: list[dict[str, Any]] = []
        self.xcoms: dict[str, Any] = {}
        self.connections: dict[str, str] = {}
        self.is_without_database = False
        self.is_replaced = False
        self.seconds = 0.0
        self.is_serial = False
        self.failures = 0.0
        self.asked: list[Any] = []
        self.most_at_once = 0
        self._open = 0
        self._free_at = 0.0

    async def asend(self, message: Any) -> Any:
        """Answer a question, or carry out a command."""
        self.asked.append(message)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        now = asyncio.get_running_loop().time()
        self._free_at = (max(now, self._free_at) if self.is_serial else now) + self.seconds
        try:
            await asyncio.sleep(self._free_at - now)
        finally:
            self._open -= 1
        return self._answer_or_fail(message)

    def send(self, message: Any) -> Any:
        """Answer a question from a thread."""
        self.asked.append(message)
        return self._answer_or_fail(message)

    def _answer_or_fail(self, message: Any) -> Any:
        if self.failures and not isinstance(message, MaskSecret):
            self.failures -= 1
            raise OSError("the API server is down")
        return self._answer(message)

    def _answer(self, message: Any) -> Any:
        match message:
            case GetTaskStates():
                return TaskStatesResult(task_states=dict.fromkeys(message.run_ids or (), self.states))
            case GetTaskBreadcrumbs():
                return TaskBreadcrumbsResult(breadcrumbs=self.final)
            case GetXCom() | SetXCom() | DeleteXCom():
                return self._answer_about_xcom(message)
            case GetTaskStateStore():
                if self.is_replaced:
                    return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
                return TaskStateStoreResult(value={"job_id": None})
            case GetConnection() | GetDRCount():
                return self._answer_from_database(message)
            case MaskSecret():
                pass
            case _:
                raise AssertionError(message)
        return OKResponse(ok=True)

    def _answer_about_xcom(self, message: GetXCom | SetXCom | DeleteXCom) -> Any:
        if self.is_replaced and ASKS_AS.get():
            raise AirflowRuntimeError(
                ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": HTTPStatus.FORBIDDEN.value})
            )
        match message:
            case GetXCom():
                return XComResult(key=message.key, value=self.xcoms.get(message.key))
            case SetXCom():
                self.xcoms[message.key] = message.value
            case DeleteXCom():
                del self.xcoms[message.key]
        return OKResponse(ok=True)

    def _answer_from_database(self, message: GetConnection | GetDRCount) -> Any:
        if isinstance(message, GetConnection):
            if self.is_without_database or message.conn_id not in self.connections:
                return ErrorResponse(error=ErrorType.CONNECTION_NOT_FOUND)
            return _connection(message.conn_id, json.loads(self.connections[message.conn_id]))
        if self.is_without_database:
            return ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500})
        return DRCount(count=0)

    def told(self, kind: type) -> list[Any]:
        """Return the questions or commands of a kind."""
        return [message for message in self.asked if isinstance(message, kind)]


def final_pass(task_id: str, index: int, state: str, region: str = "region-1", map_index: int = -1) -> dict[str, Any]:
    """Return what Airflow 3.4 tells of a final task instance in a loop."""
    return {
        "task_id": task_id,
        "map_index": map_index,
        "state": state,
        "operator": "",
        "duration": 1.0,
        "region_id": region,
        "region_index": index,
    }


def _connection(conn_id: str, known: dict[str, Any]) -> ConnectionResult:
    extra = json.dumps(known.get("extra", {}))
    fields = {"host": None, "schema": None, "port": None} | known | {"conn_id": conn_id, "extra": extra}
    return ConnectionResult.model_validate(fields)
