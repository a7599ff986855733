"""Job definitions: revisions, their states, and what registering refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from airflow_batch_jobs.batch.first_revision import HEADER

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws

CONTAINER: dict[str, Any] = {
    "image": "busybox",
    "command": ["echo", "Ref::word"],
    "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}],
}


def register(batch: Any, name: str = "align", **more: Any) -> str:
    """Register a revision and return its ARN."""
    request = {"jobDefinitionName": name, "type": "container", "containerProperties": CONTAINER, **more}
    arn: str = batch.register_job_definition(**request)["jobDefinitionArn"]
    return arn


def revisions(batch: Any, **how: Any) -> list[tuple[str, int, str]]:
    """Describe definitions: name, revision, status."""
    found = batch.describe_job_definitions(**how)["jobDefinitions"]
    return sorted((one["jobDefinitionName"], one["revision"], one["status"]) for one in found)


def revise(batch: Any) -> list[Any]:
    """Register, deregister and describe, and return all that was seen."""
    arns = [register(batch), register(batch), register(batch, "other")]
    batch.deregister_job_definition(jobDefinition="align:1")
    return [
        [arn.rpartition("/")[2] for arn in arns],
        revisions(batch, jobDefinitionName="align"),
        revisions(batch, jobDefinitionName="align", status="ACTIVE"),
        revisions(batch, jobDefinitions=arns[1:]),
        revisions(batch, jobDefinitions=["nobody:1"]),
        register(batch).rpartition("/")[2],
    ]


def test_revisions_count_up_and_only_their_status_changes(batch: Any) -> None:
    """Each registration is the next revision; deregistering makes one INACTIVE and frees no number."""
    seen = revise(batch)
    assert seen == [
        ["align:1", "align:2", "other:1"],
        [("align", 1, "INACTIVE"), ("align", 2, "ACTIVE")],
        [("align", 2, "ACTIVE")],
        [("align", 2, "ACTIVE"), ("other", 1, "ACTIVE")],
        [],
        "align:3",
    ]


@pytest.mark.long
def test_revisions_are_as_moto_has_them(batch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second opinion: moto answers the same calls alike. It knows no `name:revision` in DescribeJobDefinitions."""
    import boto3
    from moto import mock_aws

    ours = revise(batch)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    with mock_aws():
        theirs = revise(boto3.Session(region_name="us-east-1").client("batch"))
    assert ours == theirs


def test_a_definition_is_described_as_it_was_registered(batch: Any) -> None:
    """Everything that was given comes back."""
    given: dict[str, Any] = {
        "parameters": {"word": "hi"},
        "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onExitCode": "1*", "action": "RETRY"}]},
        "timeout": {"attemptDurationSeconds": 60},
        "tags": {"team": "genomics"},
    }
    register(batch, **given)
    [described] = batch.describe_job_definitions(jobDefinitions=["align:1"])["jobDefinitions"]
    given["retryStrategy"]["evaluateOnExit"][0]["action"] = "retry"
    assert {key: described[key] for key in given} == given
    assert described["containerProperties"].items() >= CONTAINER.items()
    assert described["type"] == "container"


def test_a_revision_has_nothing_of_the_one_before(batch: Any) -> None:
    """Neither its parameters nor its tags; propagateTags is told only if it was given."""
    arn = register(batch, parameters={"a": "1"}, tags={"a": "1"}, propagateTags=False)
    batch.deregister_job_definition(jobDefinition=arn)
    register(batch)
    told = batch.describe_job_definitions(jobDefinitionName="align")["jobDefinitions"]
    assert [(one["status"], one["parameters"], one["tags"], one.get("propagateTags")) for one in told] == [
        ("ACTIVE", {}, {}, None),
        ("INACTIVE", {"a": "1"}, {"a": "1"}, False),
    ]


def test_a_revision_is_described_by_its_short_name(batch: Any) -> None:
    """`name:revision` stands for the ARN; one that does not exist is left out."""
    register(batch)
    assert revisions(batch, jobDefinitions=["align:1", "align:2"]) == [("align", 1, "ACTIVE")]


def test_definitions_come_in_pages(batch: Any) -> None:
    """A page holds maxResults, and its token leads to the next."""
    for _ in range(5):
        register(batch)
    pages = batch.get_paginator("describe_job_definitions").paginate(
        jobDefinitionName="align", PaginationConfig={"PageSize": 2}
    )
    assert [[one["revision"] for one in page["jobDefinitions"]] for page in pages] == [[5, 4], [3, 2], [1]]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"jobDefinitionName": "with space"}, "valid pattern"),
        ({"type": "lambda"}, "type"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
        ({"containerProperties": {**CONTAINER, "image": ""}}, "image"),
        ({"containerProperties": {"image": "busybox", "vcpus": 1}}, "Memory is not provided"),
        ({"containerProperties": {**CONTAINER, "environment": [{"name": "AWS_BATCH_X", "value": ""}]}}, "reserved"),
        ({"type": "multinode"}, "exactly one"),
        ({"ecsProperties": {"taskProperties": []}}, "exactly one"),
        ({"schedulingPriority": 10_000}, "between 0 and 9999"),
    ],
)
def test_a_definition_out_of_limits_is_refused(batch: Any, given: dict[str, Any], problem: str) -> None:
    """Registering refuses with a ClientException that says why, and no revision comes of it."""
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        register(batch, **{"name": given.pop("jobDefinitionName", "align"), **given})
    assert revisions(batch) == []


def test_deregistering_needs_a_revision(batch: Any) -> None:
    """A name alone names no revision."""
    register(batch)
    with pytest.raises(batch.exceptions.ClientException, match="name:revision"):
        batch.deregister_job_definition(jobDefinition="align")


def test_a_bare_name_is_no_reference_to_describe(batch: Any) -> None:
    """JobDefinitions takes ARNs and name:revision."""
    with pytest.raises(batch.exceptions.ClientException, match="name:revision"):
        batch.describe_job_definitions(jobDefinitions=["align"])


def test_tags_of_definitions_queues_and_jobs_can_be_changed(aws: LocalAws, batch: Any) -> None:
    """TagResource adds, UntagResource takes away, and DescribeJobs shows what is left."""
    definition_arn = register(batch, tags={"a": "1"})
    job = batch.submit_job(jobName="j", jobQueue="default", jobDefinition="align", tags={"a": "1"})
    queue_arn = batch.describe_job_queues()["jobQueues"][0]["jobQueueArn"]
    for arn in (definition_arn, job["jobArn"], queue_arn):
        batch.tag_resource(resourceArn=arn, tags={"b": "2", "c": "3"})
        batch.untag_resource(resourceArn=arn, tagKeys=["b"])
        assert batch.list_tags_for_resource(resourceArn=arn)["tags"].items() >= {"c": "3"}.items()
    assert aws.job(job["jobId"])["tags"] == {"a": "1", "c": "3"}
    for unknown in (
        definition_arn.replace("align:1", "align:7"),
        definition_arn.replace("align:1", "align"),
        definition_arn.replace("align:1", "align:01"),
        definition_arn.replace(aws.account, "210987654321"),
        "align:1",
        job["jobId"],
        f"{job['jobArn']}#0",
    ):
        with pytest.raises(ClientError, match="not found"):
            batch.list_tags_for_resource(resourceArn=unknown)


def test_queues_are_the_configured_ones_and_those_created(batch: Any) -> None:
    """DescribeJobQueues knows them by name and by ARN; a name is taken once."""
    created = batch.create_job_queue(jobQueueName="big", priority=2, state="DISABLED", tags={"size": "big"})
    shown = batch.describe_job_queues(jobQueues=["default", created["jobQueueArn"], "nobody"])["jobQueues"]
    assert [(one["jobQueueName"], one["state"], one["priority"]) for one in shown] == [
        ("default", "ENABLED", 1),
        ("big", "DISABLED", 2),
    ]
    with pytest.raises(batch.exceptions.ClientException, match="Object already exists"):
        batch.create_job_queue(jobQueueName="big", priority=2)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"jobQueueName": "with space"}, "valid pattern"),
        ({"state": "JUNK"}, r"Value 'JUNK' at 'state' failed .*\[ENABLED, DISABLED\]"),
        ({"priority": -1}, "priority"),
        ({"tags": {"aws:x": ""}}, "reserved"),
        ({"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "x"}] * 4}, "at most 3"),
        (
            {
                "jobStateTimeLimitActions": [
                    {"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 599, "action": "CANCEL"}
                ]
            },
            "between 600 and 86400",
        ),
        (
            {
                "jobStateTimeLimitActions": [
                    {"reason": "r", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "TERMINATE"}
                ]
            },
            r"(action TERMINATE is not supported|failed to satisfy constraint)",
        ),
    ],
)
def test_a_queue_out_of_limits_is_refused(batch: Any, given: dict[str, Any], problem: str) -> None:
    """With a ClientException that says why."""
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        batch.create_job_queue(**{"jobQueueName": "q", "priority": 1, **given})


def test_names_are_asked_for_alone(batch: Any) -> None:
    """Neither with a page size nor with another filter, and a hundred at most."""
    register(batch)
    client_exception = batch.exceptions.ClientException
    with pytest.raises(client_exception, match="JobQueues and MaxResults cannot both be set"):
        batch.describe_job_queues(jobQueues=["default"], maxResults=1)
    with pytest.raises(client_exception, match="JobDefinitions and Status cannot both be set"):
        batch.describe_job_definitions(jobDefinitions=["align:1"], status="ACTIVE")
    with pytest.raises(client_exception, match="100"):
        batch.describe_job_queues(jobQueues=["default"] * 101)
    with pytest.raises(client_exception, match="ACTIVE or INACTIVE"):
        batch.describe_job_definitions(status="active")


@pytest.mark.parametrize("name", ["_a", "-a", "a.b", "a b", "", "a" * 129])
def test_a_name_begins_with_a_letter_or_digit(aws: LocalAws, batch: Any, name: str) -> None:
    """Of a definition, a queue and a job alike, and has nothing else but these, `-` and `_`."""
    aws.register("align")
    container = {"image": "i", "vcpus": 1, "memory": 4}
    requests: dict[str, dict[str, Any]] = {
        "register_job_definition": {"jobDefinitionName": name, "type": "container", "containerProperties": container},
        "create_job_queue": {"jobQueueName": name, "priority": 1, "computeEnvironmentOrder": []},
        "submit_job": {"jobName": name, "jobQueue": "default", "jobDefinition": "align"},
    }
    for operation, request in requests.items():
        with pytest.raises(batch.exceptions.ClientException, match="name should match valid pattern"):
            getattr(batch, operation)(**request)


@pytest.mark.parametrize(
    ("told", "begins_at"),
    [("7", 7), ("2147483647", 2**31 - 1), ("2147483648", 1), ("0", 1), ("-3", 1), ("7.0", 1), ("9" * 5000, 1), ("", 1)],
)
def test_revisions_begin_where_the_first_request_says(aws: LocalAws, told: str, begins_at: int) -> None:
    """Once: the next one follows. Anything but a revision that AWS could have counts for nothing."""
    batch = aws.clients()("batch")
    batch.meta.events.register(
        "before-call.batch.RegisterJobDefinition",
        lambda params, **_: params["headers"].update({HEADER: told}),
    )
    for _ in range(2):
        register(batch)
    assert revisions(batch) == [("align", begins_at, "ACTIVE"), ("align", begins_at + 1, "ACTIVE")]
