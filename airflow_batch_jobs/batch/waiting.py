"""Why a job does not start: pure functions of `JobDetail`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws_messages import BLOCKS, Cause, Meaning, Outlook, meaning_of
from airflow_batch_jobs.batch.diagnosis import tell
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.summary import NO_WORDS, in_words

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.diagnosis import Diagnosis

#: A block that may pass by itself counts after this many seconds: one report proves nothing.
DWELL_SECONDS = 600.0
#: Waiting without a reason from AWS is worth a line only after this many seconds: mostly it is just the queue.
SILENT_DWELL_SECONDS = 1800.0

_DEPENDENCY_PENDING = Meaning(
    Cause.DEPENDENCY_PENDING,
    Outlook.UNCLEAR,
    "The job cannot start until the jobs it depends on have succeeded",
    "Check whether those are running.",
)
_NO_REASON = Meaning(
    Cause.WAITING,
    Outlook.UNCLEAR,
    "The job is waiting for its turn in the queue, or for a host",
    "Look at the jobs ahead of it, and at `maxvCpus` and the state of the queue's compute environments.",
)


def why_waiting(detail: JobDetail, waited_seconds: float) -> Diagnosis | None:
    """Say why a job does not start, once it has waited long enough to be worth a word.

    Args:
        detail: The job as it is now.
        waited_seconds: How long it has been in this state.

    Returns:
        None for a job that is running, that has only begun to wait, or that waits as it should: an array's parent stays
        PENDING until its children end. What lasts until somebody fixes it is worth a word at once.
    """
    has_waited = waited_seconds >= DWELL_SECONDS
    waited = f"{detail.status.value} for {in_words(waited_seconds)}; " if has_waited else ""
    if detail.status is JobStatus.PENDING and detail.depends_on and not _has_begun(detail):
        return tell(detail, _DEPENDENCY_PENDING, f"{waited}{waiting_for(detail)}") if has_waited else None
    if detail.status is not JobStatus.RUNNABLE:
        return None
    if block := meaning_of(BLOCKS, detail.status_reason):
        is_telling = has_waited or block.outlook is Outlook.LASTS
        return tell(detail, block, f"{waited}{detail.status_reason}") if is_telling else None
    if waited_seconds < SILENT_DWELL_SECONDS:
        return None
    return tell(detail, _NO_REASON, f"{waited}{detail.status_reason or NO_WORDS}")


def reason_to_wait(detail: JobDetail, waited_seconds: float) -> Diagnosis | None:
    """Say what AWS tells of why a job does not start, at once and without how long that has been so.

    The details are AWS's words.

    Args:
        detail: The job as it is now.
        waited_seconds: How long it has been in this state.

    Returns:
        None where AWS tells nothing, unless a job has been RUNNABLE for long without a reason.
    """
    if detail.status is JobStatus.PENDING and detail.depends_on and not _has_begun(detail):
        why = tell(detail, _DEPENDENCY_PENDING, waiting_for(detail))
        return replace(why, summary=f"{why.summary.rstrip('.')} ({why.details}).", details="")
    if detail.status is not JobStatus.RUNNABLE or not (detail.status_reason or waited_seconds >= SILENT_DWELL_SECONDS):
        return None
    block = meaning_of(BLOCKS, detail.status_reason) or _NO_REASON
    return tell(detail, block, detail.status_reason or NO_WORDS)


def waiting_for(detail: JobDetail) -> str:
    """Say which jobs a job depends on."""
    return f"it is waiting for {', '.join(detail.depends_on)}"


def _has_begun(detail: JobDetail) -> bool:
    """Tell whether a child of an array has got past its dependencies."""
    return any(not status.is_waiting or status is JobStatus.RUNNABLE for status in detail.children)
