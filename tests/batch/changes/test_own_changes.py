"""Changes of a user's own: beside this package's, and what they do wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.errors import RequestError
from tests.batch.changes.world import World, memory_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob
    from airflow_batch_jobs.local.server import LocalAws


class Greeting:
    """A change of a user's own: the command says how often the job has failed."""

    after = frozenset({Cause.OUT_OF_MEMORY})

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterable[Change]:
        """Put a variable into the environment."""
        number = len(failures)
        job.request["containerOverrides"]["environment"] = [{"name": "FAILED", "value": str(number)}]
        yield Change("containerOverrides.environment", "", f"FAILED={number}", "a test")


class Renaming:
    """A change that goes too far."""

    after = frozenset({Cause.OUT_OF_MEMORY})

    def __init__(self, field: str) -> None:
        self.field = field

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterable[Change]:
        """Change what tells whose job it is."""
        del failures
        job.request[self.field] = "other:2"
        return []


def test_a_change_of_ones_own_is_made_beside_the_others(frozen_aws: LocalAws) -> None:
    """In the order of the list."""
    world = World(frozen_aws, changes=[Greeting(), MoreMemory()])
    world.submit_and_end(1)
    submitted = world.submit(2)
    sent = world.aws.requests("SubmitJob")[-1].parameters["containerOverrides"]
    assert sent["environment"] == [{"name": "FAILED", "value": "1"}]
    assert sent["resourceRequirements"] == [{"type": "MEMORY", "value": "2048"}]
    assert [change.by for change in submitted.changes] == ["Greeting", "MoreMemory"]


class Own:
    """A change of a user's own that does whatever a test wants."""

    after = frozenset({Cause.OUT_OF_MEMORY})

    def __init__(self, does: Callable[[dict[str, Any]], Any]) -> None:
        self.does = does

    def apply(self, job: NextJob, failures: Sequence[Failure]) -> Iterable[Change]:
        """Do it."""
        del failures
        return self.does(job.request)  # type: ignore[no-any-return]  # or anything else


def test_more_memory_begins_with_what_a_change_before_it_has_made(frozen_aws: LocalAws) -> None:
    """Also where another one stands before that change."""

    def set_memory(request: dict[str, Any]) -> list[Change]:
        request["containerOverrides"]["resourceRequirements"] = [{"type": "MEMORY", "value": "2048"}]
        return [Change("memory", "", "2048 MiB", "a test")]

    world = World(frozen_aws, changes=[MoreMemory(after={Cause.KILLED}), Own(set_memory), MoreMemory()])
    world.submit_and_end(1)
    second = world.submit_and_end(2)
    assert memory_of(frozen_aws.job(second.job_id)) == 4096
    assert [change.after for change in second.changes] == ["2048 MiB", "4096 MiB"]


DEBUG = [{"name": "DEBUG", "value": "1"}]


def replace_override(request: dict[str, Any]) -> list[Change]:
    """Put another object in the place of the override."""
    request["containerOverrides"] = {**request["containerOverrides"], "environment": DEBUG}
    return [Change("containerOverrides.environment", "", "DEBUG=1", "a test")]


def take_out_override(request: dict[str, Any]) -> list[Change]:
    """Leave no override at all."""
    del request["containerOverrides"]
    return []


@pytest.mark.parametrize(
    ("changes", "environment"),
    [
        ([Own(replace_override), MoreMemory()], DEBUG),
        ([MoreMemory(), Own(replace_override)], DEBUG),
        ([Own(take_out_override), MoreMemory()], None),
        ([Own(replace_override), Own(replace_override), MoreMemory()], DEBUG),
    ],
)
def test_a_change_after_one_that_replaces_an_override_is_sent(
    frozen_aws: LocalAws, changes: list[Any], environment: Any
) -> None:
    """What is said is what is sent, whatever the order."""
    world = World(frozen_aws, changes=changes)
    for attempt in (1, 2, 3):
        submitted = world.submit_and_end(attempt)
        sent = frozen_aws.requests("SubmitJob")[-1].parameters.get("containerOverrides", {})
        assert sent.get("environment") == (environment if attempt > 1 else None)
    assert world.memory() == [1024, 2048, 4096]
    [memory] = [change for change in submitted.changes if change.field == "containerOverrides memory"]
    assert memory.after == "4096 MiB"


def test_a_role_that_may_not_look_the_revision_up_leaves_an_override_to_change(frozen_aws: LocalAws) -> None:
    """An empty one, or the task's own, whose memory is then known."""
    world = World(frozen_aws, changes=[Greeting(), MoreMemory()])
    frozen_aws.fault("DescribeJobDefinitions", "denied")
    own = {"resourceRequirements": [{"type": "MEMORY", "value": "1024"}]}
    for attempt, overrides in ((1, own), (2, own)):
        world.submit_and_end(attempt, container_overrides=overrides)
    sent = frozen_aws.requests("SubmitJob")[-1].parameters["containerOverrides"]
    assert sent["resourceRequirements"] == [{"type": "MEMORY", "value": "2048"}]
    assert sent["environment"] == [{"name": "FAILED", "value": "1"}]
    world.submit_and_end(3)
    sent = frozen_aws.requests("SubmitJob")[-1].parameters["containerOverrides"]
    assert sent == {"environment": [{"name": "FAILED", "value": "2"}]}
    assert any(note.startswith("MoreMemory changes nothing: the role may not look up") for note in world.notes)


def fail(request: dict[str, Any]) -> Any:
    """Raise an error."""
    raise KeyError(*request)


def without_a_word(request: dict[str, Any]) -> list[Change]:
    """Change the request and yield nothing."""
    request["containerOverrides"]["environment"] = DEBUG
    return []


@pytest.mark.parametrize(
    ("does", "message"),
    [
        (lambda _: None, r"on_retry: Own failed with TypeError\(.*Fix its `apply`"),
        (fail, r"on_retry: Own failed with KeyError\('jobName.*Fix its `apply`"),
        (lambda _: ["hello"], "on_retry: Own yields 'hello'. Let `apply` yield a Change whose fields are text"),
        (lambda _: [Change("f", 1, 2, None)], r"on_retry: Own yields Change\(field='f', before=1.* fields are text"),  # type: ignore[arg-type]
        (lambda request: request.pop("jobQueue") and [], "jobQueue: was changed by Own of on_retry"),
        (lambda request: request.pop("jobName") and [], "jobName: was changed by Own of on_retry"),
        (lambda request: request.update(containerOverrides=None), "on_retry: Own failed with TypeError"),
        (
            lambda request: request.update(containerOverrides=None) or [Change("f", "", "", "")],
            r"on_retry: Own made something else than a request \(SubmitJob containerOverrides",
        ),
        (
            lambda request: request.update(tags=7) or [Change("f", "", "", "")],
            "on_retry: Own made something else than a request",
        ),
        (without_a_word, "on_retry: Own changed the request and says nothing of it. Let `apply` yield a Change"),
    ],
)
@pytest.mark.parametrize("others", [[], [MoreMemory()]], ids=["alone", "beside another"])
def test_what_a_change_of_ones_own_does_wrong_is_an_error_that_names_it(
    frozen_aws: LocalAws, does: Any, message: str, others: list[Any]
) -> None:
    """Before anything is sent, alone or beside others."""
    world = World(frozen_aws, changes=[Own(does), *others])
    world.submit_and_end(1)
    with pytest.raises(RequestError, match=message):
        world.submit(2)
    assert len(world.aws.jobs()) == 1


def test_a_change_of_ones_own_names_the_queue_that_it_takes(frozen_aws: LocalAws) -> None:
    """Otherwise an attempt that has no record would not find the job, and start a second one."""
    world = World(frozen_aws, changes=[Renaming("jobQueue")])
    world.submit_and_end(1)
    with pytest.raises(RequestError, match="jobQueue: was changed by Renaming of on_retry, which has to name"):
        world.submit(2)
    assert len(world.aws.jobs()) == 1


@pytest.mark.parametrize("field", ["jobName", "jobDefinition"])
def test_a_change_of_ones_own_leaves_name_and_revision(frozen_aws: LocalAws, field: str) -> None:
    """By the name the job is found again."""
    world = World(frozen_aws, changes=[Renaming(field)])
    world.submit_and_end(1)
    with pytest.raises(RequestError, match=f"{field}: was changed by Renaming of on_retry"):
        world.submit(2)
    assert len(world.aws.jobs()) == 1
