"""on_retry and the one job of a generation: what attempts send, adopt and remember after failures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.on_retry import failures_of
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.record import Record
from airflow_batch_jobs.errors import QueueNotFoundError, RecordUnavailableError, RequestError
from tests.batch.changes.applied import needs
from tests.batch.changes.world import World
from tests.batch.submit_world import FIRST

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws
    from tests.batch.conftest import Entries

SPOT_LOST = {"exit_code": None, "status_reason": "Host EC2 (instance i-0abc) terminated."}
CLEARED = replace(FIRST, try_number=4, max_tries=9, traceparent="trace-2")


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
