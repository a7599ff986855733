"""One task instance, one job: what an attempt remembers, sends and takes over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.batch.identity import task_tags
from airflow_batch_jobs.batch.record import Record
from airflow_batch_jobs.errors import RecordUnavailableError, StaleAttemptError
from tests.batch.submit_world import CLEARED, FIRST, RETRY, World

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws

#: A record as version 0.1.0 stores it.
STORED = {
    "job_name": "d-t-0123456789ab-abcdef",
    "job_queue": "default",
    "generation": "0123456789abcdef",
    "request_digest": "fedcba9876543210",
    "try_number": 1,
    "max_tries": 0,
    "sent_at": "2026-11-23T12:00:00+00:00",
    "job_id": None,
}


class TimeIsUp(BaseException):
    """What Airflow raises in the middle of a task; no Exception, either."""


@pytest.fixture
def world(frozen_aws: LocalAws) -> World:
    """Return a world without any job."""
    return World(frozen_aws)


def test_the_record_is_written_before_the_request_and_completed_after_it(world: World) -> None:
    """An attempt that dies in between leaves the name by which the job can be found."""
    submitted = world.submit(FIRST)
    before, after = world.store.writes
    assert before.job_id is None
    assert after == replace(before, job_id=submitted.job_id)
    assert world.aws.job(submitted.job_id)["jobName"] == before.job_name


def test_a_first_attempt_lists_nothing(world: World) -> None:
    """The usual case costs one call to AWS."""
    world.submit(FIRST)
    assert world.aws.counts() == {"SubmitJob": 1}


def test_a_refused_record_ends_the_attempt_before_it_submits(world: World) -> None:
    """The write is the fence: another attempt has taken over."""
    world.store.refuses = [StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        world.submit(FIRST)
    assert not world.aws.jobs()


def test_a_refused_id_ends_the_attempt_and_leaves_the_job(world: World) -> None:
    """A stale attempt never terminates anything: its job may have been adopted."""
    world.store.refuses = []
    original = world.store.write

    def write(record: Record) -> None:
        if record.job_id:
            raise StaleAttemptError
        original(record)

    world.store.write = write  # type: ignore[method-assign]
    with pytest.raises(StaleAttemptError):
        world.submit(FIRST)
    assert len(world.active) == 1


def test_without_a_store_the_job_is_submitted_if_aws_can_be_asked(world: World) -> None:
    """A store that is down does not prevent a job as long as ListJobs shows that there is none yet."""
    world.store.refuses = [RecordUnavailableError("down"), RecordUnavailableError("down")]
    submitted = world.submit(FIRST)
    assert world.active == [submitted.job_id]
    assert world.aws.counts()["ListJobs"] == 1


def test_a_retry_adopts_the_job_that_is_still_active(world: World) -> None:
    """The worker died, but its job did not."""
    first = world.submit(FIRST)
    again = world.submit(RETRY)
    assert again.job_id == first.job_id
    assert again.found is not None
    assert len(world.aws.jobs()) == 1


def test_an_adopted_job_is_remembered_by_its_id(world: World) -> None:
    """The next attempt knows it, whatever is listed, and the write ends an attempt that has been replaced."""
    first = world.submit(FIRST)
    world.store.record = replace(world.store.writes[0], job_id=None)
    world.submit(RETRY)
    remembered = world.store.writes[-1]
    assert (remembered.job_id, remembered.job_name) == (first.job_id, world.store.writes[0].job_name)
    assert (remembered.try_number, remembered.generation) == (2, RETRY.generation)
    world.store.refuses = [StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        world.submit(replace(RETRY, try_number=3))
    assert world.active == [first.job_id]


def test_a_retry_takes_the_result_of_a_job_that_succeeded(world: World) -> None:
    """A success is not run twice."""
    first = world.submit(FIRST)
    world.aws.advance(4000)
    assert world.aws.job(first.job_id)["status"] == "SUCCEEDED"
    assert world.submit(RETRY).job_id == first.job_id


def test_a_retry_after_a_failed_job_submits_a_new_one(world: World) -> None:
    """That is what retries are for."""
    world.aws.script(definition="job", running=1, attempts=[1])
    first = world.submit(FIRST)
    world.aws.advance(60)
    assert world.submit(RETRY).job_id != first.job_id


def test_a_lost_answer_does_not_start_a_second_job(world: World) -> None:
    """The job is found by its name, in the same attempt and in the next."""
    world.aws.fault("SubmitJob", "drop", times=1, after=True)
    submitted = world.submit(FIRST)
    assert world.active == [submitted.job_id]
    world.store.record = replace(world.store.writes[0], job_id=None)
    assert world.submit(RETRY).job_id == submitted.job_id


def test_a_throttled_send_keeps_its_record_young(world: World) -> None:
    """The record's time tells for how long a job may be unseen, and the request may go out a minute after the first."""
    world.aws.fault("SubmitJob", "throttle", times=8)
    submitted = world.submit(FIRST)
    assert len(world.store.writes) == 8 + 2
    for record in world.store.writes[-2:]:
        sent_at = datetime.fromisoformat(record.sent_at).timestamp()
        assert abs(world.aws.job(submitted.job_id)["createdAt"] / 1000 - sent_at) < 1


def test_a_replaced_attempt_sends_no_throttled_request_again(world: World) -> None:
    """An attempt that waited for the rate checks whether it is still wanted."""
    world.aws.fault("SubmitJob", "throttle", times=1)
    world.store.refuses = [None, StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        world.submit(FIRST)
    assert not world.aws.jobs()


def test_a_replaced_attempt_ends_no_job(world: World) -> None:
    """Its record is refused before it terminates what asks for something else: that may be another attempt's by now."""
    first = world.submit(FIRST, "old")
    world.store.refuses = [StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        world.submit(RETRY, "new")
    assert world.active == [first.job_id]


def test_a_job_that_succeeds_while_others_are_ended_is_the_result(world: World) -> None:
    """It asked for something else, but it did what the task is for, and a success is not run twice."""
    first = world.submit(FIRST, "old")
    original = world.store.write

    def write(record: Record) -> None:
        original(record)
        world.aws.advance(4000)

    world.store.write = write  # type: ignore[method-assign]
    assert world.submit(RETRY, "new").job_id == first.job_id
    assert len(world.aws.jobs()) == 1


def test_a_stored_record_is_read_and_what_it_does_not_know_is_passed_over() -> None:
    """Records outlive the version that wrote them."""
    assert Record.from_dict(STORED).to_dict().items() >= STORED.items()
    assert Record.from_dict({**STORED, "later": 1}) == Record.from_dict(STORED)


def test_a_job_whose_submit_was_broken_off_is_found(world: World) -> None:
    """Also when AWS lists it only some time after it was started."""
    world.aws.fault("ListJobs", "lag", seconds=30)
    world.store.refuses = [None, TimeIsUp()]
    submission = world.submission(FIRST)
    with pytest.raises(TimeIsUp):
        submission.run()
    began = world.aws.now()
    [found] = submission.unfinished()
    assert ([found.job_id], found.is_recorded) == (world.active, True)
    assert 25 < world.aws.now() - began < 40


def test_a_send_that_started_nothing_is_looked_for_for_a_minute(world: World) -> None:
    """Then it is certain that there is no job."""
    submission = world.submission(FIRST)
    world.aws.fault("SubmitJob", "denied")
    with pytest.raises(Exception, match="SubmitJob"):
        submission.run()
    began = world.aws.now()
    assert (submission.unfinished(), world.aws.jobs()) == ([], [])
    assert 60 <= world.aws.now() - began < 65


def test_nothing_is_waited_for_where_nothing_was_sent(world: World) -> None:
    """An earlier attempt's job is found at once, one of another generation is not this one's."""
    first = world.submit(FIRST)
    began = world.aws.now()
    assert world.submission(CLEARED).unfinished() == []
    assert [job.job_id for job in world.submission(RETRY).unfinished()] == [first.job_id]
    assert world.aws.now() - began < 5


def test_a_job_is_named_and_tagged_for_its_task_instance(world: World) -> None:
    """With the author's text before the hash, and the mark of one that may outlive its task."""
    submission = world.submission(FIRST, job_name="nightly run", is_detached=True)
    job = world.aws.job(submission.run().job_id)
    assert job["jobName"].startswith(FIRST.job_name_prefix("nightly run"))
    assert job["tags"] == task_tags(FIRST, is_detached=True)
    assert submission.request.digest() == world.submission(CLEARED).request.digest()
