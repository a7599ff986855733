"""BatchJob: a job from its submit to its last line, without Airflow."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import NoCredentialsError

from airflow_batch_jobs.batch.aws import KeptClients
from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.detail import JobDetail, JobKind
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.errors import (
    CallOrderError,
    CredentialsError,
    EndpointError,
    JobNotFoundError,
    JobTimeoutError,
    NotPinnedError,
    QueueNotFoundError,
    RequestError,
    RevisionInactiveError,
)
from tests.clocks import FrozenClock, ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent
    from airflow_batch_jobs.local.server import LocalAws


class Align(JobDefinition, name="align", revision=1):
    """A definition with one parameter."""

    sample: str


class Unpinned(JobDefinition, name="align"):
    """A definition without a revision."""


@pytest.fixture
def job(aws: LocalAws) -> BatchJob:
    """A job that is not submitted yet."""
    aws.register("align", ["sh", "-c", "echo aligning $0", "Ref::sample"])
    return BatchJob(Align(sample="s1"), clients=aws.clients())


@pytest.fixture
def frozen_job(frozen_aws: LocalAws) -> BatchJob:
    """A scripted job of 30 s, which starts 4 s after its submit; its sleeps move the time."""
    frozen_aws.script(definition="align", running=30, lines=["first", "second"])
    frozen_aws.register("align", ["align"])
    return BatchJob(Align(sample="s1"), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))


def texts(lines: Iterable[tuple[LogStream, LogEvent]]) -> list[tuple[str, str]]:
    """Labels and texts of a job's own lines."""
    found = [(stream.label, event.text()) for stream, event in lines]
    return [(label, text) for label, text in found if not text.startswith("[local AWS]")]


def test_a_job_runs_to_its_end(aws: LocalAws, job: BatchJob) -> None:
    """Submit, wait, read: the definition's parameters reach the program."""
    job_id = job.submit("default")
    detail = job.wait(poll_interval=0.05)
    assert (detail.status, detail.exit_code) == (JobStatus.SUCCEEDED, 0)
    assert (job.job_id, detail.job_id, job.queue) == (job_id, job_id, "default")
    assert job.status() is JobStatus.SUCCEEDED
    assert texts(job.logs()) == [("", "aligning s1")]
    assert job.log_stream_name() == aws.job(job_id)["container"]["logStreamName"]
    assert [event.message for event in job.log_stream_events()][-1] == "aligning s1"
    assert aws.counts()["SubmitJob"] == 1


def test_what_is_submitted_is_the_whole_request(aws: LocalAws, job: BatchJob) -> None:
    """Options go to AWS under AWS's names; a job name gets six random digits, since it has to be unique."""
    overrides = {"environment": [{"name": "MODE", "value": "fast"}]}
    job.submit("default", overrides, jobName="my align", timeout={"attemptDurationSeconds": 60}, tags={"team": "x"})
    [sent] = aws.requests("SubmitJob")
    name = sent.parameters.pop("jobName")
    assert name.startswith("my-align-")
    assert len(name) == len("my-align-") + 6
    assert sent.parameters == {
        "jobQueue": "default",
        "jobDefinition": "align:1",
        "parameters": {"sample": "s1"},
        "containerOverrides": overrides,
        "timeout": {"attemptDurationSeconds": 60},
        "tags": {"team": "x"},
        "propagateTags": True,
    }
    assert job.container_overrides == overrides
    assert job.definition == Align(sample="s1")


def test_a_job_has_a_name_of_its_own(aws: LocalAws, job: BatchJob) -> None:
    """Without a job name the definition and the time make it."""
    job.submit("default")
    BatchJob(Align(sample="s2"), clients=aws.clients()).submit("default")
    names = [sent.parameters["jobName"] for sent in aws.requests("SubmitJob")]
    assert all(name.startswith("align-1-") for name in names)
    assert len(set(names)) == 2


def test_a_lost_answer_starts_no_second_job(aws: LocalAws, job: BatchJob) -> None:
    """The job is found by its name."""
    aws.fault("SubmitJob", "drop", after=True)
    assert [job.submit("default")] == [entry["jobId"] for entry in aws.jobs()]


@pytest.mark.parametrize(
    ("definition", "queue", "options", "error"),
    [
        (Unpinned(), "default", {}, NotPinnedError),
        (Align(sample="s1"), "defualt", {}, QueueNotFoundError),
        (Align(sample="s1"), "default", {"arrayProperties": {"size": 1}}, RequestError),
        (Align(sample="s1"), "default", {"jobQueue": "other"}, RequestError),
    ],
)
def test_what_cannot_run_is_not_submitted(
    aws: LocalAws, definition: JobDefinition, queue: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """The error comes before SubmitJob, and the job can still be submitted."""
    aws.register("align", ["align"])
    job = BatchJob(definition, clients=aws.clients())
    with pytest.raises(error):
        job.submit(queue, **options)
    assert "SubmitJob" not in aws.counts()
    assert job.job_id is None


def test_too_many_tags_are_counted_without_airflow(job: BatchJob) -> None:
    """Which put none there."""
    with pytest.raises(RequestError, match="tags: there are 51; AWS accepts at most 50"):
        job.submit("default", tags={f"t{number}": "" for number in range(51)})


def test_what_may_not_be_meant_is_told(aws: LocalAws) -> None:
    """And submitted all the same."""
    aws.register("align", ["align", "--sample=Ref::sample"])
    notes: list[str] = []
    BatchJob(Align(sample="s1"), clients=aws.clients(), note=notes.append).submit("default")
    assert [line.partition(". ")[0] for line in notes] == ["Not filled in: Ref::sample in '--sample=Ref::sample'"]
    assert aws.counts()["SubmitJob"] == 1


def test_a_deregistered_revision_is_not_submitted(aws: LocalAws, job: BatchJob) -> None:
    """The error names the revision to pin instead."""
    aws.register("align", ["align"])
    aws.clients()("batch").deregister_job_definition(jobDefinition="align:1")
    with pytest.raises(RevisionInactiveError, match=r":2\""):
        job.submit("default")


@pytest.mark.parametrize(
    "call",
    [
        "detail",
        "status",
        "is_submitted",
        "is_runnable",
        "is_running",
        "wait",
        "logs",
        "log_stream_name",
        "log_stream_events",
    ],
)
def test_nothing_can_be_asked_before_the_submit(job: BatchJob, call: str) -> None:
    """The error says what to call first."""
    with pytest.raises(CallOrderError, match=r"call submit\(\) first"):
        getattr(job, call)()
    assert (job.job_id, job.queue, job.container_overrides) == (None, None, {})


@pytest.mark.parametrize("call", ["cancel", "terminate"])
def test_nothing_can_be_stopped_before_the_submit(job: BatchJob, call: str) -> None:
    """There is no job to stop."""
    with pytest.raises(CallOrderError, match="There is no job yet"):
        getattr(job, call)("reason")


def test_a_job_is_submitted_once(job: BatchJob) -> None:
    """Another run needs another BatchJob."""
    job_id = job.submit("default")
    with pytest.raises(CallOrderError, match=f"submitted already.* {job_id}"):
        job.submit("default")


def test_the_states_of_a_life(frozen_aws: LocalAws, frozen_job: BatchJob) -> None:
    """Each predicate is true in its own state."""
    frozen_job.submit("default")
    assert (frozen_job.is_submitted(), frozen_job.is_runnable(), frozen_job.is_running()) == (True, False, False)
    frozen_aws.advance(1)
    assert (frozen_job.is_submitted(), frozen_job.is_runnable(), frozen_job.is_running()) == (False, True, False)
    assert frozen_job.log_stream_name() is None
    assert frozen_job.log_stream_events() == []
    frozen_aws.advance(2)
    assert (frozen_job.is_submitted(), frozen_job.is_runnable(), frozen_job.is_running()) == (False, False, True)


def test_a_waiting_job_can_be_cancelled(frozen_aws: LocalAws, frozen_job: BatchJob) -> None:
    """The reason stays with the job."""
    frozen_job.submit("default")
    frozen_aws.advance(1)
    frozen_job.cancel("changed my mind")
    detail = frozen_job.wait()
    assert (detail.is_cancelled, detail.status_reason) == (True, "changed my mind")


def test_a_running_job_can_be_terminated(frozen_aws: LocalAws, frozen_job: BatchJob) -> None:
    """The job fails with the reason."""
    frozen_job.submit("default")
    frozen_aws.advance(5)
    frozen_job.terminate("enough")
    detail = frozen_job.wait()
    assert (detail.status, detail.is_terminated, detail.status_reason) == (JobStatus.FAILED, True, "enough")


def test_a_failed_job_is_returned_and_not_raised(frozen_aws: LocalAws) -> None:
    """What a failure means is the caller's business."""
    frozen_aws.script(definition="align", attempts=[3], running=5)
    frozen_aws.register("align", ["align"])
    job = BatchJob(Align(sample="s1"), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    job.submit("default")
    detail = job.wait()
    assert (detail.status, detail.exit_code) == (JobStatus.FAILED, 3)


def test_a_wait_ends_in_time(frozen_job: BatchJob) -> None:
    """The timeout is kept to the second, and the job keeps running."""
    job_id = frozen_job.submit("default")
    with pytest.raises(JobTimeoutError, match="after 7 s") as caught:
        frozen_job.wait(timeout=7)
    assert (caught.value.job_id, caught.value.seconds) == (job_id, 7)
    assert frozen_job.is_running()


def test_a_wait_outlasts_an_outage(frozen_aws: LocalAws, frozen_job: BatchJob) -> None:
    """Whatever may pass does not end a wait: errors of AWS, throttling, a wrong clock; begin and end can be shown."""
    job_id = frozen_job.submit("default")
    job = BatchJob.from_id(job_id, clients=one_try(frozen_aws), clock=FrozenClock(frozen_aws))
    frozen_aws.fault("DescribeJobs", "server_error", times=2)
    frozen_aws.fault("DescribeJobs", "throttle", times=2)
    skewed = {"code": "InvalidSignatureException", "status": 403, "message": "Signature not yet current"}
    frozen_aws.fault("DescribeJobs", "error", times=2, **skewed)
    said: list[str] = []
    assert job.wait(on_problem=said.append).status is JobStatus.SUCCEEDED
    problem, end = said
    assert problem.startswith("batch:DescribeJobs failed")
    assert not end


def test_a_wait_outlasts_credentials_that_are_lost_for_a_moment(
    frozen_aws: LocalAws, frozen_job: BatchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there were some; without any, the first look says so at once."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    job_id, made = frozen_job.submit("default"), [0]

    def clients(service: str, **how: Any) -> Any:
        made[0] += 1
        if made[0] in lost:
            raise NoCredentialsError(service=service)
        return frozen_aws.clients()(service, **how)

    clock = FrozenClock(frozen_aws)
    lost = range(2, 8)

    def expire(_: JobDetail) -> None:
        if made[0] == 1:
            frozen_aws.fault("DescribeJobs", "expired", times=1)

    ended = BatchJob.from_id(job_id, clients=clients, clock=clock).wait(on_look=expire)
    assert (ended.status, made[0]) == (JobStatus.SUCCEEDED, 8)
    made[0], lost, slept = 0, range(1, 8), clock.slept
    with pytest.raises(CredentialsError):
        BatchJob.from_id(job_id, clients=clients, clock=clock).wait()
    assert clock.slept == slept


def test_each_look_of_a_wait_can_be_shown(frozen_job: BatchJob) -> None:
    """A progress display gets the job at each look, the last one included."""
    frozen_job.submit("default")
    seen: list[JobStatus] = []
    frozen_job.wait(poll_interval=2, on_look=lambda detail: seen.append(detail.status))
    assert seen[:2] == [JobStatus.SUBMITTED, JobStatus.STARTING]
    assert seen[-1] is JobStatus.SUCCEEDED


def test_a_wait_gives_up_on_a_lasting_outage(frozen_aws: LocalAws) -> None:
    """After five minutes without an answer the error is raised, with what to look at."""
    clock = ManualClock()
    job = BatchJob.from_id("some-id", clients=one_try(frozen_aws), clock=clock)
    frozen_aws.fault("DescribeJobs", "server_error")
    with pytest.raises(EndpointError, match="batch:DescribeJobs"):
        job.wait(poll_interval=20)
    assert clock.slept == 300


def one_try(aws: LocalAws) -> Any:
    """Clients whose calls botocore does not repeat."""
    from botocore.config import Config

    once = Config(retries={"total_max_attempts": 1})
    return lambda service, *, region_name=None, config=None: aws.clients()(
        service, region_name=region_name, config=config or once
    )


def test_a_job_that_aws_does_not_show_yet_is_waited_for(frozen_aws: LocalAws, frozen_job: BatchJob) -> None:
    """A job just submitted may be unknown for a while."""
    frozen_aws.fault("DescribeJobs", "lag", seconds=10)
    frozen_job.submit("default")
    assert frozen_job.status() is JobStatus.RUNNING


def test_a_job_that_aws_never_shows_is_an_error(frozen_aws: LocalAws, frozen_job: BatchJob) -> None:
    """Unknown a minute after the submit is unknown."""
    frozen_aws.fault("DescribeJobs", "lag", seconds=9999)
    frozen_job.submit("default")
    with pytest.raises(JobNotFoundError):
        frozen_job.status()


def test_a_class_of_ones_own_takes_jobs_up_as_well(aws: LocalAws) -> None:
    """Whatever its constructor takes."""

    class Alignment(BatchJob):
        def __init__(self, sample: str) -> None:
            super().__init__(Align(sample=sample))

    assert Alignment.from_id("1", clients=aws.clients()).job_id == "1"


@pytest.mark.long
def test_following_a_log_leaves_the_callers_session_as_it_is(aws: LocalAws) -> None:
    """A session that assumes a role does so once."""
    opened: list[int] = []

    def open_session() -> ClientFactory:
        opened.append(1)
        return aws.clients()

    aws.script(definition="talk", running=0.1, lines=1)
    [job_id] = aws.submit(aws.register("talk"))
    job = BatchJob.from_id(job_id, clients=KeptClients(open_session))
    assert list(job.logs(follow=True))
    assert job.detail().is_final
    assert opened == [1]


def test_a_job_is_taken_up_by_its_id(aws: LocalAws, job: BatchJob) -> None:
    """Definition, parameters and queue come from AWS."""
    job_id = job.submit("default", {"command": ["true"]})
    found = BatchJob.from_id(job_id, clients=aws.clients())
    assert found.job_id == job_id
    assert str(found.definition) == "align:1"
    assert found.definition.to_dict() == {"sample": "s1"}
    assert found.queue == "default"
    assert found.container_overrides == {}
    with pytest.raises(CallOrderError, match="already"):
        found.submit("default")


def test_an_unknown_id_is_an_error_at_once(aws: LocalAws, clock: ManualClock) -> None:
    """It was not submitted a moment ago."""
    with pytest.raises(JobNotFoundError, match="some-id"):
        BatchJob.from_id("some-id", clients=aws.clients(), clock=clock).detail()
    assert clock.slept == 0


def test_jobs_are_described_without_an_object(aws: LocalAws, job: BatchJob) -> None:
    """A call for one job raises for an unknown id, a call for many leaves it out."""
    job_id = job.submit("default")
    assert BatchJob.describe_job(job_id, clients=aws.clients()).job_id == job_id
    found = BatchJob.describe_jobs(["unknown", job_id], clients=aws.clients())
    assert [detail.job_id for detail in found] == [job_id]
    with pytest.raises(JobNotFoundError):
        BatchJob.describe_job("unknown", clients=aws.clients())


def test_a_session_and_a_region_make_the_clients(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials come from a boto3 session, the region from the argument."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint_url)
    session = boto3.Session(aws.access_key, aws.secret_key)
    assert BatchJob.describe_jobs(["unknown"], session=session, region_name=aws.region) == []
    aws.register("align", ["true"])
    job_id = BatchJob(Align(sample="x"), session=session, region_name=aws.region).submit("default")
    assert BatchJob.from_id(job_id, session=session, region_name=aws.region).detail().region == aws.region


def test_the_lines_of_all_children_are_read(aws: LocalAws) -> None:
    """An array's streams are its children's."""
    aws.register("align", ["sh", "-c", "echo child $AWS_BATCH_JOB_ARRAY_INDEX"])
    job = BatchJob(Align(sample="x"), clients=aws.clients())
    job.submit("default", arrayProperties={"size": 2})
    job.wait(poll_interval=0.05)
    assert texts(job.logs()) == [("child 0", "child 0"), ("child 1", "child 1")]


def test_the_lines_of_all_nodes_are_read_once(aws: LocalAws, tmp_path: Path) -> None:
    """Also those of the main node, whose attempts the parent lists as well."""
    # The main node's end is the job's, and that of whatever runs then.
    last = f"if [ $n = 0 ]; then until [ -e {tmp_path}/said ]; do sleep 0.05; done; else touch {tmp_path}/said; fi"
    command = ["sh", "-c", f"n=$AWS_BATCH_JOB_NODE_INDEX; echo node $n; {last}"]
    node = {"image": "align", "vcpus": 1, "memory": 64, "command": command}
    nodes = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:1", "container": node}]}
    aws.clients()("batch").register_job_definition(jobDefinitionName="mesh", type="multinode", nodeProperties=nodes)
    [job_id] = aws.submit("mesh:1")
    parent = BatchJob.from_id(job_id, clients=aws.clients())
    assert len(parent.wait(poll_interval=0.05).attempts) == 1
    assert texts(parent.logs()) == [("node 0", "node 0"), ("node 1", "node 1")]
    assert parent.log_stream_name() is None


def test_a_multi_node_job_on_eks_is_submitted_and_read(aws: LocalAws) -> None:
    """With overrides for its nodes; each node's end is its own, and the job says where the lines are."""
    env = [{"name": "CODE", "value": "0"}]
    one = {"name": "main", "image": "i", "command": ["sh", "-c", "exit $CODE"], "env": env}
    pod = {"eksProperties": {"podProperties": {"containers": [one]}}}
    nodes = {"numNodes": 2, "mainNode": 1, "nodeRangeProperties": [{"targetNodes": "0:", **pod}]}
    aws.clients()("batch").register_job_definition(jobDefinitionName="pods", type="multinode", nodeProperties=nodes)
    changed = {"podProperties": {"containers": [{"name": "main", "env": [{"name": "CODE", "value": "5"}]}]}}
    overrides = {"numNodes": 3, "nodePropertyOverrides": [{"targetNodes": "0:", "eksPropertiesOverride": changed}]}
    job = BatchJob(JobDefinition.named("pods:1"), clients=aws.clients())
    job.submit("default", nodeOverrides=overrides)
    detail = job.wait(poll_interval=0.05)
    assert (detail.kind, detail.nodes, detail.main_node) == (JobKind.MULTI_NODE, 3, 1)
    assert (detail.status, detail.exit_code, len(detail.attempts)) == (JobStatus.FAILED, 5, 1)
    assert detail.logs_elsewhere().startswith("The log of each of the job's pods is in EKS")
    parts = BatchJob.describe_jobs(detail.part_ids(), clients=aws.clients())
    assert [(part.kind, part.node_index) for part in parts] == [(JobKind.NODE, number) for number in range(3)]
    assert parts[1].exit_code == 5
    assert len({part.pod.name for part in parts if part.pod}) == 3
    assert list(job.logs()) == []


def test_the_lines_of_all_attempts_are_read(aws: LocalAws) -> None:
    """A retried job shows both attempts."""
    aws.script(definition="align", running=0, attempts=[1, 0], lines={"count": 1, "text": "try {attempt}"})
    aws.register("align", ["align"])
    job = BatchJob(Align(sample="x"), clients=aws.clients())
    job.submit("default")
    job.wait(poll_interval=0.05)
    assert texts(job.logs()) == [("attempt 1", "try 1"), ("attempt 2", "try 2")]


def test_the_modules_cost_no_boto3_and_no_airflow() -> None:
    """Importing BatchJob is cheap: boto3 comes when AWS is asked."""
    code = "import sys, airflow_batch_jobs.batch.job; print([m for m in ('boto3', 'airflow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
