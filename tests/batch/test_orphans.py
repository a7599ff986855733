"""The sweep for orphans: which jobs have no task that waits for them, and that no other job is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.identity import (
    DETACHED_TAG,
    TaskIdentity,
    TaskKey,
    new_job_name,
    task_tags,
)
from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.batch.orphans import GONE, OrphanSweep, SweepReport, detach, in_question
from airflow_batch_jobs.errors import AccessDeniedError, AwsError, NoDeploymentError
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from airflow_batch_jobs.local.server import LocalAws

OWNER = TaskKey("d", "r", "t")
TASK = TaskIdentity(OWNER, traceparent="trace-1", deployment="here")


class World:
    """A local AWS with jobs of task instances, whose states are a dictionary."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.states: dict[TaskKey, str | None] = {}
        self.asked: list[TaskKey] = []
        aws.register("job")
        aws.script(definition="job", running=36_000)

    def job(self, identity: TaskIdentity = TASK, *, is_detached: bool = False, **more: Any) -> str:
        """Submit a job as a task instance does, and return its id."""
        request = {
            "jobName": new_job_name(identity.job_name_prefix()),
            "tags": task_tags(identity, is_detached=is_detached),
            **more,
        }
        return self.aws.submit("job:1", **request)[0]

    def sweep(self, **options: Any) -> SweepReport:
        """Sweep an hour later, not as a dry run unless told otherwise."""
        return self.make(**options).run(self.tell)

    def make(self, **options: Any) -> OrphanSweep:
        """Return a sweep an hour from now."""
        self.aws.advance(options.pop("after_seconds", 3600))
        defaults: dict[str, Any] = {"clients": self.aws.clients(), "deployment": "here", "job_queues": ["default"]}
        return OrphanSweep(clock=FrozenClock(self.aws), **{"dry_run": False} | defaults | options)

    def tell(self, owners: Sequence[TaskKey]) -> Mapping[TaskKey, str | None]:
        """Return the states of task instances; unknown ones are gone."""
        self.asked += owners
        return {owner: self.states.get(owner, GONE) for owner in owners}

    def is_terminated(self, job_id: str) -> bool:
        """Return whether a job was terminated."""
        return bool(self.aws.job(job_id)["isTerminated"])


@pytest.fixture
def world(frozen_aws: LocalAws) -> World:
    """Return a world without any job."""
    return World(frozen_aws)


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "removed", "upstream_failed", GONE])
def test_a_job_whose_task_is_final_or_gone_is_terminated(world: World, state: str) -> None:
    """No task waits for it, and its reason says so."""
    job_id = world.job()
    world.states[OWNER] = state
    report = world.sweep()
    assert report.ended == (job_id,)
    assert world.is_terminated(job_id)
    world.aws.advance(60)
    assert world.aws.job(job_id)["statusReason"] == f"Orphan of an Airflow task: d.t of run r is {state}"


@pytest.mark.parametrize(
    "state",
    [None, "scheduled", "queued", "running", "restarting", "deferred", "up_for_retry", "up_for_reschedule", "new one"],
)
def test_a_job_whose_task_goes_on_is_left(world: World, state: str | None) -> None:
    """The task waits, retries or will adopt the job; an unknown state decides nothing."""
    job_id = world.job()
    world.states[OWNER] = state
    report = world.sweep()
    assert report.ended == ()
    assert not world.is_terminated(job_id)
    assert f"is {state or 'cleared'}" in next(report.lines())[1]


def test_a_dry_run_terminates_nothing_and_says_what_would_be(world: World) -> None:
    """That is what a sweep is unless told otherwise."""
    job_id = world.job()
    report = OrphanSweep(clients=world.aws.clients(), deployment="here", job_queues=["default"], grace_seconds=0).run(
        world.tell
    )
    assert report.ended == (job_id,)
    assert not world.is_terminated(job_id)
    [(_, line)] = report.lines()
    assert line.startswith(f"Would be terminated: d.t of run r is gone. Job: {job_id} (d-t-")
    assert line.endswith("), SUBMITTED in default")
    assert report.summary() == "1 active job of this deployment: 1 would be terminated"


class BehindClock(FrozenClock):
    """A clock that is some seconds behind AWS's."""

    def now(self) -> datetime:
        """Return its time."""
        return super().now() - timedelta(seconds=35)


def test_a_job_is_not_younger_than_nothing(world: World) -> None:
    """Where this machine's clock is behind AWS's."""
    world.job()
    [finding] = replace(world.make(after_seconds=0), clock=BehindClock(world.aws)).find()
    assert finding.why.startswith("it is 0 s old")


def test_a_young_job_is_left_until_the_grace_time_is_over(world: World) -> None:
    """Ten minutes after its submit, not before."""
    job_id = world.job()
    report = world.sweep(after_seconds=599)
    assert report.ended == ()
    assert "599 s old" in next(report.lines())[1]
    assert not world.asked
    assert world.sweep(after_seconds=2).ended == (job_id,)


def test_a_detached_job_is_left_whatever_its_task_is(world: World) -> None:
    """Its task succeeded when it was submitted, or is not to stop it."""
    job_id = world.job(is_detached=True)
    world.states[OWNER] = "success"
    assert world.sweep().ended == ()
    assert not world.is_terminated(job_id)
    assert not world.asked


def test_jobs_of_others_are_not_even_told_of(world: World) -> None:
    """Neither those of another deployment, nor of one whose name is longer or empty, nor of no Airflow at all."""
    for deployment in ("there", "here2", "her", "Here", ""):
        world.job(replace(TASK, deployment=deployment))
    world.aws.submit("job:1")
    report = world.sweep()
    assert report.findings == ()
    assert report.summary() == "0 active jobs of this deployment"
    assert "TerminateJob" not in world.aws.counts()


@pytest.mark.parametrize(
    "altered",
    [
        pytest.param({"key": replace(OWNER, run_id="a~b")}, id="a character that AWS does not take"),
        pytest.param({"key": replace(OWNER, dag_id="d" * 300)}, id="a value that is too long for AWS"),
        pytest.param({"deployment": "he;re"}, id="a deployment that AWS does not take"),
    ],
)
def test_a_job_whose_tags_were_altered_is_never_terminated_by_guess(world: World, altered: dict[str, Any]) -> None:
    """Another task instance, or another Airflow, may have just the tags that were made of them."""
    job_id = world.job(replace(TASK, **altered))
    deployment = "he_re" if "deployment" in altered else "here"
    report = world.sweep(deployment=deployment)
    assert report.ended == ()
    assert not world.is_terminated(job_id)
    assert "Cannot tell: its tags do not name a task instance exactly" in next(report.lines())[1]
    assert not world.asked


def test_a_deployment_that_aws_does_not_take_finds_its_own_jobs(world: World) -> None:
    """The hash in the job's name tells them from those of a deployment whose tag looks the same."""
    own, _other = (world.job(replace(TASK, deployment=deployment)) for deployment in ("he;re", "he~re"))
    assert world.sweep(deployment="he;re").ended == (own,)


@pytest.mark.parametrize(
    "change",
    [
        {"jobName": "copied-by-hand"},
        {"jobName": "d-t-0123456789ab-abcdef"},
        {"tags": {"airflow-deployment": "here"}},
        {"tags": {**task_tags(TASK), "airflow-map-index": "x"}},
        {"tags": {**task_tags(TASK), "airflow-map-index": "3"}},
        {"tags": {**task_tags(TASK), "airflow-run-id": "s"}},
    ],
)
def test_a_job_that_no_task_instance_can_have_submitted_is_left(world: World, change: dict[str, Any]) -> None:
    """The job was copied, or its tags were changed."""
    world.job(**change)
    report = world.sweep()
    assert report.ended == ()
    assert report.summary().endswith("1 cannot tell")


def test_a_task_instance_that_airflow_does_not_tell_of_keeps_its_job(world: World) -> None:
    """No answer does not mean that it is gone."""
    job_id = world.job()
    report = world.make().run(lambda _owners: {})
    assert report.ended == ()
    assert "Cannot tell: Airflow did not return the state of d.t of run r" in next(report.lines())[1]
    assert not world.is_terminated(job_id)


def test_states_are_asked_for_after_the_jobs_are_listed(world: World) -> None:
    """Otherwise a state could be older than the job that it decides about."""
    world.job()
    calls: list[set[str]] = []

    def tell(owners: Sequence[TaskKey]) -> Mapping[TaskKey, str | None]:
        calls.append(set(world.aws.counts()))
        return dict.fromkeys(owners, "running")

    world.make().run(tell)
    assert {"ListJobs", "DescribeJobs"} <= calls[0]


def test_each_task_instance_is_asked_about_once(world: World) -> None:
    """Jobs of two generations are one question, and both end with their task."""
    jobs = {world.job(), world.job(replace(TASK, try_number=2, max_tries=2, traceparent="trace-2"))}
    assert set(world.sweep().ended) == jobs
    assert world.asked == [OWNER]


def test_mapped_task_instances_are_told_apart(world: World) -> None:
    """One that runs keeps its job, its neighbour that is final does not."""
    jobs = [world.job(replace(TASK, key=replace(OWNER, map_index=index))) for index in range(2)]
    world.states = {TaskKey("d", "r", "t", 0): "running", TaskKey("d", "r", "t", 1): "failed"}
    report = world.sweep()
    assert report.ended == (jobs[1],)
    assert any("d.t[0] of run r is running" in line for _, line in report.lines())


@pytest.mark.parametrize(("seconds", "status"), [(0, "SUBMITTED"), (1, "RUNNABLE"), (2, "STARTING"), (10, "RUNNING")])
def test_jobs_of_every_active_state_are_found(world: World, seconds: float, status: str) -> None:
    """An orphan that waits for a place will cost money, too."""
    job_id = world.job()
    report = world.sweep(after_seconds=seconds, grace_seconds=0)
    [finding] = report.findings
    assert finding.job.status == status
    assert report.ended == (job_id,)


def test_jobs_that_have_ended_or_are_being_terminated_are_not_terminated(world: World) -> None:
    """There is nothing left to do about them."""
    world.aws.script(definition="job", running=1)
    world.job()
    world.aws.advance(60)
    world.aws.script(definition="job", running=36_000, stopping=36_000)
    stubborn = world.job()
    world.aws.advance(60)
    client = world.aws.clients()("batch")
    client.terminate_job(jobId=stubborn, reason="by hand")
    world.aws.clear_requests()
    report = world.sweep(after_seconds=0, grace_seconds=0)
    assert [(one.job.job_id, one.why) for one in report.findings] == [(stubborn, "it is being terminated already")]
    assert "TerminateJob" not in world.aws.counts()


def test_an_array_is_one_job(world: World) -> None:
    """Its children carry no tags, and end with it."""
    parent = world.job(arrayProperties={"size": 3})
    assert world.sweep().ended == (parent,)
    world.aws.advance(60)
    assert {job["status"] for job in world.aws.jobs()} == {"FAILED"}


def test_a_multi_node_job_is_one_job(world: World) -> None:
    """Its nodes end with it."""
    nodes = [{"targetNodes": "0:1", "container": {"image": "i", "command": ["true"], "vcpus": 1, "memory": 512}}]
    properties = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": nodes}
    client = world.aws.clients()("batch")
    client.register_job_definition(jobDefinitionName="nodes", type="multinode", nodeProperties=properties)
    world.aws.script(definition="nodes", running=36_000)
    name = new_job_name(TASK.job_name_prefix())
    [parent] = world.aws.submit("nodes:1", jobName=name, tags=task_tags(TASK))
    assert world.sweep().ended == (parent,)


def test_only_the_queues_given_are_looked_into(world: World) -> None:
    """Each once, by name or ARN; an orphan in another queue is not seen."""
    arn = world.aws.clients()("batch").create_job_queue(
        jobQueueName="other", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "local"}]
    )["jobQueueArn"]
    other, default = world.job(jobQueue="other"), world.job()
    assert world.sweep(job_queues=["default", "default"], dry_run=True).ended == (default,)
    assert world.sweep(job_queues=[arn]).ended == (other,)


def test_many_jobs_are_listed_and_described_by_the_hundred(world: World) -> None:
    """250 jobs are two looks at the five states, and three descriptions."""
    for index in range(250):
        world.job(replace(TASK, key=replace(OWNER, map_index=index)))
    report = world.sweep(dry_run=True)
    assert len(report.ended) == 250
    assert world.aws.counts()["DescribeJobs"] == 3
    assert world.aws.counts()["ListJobs"] == 2 * 5


def test_an_orphan_that_cannot_be_terminated_does_not_keep_the_others(world: World) -> None:
    """The report says which, and why."""
    jobs = [world.job(replace(TASK, key=replace(OWNER, map_index=index))) for index in range(3)]
    world.aws.fault("TerminateJob", "denied", times=1)
    report = world.sweep()
    assert len(report.ended) == 2
    assert isinstance(report.error, AccessDeniedError)
    assert sum(world.is_terminated(job_id) for job_id in jobs) == 2
    assert any(line.startswith("Not terminated: d.t[") and "batch:TerminateJob" in line for _, line in report.lines())


@pytest.mark.long
def test_orphans_are_terminated_at_the_rate_that_aws_allows(world: World) -> None:
    """What is throttled is tried again, beside the others."""
    jobs = [world.job(replace(TASK, key=replace(OWNER, map_index=index))) for index in range(10)]
    world.aws.fault("TerminateJob", "throttle", times=15)
    report = world.sweep()
    assert report.error is None
    assert set(report.ended) == set(jobs)
    assert all(map(world.is_terminated, jobs))


@pytest.mark.parametrize("entry", [{}, {"jobId": None}, {"jobId": "1a\ud83d"}, None])
def test_an_entry_of_a_list_that_has_no_id_keeps_no_orphan(world: World, entry: Any) -> None:
    """The others are found all the same."""
    job_id = world.job()

    def add(parsed: dict[str, Any], **_event: Any) -> None:
        parsed["jobSummaryList"].insert(0, entry)

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = world.aws.clients()(service, region_name=region_name, config=config)
        client.meta.events.register("after-call.batch.ListJobs", add)
        return client

    assert world.sweep(clients=clients).ended == (job_id,)


def test_a_queue_that_does_not_exist_is_an_error(world: World) -> None:
    """An orphan must not be missed because of a typing mistake."""
    with pytest.raises(AwsError, match="batch:ListJobs"):
        world.sweep(job_queues=["nowhere"])


def test_without_a_deployment_nothing_is_looked_at(world: World) -> None:
    """Otherwise the jobs of all Airflows without a name would count as this one's."""
    world.job(replace(TASK, deployment=""))
    with pytest.raises(NoDeploymentError, match="AIRFLOW__BATCH_JOBS__DEPLOYMENT"):
        world.sweep(deployment="")
    assert not world.aws.counts()


def test_what_is_decided_before_needs_no_state(world: World) -> None:
    """Airflow is asked only about what depends on it."""
    world.job(is_detached=True)
    world.job(replace(TASK, key=replace(OWNER, run_id="a~b")))
    world.job(replace(TASK, key=replace(OWNER, task_id="u")))
    assert in_question(world.make().find()) == (TaskKey("d", "r", "u"),)


def test_an_adopted_job_can_be_detached_afterwards(world: World) -> None:
    """A DAG's author may change the setting between two attempts."""
    job_id = world.job()
    world.states[OWNER] = "success"
    for _ in range(2):
        [job] = describe_jobs(world.aws.clients(), [job_id])
        detach(world.aws.clients(), job)
    assert world.aws.job(job_id)["tags"][DETACHED_TAG] == "true"
    assert world.aws.counts()["TagResource"] == 1
    assert world.sweep().ended == ()


def test_a_job_whose_next_attempt_begins_meanwhile_is_found(world: World) -> None:
    """It is RUNNING while the RUNNABLE ones are listed, and RUNNABLE while the RUNNING ones are, and the only one."""
    job_id = world.job()
    listed: list[str] = []

    def going_back(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = world.aws.clients()(service, region_name=region_name, config=config)
        client.meta.events.register("provide-client-params.batch.ListJobs", go_back)
        return client

    def go_back(params: dict[str, Any], **_event: Any) -> dict[str, Any]:
        listed.append(params["jobStatus"])
        is_gone = params["jobStatus"] == "RUNNING" and listed.count("RUNNING") == 1
        return {**params, "jobStatus": "RUNNABLE"} if is_gone else params

    assert world.sweep(clients=going_back).ended == (job_id,)
