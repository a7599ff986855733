"""What a job asks for, and for how long its attempts had it: vCPU-hours and GiB-hours, which are facts and no price.

What AWS does not say is None, never a guess.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from airflow_batch_jobs.batch.containers import Attempt
from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.status import FINAL, JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airflow_batch_jobs.batch.detail import JobDetail

#: No job takes five years: one of its times is wrong.
LONGEST_SECONDS = 5 * 365 * 86_400.0
#: The states of a child that has run, or never will.
_BEGUN = FINAL | {JobStatus.RUNNING}


class Usage(NamedTuple):
    """vCPUs and GiB of memory, or the hours of both."""

    vcpus: float | None
    gib: float | None

    def times(self, hours: float) -> Usage:
        """Return what that is over some hours."""
        return Usage(*(None if each is None else each * hours for each in self))

    @classmethod
    def total(cls, every: Iterable[Usage]) -> Usage:
        """Return the sum; None for what is not known of each."""
        vcpus, gib = zip(*every, strict=True)
        return cls(*(None if None in each else sum(each) for each in (vcpus, gib)))


def requested(detail: JobDetail) -> Usage:
    """Return what all containers that run at the same time ask for together; of an array, those of a child."""
    together = [spec for spec in detail.containers if not spec.is_before_others]
    each = [Usage(spec.vcpus, None if spec.memory_mib is None else spec.memory_mib / 1024) for spec in together]
    if len(each) == 1:  # true of nearly all, of which an array may have thousands
        return each[0]
    return Usage.total(each) if each else Usage(None, None)


def used(detail: JobDetail, parts: Sequence[JobDetail], as_of: datetime) -> Usage:
    """Return the hours of all attempts that have ended, and of the one that runs up to now.

    Those of an array or of several nodes are its parts', once AWS has described the end of each.

    Args:
        detail: The job.
        parts: Its children or nodes, as far as they were described.
        as_of: Now.
    """
    many = detail.array_size if detail.kind is JobKind.ARRAY_PARENT else detail.nodes
    if not many:
        return _used_alone(detail, as_of)
    if not detail.is_final or sum(part.is_final for part in parts) < many:
        return Usage(None, None)
    return Usage.total(_used_alone(part, as_of) for part in parts)


def began(detail: JobDetail, parts: Sequence[JobDetail]) -> datetime | None:
    """Return when a job began to run, an array with the first of its children: of the parent AWS has no such time.

    None as long as another child may have been the first: each that has begun must be among the parts.
    """
    if detail.started_at is not None or detail.kind is not JobKind.ARRAY_PARENT:
        return detail.started_at
    have_begun = sum(count for status, count in detail.children.items() if status in _BEGUN)
    if sum(part.status in _BEGUN for part in parts) < ((detail.array_size or 0) if detail.is_final else have_begun):
        return None
    return min(filter(None, (_first_start(part) for part in parts)), default=None)


def attempts_of(detail: JobDetail) -> tuple[Attempt, ...]:
    """Return AWS's attempts, each once, and the one that runs, which AWS may list only when it has ended."""
    runs: dict[int, Attempt] = {}
    for run in detail.runs():
        before = runs.get(run.number)
        runs[run.number] = replace(before, containers=before.containers + run.containers) if before else run
    last = runs[max(runs)] if runs else None
    if last is None and detail.started_at and (detail.is_final or detail.status is JobStatus.RUNNING):
        last = Attempt(1, detail.started_at, containers=detail.results)
    elif last is not None and last.stopped_at and detail.status is JobStatus.RUNNING:
        has_begun = detail.started_at is not None and detail.started_at > last.stopped_at
        last = Attempt(last.number + 1, detail.started_at if has_begun else None, containers=detail.results)
    if last is not None:
        end = detail.stopped_at if detail.is_final and last.stopped_at is None else last.stopped_at
        runs[last.number] = replace(last, stopped_at=end)
    return tuple(runs.values())


def _first_start(detail: JobDetail) -> datetime | None:
    return next((attempt.started_at for attempt in detail.attempts if attempt.started_at), detail.started_at)


def _used_alone(detail: JobDetail, as_of: datetime) -> Usage:
    has_ended = detail.is_final and detail.attempts and detail.attempts[-1].stopped_at is not None
    attempts = detail.attempts if has_ended else attempts_of(detail)
    return requested(detail).times(sum(_hours(attempt, as_of) for attempt in attempts))


def _hours(attempt: Attempt, as_of: datetime) -> float:
    """Return how long an attempt ran; one without a start did not."""
    if attempt.started_at is None:
        return 0.0
    seconds = ((attempt.stopped_at or as_of) - attempt.started_at).total_seconds()
    return min(max(0.0, seconds), LONGEST_SECONDS) / 3600
