"""A submit that would be refused by now: what earlier attempts left is found all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.preflight import check_request
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.errors import AccessDeniedError, QueueNotFoundError, RequestError, RevisionInactiveError
from tests.batch.submit_world import CLEARED, FIRST, RETRY, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def world(frozen_aws: LocalAws) -> World:
    """Return a world without any job."""
    return World(frozen_aws)


def deregister(world: World) -> dict[str, Any]:
    """Deregister the revision."""
    world.aws.clients()("batch").deregister_job_definition(jobDefinition="job:1")
    return {}


def ask_too_much(world: World) -> dict[str, Any]:
    """Ask for what AWS would not take."""
    del world
    return {"options": {"timeout": {"attemptDurationSeconds": 1}}}


def ask_nonsense(world: World) -> dict[str, Any]:
    """Ask for what AWS does not know."""
    del world
    return {"options": {"timeOut": 1}}


CHANGES = [
    (deregister, RevisionInactiveError),
    (ask_too_much, RequestError),
    (ask_nonsense, RequestError),
]


def attempt(world: World, identity: Any, **changed: Any) -> str:
    """Submit as the operator does, with its checks; return the job's id."""
    submission = world.submission(identity, check=lambda request: check_request(world.aws.clients(), request))
    fields = {"job_queue": "default", "job_definition": "job:1", "container_overrides": {"command": ["true"]}}
    own = submission.request
    submission.request = SubmitRequest(**{**fields, **changed}, job_name=own.job_name, tags=own.tags)
    return submission.run().job_id


@pytest.mark.parametrize(("change", "error"), CHANGES)
def test_a_retry_finds_its_job(world: World, change: Callable[[World], dict[str, Any]], error: type[Exception]) -> None:
    """Only a new job has to pass the checks."""
    job_id = attempt(world, FIRST)
    changed = change(world)
    assert attempt(world, RETRY, **changed) == job_id
    assert world.active == [job_id]
    with pytest.raises(error):
        attempt(world, CLEARED, **changed)


@pytest.mark.parametrize(("change", "error"), CHANGES)
def test_a_clear_ends_the_old_job(
    world: World, change: Callable[[World], dict[str, Any]], error: type[Exception]
) -> None:
    """Although it cannot start its own."""
    attempt(world, FIRST)
    changed = change(world)
    with pytest.raises(error):
        attempt(world, CLEARED, **changed)
    assert world.active == []


def test_a_job_is_found_although_the_queue_of_its_record_is_gone(world: World) -> None:
    """It has been moved since, and the old queue was deleted."""
    job_id = attempt(world, FIRST)
    assert world.store.record is not None
    world.store.record = replace(world.store.record, job_queue="gone")
    assert attempt(world, RETRY) == job_id
    assert world.active == [job_id]


def test_a_queue_that_cannot_be_listed_is_not_taken_for_gone(world: World) -> None:
    """A second job would be the price."""
    job_id = attempt(world, FIRST)
    world.aws.fault("ListJobs", "denied")
    with pytest.raises(AccessDeniedError):
        attempt(world, RETRY)
    assert world.active == [job_id]


def test_a_first_attempt_is_checked_before_anything_is_remembered(world: World) -> None:
    """What is refused leaves no record."""
    with pytest.raises(QueueNotFoundError):
        attempt(world, FIRST, job_queue="gone")
    assert world.store.writes == []
    assert world.active == []


def test_a_request_that_cannot_even_be_made_leaves_the_look_at_what_there_is(world: World) -> None:
    """A retry goes on with its job, a clear ends it, and only then it is told why nothing is sent."""
    refusal = ValueError("the template is broken")
    first = world.submit(FIRST)
    assert world.submission(RETRY, "something else", refusal=refusal).run().job_id == first.job_id
    with pytest.raises(ValueError, match="the template is broken"):
        world.submission(CLEARED, refusal=refusal).run()
    assert world.active == []
    assert world.aws.counts()["SubmitJob"] == 1
