"""What is measured: the metrics by their names, and `Meter`, which is told of them.

Tags name queues, definitions, causes and services, of which there are few: never a job, a child, or a text of AWS's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.job_usage import attempts_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.cause import Cause
    from airflow_batch_jobs.batch.detail import JobDetail

#: The tag `cause` of a job that succeeded.
SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is measured.

    Attributes:
        name: Without the prefix that Airflow puts in front of it. A time's ends in `_seconds`; every other metric is
            a count.
        tags: The names of its tags; the first one tells most.
    """

    name: str
    tags: tuple[str, ...] = ()


QUEUED = Metric("batch_jobs.queued_seconds", ("queue", "definition"))
RAN = Metric("batch_jobs.ran_seconds", ("queue", "definition"))
ENDED = Metric("batch_jobs.ended", ("cause", "queue", "definition"))
RETRIED = Metric("batch_jobs.retried", ("by", "queue", "definition"))
WATCHER_CALLS = Metric("batch_jobs.watcher.calls", ("service",))
WATCHER_THROTTLED = Metric("batch_jobs.watcher.throttled", ("service",))
WATCHER_LAG = Metric("batch_jobs.watcher.lag_seconds")
LOG_LAG = Metric("batch_jobs.log.lag_seconds")
ORPHANS = Metric("batch_jobs.orphans", ("queue",))


class Meter(Protocol):
    """Is told what is measured. Never waits for those who keep it, and never fails."""

    def count(self, metric: Metric, number: int = 1, **tags: str) -> object:
        """Take note that something has happened this often."""

    def time(self, metric: Metric, seconds: float, **tags: str) -> object:
        """Take note of how long something took."""

    def longest(self, metric: Metric, seconds: float, **tags: str) -> object:
        """Take note of a time, of which only the longest since the last `send` counts."""

    def send(self) -> object:
        """Hand on what has been told since the last time."""


def tell_end(meter: Meter, job: JobDetail, cause: Cause | None) -> None:
    """Tell how a job went that has ended.

    Args:
        meter: Is told.
        job: The job; an array or a multi-node job as a whole. Of an array no times are told: AWS has those of its
            children alone.
        cause: Why it failed; None if it succeeded.
    """
    tags = {"queue": job.queue_name, "definition": job.definition_name}
    meter.count(ENDED, 1, cause=SUCCEEDED if cause is None else cause.value, **tags)
    if job.kind is JobKind.ARRAY_PARENT:
        return
    attempts = attempts_of(job)
    runs = [(run.started_at, run.stopped_at) for run in attempts if run.started_at and run.stopped_at]
    begun = min((started for started, _ in runs), default=job.stopped_at)
    if begun and job.created_at and begun >= job.created_at:  # AWS's clocks are several
        meter.time(QUEUED, (begun - job.created_at).total_seconds(), **tags)
    if runs:
        meter.time(RAN, sum((stopped - started).total_seconds() for started, stopped in runs), **tags)
    if len(attempts) > 1:
        meter.count(RETRIED, len(attempts) - 1, by="aws", **tags)
