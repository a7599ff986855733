"""A job's history: the states that were seen of it, each with AWS's reason and a time, as JSON.

Two triggerers, or a triggerer and a worker, may have seen parts of it. `joined` makes one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.storable import time_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_batch_jobs.batch.detail import JobDetail

#: `{status, reason, at}`.
SeenState: TypeAlias = Mapping[str, str]

#: The newest changes are kept, and of a reason so many characters.
MOST_CHANGES = 50
REASON_LENGTH = 300
_LIFE = tuple(status.value for status in JobStatus)


def noted(history: Sequence[SeenState], detail: JobDetail, seen_at: datetime) -> tuple[SeenState, ...]:
    """Return a history, oldest first, with what the job is at now, if that is new.

    A change is dated as AWS dates it, where it does, and else with when it was seen; never before the last one.

    Args:
        history: What is known already.
        detail: The job.
        seen_at: When AWS was asked for it.
    """
    status, reason = detail.status, excerpt(detail.status_reason, REASON_LENGTH)
    if not history and status is not JobStatus.SUBMITTED and detail.created_at:
        history = [_seen(JobStatus.SUBMITTED, "", detail.created_at)]
    last = history[-1] if history else None
    if last and (last["status"], last["reason"]) == (status.value, reason):
        return tuple(history)
    dated = {JobStatus.SUBMITTED: detail.created_at, JobStatus.RUNNING: detail.started_at}
    at = (detail.stopped_at if status.is_final else dated.get(status)) or seen_at
    if last and at < (before := datetime.fromisoformat(last["at"])):
        at = max(seen_at, before)
    return (*history, _seen(status, reason, at))[-MOST_CHANGES:]


def joined(earlier: Any, later: Any) -> list[SeenState]:
    """Join two histories of the same job.

    Args:
        earlier: What was stored, whatever it is: of another version, or nobody's.
        later: What its successor knows, which may have read the other one.
    """
    first, second = _entries(earlier), _entries(later)
    submitted = JobStatus.SUBMITTED.value  # once in a job's life, which AWS dates better than who submitted it
    if any(change["status"] == submitted for change in second):
        first = [change for change in first if change["status"] != submitted]
    different = {(change["at"], change["status"], change["reason"]): change for change in (*first, *second)}
    in_order = sorted(different.values(), key=_place)
    runs = groupby(in_order, key=lambda change: (change["status"], change["reason"]))
    return [next(same) for _, same in runs][-MOST_CHANGES:]


def since(history: Sequence[SeenState], status: JobStatus) -> str | None:
    """Return since when a job has been in its present state, as far as the history tells."""
    found = None
    for change in reversed(history):
        if change["status"] != status.value:
            break
        found = change["at"]
    return found


def written(moment: datetime) -> str:
    """Write a time as ISO 8601 with milliseconds and `+00:00`."""
    return moment.isoformat(timespec="milliseconds")


def _seen(status: JobStatus, reason: str, at: datetime) -> SeenState:
    return {"status": status.value, "reason": reason, "at": written(at)}


def _place(change: SeenState) -> tuple[datetime, int, str]:
    """Return what orders changes: their times, and in the same millisecond a job's life; in any case the same order."""
    status = change["status"]
    stage = _LIFE.index(status) if status in _LIFE else len(_LIFE)
    return datetime.fromisoformat(change["at"]), stage, change["reason"]


def _entries(history: Any) -> list[SeenState]:
    """Return the entries of a stored history that are some."""
    entries = history if isinstance(history, (list, tuple)) else ()
    return [
        {name: entry[name] for name in ("status", "reason", "at")}
        for entry in entries
        if isinstance(entry, Mapping)
        and isinstance(entry.get("status"), str)
        and isinstance(entry.get("reason"), str)
        and time_of(entry.get("at"))
    ]
