"""What is stored of a trigger, and how it takes Airflow's repeated cancellations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.diagnosis import Cause, Diagnosis
from airflow_batch_jobs.task.wait import Outcome, WaitPlan
from airflow_batch_jobs.triggers import BatchJobTrigger, JobEvent, _undisturbed

#: The arguments of a trigger as version 0.1.0 stores them.
STORED: dict[str, Any] = {
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
#: An event as version 0.1.0 fires it.
EVENT: dict[str, Any] = {
    "job": {"job_id": "1a2b", "job_name": "align", "status": "FAILED", "exit_code": 3, "status_reason": "why"},
    "summary": "FAILED in 3 s",
    "diagnosis": {"cause": "exit code", "summary": "It failed (exit code 3).", "remedy": "Read its log."},
    "unread": [],
    "timed_out": False,
    "error": None,
    "rendered": None,
}


def test_a_trigger_is_made_again_of_what_it_stores() -> None:
    """Class path and arguments outlive restarts and upgrades."""
    path, arguments = BatchJobTrigger(**STORED).serialize()
    assert path == "airflow_batch_jobs.triggers.BatchJobTrigger"
    assert arguments == STORED


def test_a_trigger_needs_no_more_than_a_job() -> None:
    """Arguments that a stored trigger does not have are filled in."""
    plan = BatchJobTrigger("1a2b").plan
    assert plan == WaitPlan(job_id="1a2b")


def test_a_plan_passes_over_what_it_does_not_know() -> None:
    """A newer version may have stored more."""
    assert WaitPlan.from_dict({"job_id": "1a2b", "later": 1}) == WaitPlan(job_id="1a2b")


def test_an_event_is_read_as_it_was_fired() -> None:
    """The worker learns from it how the job ended, and why."""
    outcome = Outcome.from_event({**EVENT, "later": 1})
    assert outcome.to_event() == EVENT
    with pytest.raises(errors.JobFailedError) as raised:
        outcome.raise_for_status()
    assert raised.value.diagnosis == Diagnosis(Cause.EXIT_CODE, "It failed (exit code 3).", "Read its log.")
    assert (raised.value.job_id, raised.value.exit_code, raised.value.status_reason) == ("1a2b", 3, "why")


def test_a_diagnosis_of_a_newer_version_is_still_told() -> None:
    """A cause that this version does not know loses its name, not its words."""
    told = Diagnosis.from_dict({"cause": "meteorite", "summary": "It was hit.", "remedy": "Duck."})
    assert told == Diagnosis(Cause.UNKNOWN, "It was hit.", "Duck.")


def test_an_error_crosses_to_the_worker() -> None:
    """What made waiting impossible is raised there as it was in the triggerer."""
    denied = errors.AccessDeniedError("no", action="batch:DescribeJobs", code="AccessDenied")
    with pytest.raises(errors.AccessDeniedError, match="no") as raised:
        Outcome.from_event(Outcome.of_error("1a2b", denied).to_event()).raise_for_error()
    assert (raised.value.action, raised.value.code) == ("batch:DescribeJobs", "AccessDenied")
    with pytest.raises(errors.JobNotFoundError, match="1a2b"):
        Outcome.from_event(Outcome.of_error("1a2b", errors.JobNotFoundError("1a2b")).to_event()).raise_for_error()


def test_an_event_shows_itself_in_one_short_line() -> None:
    """The triggerer prints it into the task log, where parameters and cursors have no place."""
    assert repr(JobEvent(payload=EVENT)) == "job 1a2b FAILED"


def test_work_goes_on_under_repeated_cancellations() -> None:
    """Airflow repeats a user's cancellation at every sync, and would cut off the termination by that."""

    async def main() -> list[str]:
        done: list[str] = []

        async def work() -> None:
            await asyncio.sleep(0.05)
            done.append("work")

        async def run() -> None:
            await _undisturbed(work())
            done.append("run")

        task = asyncio.create_task(run())
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel("user-action")
        await task
        return done

    assert asyncio.run(main()) == ["work", "run"]


def test_a_shutdown_ends_the_work_at_once() -> None:
    """A cancellation without a reason is not a user's: the triggerer must not wait."""

    async def main() -> bool:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        task = asyncio.create_task(_undisturbed(work()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 1)
        return ended.is_set()

    assert asyncio.run(main())
