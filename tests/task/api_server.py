"""An API server in memory, as seen through the supervisor of a worker or of a triggerer."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time.comms import (
    DeleteXCom,
    ErrorResponse,
    GetTaskStates,
    GetTaskStateStore,
    GetXCom,
    OKResponse,
    SetXCom,
    TaskStatesResult,
    TaskStateStoreResult,
    XComResult,
)


class ApiServer:
    """Answers what a process asks through its supervisor.

    Attributes:
        states: The states of the task instances of every run, by the names that Airflow gives those.
        xcoms: The XComs of every task instance.
        is_replaced: Whether the attempt that asks has been replaced, and may not read its record.
        seconds: How long an answer takes.
        failures: How many questions from now on end in an error.
        asked: What was asked, and told.
        most_at_once: The most questions that were open at the same time.
    """

    def __init__(self) -> None:
        self.states: dict[str, str | None] = {}
        self.xcoms: dict[str, Any] = {}
        self.is_replaced = False
        self.seconds = 0.0
        self.failures = 0.0
        self.asked: list[Any] = []
        self.most_at_once = 0
        self._open = 0

    async def asend(self, message: Any) -> Any:
        """Answer a question, or carry out a command."""
        self.asked.append(message)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self._open -= 1
        if self.failures:
            self.failures -= 1
            raise OSError("the API server is down")
        return self._answer(message)

    def _answer(self, message: Any) -> Any:
        match message:
            case GetTaskStates():
                return TaskStatesResult(task_states=dict.fromkeys(message.run_ids or (), self.states))
            case GetXCom():
                return XComResult(key=message.key, value=self.xcoms.get(message.key))
            case SetXCom():
                self.xcoms[message.key] = message.value
            case DeleteXCom():
                del self.xcoms[message.key]
            case GetTaskStateStore():
                if self.is_replaced:
                    return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
                return TaskStateStoreResult(value={"job_id": None})
            case _:
                raise AssertionError(message)
        return OKResponse(ok=True)

    def told(self, kind: type) -> list[Any]:
        """Return the questions or commands of a kind."""
        return [message for message in self.asked if isinstance(message, kind)]
