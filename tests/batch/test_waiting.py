"""Why a job waits is said in one line, once that is worth one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.batch.diagnosis import Cause
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.waiting import why_waiting

if TYPE_CHECKING:
    from tests.batch.conftest import Entries

NO_INSTANCES = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested"
#: Why a job stays RUNNABLE, as AWS says it, and the cause that it stands for.
BLOCKED = [
    (NO_INSTANCES, Cause.CAPACITY),
    ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - maxvCpus", Cause.MISCONFIGURATION),
    ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no instance", Cause.MISCONFIGURATION),
    ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - role", Cause.MISCONFIGURATION),
    ("MISCONFIGURATION:SOMETHING_NEW", Cause.MISCONFIGURATION),
    ("ACTION_REQUIRED - CE(s) associated with the job queue are invalid.", Cause.ACTION_REQUIRED),
    ("UNDETERMINED - Batch job is blocked, root cause is undetermined.", Cause.UNDETERMINED),
]


@pytest.mark.parametrize(("status_reason", "cause"), BLOCKED)
def test_what_blocks_a_job_is_told_at_once_if_it_lasts_and_else_after_a_while(
    entries: Entries, status_reason: str, cause: Cause
) -> None:
    """Of what may pass one report proves nothing; ten minutes of reports do."""
    detail = entries.read(entries.waiting(statusReason=status_reason))
    at_first = why_waiting(detail, 599)
    assert (at_first is not None) == (cause in {Cause.MISCONFIGURATION, Cause.ACTION_REQUIRED})
    assert at_first is None or at_first.details == status_reason.rstrip(".")
    diagnosis = why_waiting(detail, 600)
    assert diagnosis is not None
    assert diagnosis.cause is cause
    assert diagnosis.details == f"RUNNABLE for 10 min; {status_reason.rstrip('.')}"


def test_waiting_without_a_reason_is_reported_later(entries: Entries) -> None:
    """A queue is there to wait in: half an hour without a reason is worth a line."""
    detail = entries.read(entries.waiting())
    assert why_waiting(detail, 1799) is None
    diagnosis = why_waiting(detail, 1800)
    assert diagnosis is not None
    assert diagnosis.summary == "The job is waiting for its turn in the queue, or for a host."
    assert diagnosis.details == "RUNNABLE for 30 min; AWS gives no reason"


def test_a_job_that_waits_for_others_names_them(entries: Entries) -> None:
    """A PENDING job names the jobs it depends on."""
    detail = entries.read(entries.waiting("PENDING", dependsOn=[{"jobId": "first"}, {"jobId": "second"}]))
    diagnosis = why_waiting(detail, 700)
    assert diagnosis is not None
    assert diagnosis.cause is Cause.DEPENDENCY_PENDING
    assert diagnosis.details == "PENDING for 11 min 40 s; it is waiting for first, second"


def test_an_array_at_work_is_not_waiting(entries: Entries) -> None:
    """An array's parent is PENDING for as long as its children run, whatever it depended on."""
    parent = entries.array({"RUNNING": 1, "RUNNABLE": 9}, dependsOn=[{"jobId": "first"}])
    assert why_waiting(entries.read(parent), 9999) is None
    blocked = entries.array({"PENDING": 10}, dependsOn=[{"jobId": "first"}])
    assert why_waiting(entries.read(blocked), 9999) is not None


@pytest.mark.parametrize("status", [JobStatus.SUBMITTED, JobStatus.PENDING, JobStatus.STARTING, JobStatus.RUNNING])
def test_other_states_are_no_reason_to_speak(entries: Entries, status: JobStatus) -> None:
    """Only a RUNNABLE job, or one that depends on others, is ever said to be stuck."""
    detail = dataclasses.replace(entries.read(entries.waiting()), status=status)
    assert why_waiting(detail, 9999) is None
