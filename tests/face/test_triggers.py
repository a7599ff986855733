"""What is stored for a trigger, and what its event shows."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from typing import Any

import pytest

from airflow_batch_jobs.task.handover import Outcome, WaitPlan
from airflow_batch_jobs.triggers import BatchJobTrigger, JobEvent

#: The arguments of a trigger as version 0.1.0 stores them: keep it, and add one of each version that stores more.
FIRST_STORED: dict[str, Any] = {
    "job_id": "1a2b",
    "poll_interval": 5.0,
    "copy_logs": True,
    "terminate_on_kill": True,
    "deadline": "2026-11-23T13:00:00+00:00",
    "submitted_at": "2026-11-23T12:00:00+00:00",
    "rendered": None,
    "finish_in_triggerer": True,
    "try_number": 2,
    "max_tries": 3,
    "aws_conn_id": "aws_default",
    "region_name": "eu-central-1",
    "verify": None,
    "botocore_config": {"connect_timeout": 5},
}
#: As they are stored since a wait outlives the crash of its trigger.
STORED: dict[str, Any] = {**FIRST_STORED, "resumed": 1, "begins_at": "2026-11-23T12:30:00+00:00"}
#: As they are stored since a retry may change the request.
CHANGED_STORED: dict[str, Any] = {
    **STORED,
    "on_retry": [
        {
            "field": "jobQueue",
            "before": "spot",
            "after": "on-demand",
            "why": "host lost in job 1a2b",
            "is_most": True,
            "by": "OtherQueue",
        }
    ],
}
#: As they are stored since a task may be in a loop.
LOOPED_STORED: dict[str, Any] = {**CHANGED_STORED, "loop_index": 1}


@pytest.mark.parametrize("stored", [FIRST_STORED, STORED, CHANGED_STORED, LOOPED_STORED])
def test_a_trigger_is_made_again_of_what_it_stores(stored: dict[str, Any]) -> None:
    """Class path and arguments outlive restarts and upgrades."""
    path, arguments = BatchJobTrigger(**stored).serialize()
    assert path == "airflow_batch_jobs.triggers.BatchJobTrigger"
    assert arguments.items() >= stored.items()


def test_the_last_sample_has_all_that_a_trigger_takes_and_stores() -> None:
    """An argument that is not stored would be lost when another triggerer takes over."""
    _, stored = BatchJobTrigger(**LOOPED_STORED).serialize()
    assert stored.keys() == LOOPED_STORED.keys()
    plan = {each.name for each in fields(WaitPlan)}
    assert stored.keys() | {"plan"} == set(signature(BatchJobTrigger).parameters) | plan


def test_a_trigger_needs_no_more_than_a_job() -> None:
    """Arguments that a stored trigger does not have are filled in."""
    assert BatchJobTrigger("1a2b").plan == WaitPlan(job_id="1a2b")


def test_a_trigger_passes_over_what_it_does_not_know() -> None:
    """A newer version may have stored more."""
    assert BatchJobTrigger(**STORED, later=1).serialize() == BatchJobTrigger(**STORED).serialize()


def test_an_event_shows_itself_in_one_short_line() -> None:
    """The triggerer prints it into the task log, where parameters and cursors have no place."""
    event = Outcome(job={"job_id": "1a2b", "job_name": "align", "status": "FAILED"}).to_event()
    assert repr(JobEvent(payload=event)) == "job 1a2b FAILED"
