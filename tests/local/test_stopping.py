"""TerminateJob and CancelJob, in every state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.documented import needs

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws

#: How many seconds after the submit a job is in each state.
SECONDS_TO = {"SUBMITTED": 0, "RUNNABLE": 1, "STARTING": 2, "RUNNING": 3}


@pytest.fixture
def job_in(frozen_aws: LocalAws) -> Any:
    """Bring a scripted job of an hour into a state."""
    frozen_aws.register("align", retryStrategy={"attempts": 3})
    frozen_aws.script(definition="align", running=3600, runnable_reason="CAPACITY: none")

    def make(status: str, **more: Any) -> str:
        [job_id] = frozen_aws.submit("align:1", **more)
        frozen_aws.advance(SECONDS_TO[status])
        assert frozen_aws.job(job_id)["status"] == status
        return job_id

    return make


@pytest.mark.parametrize("status", SECONDS_TO)
def test_terminate_ends_a_job_in_any_state(frozen_aws: LocalAws, frozen_batch: Any, job_in: Any, status: str) -> None:
    """The reason is the statusReason at once, the job is FAILED a moment later, and no attempt follows."""
    job_id = job_in(status)
    frozen_batch.terminate_job(jobId=job_id, reason="no longer wanted")
    job = frozen_aws.job(job_id)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == (status, "no longer wanted", True)
    frozen_aws.advance(1)
    job = frozen_aws.job(job_id)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "no longer wanted", True)
    assert job["isCancelled"] == (status in {"SUBMITTED", "RUNNABLE"})
    frozen_aws.advance(10_000)
    assert len(frozen_aws.job(job_id)["attempts"]) == (1 if status == "RUNNING" else 0)


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNABLE"])
def test_cancel_ends_a_job_that_has_not_begun_to_start(
    frozen_aws: LocalAws, frozen_batch: Any, job_in: Any, status: str
) -> None:
    """It is FAILED, cancelled and not terminated."""
    job_id = job_in(status)
    frozen_batch.cancel_job(jobId=job_id, reason="no longer wanted")
    frozen_aws.advance(1)
    job = frozen_aws.job(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "no longer wanted")
    assert (job["isCancelled"], job["isTerminated"]) == (True, False)


@pytest.mark.parametrize("status", ["STARTING", "RUNNING"])
def test_cancel_does_nothing_to_a_job_that_starts_or_runs(
    frozen_aws: LocalAws, frozen_batch: Any, job_in: Any, status: str
) -> None:
    """The call succeeds all the same."""
    job_id = job_in(status)
    frozen_batch.cancel_job(jobId=job_id, reason="no longer wanted")
    frozen_aws.advance(5000)
    job = frozen_aws.job(job_id)
    assert (job["status"], job["isCancelled"]) == ("SUCCEEDED", False)


def test_stopping_a_final_job_changes_nothing(frozen_aws: LocalAws, frozen_batch: Any, job_in: Any) -> None:
    """Both calls succeed."""
    job_id = job_in("RUNNING")
    frozen_aws.advance(5000)
    before = frozen_aws.job(job_id)
    frozen_batch.terminate_job(jobId=job_id, reason="late")
    frozen_batch.cancel_job(jobId=job_id, reason="late")
    frozen_aws.advance(10)
    assert frozen_aws.job(job_id) == before


def test_a_terminated_job_writes_on_until_it_ends(frozen_aws: LocalAws, frozen_batch: Any, frozen_logs: Any) -> None:
    """A script's stopping time is time in RUNNING, with lines, and exit code 143."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=100, stopping=10, lines={"count": 1000, "rate": 1.0})
    [job_id] = frozen_aws.submit("align:1")
    frozen_aws.advance(8)
    frozen_batch.terminate_job(jobId=job_id, reason="no longer wanted")
    frozen_aws.advance(9)
    assert frozen_aws.job(job_id)["status"] == "RUNNING"
    frozen_aws.advance(91)
    job = frozen_aws.job(job_id)
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 143)
    names = [job["container"]["logStreamName"]]
    events = frozen_logs.filter_log_events(logGroupName="/aws/batch/job", logStreamNames=names)["events"]
    assert [event["message"] for event in events] == [f"line {number}" for number in range(1, 17)]


def test_terminating_again_puts_nothing_off(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """The end comes as long after the first call as it would have."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=100, stopping=10)
    [job_id] = frozen_aws.submit("align:1")
    frozen_aws.advance(9)
    for reason in ("first", "second"):
        frozen_batch.terminate_job(jobId=job_id, reason=reason)
        frozen_aws.advance(5)
    job = frozen_aws.job(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "second")


def test_an_unknown_job_counts_as_stopped(frozen_aws: LocalAws, frozen_batch: Any, job_in: Any) -> None:
    """Both calls succeed; a node is none that can be stopped, and its job goes on."""
    job_id = job_in("RUNNING")
    for stop in (frozen_batch.terminate_job, frozen_batch.cancel_job):
        for unknown in ("nobody", f"{job_id}#0"):
            assert stop(jobId=unknown, reason="r")["ResponseMetadata"]["HTTPStatusCode"] == 200
    frozen_aws.advance(10)
    assert frozen_aws.job(job_id)["status"] == "RUNNING"


def test_stopping_needs_an_id_and_a_reason(batch: Any) -> None:
    """Of either operation, whether the job is known or not."""
    for stop in (batch.terminate_job, batch.cancel_job):
        for job_id, reason in (("", "r"), ("nobody", "")):
            with pytest.raises(batch.exceptions.ClientException, match="must"):
                stop(jobId=job_id, reason=reason)


@needs("batch", "TerminateJobs")
def test_stopping_several_needs_an_id_of_each_and_a_reason(batch: Any) -> None:
    """Of either operation, whether the jobs are known or not."""
    for stop in (batch.terminate_jobs, batch.cancel_jobs):
        for ids, reason in ((["nobody", ""], "r"), (["nobody"], "")):
            with pytest.raises(batch.exceptions.ClientException, match="must"):
                stop(jobs=ids, reason=reason)


@needs("batch", "TerminateJobs")
def test_several_jobs_are_stopped_in_one_call(frozen_aws: LocalAws, frozen_batch: Any, job_in: Any) -> None:
    """TerminateJobs and CancelJobs take fifty ids, and unknown ones count as done."""
    running, waiting = job_in("RUNNING"), job_in("SUBMITTED")
    answer = frozen_batch.cancel_jobs(jobs=[running, waiting, "nobody"], reason="enough")
    assert (answer["successful"], answer["errors"]) == ([running, waiting, "nobody"], [])
    frozen_aws.advance(1)
    assert [frozen_aws.job(job_id)["status"] for job_id in (running, waiting)] == ["RUNNING", "FAILED"]
    frozen_batch.terminate_jobs(jobs=[running, waiting], reason="enough")
    frozen_aws.advance(1)
    assert frozen_aws.job(running)["status"] == "FAILED"
    with pytest.raises(frozen_batch.exceptions.ClientException, match="50"):
        frozen_batch.terminate_jobs(jobs=["x"] * 51, reason="enough")


def test_a_reason_has_a_length(batch: Any, aws: LocalAws) -> None:
    """1,024 characters at most."""
    [job_id] = aws.submit(aws.register("align"))
    with pytest.raises(batch.exceptions.ClientException, match="1024"):
        batch.terminate_job(jobId=job_id, reason="x" * 1025)


def test_a_job_that_waits_for_a_slot_leaves_the_line(aws: LocalAws, batch: Any) -> None:
    """The jobs behind it move up, and its slot goes to no other job."""
    aws.register("align")
    aws.script(definition="align", running=3600, uses_slot=True)
    ids = aws.submit("align:1", count=6)
    for job_id in ids[:4]:
        aws.wait_for_status(job_id, "RUNNING")
    aws.wait_for_status(ids[5], "RUNNABLE")
    batch.terminate_job(jobId=ids[4], reason="no longer wanted")
    aws.wait_for_status(ids[4])
    batch.terminate_job(jobId=ids[0], reason="room")
    assert aws.wait_for_status(ids[5], "RUNNING")["status"] == "RUNNING"
