"""JobStatus: the order of a job's life, and what each state means to a waiting task."""

from __future__ import annotations

import json

from airflow_batch_jobs.batch.status import ACTIVE, FINAL, WAITING, JobStatus


def test_states_are_in_the_order_of_a_jobs_life() -> None:
    """The enum lists the states in the order in which a job passes through them."""
    assert [str(status) for status in JobStatus] == [
        "SUBMITTED",
        "PENDING",
        "RUNNABLE",
        "STARTING",
        "RUNNING",
        "SUCCEEDED",
        "FAILED",
    ]


def test_every_state_is_either_active_or_final() -> None:
    """A job has ended or has not."""
    assert set(JobStatus) == ACTIVE | FINAL
    assert not ACTIVE & FINAL
    assert [status for status in JobStatus if status.is_final] == [JobStatus.SUCCEEDED, JobStatus.FAILED]
    assert all(status.is_active is not status.is_final for status in JobStatus)


def test_a_job_waits_until_a_place_is_found() -> None:
    """SUBMITTED, PENDING and RUNNABLE are waiting; STARTING no longer is."""
    assert [status for status in JobStatus if status.is_waiting] == list(JobStatus)[:3]
    assert WAITING < ACTIVE


def test_a_status_is_its_text() -> None:
    """A status is the text that AWS writes, and is written as that text."""
    assert JobStatus("RUNNING") is JobStatus.RUNNING
    assert JobStatus.RUNNING == "RUNNING"
    assert f"{JobStatus.RUNNING}" == "RUNNING"
    assert json.dumps(JobStatus.RUNNING) == '"RUNNING"'
