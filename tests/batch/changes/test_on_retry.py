"""on_retry and the one job of a generation: what attempts send, adopt and remember after failures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.on_retry import OnRetry, failures_of
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.preflight import check_request
from airflow_batch_jobs.batch.record import Record
from airflow_batch_jobs.batch.request import SubmitRequest
from airflow_batch_jobs.batch.submission import Submission
from airflow_batch_jobs.errors import QueueNotFoundError, RecordUnavailableError, RequestError
from tests.batch.test_submission import FIRST, Store
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob
    from airflow_batch_jobs.batch.submitted import Submitted
    from airflow_batch_jobs.local.server import LocalAws
    from tests.batch.conftest import Entries

SPOT_LOST = {"exit_code": None, "status_reason": "Host EC2 (instance i-0abc) terminated."}
#: One that all of these attempts have: six tries of one generation.
TRIES = [replace(FIRST, try_number=number, max_tries=5) for number in range(1, 7)]
CLEARED = replace(FIRST, try_number=4, max_tries=9, traceparent="trace-2")


class World:
    """A local AWS whose jobs need 3 GiB, in which attempts submit."""

    def __init__(self, aws: LocalAws, *, needs_mib: int = 3072, changes: Sequence[RequestChange] | None = None) -> None:
        self.aws = aws
        self.store = Store()
        self.notes: list[str] = []
        self.changes: Sequence[RequestChange] = (MoreMemory(),) if changes is None else changes
        aws.register("job", container={"resourceRequirements": needs(1024)})
        aws.script(definition="job", running=10, attempts=[{"needs_mib": {"": needs_mib}}])

    def submission(self, identity: Any = TRIES[0], **request: Any) -> Submission:
        """Return what submits for one attempt."""
        on_retry = OnRetry(self.aws.clients(), self.changes, self.notes.append)
        asked = SubmitRequest(**{"job_queue": "default", "job_definition": "job:1", **request})
        return Submission(
            clients=self.aws.clients(),
            identity=identity,
            request=asked,
            store=self.store,
            note=self.notes.append,
            check=partial(
                check_request,
                self.aws.clients(),
                note=self.notes.append,
                also=lambda definition, _: on_retry.check(definition, asked.to_api()),
            ),
            on_retry=on_retry,
            clock=FrozenClock(self.aws),
        )

    def submit(self, attempt: int = 1, **request: Any) -> Submitted:
        """Submit for the attempt of this number."""
        return self.submission(TRIES[attempt - 1], **request).run()

    def submit_and_end(self, attempt: int = 1, **request: Any) -> Submitted:
        """Submit for an attempt, and let its job end."""
        submitted = self.submit(attempt, **request)
        self.aws.advance(120)
        return submitted

    def memory(self) -> list[int]:
        """Return how much memory each job has, in the order of the submits."""
        return [memory_of(job) for job in self.aws.jobs() if ":" not in job["jobId"]]


def needs(memory: int) -> list[dict[str, str]]:
    """Return resourceRequirements."""
    return [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": str(memory)}]


def memory_of(job: dict[str, Any]) -> int:
    """Return how much memory a job has."""
    return next(int(one["value"]) for one in job["container"]["resourceRequirements"] if one["type"] == "MEMORY")


@pytest.fixture
def world(frozen_aws: LocalAws) -> World:
    """Return a world without any job."""
    return World(frozen_aws)


def test_a_job_that_needs_3_gib_begins_with_1_and_passes_with_4(world: World) -> None:
    """Its third attempt; each says why."""
    for attempt in (1, 2, 3):
        submitted = world.submit_and_end(attempt)
    assert world.memory() == [1024, 2048, 4096]
    assert [job["status"] for job in world.aws.jobs()] == ["FAILED", "FAILED", "SUCCEEDED"]
    first, second, _ = (job["jobId"] for job in world.aws.jobs())
    says = [note for note in world.notes if note.startswith("on_retry")]
    assert says == [
        f"on_retry: containerOverrides memory is 2048 MiB, not 1024 MiB: out of memory in job {first}",
        f"on_retry: containerOverrides memory is 4096 MiB, not 1024 MiB: out of memory in job {second} and 1 before it",
    ]
    assert submitted.changes == tuple(world.store.writes[-1].changes)
    assert [change.by for change in submitted.changes] == ["MoreMemory"]


def test_an_attempt_that_dies_after_its_submit_is_followed_by_one_that_adopts_the_changed_job(world: World) -> None:
    """The digest is that of the request before the change, and what was changed is known from the record."""
    world.submit_and_end(1)
    second = world.submit(2)
    third = world.submit(3)
    assert third.job_id == second.job_id
    assert third.changes == second.changes != ()
    assert world.memory() == [1024, 2048]
    world.aws.advance(120)
    world.submit_and_end(4)
    assert world.memory() == [1024, 2048, 4096]


@pytest.mark.parametrize("may_look_up", [True, False])
def test_an_adopted_job_is_told_with_the_request_that_was_sent(frozen_aws: LocalAws, *, may_look_up: bool) -> None:
    """Its queue at least: what it was given on top follows from the revision and the failures before it."""
    order = [{"order": 1, "computeEnvironment": "local"}]
    frozen_aws.clients()("batch").create_job_queue(jobQueueName="big", priority=1, computeEnvironmentOrder=order)
    world = World(frozen_aws, changes=[MoreMemory(), OtherQueue("big", after={Cause.OUT_OF_MEMORY})])
    world.submit_and_end(1)
    second = world.submit(2)
    if not may_look_up:
        frozen_aws.fault("DescribeJobDefinitions", "denied")
    third = world.submit(3)
    assert third.job_id == second.job_id
    assert third.request.job_queue == "big"
    assert third.request.container_overrides == (second.request.container_overrides if may_look_up else {})
    assert len([note for note in world.notes if note.startswith("on_retry")]) == 2


@pytest.mark.parametrize("lost", ["record", "id", "jobs"])
def test_no_change_is_forgotten_or_made_twice(world: World, lost: str) -> None:
    """Whether the record is lost, the answer of the last submit, or AWS's memory of the first job."""
    world.submit_and_end(1)
    world.submit_and_end(2)
    if lost == "record":
        world.store.record = None
    elif lost == "id":
        world.store.record = replace(world.store.writes[-1], job_id=None)
    else:
        world.aws.fault("ListJobs", "lag", seconds=10_000)
    world.submit(3)
    assert world.memory() == [1024, 2048, 4096]


def test_failures_count_while_the_store_is_down(world: World) -> None:
    """AWS lists the jobs, and their tags tell the generation."""
    for attempt in (1, 2, 3):
        world.store.refuses = [RecordUnavailableError("down"), RecordUnavailableError("down")]
        world.submit_and_end(attempt)
    assert world.store.record is None
    assert world.memory() == [1024, 2048, 4096]


def test_a_clear_begins_with_the_original_request(world: World) -> None:
    """What failed before it is another generation's."""
    world.submit_and_end(1)
    world.submit_and_end(2)
    world.submission(CLEARED).run()
    assert world.memory() == [1024, 2048, 1024]
    assert world.store.writes[-1].failures == ()


def test_a_job_that_a_clear_replaced_is_no_failure_of_the_new_generation(world: World) -> None:
    """Its end is this package's doing."""
    world.submit(1)
    world.submission(CLEARED).run()
    world.aws.advance(120)
    world.submission(replace(CLEARED, try_number=5)).run()
    assert world.memory() == [1024, 1024, 2048]


def test_other_failures_change_nothing(frozen_aws: LocalAws) -> None:
    """Nor does a job that is terminated by hand."""
    world = World(frozen_aws, needs_mib=0)
    job_id = world.submit(1).job_id
    world.aws.advance(7)
    world.aws.clients()("batch").terminate_job(jobId=job_id, reason="by hand")
    world.aws.advance(120)
    world.submit(2)
    assert world.memory() == [1024, 1024]
    assert [failure.cause for failure in world.store.writes[-1].failures] == [Cause.TERMINATED]


def test_an_array_gets_more_as_a_whole_if_a_child_ran_out(world: World) -> None:
    """Whatever the first of its children failed of."""
    world.aws.script(definition="job", running=10, array_index=0, attempts=[1])
    world.submit_and_end(1, options={"arrayProperties": {"size": 3}})
    world.submit(2, options={"arrayProperties": {"size": 3}})
    assert world.memory() == [1024, 2048]
    assert {failure.cause for failure in world.store.writes[-1].failures} == {Cause.EXIT_CODE, Cause.OUT_OF_MEMORY}


def test_each_container_that_ran_out_of_memory_gets_more_at_once(world: World) -> None:
    """Not one an attempt; those beside them keep what they have."""
    containers = [
        {"name": name, "image": "i", "command": ["true"], "resourceRequirements": needs(1024)}
        for name in ("a", "b", "c")
    ]
    world.aws.clients()("batch").register_job_definition(
        jobDefinitionName="three", type="container", ecsProperties={"taskProperties": [{"containers": containers}]}
    )
    world.aws.script(definition="three", running=10, attempts=[{"needs_mib": {"a": 2000, "c": 2000}}])
    for attempt in (1, 2):
        world.submit_and_end(attempt, job_definition="three:1")
    [_, sent] = [request.parameters for request in world.aws.requests("SubmitJob")]
    [task] = sent["ecsPropertiesOverride"]["taskProperties"]
    more = [{"type": "MEMORY", "value": "2048"}]
    assert task["containers"] == [{"name": name, "resourceRequirements": more} for name in ("a", "c")]
    assert [job["status"] for job in world.aws.jobs()] == ["FAILED", "SUCCEEDED"]


@pytest.mark.parametrize("beside", ["OutOfMemoryError: Container killed due to memory usage", ""])
def test_a_container_that_ran_out_is_told_beside_one_that_failed_by_itself(entries: Entries, beside: str) -> None:
    """And one that was only stopped with it is not, also in a node."""
    ended: dict[str, dict[str, Any]] = {
        "a": {"exitCode": 1},
        "b": {"exitCode": 137, **({"reason": beside} if beside else {})},
    }
    entry = entries.multi_container(ended)
    others = [("b", Cause.OUT_OF_MEMORY)] if beside else []
    job = JobDetail.from_response(entry, "us-east-1")
    assert [(one.container, one.cause) for one in failures_of(job)] == [("a", Cause.EXIT_CODE), *others]
    node = JobDetail.from_response(entries.node(1, entry, is_main=True), "us-east-1")
    parent = JobDetail.from_response({**entries.multi_node(2, main=1), "status": "FAILED"}, "us-east-1")
    assert [(one.container, one.cause, one.node) for one in failures_of(parent, [node])] == [
        ("a", Cause.EXIT_CODE, 1),
        *((name, cause, 1) for name, cause in others),
    ]


def test_the_nodes_of_a_range_get_more_if_one_ran_out(world: World) -> None:
    """Found among the nodes, since the parent has no container."""
    group = {"container": {"image": "i", "command": ["true"], "resourceRequirements": needs(1024)}}
    nodes = {"numNodes": 3, "mainNode": 0, "nodeRangeProperties": [{**group, "targetNodes": "0:"}]}
    world.aws.clients()("batch").register_job_definition(
        jobDefinitionName="nodes", type="multinode", nodeProperties=nodes
    )
    world.aws.script(definition="nodes", running=10, attempts=[{"needs_mib": {"0": 2000}}])
    world.submit_and_end(1, job_definition="nodes:1")
    world.submit(2, job_definition="nodes:1")
    [_, sent] = [request.parameters for request in world.aws.requests("SubmitJob")]
    [override] = sent["nodeOverrides"]["nodePropertyOverrides"]
    assert override["containerOverrides"]["resourceRequirements"] == [{"type": "MEMORY", "value": "2048"}]


def test_a_lost_host_sends_the_next_job_to_the_other_queue(frozen_aws: LocalAws) -> None:
    """Where the next attempt finds it, also without a record."""
    queues = frozen_aws.clients()("batch")
    order = [{"order": 1, "computeEnvironment": "local"}]
    queues.create_job_queue(jobQueueName="on-demand", priority=1, computeEnvironmentOrder=order)
    world = World(frozen_aws, changes=[OtherQueue("on-demand")])
    world.aws.script(definition="job", running=3600, queue="default", attempts=[{**SPOT_LOST, "running": 5}])
    world.aws.script(definition="job", running=3600, queue="on-demand")
    world.submit_and_end(1)
    second = world.submit(2)
    assert world.aws.job(second.job_id)["jobQueue"].endswith("/on-demand")
    assert world.store.writes[-1].job_queue == "on-demand"
    world.store.record = None
    assert world.submit(3).job_id == second.job_id
    assert len(world.aws.jobs()) == 2


def test_another_queue_that_does_not_exist_is_an_error_before_anything_is_sent(frozen_aws: LocalAws) -> None:
    """It names the queues that there are."""
    world = World(frozen_aws, changes=[OtherQueue("no-such")])
    world.aws.script(definition="job", running=10, attempts=[SPOT_LOST])
    world.submit_and_end(1)
    with pytest.raises(QueueNotFoundError, match=r"No job queue 'no-such'.*Existing queues: default"):
        world.submit(2)
    assert len(world.aws.jobs()) == 1


def test_a_most_below_what_the_job_has_is_an_error_before_the_first_submit(frozen_aws: LocalAws) -> None:
    """And names both."""
    world = World(frozen_aws, changes=[MoreMemory(at_most_mib=512)])
    with pytest.raises(RequestError, match=r"on_retry: MoreMemory.at_most_mib=512. is below the 1024 MiB"):
        world.submit(1)
    assert not world.aws.jobs()


def test_without_a_failure_nothing_is_asked_of_aws(world: World) -> None:
    """A first attempt with on_retry costs what one without costs."""
    world.submit(1)
    assert world.aws.counts() == {"SubmitJob": 1, "DescribeJobQueues": 1, "DescribeJobDefinitions": 1}


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


def test_a_most_is_compared_with_what_the_job_begins_with_at_each_attempt(frozen_aws: LocalAws) -> None:
    """And not with what another change has given it since."""
    world = World(frozen_aws, changes=[MoreMemory(at_most_mib=1500, after={Cause.KILLED}), MoreMemory()])
    for attempt in (1, 2, 3):
        world.submit_and_end(attempt)
    assert world.memory() == [1024, 2048, 4096]


def test_a_variable_without_a_value_is_sent_at_each_attempt(world: World) -> None:
    """Only overrides that override nothing are left out."""
    environment = [{"name": "X"}, {"name": "Y", "value": "1"}]
    for attempt in (1, 2):
        world.submit_and_end(attempt, container_overrides={"environment": environment})
    sent = [request.parameters["containerOverrides"]["environment"] for request in world.aws.requests("SubmitJob")]
    assert sent == [environment, environment]


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
        (lambda _: None, r"on_retry: Own failed with TypeError\(.*Mend its `apply`"),
        (fail, r"on_retry: Own failed with KeyError\('jobName.*Mend its `apply`"),
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


def test_a_cause_of_a_later_version_is_passed_over_with_a_line_and_kept(world: World) -> None:
    """A worker that is not updated yet neither loses the job nor the failure."""
    world.submit_and_end(1)
    stored = world.store.writes[-1].to_dict()
    later = {"job_id": "older", "cause": "gpu lost", "queue": "default", "container": "", "node": None, "gpu": 3}
    world.store.record = Record.from_dict({**stored, "failures": [later, "what"], "changes": [{"by": "MoreGpu"}, 7]})
    world.submit(2)
    assert "on_retry passes over 'gpu lost', a cause that this version does not know: update the workers" in world.notes
    assert world.memory() == [1024, 2048]
    kept = world.store.writes[-1].to_dict()["failures"]
    assert [failure["cause"] for failure in kept] == ["gpu lost", "out of memory"]
    assert len(world.aws.jobs()) == 2


#: A record as the first version with on_retry stores it.
STORED = {
    "job_name": "d-t-0123456789ab-abcdef",
    "job_queue": "on-demand",
    "generation": "0123456789abcdef",
    "request_digest": "fedcba9876543210",
    "try_number": 2,
    "max_tries": 2,
    "sent_at": "2026-11-23T12:00:00+00:00",
    "job_id": None,
    "forgotten_before": 0,
    "failures": [{"job_id": "0f5e", "cause": "out of memory", "queue": "spot", "container": "main", "node": 1}],
    "changes": [
        {
            "field": "jobQueue",
            "before": "spot",
            "after": "on-demand",
            "why": "host lost in job 0f5e",
            "is_most": True,
            "by": "OtherQueue",
        }
    ],
}


def test_a_stored_record_is_read_and_written_as_it_was() -> None:
    """It outlives updates."""
    assert Record.from_dict(STORED).to_dict() == STORED
