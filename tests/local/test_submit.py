"""SubmitJob: what becomes a job, and what is refused as AWS refuses it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.documented import needs

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws

RETRIES = {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": "RETRY"}] * 6}


@pytest.fixture
def definition(aws: LocalAws) -> str:
    """A definition with a parameter, an environment and a resource of each kind."""
    return aws.register(
        "align",
        ["echo", "Ref::word", "Ref::free", "x Ref::word"],
        parameters={"word": "hi", "unused": "0"},
        container={"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        tags={"of": "definition"},
    )


def submit(batch: Any, **more: Any) -> dict[str, Any]:
    """Submit a job and describe it."""
    request = {"jobName": "j", "jobQueue": "default", "jobDefinition": "align", **more}
    job_id = batch.submit_job(**request)["jobId"]
    [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
    detail: dict[str, Any] = job
    return detail


@pytest.mark.usefixtures("definition")
def test_parameters_fill_whole_items_of_the_command(batch: Any) -> None:
    """The submit's value wins over the definition's; what nothing fills stays as it is."""
    job = submit(batch, parameters={"word": "ho"})
    assert job["container"]["command"] == ["echo", "ho", "Ref::free", "x Ref::word"]
    assert job["parameters"] == {"word": "ho", "unused": "0"}


@pytest.mark.usefixtures("definition")
def test_overrides_replace_the_command_and_merge_environment_and_resources(batch: Any) -> None:
    """A variable or a resource of the same name is replaced, the others stay."""
    job = submit(
        batch,
        containerOverrides={
            "command": ["date", "Ref::word"],
            "environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
            "resourceRequirements": [{"type": "MEMORY", "value": "512"}],
        },
    )
    container = job["container"]
    assert container["command"] == ["date", "hi"]
    assert {one["name"]: one["value"] for one in container["environment"]} == {"A": "1", "B": "3", "C": "4"}
    assert {one["type"]: one["value"] for one in container["resourceRequirements"]} == {"VCPU": "1", "MEMORY": "512"}


@pytest.mark.usefixtures("definition")
def test_a_job_shows_what_it_was_submitted_with(batch: Any, aws: LocalAws) -> None:
    """Queue and definition are ARNs, the definition's with its revision; tags are the submit's."""
    job = submit(
        batch,
        tags={"of": "job"},
        propagateTags=True,
        timeout={"attemptDurationSeconds": 90},
        retryStrategy={"attempts": 2},
    )
    assert job["jobQueue"] == f"arn:aws:batch:us-east-1:{aws.account}:job-queue/default"
    assert job["jobDefinition"] == f"arn:aws:batch:us-east-1:{aws.account}:job-definition/align:1"
    assert job["jobArn"] == f"arn:aws:batch:us-east-1:{aws.account}:job/{job['jobId']}"
    assert (job["tags"], job["propagateTags"]) == ({"of": "job"}, True)
    assert (job["timeout"], job["retryStrategy"]) == (
        {"attemptDurationSeconds": 90},
        {"attempts": 2, "evaluateOnExit": []},
    )
    assert "startedAt" not in job or job["startedAt"] >= job["createdAt"]


def test_without_a_revision_the_newest_active_one_runs(batch: Any, aws: LocalAws, definition: str) -> None:
    """A name, and an ARN without a revision, stand for the newest ACTIVE revision."""
    aws.register("align")
    third = aws.register("align")
    arn = f"arn:aws:batch:us-east-1:{aws.account}:job-definition/"
    assert submit(batch)["jobDefinition"] == arn + third
    batch.deregister_job_definition(jobDefinition=third)
    assert submit(batch, jobDefinition=f"{arn}align")["jobDefinition"] == f"{arn}align:2"
    assert submit(batch, jobDefinition=arn + definition)["jobDefinition"] == f"{arn}align:1"


def test_an_inactive_revision_runs_no_new_job(batch: Any, definition: str) -> None:
    """The refusal names the revision and says ACTIVE."""
    batch.deregister_job_definition(jobDefinition=definition)
    problem = re.escape("align:1 does not exist or is not in ACTIVE status")
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        submit(batch, jobDefinition="align:1")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"jobName": "scheduled__2026-01-01T00:00:00+00:00"}, "Job name should match valid pattern"),
        ({"jobName": "-x"}, "valid pattern"),
        ({"jobName": "x" * 129}, "valid pattern"),
        ({"jobQueue": "nobody"}, "JobQueue nobody not found"),
        ({"jobDefinition": "nobody"}, "does not exist"),
        ({"jobDefinition": "align:2"}, "does not exist"),
        ({"jobDefinition": "align:"}, "does not exist"),
        ({"arrayProperties": {"size": 1}}, "between 2 and 10000"),
        ({"arrayProperties": {"size": 10_001}}, "between 2 and 10000"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
        ({"retryStrategy": {"attempts": 0}}, "between 1 and 10"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"retryStrategy": RETRIES}, "at most 5"),
        ({"retryStrategy": {"evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]}}, "attempts"),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}]}}, "at least one"),
        ({"tags": {f"t{number}": "" for number in range(51)}}, "50"),
        ({"tags": {"k" * 129: ""}}, "128"),
        ({"tags": {"k": "v" * 257}}, "256"),
        ({"tags": {"aws:x": ""}}, "reserved"),
        ({"tags": {"x": "Aws:x"}}, "reserved"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "at most 20"),
        ({"dependsOn": [{"jobId": "nobody"}]}, "not found"),
        ({"dependsOn": [{"type": "SEQUENTIAL"}]}, "array"),
        ({"dependsOn": [{"jobId": "nobody", "type": "N_TO_N"}]}, "array"),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1x", "action": "EXIT"}]}}, "onExitCode"),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "a(b)", "action": "EXIT"}]}}, "onReason"),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "*a", "action": "EXIT"}]}}, "onReason"),
        (
            {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onStatusReason": "x" * 513, "action": "EXIT"}]}},
            "onStatusReason",
        ),
        ({"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"onReason": "a", "action": "AGAIN"}]}}, "enum"),
        ({"jobQueue": "arn:aws:batch:us-east-1:210987654321:job-queue/default"}, "not found"),
        ({"jobDefinition": "arn:aws:batch:eu-west-1:123456789012:job-definition/align:1"}, "does not exist"),
        ({"jobDefinition": f"align:{'9' * 5000}"}, "does not exist"),
        ({"parameters": {"word": "x" * 31_000}}, "Job size must be less than 30 KiB, got 31 KiB"),
        ({"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": ""}]}}, "reserved"),
        ({"schedulingPriorityOverride": 10_000}, "between 0 and 9999"),
        ({"shareIdentifier": "team"}, "fair-share"),
        ({"nodeOverrides": {"numNodes": 2}}, "nodeProperties"),
        ({"ecsPropertiesOverride": {"taskProperties": [{}]}}, "ecsProperties"),
    ],
)
@pytest.mark.usefixtures("definition")
def test_a_request_out_of_limits_is_refused(batch: Any, aws: LocalAws, given: dict[str, Any], problem: str) -> None:
    """The refusal is a ClientException that says why, and no job comes of it."""
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        submit(batch, **given)
    assert aws.jobs() == []


@pytest.mark.usefixtures("definition")
def test_a_disabled_queue_takes_no_jobs(batch: Any) -> None:
    """The refusal says ENABLED."""
    batch.create_job_queue(jobQueueName="off", priority=1, state="DISABLED")
    with pytest.raises(batch.exceptions.ClientException, match="ENABLED"):
        submit(batch, jobQueue="off")


@pytest.mark.usefixtures("definition")
def test_a_fair_share_queue_needs_a_share_identifier(batch: Any) -> None:
    """With one, and with a priority, the job is taken, and shows both."""
    batch.create_job_queue(jobQueueName="fair", priority=1, schedulingPolicyArn="arn:aws:batch:::scheduling-policy/x")
    given = {"jobQueue": "fair", "schedulingPriorityOverride": 7}
    with pytest.raises(batch.exceptions.ClientException, match="shareIdentifier"):
        submit(batch, **given)
    job = submit(batch, **given, shareIdentifier="team")
    assert (job["shareIdentifier"], job["schedulingPriority"]) == ("team", 7)


def test_a_fair_share_queue_needs_a_scheduling_priority(aws: LocalAws, batch: Any) -> None:
    """The definition's or the submit's; 0 is one."""
    batch.create_job_queue(jobQueueName="fair", priority=1, schedulingPolicyArn="arn:aws:batch:::scheduling-policy/x")
    aws.register("none")
    aws.register("low", schedulingPriority=0)
    given = {"jobQueue": "fair", "shareIdentifier": "team"}
    with pytest.raises(batch.exceptions.ClientException, match="Either schedulingPriority in job definition or"):
        submit(batch, jobDefinition="none", **given)
    assert submit(batch, jobDefinition="none", schedulingPriorityOverride=0, **given)["schedulingPriority"] == 0
    assert submit(batch, jobDefinition="low", **given)["schedulingPriority"] == 0


@pytest.mark.usefixtures("definition")
def test_empty_array_properties_make_no_array(batch: Any) -> None:
    """Older versions of the Amazon provider's operator send them with each job."""
    job = submit(batch, arrayProperties={})
    assert "arrayProperties" not in job


@needs("batch", "SubmitJob", "consumableResourcePropertiesOverride")
def test_a_job_shows_its_consumable_resources(aws: LocalAws, batch: Any) -> None:
    """The submit's instead of the definition's."""
    one, other = ({"consumableResourceList": [{"consumableResource": name, "quantity": 1}]} for name in ("a", "b"))
    aws.register("licensed", consumableResourceProperties=one)
    assert submit(batch, jobDefinition="licensed")["consumableResourceProperties"] == one
    job = submit(batch, jobDefinition="licensed", consumableResourcePropertiesOverride=other)
    assert job["consumableResourceProperties"] == other


@pytest.mark.usefixtures("definition")
def test_describe_jobs_takes_a_hundred_ids_and_leaves_out_unknown_ones(batch: Any) -> None:
    """More than a hundred are refused."""
    job_id = submit(batch)["jobId"]
    found = batch.describe_jobs(jobs=[job_id, *(f"unknown-{number}" for number in range(99))])["jobs"]
    assert [job["jobId"] for job in found] == [job_id]
    with pytest.raises(batch.exceptions.ClientException, match="Maximum number of jobs supported is 100"):
        batch.describe_jobs(jobs=["x"] * 101)
