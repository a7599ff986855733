"""What SIGTERM on a worker means, where the attempt may have been replaced meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    ErrorResponse,
    GetTaskStates,
    GetTaskStateStore,
    TaskStatesResult,
    TaskStateStoreResult,
)

from airflow_batch_jobs.task.on_worker import verdict_on_worker
from airflow_batch_jobs.task.stop import Verdict
from airflow_batch_jobs.task.supervisor import TaskKey

KEY = TaskKey("d", "r", "t", -1)
ATTEMPT = uuid.uuid4()


class Supervisor:
    """Tells the states of a run's tasks, and the record to those that may read it."""

    def __init__(self, tasks: dict[str, str | None], *, is_replaced: bool) -> None:
        self._tasks = tasks
        self._is_replaced = is_replaced

    async def asend(self, question: object) -> Any:
        """Answer a question."""
        if isinstance(question, GetTaskStates):
            return TaskStatesResult(task_states={"r": self._tasks})
        assert isinstance(question, GetTaskStateStore)
        if self._is_replaced:
            return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
        return TaskStateStoreResult(value={"job_id": None})


@pytest.mark.parametrize(
    ("tasks", "is_replaced", "verdict"),
    [
        ({"t": "running"}, False, Verdict.TERMINATE),
        ({"t": "running"}, True, Verdict.LEAVE),
        ({"t": "queued"}, True, Verdict.LEAVE),
        ({"t": None}, True, Verdict.LEAVE),
        ({}, True, Verdict.TERMINATE),
        ({"t": "failed"}, True, Verdict.TERMINATE),
        ({"t": "restarting"}, False, Verdict.TERMINATE),
    ],
)
def test_an_attempt_that_was_replaced_leaves_the_job_to_the_next(
    tasks: dict[str, str | None], verdict: Verdict, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool
) -> None:
    """Without a retry left, too; a task that a user has stopped or deleted takes its job with it."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(tasks, is_replaced=is_replaced), raising=False)
    _, found = asyncio.run(verdict_on_worker(KEY, retry_left=False, recorded_as=ATTEMPT))
    assert found is verdict
