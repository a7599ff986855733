"""Attempts of one task instance, run in this process: what Airflow keeps for them, in memory."""

from __future__ import annotations

import traceback
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

if TYPE_CHECKING:
    from airflow_batch_jobs.task.handover import WaitPlan
    from airflow_batch_jobs.triggers import BatchJobTrigger


class Attempts:
    """What Airflow keeps of a task instance.

    Attributes:
        store: The task state store.
        xcoms: Its XComs.
    """

    def __init__(self) -> None:
        self.store: dict[str, Any] = {}
        self.xcoms: dict[str, Any] = {}

    def context(self, number: int = 1, *, retries: int = 0, cleared: int = 0, **more: Any) -> Any:
        """Return an attempt's context.

        Args:
            number: The attempt.
            retries: How many there may be.
            cleared: How often a user has cleared the task instance.
            more: What else templates may name.
        """
        ti = SimpleNamespace(
            dag_id="d",
            run_id="r",
            task_id="t",
            map_index=-1,
            id=str(number),
            try_number=number,
            max_tries=retries + cleared,
            context_carrier={"traceparent": f"trace-{cleared}"},
            xcom_push=self.xcoms.__setitem__,
            xcom_pull=lambda *, key, **_: self.xcoms.get(key),
        )
        store = SimpleNamespace(get=self.store.get, set=self.store.__setitem__)
        return {"ti": ti, "task_state_store": store, "params": {}, **more}


def deferred(task: Any, context: Any) -> WaitPlan:
    """Execute a task that defers; return what its trigger waits for."""
    with pytest.raises(TaskDeferred) as raised:
        task.execute(context)
    return _plan(raised.value)


def crashed(task: Any, context: Any, error: Exception | None = None) -> WaitPlan:
    """Resume a task whose trigger has crashed, and which defers again; return what the new trigger waits for."""
    with pytest.raises(TaskDeferred) as raised:
        task.resume_execution("__fail__", told(error), context)
    return _plan(raised.value)


def told(error: Exception | None = None) -> dict[str, Any]:
    """Return what Airflow tells the worker that resumes after a crash."""
    return {"error": "Trigger failure", "traceback": traceback.format_exception(error or KeyError("ours"))}


def _plan(deferral: TaskDeferred) -> WaitPlan:
    trigger: BatchJobTrigger = deferral.trigger
    return trigger.plan
