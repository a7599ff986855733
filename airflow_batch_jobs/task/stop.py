"""Did a user stop the task? Both kill paths ask the API server first, and decide here.

A cancelled trigger and a SIGTERM look the same whether a user marked the task failed, a triggerer lost a trigger to
another one, or a node was drained. Only the state of the task instance tells them apart, so the decisions are pure
functions of it. A task instance that is gone with its DAG run is no longer wanted. One without a state is between two
attempts, after a clear or the death of its scheduler: the next attempt ends the job or adopts it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.orphans import ENDED_STATES

if TYPE_CHECKING:
    import asyncio

#: In place of a state: the attempt that asks is replaced, or gone, since a user has cleared the task.
REPLACED = "replaced"

#: The states of a task that a user stopped while it ran on a worker: `restarting` is a clear.
STOPPED_STATES = ENDED_STATES | {"restarting", REPLACED}

#: The statusReasons of jobs that are terminated without a user having stopped their task.
TIME_IS_UP = "The Airflow task's execution_timeout has passed"
WORKER_STOPPED = "The Airflow worker was told to stop and no retry is left"
TRIGGER_CRASHED = "The Airflow trigger that waited for it has crashed"
TASK_FAILED = "The Airflow task that waited for it has failed"


class Verdict(Enum):
    """What to do with the job of a task that is being stopped."""

    #: A user wants it gone.
    TERMINATE = "terminate"
    #: Another attempt or triggerer watches it, or will.
    LEAVE = "leave"
    #: The task is in transition from one state to another.
    ASK_AGAIN = "ask again"


def is_users(cancelled: asyncio.CancelledError) -> bool:
    """Tell whether Airflow calls the cancellation of a trigger a user's action.

    It gives no reason where the triggerer is shutting down, and from Airflow 3.4 on another one where a second
    triggerer has taken over.
    """
    return bool(cancelled.args) and not is_reassigned(cancelled)


def is_reassigned(cancelled: asyncio.CancelledError) -> bool:
    """Tell whether a trigger is cancelled since another triggerer has it now; Airflow 3.3 does not say so."""
    runner = sys.modules.get("airflow.jobs.triggerer_job_runner")
    return bool(cancelled.args) and cancelled.args[0] == getattr(runner, "_REASSIGNED_CANCEL_MSG", None)


def in_triggerer(state: str | None, stored: Any, job_id: str, try_number: int) -> Verdict:
    """Decide for a trigger that was cancelled by what Airflow calls a user action.

    A triggerer that stalled gets the same cancellation for triggers that another one has taken over, so `deferred` with
    this very job means that the job is watched elsewhere. If the XCom names another job, the trigger's is terminated
    only if the other belongs to a newer attempt: to a retry or to the run after a clear.

    Args:
        state: The task instance's state; None if it has none at the moment, `GONE` if there is no such task instance.
        stored: Its `batch_job` XCom, whatever that holds.
        job_id: The trigger's job.
        try_number: The trigger's attempt. It never falls, unlike `max_tries`, which a clear lowers if `retries` was
            lowered before.
    """
    if state in ENDED_STATES or state == REPLACED:
        return Verdict.TERMINATE
    if state == "deferred":
        if not isinstance(stored, Mapping) or stored.get("job_id") == job_id:
            return Verdict.LEAVE
        return Verdict.TERMINATE if is_newer(stored, try_number) else Verdict.LEAVE
    return Verdict.LEAVE if state == "up_for_retry" else Verdict.ASK_AGAIN


def is_newer(stored: Any, try_number: int) -> bool:
    """Tell whether a `batch_job` XCom is from an attempt later than `try_number`, whichever job it names."""
    number = stored.get("try_number") if isinstance(stored, Mapping) else None
    return isinstance(number, int) and number > try_number


def on_worker(state: str | None, *, retry_left: bool) -> Verdict:
    """Decide for a task process that got SIGTERM.

    Any state other than those a user sets means that the worker is evicted, or has lost the API server: the job goes on
    if a retry will adopt it.

    Args:
        state: The task instance's state; None if it has none at the moment, `GONE` if there is no such task instance.
        retry_left: Whether Airflow will try the task again.
    """
    if state in STOPPED_STATES:
        return Verdict.TERMINATE
    return Verdict.LEAVE if retry_left else Verdict.TERMINATE


def reason(state: str | None) -> str:
    """Return the statusReason of a job whose task a user stopped.

    Args:
        state: The task instance's state afterwards.
    """
    return f"Airflow task stopped by a user: now {state or 'cleared'}"


def retry_left(ti: Any) -> bool:
    """Tell whether Airflow will try a task instance again if this attempt fails."""
    return bool(ti.try_number <= ti.max_tries)
