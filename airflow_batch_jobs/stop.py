"""Is it a user's stop? Both kill paths ask the API server first, and decide here.

A cancelled trigger and a SIGTERM look the same whether a user marked the task failed, a triggerer lost a trigger to
another one, or a node was drained. Only the state of the task instance tells, so the decisions are pure functions of
it. *Final* includes the absent state: a task cleared, or gone with its DAG run, is wanted no more.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The states in which nobody waits for the job any more. None is the state of what is cleared or gone.
FINAL_STATES = frozenset({"success", "failed", "skipped", "removed", "upstream_failed", None})


class Verdict(Enum):
    """What to do with the job of a task that is being stopped."""

    #: A user wants it gone.
    TERMINATE = "terminate"
    #: Somebody else watches it, or will.
    LEAVE = "leave"
    #: The task is on its way from one state to another.
    ASK_AGAIN = "ask again"


def in_triggerer(state: str | None, stored: Mapping[str, Any] | None, job_id: str, try_number: int) -> Verdict:
    """Decide for a trigger that was cancelled by what Airflow calls a user action.

    A triggerer that stalled gets the same cancellation for triggers that another one has taken over, so `deferred` with
    this very job means that the job is watched elsewhere. It is stopped only for a job of a newer attempt, that of a
    retry or of the run after a clear.

    Args:
        state: The task instance's state.
        stored: Its `batch_job` XCom.
        job_id: The trigger's job.
        try_number: The trigger's attempt. Unlike `max_tries` it never falls: a clear after `retries` was lowered makes
            that smaller.
    """
    if state in FINAL_STATES:
        return Verdict.TERMINATE
    if state == "deferred":
        if not stored or stored.get("job_id") == job_id:
            return Verdict.LEAVE
        return Verdict.TERMINATE if (stored.get("try_number") or 0) > try_number else Verdict.LEAVE
    return Verdict.LEAVE if state == "up_for_retry" else Verdict.ASK_AGAIN


def on_worker(state: str | None, *, retry_left: bool) -> Verdict:
    """Decide for a task process that got SIGTERM.

    `restarting` is a clear of a running task. Any other state that is not final means that the worker is evicted, or
    has lost the API server: the job goes on where a retry will adopt it.

    Args:
        state: The task instance's state.
        retry_left: Whether Airflow will try the task again.
    """
    if state in FINAL_STATES or state == "restarting":
        return Verdict.TERMINATE
    return Verdict.LEAVE if retry_left else Verdict.TERMINATE
