"""What a worker and a triggerer hand each other: `WaitPlan` on the way out, `Outcome` on the way back.

They cross as the trigger's kwargs and as its event: stored formats, which outlive restarts and upgrades.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.diagnosis import Diagnosis
from airflow_batch_jobs.batch.job_failed import job_failed
from airflow_batch_jobs.batch.job_xcom import MOST_BYTES, fitted
from airflow_batch_jobs.batch.numbers import positive, shown
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.storable import time_of, within

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What the parts of an event may take up in bytes of JSON. The waits of a triggerer keep to the first of these, and say
#: what they leave out.
UNREAD_BYTES = 24 * 1024
#: In all it stays below 48 KiB. The job may take up what the others leave, and at least `_JOB_BYTES`.
_MOST_BYTES = 48_896
_JOB_BYTES = 15_872
_SUMMARY_BYTES = 800
_WHY_BYTES = 2_784
_RENDERED_BYTES = 4_608


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPlan:
    """What to wait for, and how.

    Attributes:
        job_id: The job.
        poll_interval: Seconds between two looks at it.
        copy_logs: Whether its log lines go into the task log.
        terminate_on_kill: Whether a user's stop of the task, and its timeout, terminate the job.
        deadline: When the wait ends, aware UTC; None for no end.
        submitted_at: When the job was submitted, aware UTC, by the clock of the worker that did it.
        rendered: Handed back in the outcome, unchanged: what the resumed task would otherwise have forgotten.
        resumed: How often the wait has been taken up again after a crash of its trigger.
        begins_at: When the trigger begins to wait after such a crash, aware UTC; None for at once.
        on_retry: What was changed in the job's request, each as `Change.to_dict` has it; becomes a part of the job.
    """

    job_id: str
    poll_interval: float = 5.0
    copy_logs: bool = True
    terminate_on_kill: bool = True
    deadline: datetime | None = None
    submitted_at: datetime | None = None
    rendered: dict[str, Any] | None = None
    resumed: int = 0
    begins_at: datetime | None = None
    on_retry: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the id, which may be an upstream task's result, and read the interval, which may have any form.

        Raises:
            ValueError: The id is not text, or the interval is not a number above 0.
        """
        if not isinstance(self.job_id, str):
            raise ValueError(f"job_id must be text, not {shown(self.job_id)}")  # noqa: TRY004 - as for the interval
        object.__setattr__(self, "poll_interval", positive(self.poll_interval, "poll_interval"))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: times as ISO 8601."""
        return {name: _to_json(getattr(self, name)) for name in _PLAN_FIELDS}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> WaitPlan:
        """Read the JSON form, ignoring unknown fields.

        Raises:
            ValueError: A time is not ISO 8601 with its offset, or the interval is not a number above 0.
        """
        known = {name: stored[name] for name in _PLAN_FIELDS if name in stored}
        for name in _PLAN_TIMES:
            if known.get(name) is not None:
                known[name] = _time(known[name], name)
        return cls(**known)


_PLAN_FIELDS = tuple(each.name for each in fields(WaitPlan))
_PLAN_TIMES = tuple(each.name for each in fields(WaitPlan) if "datetime" in str(each.type))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a wait.

    Attributes:
        job: The job as the `batch_job` XCom has it; at least `job_id` and `status`.
        summary: One line about the job, once it has ended.
        diagnosis: Why it failed, as `Diagnosis.to_dict` has it; None for any other end.
        unread: The streams whose log is not fully copied, each with the place to continue from.
        timed_out: Whether the deadline ended the wait.
        error: What made waiting impossible: the class's name and its arguments.
        rendered: The plan's.
    """

    job: dict[str, Any]
    summary: str = ""
    diagnosis: dict[str, Any] | None = None
    unread: list[dict[str, Any]] = field(default_factory=list)
    timed_out: bool = False
    error: dict[str, str] | None = None
    rendered: dict[str, Any] | None = None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return str(self.job["job_id"])

    @property
    def succeeded(self) -> bool:
        """Whether the job has ended well."""
        return bool(self.job.get("status") == JobStatus.SUCCEEDED.value)

    @property
    def failed(self) -> bool:
        """Whether the job has ended badly."""
        return bool(self.job.get("status") == JobStatus.FAILED.value)

    def to_event(self) -> dict[str, Any]:
        """Return the payload of the trigger's event: below 48 KiB, and of nothing that Airflow could not hand on.

        Such an event would end its triggerer, with all that wait in it. What is longer than any real one is cut.
        """
        event = {
            "summary": within(self.summary, _SUMMARY_BYTES),
            "diagnosis": None if self.error else within(self.diagnosis, _WHY_BYTES),
            "error": within(self.error, _WHY_BYTES),
            "unread": within(self.unread, UNREAD_BYTES) or [],
            "timed_out": self.timed_out,
            "rendered": within(self.rendered, _RENDERED_BYTES),
        }
        left = _MOST_BYTES - len(json.dumps(event))
        return {"job": fitted(self.job, min(max(left, _JOB_BYTES), MOST_BYTES)), **event}

    @classmethod
    def from_event(cls, payload: Mapping[str, Any]) -> Outcome:
        """Read the payload of a trigger's event, ignoring unknown fields."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in payload.items() if name in known})

    @classmethod
    def of_error(cls, job_id: str, error: errors.JobNotFoundError | errors.AwsError) -> Outcome:
        """Return the outcome of a wait that an error made impossible."""
        told = {"type": type(error).__name__, "message": str(error)}
        if isinstance(error, errors.AwsError):
            told |= {"action": error.action, "code": error.code}
        return cls(job={"job_id": job_id}, error=told)

    def raise_for_error(self) -> None:
        """Raise the error that made waiting impossible, if one did.

        Raises:
            JobNotFoundError: AWS does not know the job.
            AwsError: AWS refused to describe it.
        """
        if self.error is None:
            return
        if self.error["type"] == "JobNotFoundError":
            raise errors.JobNotFoundError(self.job_id)
        kind = getattr(errors, self.error["type"], errors.AwsError)
        raise kind(self.error["message"], action=self.error.get("action", ""), code=self.error.get("code", ""))

    def raise_for_status(self) -> None:
        """Raise if the job has failed.

        Raises:
            JobFailedError: It has failed; the error says why and what to do, and its class is the cause's.
        """
        if self.failed:
            raise job_failed(self.job, Diagnosis.from_dict(self.diagnosis or {}))


def _time(stored: Any, name: str) -> datetime:
    if read := time_of(stored.isoformat() if isinstance(stored, datetime) else stored):
        return read
    raise ValueError(f"{name} must be a time such as 2026-11-26T09:00:00+00:00, not {shown(stored)}")


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
