"""What earlier attempts have left: which of it is found, adopted, ended or left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.batch.identity import TaskKey, task_tags
from airflow_batch_jobs.batch.submission import REPLACED_REASON
from airflow_batch_jobs.errors import StaleAttemptError
from tests.batch.submit_world import CLEARED, FIRST, RETRY, World

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def world(frozen_aws: LocalAws) -> World:
    """Return a world without any job."""
    return World(frozen_aws)


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


def test_the_job_of_a_later_attempt_is_left_alone(world: World) -> None:
    """An attempt that paused for long may find the job of the one that replaced it."""
    world.submit(FIRST, "old")
    later = replace(FIRST, try_number=3)
    job_id = world.aws.submit("job:1", jobName=f"{later.job_name_prefix()}-later0", tags=task_tags(later))[0]
    world.submit(RETRY, "new")
    assert job_id in world.active


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
    assert world.aws.job(first.job_id)["statusReason"] == REPLACED_REASON


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
    assert world.aws.job(old.job_id)["statusReason"] == REPLACED_REASON


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
