"""JobDetail reads DescribeJobs entries of every shape."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.detail import JobDetail, JobKind
from airflow_batch_jobs.batch.status import JobStatus
from tests.batch.conftest import ACCOUNT, CREATED, JOB_ID, REGION, milliseconds

if TYPE_CHECKING:
    from tests.batch.conftest import Entries


def labels(detail: JobDetail) -> dict[str, str]:
    """Stream names of a job, with their labels."""
    return {stream.stream: stream.label for stream in detail.log_streams()}


def test_reads_a_job_of_one_container(entries: Entries) -> None:
    """The fields of a plain job arrive under their own names, times as aware UTC datetimes."""
    detail = entries.read(
        entries.single(
            statusReason="Essential container in task exited",
            tags={"team": "genomics"},
            parameters={"sample": "s1"},
            dependsOn=[{"jobId": "before"}, {"type": "SEQUENTIAL"}],
            timeout={"attemptDurationSeconds": 600},
            retryStrategy={"attempts": 3},
        )
    )
    assert (detail.job_id, detail.kind, detail.status) == (JOB_ID, JobKind.SINGLE, JobStatus.SUCCEEDED)
    assert (detail.queue_name, detail.definition_reference) == ("science", "align-reads:7")
    assert detail.job_definition == f"{ACCOUNT}:job-definition/align-reads:7"
    assert detail.created_at == CREATED
    assert detail.started_at == CREATED + timedelta(seconds=12)
    assert detail.stopped_at == CREATED + timedelta(seconds=200)
    assert (detail.exit_code, detail.reason) == (0, "")
    assert (detail.tags, detail.parameters) == ({"team": "genomics"}, {"sample": "s1"})
    assert (detail.depends_on, detail.timeout_seconds, detail.max_attempts) == (("before",), 600, 3)
    assert detail.attempts[0].exit_code == 0
    assert detail.is_final


def test_reads_a_job_that_has_not_started(entries: Entries) -> None:
    """What AWS leaves out before a start is None and empty, never an error."""
    detail = entries.read(entries.waiting())
    assert (detail.started_at, detail.stopped_at, detail.exit_code) == (None, None, None)
    assert (detail.attempts, detail.log_streams(), detail.logs_elsewhere()) == ((), (), "")
    assert not detail.is_final


def test_reads_an_entry_of_its_required_fields_alone() -> None:
    """Six fields are enough; every absent structure may also be null."""
    bare = {"jobId": JOB_ID, "status": "RUNNABLE", "attempts": None, "container": None, "arrayProperties": None}
    detail = JobDetail.from_response(bare, "")
    assert (detail.kind, detail.region, detail.job_arn, detail.created_at) == (JobKind.SINGLE, "", "", None)


def test_passes_over_what_it_does_not_know(entries: Entries) -> None:
    """A field of a newer AWS is ignored, and a state of a newer AWS is not final."""
    detail = entries.read(entries.single(status="HIBERNATING", spaceship={"warp": 9}))
    assert not detail.is_final


def test_takes_the_region_from_the_arn_when_none_is_given(entries: Entries) -> None:
    """The region asked wins; without one, the job's ARN says it, or else the queue's."""
    entry = entries.single()
    assert JobDetail.from_response(entry, "us-west-2").region == "us-west-2"
    assert JobDetail.from_response(entry, "").region == REGION
    del entry["jobArn"]
    assert JobDetail.from_response(entry, "").region == REGION


@pytest.mark.parametrize(
    "time", [0, -1, 1_000, 9_999_999_999_999, 10**30, float("nan"), float("inf"), True, "2026-11-23", None, {}]
)
def test_a_time_that_no_job_can_have_is_left_out(entries: Entries, time: Any) -> None:
    """AWS tells 0 and times of 1970; nothing that stands in their place is an error."""
    attempt = {**entries.attempt(), "startedAt": time, "stoppedAt": time}
    detail = entries.read(entries.single(createdAt=time, startedAt=time, stoppedAt=time, attempts=[attempt]))
    assert (detail.created_at, detail.started_at, detail.stopped_at) == (None, None, None)
    assert (detail.attempts[0].started_at, detail.attempts[0].stopped_at) == (None, None)


def test_a_start_after_the_end_is_left_out(entries: Entries) -> None:
    """The log of such an attempt is read from the job's creation on, so that no line of it is missed."""
    late = {"startedAt": milliseconds(60), "stoppedAt": milliseconds(55)}
    detail = entries.read(entries.single(**late, attempts=[{**entries.attempt(), **late}]))
    assert (detail.started_at, detail.stopped_at) == (None, CREATED + timedelta(seconds=55))
    assert (detail.attempts[0].started_at, detail.attempts[0].stopped_at) == (None, CREATED + timedelta(seconds=55))
    assert [stream.started_at for stream in detail.log_streams()] == [CREATED]


def test_the_last_attempt_says_what_the_entry_leaves_out(entries: Entries) -> None:
    """The reason of a container may stand in the attempt alone; that of another end does not count."""
    killed = {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}
    entry = entries.failed(137, attempts=[entries.attempt(1, **killed)])
    assert entries.read(entry).reason == killed["reason"]
    assert entries.read(entries.failed(1, attempts=[entries.attempt(1, **killed)])).reason == ""


def test_the_stream_of_a_plain_job_has_no_label(entries: Entries) -> None:
    """A plain job has one stream, in the default group and the job's region, that started with its attempt."""
    (stream,) = entries.read(entries.single()).log_streams()
    assert (stream.label, stream.group, stream.region) == ("", "/aws/batch/job", REGION)
    assert stream.stream == "align/default/1"
    assert stream.started_at == CREATED + timedelta(seconds=12)
    assert stream.key == f"{REGION}:/aws/batch/job:align/default/1"


def test_the_group_and_the_region_come_from_the_log_configuration(entries: Entries) -> None:
    """`awslogs-group` and `awslogs-region` override the defaults."""
    options = {"awslogs-group": "/science", "awslogs-region": "us-east-1"}
    container = entries.container(
        logConfiguration={"logDriver": "awslogs", "options": options}, logStreamName="align/default/1"
    )
    (stream,) = entries.read(entries.single(container=container)).log_streams()
    assert (stream.group, stream.region) == ("/science", "us-east-1")


def test_the_running_attempt_has_a_stream_before_aws_lists_it(entries: Entries) -> None:
    """The stream that only `container` names is the running attempt's."""
    assert labels(entries.read(entries.running())) == {"align/default/1": ""}


def test_the_attempts_of_a_retried_job_are_numbered(entries: Entries) -> None:
    """Once there is a second attempt both are labelled, the running one by the number it will get."""
    detail = entries.read(
        entries.running(
            attempts=[entries.attempt(exitCode=1)],
            container=entries.container(logStreamName="align/default/2"),
            startedAt=None,
        )
    )
    assert labels(detail) == {"align/default/1": "attempt 1", "align/default/2": "attempt 2"}
    assert detail.log_streams()[1].started_at == CREATED


def test_a_stream_listed_twice_is_one_stream(entries: Entries) -> None:
    """Back in RUNNABLE, `container` still names the stream of the attempt that ended."""
    detail = entries.read(
        entries.waiting(
            attempts=[entries.attempt(exitCode=1)], container=entries.container(logStreamName="align/default/1")
        )
    )
    assert labels(detail) == {"align/default/1": ""}


def test_a_listed_attempt_without_a_stream_takes_the_one_of_the_container(entries: Entries) -> None:
    """An attempt that AWS lists while it runs is not counted twice."""
    attempt = {"container": {}, "startedAt": 1}
    detail = entries.read(entries.running(attempts=[attempt]))
    assert labels(detail) == {"align/default/1": ""}


def test_an_attempt_that_never_ran_leaves_its_number_out(entries: Entries) -> None:
    """When attempt 1 had no stream, the only stream is still called attempt 2."""
    never_ran = {"container": {"reason": "CannotPullContainerError: timeout"}, "statusReason": "Task failed to start"}
    detail = entries.read(entries.single(attempts=[never_ran, entries.attempt(2)]))
    assert labels(detail)["align/default/2"] == "attempt 2"
    assert detail.attempts[0].reason == "CannotPullContainerError: timeout"


def test_the_containers_of_one_task_are_told_apart_by_name(entries: Entries) -> None:
    """Each container has its stream, its group and its label."""
    own_group = {"logDriver": "awslogs", "options": {"awslogs-group": "/proxy"}}
    detail = entries.read(
        entries.multi_container(
            {
                "main": {"exitCode": 0, "logStreamName": "a/main/1"},
                "sidecar": {"exitCode": 0, "logStreamName": "a/sidecar/1", "logConfiguration": own_group},
            }
        )
    )
    assert detail.kind is JobKind.MULTI_CONTAINER
    assert labels(detail) == {"a/main/1": "container main", "a/sidecar/1": "container sidecar"}
    assert [stream.group for stream in detail.log_streams()] == ["/aws/batch/job", "/proxy"]


def test_attempts_and_containers_are_both_named(entries: Entries) -> None:
    """A retried task of two containers has a stream for each pair."""
    entry = entries.multi_container(
        {"main": {"exitCode": 0, "logStreamName": "a/main/1"}, "sidecar": {"logStreamName": "a/sidecar/1"}}
    )
    entry["attempts"] *= 2
    second = {"taskProperties": [{"containers": [{"name": "main", "logStreamName": "a/main/2"}]}]}
    entry["attempts"][1] = second
    assert labels(entries.read(entry))["a/main/2"] == "attempt 2, container main"


@pytest.mark.parametrize(
    ("results", "exit_code"),
    [
        ({"sidecar": {"exitCode": 143}, "main": {"exitCode": 3}}, 3),
        ({"init": {"exitCode": 5, "essential": False}, "main": {"exitCode": 0}}, 0),
        ({"sidecar": {"exitCode": 137}, "main": {"reason": "CannotPullContainerError: not found"}}, None),
        ({"a": {"exitCode": 0}, "b": {"exitCode": 137, "reason": "OutOfMemoryError: killed"}}, 137),
        ({"a": {"exitCode": 0}, "b": {"exitCode": 137}}, 137),
    ],
    ids=["stopped along", "not essential", "never started", "out of memory", "killed"],
)
def test_the_container_that_failed_speaks_for_the_job(
    entries: Entries, results: dict[str, dict[str, Any]], exit_code: int | None
) -> None:
    """The exit code is that of the essential container that failed by itself, not of those stopped along with it."""
    detail = entries.read(entries.multi_container(results))
    assert detail.exit_code == exit_code
    assert detail.attempts[0].exit_code == exit_code


def test_an_array_parent_counts_its_children(entries: Entries) -> None:
    """The parent has a size, its children's states and their ids, and no streams of its own."""
    detail = entries.read(entries.array({"RUNNING": 2, "FAILED": 1, "SUCCEEDED": 0}))
    assert (detail.kind, detail.array_size, detail.array_index) == (JobKind.ARRAY_PARENT, 3, None)
    assert detail.children == {JobStatus.RUNNING: 2, JobStatus.FAILED: 1}
    assert detail.part_ids() == (f"{JOB_ID}:0", f"{JOB_ID}:1", f"{JOB_ID}:2")
    assert detail.log_streams() == ()


def test_a_child_of_an_array_carries_its_index(entries: Entries) -> None:
    """Index 0 is an index, and a child of several containers is still a child."""
    child = entries.child(0, entries.multi_container({"a": {"logStreamName": "a/1"}, "b": {"logStreamName": "b/1"}}))
    detail = entries.read(child)
    assert (detail.kind, detail.array_index, detail.array_size) == (JobKind.ARRAY_CHILD, 0, None)
    assert labels(detail) == {"a/1": "child 0, container a", "b/1": "child 0, container b"}
    assert detail.part_ids() == ()


def test_the_index_of_a_child_is_also_in_its_id(entries: Entries) -> None:
    """Where AWS leaves the structures out, the id says which part this is."""
    for part, label in ((entries.child(3), "child 3"), (entries.node(2), "node 2")):
        part.pop("arrayProperties", None)
        part.pop("nodeDetails", None)
        assert entries.read(part).part_label == label


def test_a_multi_node_parent_names_its_nodes(entries: Entries) -> None:
    """The parent knows how many nodes there are and which of them decides."""
    detail = entries.read(entries.multi_node(3, main=1))
    assert (detail.kind, detail.nodes, detail.main_node) == (JobKind.MULTI_NODE, 3, 1)
    assert detail.part_ids() == (f"{JOB_ID}#0", f"{JOB_ID}#1", f"{JOB_ID}#2")


def test_the_streams_of_a_multi_node_job_are_its_nodes(entries: Entries) -> None:
    """The parent lists its main node's attempts as its own: their streams have one label, the node's."""
    parent = entries.read(entries.multi_node(2, attempts=[entries.attempt(1), entries.attempt(2)]))
    main = entries.read(entries.node(0, entries.single(attempts=[entries.attempt(1), entries.attempt(2)])))
    assert parent.log_streams() == ()
    assert labels(main) == {"align/default/1": "node 0, attempt 1", "align/default/2": "node 0, attempt 2"}


def test_no_two_streams_have_one_label(entries: Entries) -> None:
    """Where nothing tells them apart, a number does."""
    twins = [{"name": "main", "logStreamName": f"align/main/{number}"} for number in (1, 2)]
    attempt = {**entries.attempt(), "container": {}, "taskProperties": [{"containers": [one]} for one in twins]}
    detail = entries.read(entries.node(1, entries.single(attempts=[attempt], container={})))
    assert labels(detail) == {"align/main/1": "node 1", "align/main/2": "node 1 (2)"}


def test_a_node_carries_its_index(entries: Entries) -> None:
    """A retried node has a stream for each attempt."""
    node = entries.node(1, entries.single(attempts=[entries.attempt(1, exitCode=1), entries.attempt(2)]))
    detail = entries.read(node)
    assert (detail.kind, detail.node_index) == (JobKind.NODE, 1)
    assert labels(detail) == {"align/default/1": "node 1, attempt 1", "align/default/2": "node 1, attempt 2"}


def test_a_job_on_eks_has_no_streams_but_a_pod(entries: Entries) -> None:
    """Its results are read, and one line says which pod has the log."""
    detail = entries.read(entries.eks(exit_code=2, reason="Error"))
    assert (detail.kind, detail.exit_code, detail.reason) == (JobKind.EKS, 2, "Error")
    assert detail.attempts[0].started_at == CREATED + timedelta(seconds=12)
    assert detail.log_streams() == ()
    assert detail.logs_elsewhere() == (
        "The log of pod aws-batch.0f5e3c5a (node ip-10-0-0-7.ec2.internal, namespace batch-jobs, cluster science) "
        "is in EKS, where AWS Batch makes no CloudWatch stream"
    )


def test_a_pod_that_is_not_placed_yet_is_still_named_as_eks(entries: Entries) -> None:
    """Before the first attempt AWS knows neither pod nor cluster."""
    waiting = entries.waiting(container=None, eksProperties={"podProperties": {"containers": [{"name": "main"}]}})
    line = entries.read(waiting).logs_elsewhere()
    assert line == "The log of the job's pod is in EKS, where AWS Batch makes no CloudWatch stream"


def test_a_multi_node_job_on_eks_says_so_before_its_nodes_are_asked(entries: Entries) -> None:
    """The pods are in the ranges of nodes."""
    ranges = [{"targetNodes": "0:1", "eksProperties": {"podProperties": {"containers": [{"name": "main"}]}}}]
    nodes = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}
    line = entries.read(entries.multi_node(2, nodeProperties=nodes)).logs_elsewhere()
    assert line == "The log of each of the job's pods is in EKS, where AWS Batch makes no CloudWatch stream"


def test_another_log_driver_is_named_with_its_address(entries: Entries) -> None:
    """A log that goes to Splunk has no stream; the line names driver and address, without credentials."""
    log = {"logDriver": "splunk", "options": {"splunk-token": "t0ken", "splunk-url": "https://u:pw@logs.example:8088"}}
    container = entries.container(logConfiguration=log, logStreamName="align/default/1")
    detail = entries.read(entries.single(container=container))
    assert detail.log_streams() == ()
    assert detail.logs_elsewhere() == (
        "The log of the container goes to the splunk log driver at logs.example:8088, not to CloudWatch"
    )


def test_a_container_with_another_log_driver_is_named(entries: Entries) -> None:
    """The other containers keep their streams."""
    detail = entries.read(
        entries.multi_container(
            {
                "main": {"exitCode": 0, "logStreamName": "a/main/1"},
                "sidecar": {"exitCode": 0, "logConfiguration": {"logDriver": "awsfirelens"}},
            }
        )
    )
    assert labels(detail) == {"a/main/1": "container main"}
    assert detail.logs_elsewhere() == (
        "The log of container sidecar goes to the awsfirelens log driver, not to CloudWatch"
    )
