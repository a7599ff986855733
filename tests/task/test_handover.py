"""What a worker and a triggerer hand each other: stored formats, which outlive restarts and upgrades."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.diagnosis import Cause, Diagnosis
from airflow_batch_jobs.task.handover import Outcome, WaitPlan

#: An event as version 0.1.0 fires it.
EVENT: dict[str, Any] = {
    "job": {"job_id": "1a2b", "job_name": "align", "status": "FAILED", "exit_code": 3, "status_reason": "why"},
    "summary": "FAILED in 3 s",
    "diagnosis": {"cause": "exit code", "summary": "It failed (exit code 3).", "remedy": "Read its log."},
    "unread": [
        {
            "label": "attempt 2",
            "group": "/aws/batch/job",
            "region": "eu-central-1",
            "stream": "align/default/1",
            "cursor": {"floor": 5, "newest": 9, "keys": [1, 2], "numbered": [9, 1]},
        }
    ],
    "timed_out": False,
    "error": None,
    "rendered": None,
}


def test_a_plan_passes_over_what_it_does_not_know() -> None:
    """A newer version may have stored more."""
    assert WaitPlan.from_dict({"job_id": "1a2b", "later": 1}) == WaitPlan(job_id="1a2b")


def test_a_plan_checks_its_interval_where_it_arrives() -> None:
    """A stored trigger is older than the check at parse time; it fails alone, before it joins the others."""
    assert WaitPlan.from_dict({"job_id": "1", "poll_interval": "10"}).poll_interval == 10
    with pytest.raises(ValueError, match="poll_interval must be a number above 0, not -1"):
        WaitPlan.from_dict({"job_id": "1", "poll_interval": -1})


def test_an_event_is_read_as_it_was_fired() -> None:
    """The worker learns from it how the job ended, and why."""
    outcome = Outcome.from_event({**EVENT, "later": 1})
    assert outcome.to_event().items() >= EVENT.items()
    with pytest.raises(errors.JobFailedError) as raised:
        outcome.raise_for_status()
    assert raised.value.diagnosis == Diagnosis(Cause.EXIT_CODE, "It failed (exit code 3).", "Read its log.")
    assert (raised.value.job_id, raised.value.exit_code, raised.value.status_reason) == ("1a2b", 3, "why")


def test_a_diagnosis_of_a_newer_version_is_still_told() -> None:
    """A cause that this version does not know loses its name, not its words."""
    told = Diagnosis.from_dict({"cause": "meteorite", "summary": "It was hit.", "remedy": "Duck."})
    assert told == Diagnosis(Cause.UNKNOWN, "It was hit.", "Duck.")


def test_an_error_crosses_to_the_worker() -> None:
    """What made waiting impossible is raised on the worker as it was in the triggerer."""
    denied = errors.AccessDeniedError("no", action="batch:DescribeJobs", code="AccessDenied")
    with pytest.raises(errors.AccessDeniedError, match="no") as raised:
        Outcome.from_event(Outcome.of_error("1a2b", denied).to_event()).raise_for_error()
    assert (raised.value.action, raised.value.code) == ("batch:DescribeJobs", "AccessDenied")
    with pytest.raises(errors.JobNotFoundError, match="1a2b"):
        Outcome.from_event(Outcome.of_error("1a2b", errors.JobNotFoundError("1a2b")).to_event()).raise_for_error()


@given(
    plan=st.builds(
        WaitPlan,
        job_id=st.text(),
        poll_interval=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
        copy_logs=st.booleans(),
        terminate_on_kill=st.booleans(),
        deadline=st.none() | st.datetimes(timezones=st.just(UTC)),
        submitted_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        rendered=st.none() | st.dictionaries(st.text(), st.text()),
        resumed=st.integers(min_value=0),
        begins_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    )
)
def test_a_plan_is_read_as_it_was_stored(plan: WaitPlan) -> None:
    """Through JSON, as in Airflow's database."""
    assert WaitPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@given(summary=st.text(), status=st.text(), later=st.dictionaries(st.text(min_size=12), st.integers()))
def test_whatever_a_newer_version_adds_an_event_is_read(summary: str, status: str, later: dict[str, int]) -> None:
    """A state that this version does not know is neither success nor failure."""
    outcome = Outcome(job={"job_id": "1a2b", "status": status}, summary=summary)
    read = Outcome.from_event(json.loads(json.dumps({**later, **outcome.to_event()})))
    assert read == outcome
    assert (read.succeeded, read.failed) == (status == "SUCCEEDED", status == "FAILED")
