"""One task instance, one job: what an attempt finds of earlier ones, and what it remembers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, task_tags
from airflow_batch_jobs.batch.record import Record
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.batch.submission import REPLACED, Submission
from airflow_batch_jobs.errors import RecordUnavailableError, StaleAttemptError
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.submitted import Submitted
    from airflow_batch_jobs.local.server import LocalAws

FIRST = TaskIdentity(TaskKey("d", "r", "t"), max_tries=1, traceparent="trace-1", deployment="here")
RETRY = replace(FIRST, try_number=2)
CLEARED = replace(FIRST, try_number=2, max_tries=2, traceparent="trace-2")

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


class Store:
    """A task state store in memory, with the failures of the real one."""

    def __init__(self) -> None:
        self.forgets = False
        self.record: Record | None = None
        self.writes: list[Record] = []
        self.refuses: list[BaseException | None] = []

    def read(self) -> Record | None:
        """Return the record."""
        return self.record

    def write(self, record: Record) -> None:
        """Keep the record, or fail as told."""
        if self.refuses and (error := self.refuses.pop(0)):
            raise error
        self.writes.append(record)
        self.record = record


class TimeIsUp(BaseException):
    """What Airflow raises in the middle of a task; no Exception, either."""


class World:
    """A local AWS, a store and a clock, in which attempts submit."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.store = Store()
        self.notes: list[str] = []
        aws.register("job")
        aws.script(definition="job", running=3600)

    def submit(self, identity: TaskIdentity, command: str = "true") -> Submitted:
        """Submit for one attempt, as the operator does."""
        return self.submission(identity, command).run()

    def submission(self, identity: TaskIdentity, command: str = "true", **how: Any) -> Submission:
        """Return what submits for one attempt."""
        request = SubmitRequest(job_queue="default", job_definition="job:1", container_overrides={"command": [command]})
        return Submission(
            clients=self.aws.clients(),
            identity=identity,
            request=request,
            store=self.store,
            note=self.notes.append,
            clock=FrozenClock(self.aws),
            **how,
        )

    @property
    def active(self) -> list[str]:
        """The ids of the jobs that have not ended."""
        return [job["jobId"] for job in self.aws.jobs() if job["status"] not in ("SUCCEEDED", "FAILED")]


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


def test_of_several_jobs_one_is_adopted_and_the_others_are_ended(world: World) -> None:
    """A process that paused between its last check and the send leaves a second one; the recorded one is kept."""
    first = world.submit(FIRST)
    late = world.submission(FIRST).request
    world.aws.submit("job:1", jobName=late.job_name, tags=late.tags)
    assert world.submit(RETRY).job_id == first.job_id
    assert world.active == [first.job_id]


def test_a_success_ends_a_second_job_that_is_at_work(world: World) -> None:
    """The task has what it wanted."""
    first = world.submit(FIRST)
    world.aws.advance(4000)
    late = world.submission(FIRST).request
    world.aws.submit("job:1", jobName=late.job_name, tags=late.tags)
    assert world.submit(RETRY).job_id == first.job_id
    assert not world.active


def test_an_older_job_is_ended_before_the_own_one_is_adopted(world: World) -> None:
    """The attempt's own job was sent while the store was down, so the record still names the older one."""
    world.submit(FIRST)
    own = world.submission(CLEARED).request
    job_id = world.aws.submit("job:1", jobName=own.job_name, tags=own.tags)[0]
    assert world.submit(replace(CLEARED, try_number=3)).job_id == job_id
    assert world.active == [job_id]


@pytest.mark.parametrize(("before", "after"), [("trace-1", None), (None, "trace-1")])
def test_an_unknown_trace_is_no_clear(world: World, before: str | None, after: str | None) -> None:
    """Only two that are known and differ tell one."""
    first = world.submit(replace(FIRST, traceparent=before))
    assert world.submit(replace(RETRY, traceparent=after)).job_id == first.job_id


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


def test_a_record_without_an_id_is_looked_up_until_listings_cannot_lag_any_more(world: World) -> None:
    """An empty listing counts only 60 s after the send."""
    world.aws.fault("ListJobs", "lag", seconds=40)
    first = world.submit(FIRST)
    world.store.record = replace(world.store.writes[0], job_id=None)
    assert world.submit(RETRY).job_id == first.job_id
    assert len(world.aws.jobs()) == 1


def test_a_job_that_was_sent_just_now_is_waited_for_although_its_id_is_known(world: World) -> None:
    """A retry may come before AWS lists or describes the job, and must not start a second one."""
    first = world.submit(FIRST)
    for operation in ("ListJobs", "DescribeJobs"):
        world.aws.fault(operation, "lag", seconds=40)
    assert world.submit(RETRY).job_id == first.job_id
    assert len(world.aws.jobs()) == 1


def test_a_job_that_aws_has_forgotten_is_submitted_anew(world: World) -> None:
    """A record from yesterday is no longer waited for."""
    first = world.submit(FIRST)
    world.store.record = replace(world.store.writes[-1], job_id="forgotten", job_name="forgotten")
    world.aws.clients()("batch").terminate_job(jobId=first.job_id, reason="by hand")
    world.aws.advance(3600)
    before = world.aws.now()
    assert world.submit(RETRY).job_id != first.job_id
    assert world.aws.now() - before < 5


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


def test_the_job_of_a_later_attempt_is_left_alone(world: World) -> None:
    """An attempt that paused for long may find the job of the one that replaced it."""
    world.submit(FIRST, "old")
    later = replace(FIRST, try_number=3)
    job_id = world.aws.submit("job:1", jobName=f"{later.job_name_prefix()}-later0", tags=task_tags(later))[0]
    world.submit(RETRY, "new")
    assert job_id in world.active


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


def test_a_retry_that_asks_for_something_else_ends_the_old_job_first(world: World) -> None:
    """A job for another request is not this attempt's job; two of them never run at once."""
    first = world.submit(FIRST, "old")
    second = world.submit(RETRY, "new")
    assert second.job_id != first.job_id
    assert world.active == [second.job_id]
    assert world.aws.job(first.job_id)["isTerminated"]


def test_a_clear_ends_the_old_job_and_runs_again(world: World) -> None:
    """A clear begins a new generation, whose job starts when the old one has ended."""
    first = world.submit(FIRST)
    second = world.submit(CLEARED)
    assert world.active == [second.job_id]
    assert world.aws.job(first.job_id)["isTerminated"]


def test_a_clear_of_a_success_runs_again(world: World) -> None:
    """The result of the last generation is not a result of this one."""
    first = world.submit(FIRST)
    world.aws.advance(4000)
    assert world.submit(CLEARED).job_id != first.job_id


def test_jobs_of_other_deployments_and_unknown_generations_are_left_alone(world: World) -> None:
    """Somebody else's job with the same name is not ours to stop or to take."""
    first = world.submit(FIRST)
    tags = task_tags(replace(FIRST, deployment="there"))
    unknown = {**task_tags(FIRST), "airflow-generation": "somebody"}
    for index, each in enumerate((tags, unknown)):
        world.aws.submit("job:1", jobName=f"{FIRST.job_name_prefix()}-{index:06}", tags=each)
    assert world.submit(RETRY).job_id == first.job_id
    assert len(world.active) == 3


def forget(world: World) -> None:
    """Have a clear discard the record, as Airflow 3.4 does."""
    world.store.record, world.store.forgets = None, True


@pytest.mark.parametrize("traceparent", ["trace-1", "trace-2"])
def test_a_clear_that_discards_the_record_ends_the_old_job(world: World, traceparent: str) -> None:
    """Whether the trace changes, or is the run's own and does not."""
    first = world.submit(FIRST)
    forget(world)
    second = world.submit(replace(CLEARED, traceparent=traceparent))
    assert world.active == [second.job_id]
    assert world.aws.job(first.job_id)["statusReason"] == REPLACED


def test_without_a_record_an_own_job_is_adopted_and_those_of_earlier_runs_are_ended(world: World) -> None:
    """The store may have been out of order when the own one was sent."""
    world.submit(FIRST)
    own = world.submission(CLEARED).request
    job_id = world.aws.submit("job:1", jobName=own.job_name, tags=own.tags)[0]
    forget(world)
    assert world.submit(replace(CLEARED, try_number=3)).job_id == job_id
    assert world.active == [job_id]


@pytest.mark.parametrize("attempt", ["2", "3", "", "x", "-1"])
def test_without_a_record_the_job_of_no_earlier_attempt_is_left_alone(world: World, attempt: str) -> None:
    """Nor one of which it cannot be told."""
    tags = {**task_tags(FIRST), "airflow-generation": "somebody", "airflow-try-number": attempt}
    other = world.aws.submit("job:1", jobName=f"{FIRST.job_name_prefix()}-abcdef", tags=tags)[0]
    assert world.submit(CLEARED).found is None
    assert other in world.active


def test_that_the_record_was_discarded_is_remembered_before_a_job_is_ended(world: World) -> None:
    """An attempt that dies between the two leaves that job to the next one."""
    first = world.submit(FIRST)
    forget(world)
    world.aws.fault("TerminateJob*", "denied", times=1)
    with pytest.raises(Exception, match="TerminateJob"):
        world.submit(CLEARED)
    assert world.active == [first.job_id]
    assert world.store.record is not None
    again = world.submit(replace(CLEARED, try_number=3))
    assert world.active == [again.job_id]
    assert world.store.record.forgotten_before == 2


def test_a_replaced_attempt_without_a_record_ends_no_job(world: World) -> None:
    """Airflow shows it no record, and refuses its writes."""
    first = world.submit(FIRST)
    forget(world)
    world.store.refuses = [StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        world.submit(CLEARED)
    assert world.active == [first.job_id]


def test_what_a_clear_that_discards_the_record_has_left_just_now_is_waited_for(world: World) -> None:
    """AWS may list the last attempt's job only after the new attempt began."""
    world.aws.fault("ListJobs", "lag", seconds=40)
    world.submit(FIRST)
    forget(world)
    second = world.submit(CLEARED)
    assert world.active == [second.job_id]


@pytest.mark.parametrize(("forgets", "seconds"), [(True, 60), (False, 0)])
def test_what_no_record_tells_of_is_waited_for_where_clears_discard_records(
    world: World, *, forgets: bool, seconds: int
) -> None:
    """Where they do not, nothing was sent; where they do, an attempt whose job is listed has left no other."""
    world.store.forgets = forgets
    began = world.aws.now()
    world.submit(RETRY)
    assert seconds <= world.aws.now() - began < seconds + 5
    world.store.record = None
    began = world.aws.now()
    world.submit(replace(CLEARED, try_number=3))
    assert world.aws.now() - began < 5


PASS = replace(FIRST, key=TaskKey("d", "r", "t", loop_index=0), region_id="region-1")


def test_the_passes_of_a_loop_leave_each_others_jobs_alone(world: World) -> None:
    """Also retries, which look for jobs of the task; each pass has a record of its own."""
    jobs = []
    for number in range(3):
        world.store.record = None
        jobs.append(world.submit(replace(PASS, key=replace(PASS.key, loop_index=number))).job_id)
    world.store.record = None
    retry = replace(PASS, key=replace(PASS.key, loop_index=1), try_number=2)
    assert world.submit(retry).job_id == jobs[1]
    assert sorted(world.active) == sorted(jobs)


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_pass_that_is_made_anew_ends_the_job_of_the_old_one(world: World, attempt: int) -> None:
    """Its first attempt looks, since a clear with downstream begins the pass with an empty store."""
    old = world.submit(replace(PASS, try_number=attempt))
    world.store.record = None
    new = world.submit(replace(PASS, region_id="region-2"))
    assert world.active == [new.job_id]
    assert world.aws.job(old.job_id)["statusReason"] == REPLACED


def test_a_pass_that_was_archived_ends_no_job(world: World) -> None:
    """The store refuses the writes of its attempts."""
    world.submit(PASS)
    world.store.record = None
    new = world.submit(replace(PASS, region_id="region-2"))
    world.store.record, world.store.refuses = None, [StaleAttemptError()]
    with pytest.raises(StaleAttemptError):
        world.submit(replace(PASS, try_number=2))
    assert world.active == [new.job_id]


def test_a_success_of_a_pass_that_was_made_anew_is_not_its_result(world: World) -> None:
    """A clear runs again."""
    old = world.submit(PASS)
    world.aws.advance(4000)
    world.store.record = None
    assert world.submit(replace(PASS, region_id="region-2")).job_id != old.job_id


def test_a_terminated_job_is_not_adopted(world: World) -> None:
    """A job that is being stopped is not a result."""
    first = world.submit(FIRST)
    world.aws.advance(10)
    world.aws.script(definition="job", running=3600)
    world.aws.clients()("batch").terminate_job(jobId=first.job_id, reason="by hand")
    assert world.submit(RETRY).job_id != first.job_id


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
