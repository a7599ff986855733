"""A submit that was broken off: what it may have started is found, so that it can be ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.batch.test_submission import CLEARED, FIRST, RETRY, World

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.submission import Record
    from airflow_batch_jobs.local.server import LocalAws


class TimeIsUp(BaseException):
    """What Airflow raises in the middle of a task; no Exception, either."""


def break_off_after_the_send(world: World) -> None:
    """Let time be up when the job is started and its id is not stored yet."""
    original = world.store.write

    def write(record: Record) -> None:
        if record.job_id:
            raise TimeIsUp
        original(record)

    world.store.write = write  # type: ignore[method-assign]


def test_a_job_whose_submit_was_broken_off_is_found(frozen_aws: LocalAws) -> None:
    """Also when AWS lists it only some time after it was started."""
    world = World(frozen_aws)
    frozen_aws.fault("ListJobs", "lag", seconds=30)
    break_off_after_the_send(world)
    submission = world.submission(FIRST)
    with pytest.raises(TimeIsUp):
        submission.run()
    began = frozen_aws.now()
    [found] = submission.unfinished()
    assert [found.job_id] == world.active
    assert found.is_recorded
    assert 25 < frozen_aws.now() - began < 40


def test_a_send_that_started_nothing_is_looked_for_for_a_minute(frozen_aws: LocalAws) -> None:
    """Then it is certain that there is no job."""
    world = World(frozen_aws)
    submission = world.submission(FIRST)
    frozen_aws.fault("SubmitJob", "denied")
    with pytest.raises(Exception, match="SubmitJob"):
        submission.run()
    began = frozen_aws.now()
    assert submission.unfinished() == []
    assert 60 <= frozen_aws.now() - began < 65
    assert frozen_aws.jobs() == []


def test_nothing_is_waited_for_where_nothing_was_sent(frozen_aws: LocalAws) -> None:
    """An earlier attempt's job is found at once, one of another generation is not this one's."""
    world = World(frozen_aws)
    first = world.submit(FIRST)
    began = frozen_aws.now()
    assert world.submission(CLEARED).unfinished() == []
    assert [job.job_id for job in world.submission(RETRY).unfinished()] == [first.job_id]
    assert frozen_aws.now() - began < 5
