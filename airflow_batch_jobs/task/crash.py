"""A trigger that has crashed: what its worker is told of it, and how its wait is taken up again.

A crash of ours is no reason to end a healthy job. Airflow has a worker resume the task with the traceback and nothing
else, so what the trigger knew is kept for it, see `record.TaskStateWaits`. The worker defers to a new trigger, which
begins later: neither a worker slot nor AWS pays for a trigger that crashes again and again. A trigger whose code cannot
be loaded crashes before its pause.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR, TriggerFailureReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.task.handover import WaitPlan

#: How long the new trigger pauses before it begins: after the first crash, the second and the third, which is the last.
PAUSE_SECONDS = (10.0, 60.0, 180.0)
#: A crash that comes later than this after the wait was taken up again counts as the first.
FORGIVEN_SECONDS = 3600.0
#: The most characters of an exception that a line tells.
_MOST_CHARACTERS = 200


def has_happened(next_method: str, told: Mapping[str, Any]) -> bool:
    """Tell whether a task resumes because its trigger has crashed, or could not be made.

    Does not count Airflow's own timeout of a deferral, which none of our deferrals has.

    Args:
        next_method: What Airflow has the task resume with.
        told: The keyword arguments that come with it.
    """
    return next_method == TRIGGER_FAIL_REPR and told.get("error") != TriggerFailureReason.TRIGGER_TIMEOUT


def cause(told: Mapping[str, Any]) -> str:
    """Return in one line what a trigger crashed with: the exception that follows the last frame of its traceback.

    Args:
        told: The keyword arguments that Airflow has the task resume with.
    """
    traceback = list(told.get("traceback") or ())
    frames = [number for number, part in enumerate(traceback, 1) if part.lstrip(" |").startswith("File ")]
    after = traceback[frames[-1] if frames else 0 :]
    texts = (" ".join(part.lstrip(" |").split()) for part in after)
    return next(filter(None, texts), str(told.get("error", "Unknown")))[:_MOST_CHARACTERS]


def taken_up_again(plan: WaitPlan, now: datetime) -> WaitPlan | None:
    """Return the plan of a wait that goes on after a crash of its trigger; None if it has crashed too often.

    Args:
        plan: The crashed trigger's.
        now: The current time, aware.
    """
    is_first = plan.begins_at is None or now - plan.begins_at > timedelta(seconds=FORGIVEN_SECONDS)
    resumed = 0 if is_first else plan.resumed
    if resumed >= len(PAUSE_SECONDS):
        return None
    return replace(plan, resumed=resumed + 1, begins_at=now + timedelta(seconds=PAUSE_SECONDS[resumed]))


async def pause(plan: WaitPlan) -> None:
    """Wait until a trigger is to begin, or its deadline has come.

    Never longer than the longest pause: the clocks of the worker and of this machine may differ.
    """
    moments = [moment for moment in (plan.begins_at, plan.deadline) if moment is not None]
    if plan.begins_at is not None:
        left = (min(moments) - datetime.now(tz=UTC)).total_seconds()
        await asyncio.sleep(min(max(left, 0.0), PAUSE_SECONDS[-1]))
