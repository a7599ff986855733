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

from airflow_batch_jobs.stop import Verdict
from airflow_batch_jobs.task_instance import TaskKey
from airflow_batch_jobs.worker import verdict_on_worker

KEY = TaskKey("d", "r", "t", -1)
ATTEMPT = uuid.uuid4()


class Supervisor:
    """Answers with one state after the other, the last one for ever, and with the record to those that may read it."""

    def __init__(self, *states: str | None, is_replaced: bool) -> None:
        self._states = list(states)
        self._is_replaced = is_replaced

    async def asend(self, question: object) -> Any:
        """Answer a question."""
        if isinstance(question, GetTaskStates):
            state = self._states.pop(0) if len(self._states) > 1 else self._states[0]
            return TaskStatesResult(task_states={"r": {} if state is None else {"t": state}})
        assert isinstance(question, GetTaskStateStore)
        if self._is_replaced:
            return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND)
        return TaskStateStoreResult(value={"job_id": None})


@pytest.mark.parametrize(
    ("states", "is_replaced", "verdict"),
    [
        (("running",), False, Verdict.TERMINATE),
        (("running",), True, Verdict.LEAVE),
        (("queued",), True, Verdict.LEAVE),
        ((None, None, "scheduled"), True, Verdict.LEAVE),
        ((None,), True, Verdict.TERMINATE),
        (("failed",), True, Verdict.TERMINATE),
        (("restarting",), False, Verdict.TERMINATE),
    ],
)
def test_an_attempt_that_was_replaced_leaves_the_job_to_the_next(
    states: tuple[str | None, ...], verdict: Verdict, monkeypatch: pytest.MonkeyPatch, *, is_replaced: bool
) -> None:
    """Without a retry left, too; a task that a user has stopped or deleted takes its job with it."""
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(*states, is_replaced=is_replaced), raising=False)
    _, found = asyncio.run(verdict_on_worker(KEY, retry_left=False, recorded_as=ATTEMPT))
    assert found is verdict
