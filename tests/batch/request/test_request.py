"""SubmitRequest: what AWS is told, and every limit that is checked before AWS is asked."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from botocore.validate import ParamValidator
from pydantic import SecretStr

from airflow_batch_jobs.batch.aws.calls import submit_job_shape
from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, task_tags
from airflow_batch_jobs.batch.request import SubmitRequest, unfilled_placeholders
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError, RequestError

IDENTITY = TaskIdentity(
    TaskKey("genomes.daily", "manual__2026-01-31T12:00:00+00:00", "prepare.align", 3),
    try_number=2,
    max_tries=4,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    deployment="prod",
)


def request(**changes: Any) -> SubmitRequest:
    """A request that AWS would accept, with changes."""
    fields: dict[str, Any] = {
        "job_name": "align-1",
        "job_queue": "science",
        "job_definition": "align-reads:7",
        "parameters": {"sample": "x"},
        "tags": task_tags(IDENTITY),
    }
    return SubmitRequest(**{**fields, **changes})


def refusal(**changes: Any) -> str:
    """The message of the error that a changed request is refused with."""
    with pytest.raises(RequestError) as caught:
        request(**changes).validate()
    assert str(caught.value).startswith(f"SubmitJob {caught.value.field}: ")
    return str(caught.value)


def test_a_request_has_aws_names() -> None:
    """What boto3's `submit_job` is called with; nothing empty is in it."""
    options = {"arrayProperties": {"size": 3}, "tags": {"team": "genomics"}, "timeout": {"attemptDurationSeconds": 60}}
    overrides = {"command": ["run"]}
    assert request(options=options, container_overrides=overrides).to_api() == {
        "jobName": "align-1",
        "jobQueue": "science",
        "jobDefinition": "align-reads:7",
        "parameters": {"sample": "x"},
        "containerOverrides": {"command": ["run"]},
        "arrayProperties": {"size": 3},
        "timeout": {"attemptDurationSeconds": 60},
        "propagateTags": True,
        "tags": {"team": "genomics", **task_tags(IDENTITY)},
    }
    assert request(parameters={}, tags={}).to_api().keys() == {"jobName", "jobQueue", "jobDefinition", "propagateTags"}


def test_tags_are_propagated_unless_the_user_says_otherwise() -> None:
    """As a boolean or as a rendered template's text."""
    assert request(options={"propagateTags": False}).to_api()["propagateTags"] is False
    assert request(options={"propagateTags": "False"}).to_api()["propagateTags"] is False


def test_rendered_text_becomes_the_declared_type() -> None:
    """A template is rendered to text, and botocore takes no text for a number; nor a number for text."""
    made = request(
        options={
            "arrayProperties": {"size": "10"},
            "nodeOverrides": {"numNodes": "2", "nodePropertyOverrides": [{"targetNodes": 0}]},
            "eksPropertiesOverride": {
                "podProperties": {"containers": ({"name": "main", "resources": {"limits": {"memory": 1024}}},)}
            },
        },
        container_overrides={
            "environment": [{"name": "THREADS", "value": 4}, {"name": "DEBUG", "value": True}],
            "resourceRequirements": [{"type": "VCPU", "value": Decimal("0.25")}],
        },
        parameters={"threads": 4},
    ).to_api()
    assert made["arrayProperties"] == {"size": 10}
    assert made["nodeOverrides"] == {"numNodes": 2, "nodePropertyOverrides": [{"targetNodes": "0"}]}
    containers = made["eksPropertiesOverride"]["podProperties"]["containers"]
    assert containers == [{"name": "main", "resources": {"limits": {"memory": "1024"}}}]
    assert made["containerOverrides"] == {
        "environment": [{"name": "THREADS", "value": "4"}, {"name": "DEBUG", "value": "true"}],
        "resourceRequirements": [{"type": "VCPU", "value": "0.25"}],
    }
    assert made["parameters"] == {"threads": "4"}
    assert not ParamValidator().validate(made, submit_job_shape()).has_errors()


def test_a_valid_request_passes() -> None:
    """At the limits themselves, too."""
    request(
        job_name="x" * 128,
        job_queue="arn:aws:batch:eu-central-1:123456789012:job-queue/science",
        job_definition="arn:aws:batch:eu-central-1:123456789012:job-definition/align-reads:7",
        options={
            "arrayProperties": {"size": 10_000},
            "timeout": {"attemptDurationSeconds": 60},
            "retryStrategy": {"attempts": 10, "evaluateOnExit": [{"action": "EXIT", "onExitCode": "1"}] * 5},
            "dependsOn": [{"jobId": "x"}] * 20,
            "schedulingPriorityOverride": 0,
            "shareIdentifier": "team*",
            "tags": {"k" * 128: "v" * 256, "ключ 1": "a+b-c=d._:/@"} | {str(number): "" for number in range(41)},
        },
    ).validate()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arrayProperties": {"size": 1}}, "arrayProperties.size: is 1; AWS accepts 2 to 10,000"),
        ({"arrayProperties": {"size": 10_001}}, "arrayProperties.size: is 10,001; AWS accepts 2 to 10,000"),
        (
            {"timeout": {"attemptDurationSeconds": 59}},
            "timeout.attemptDurationSeconds: is 59; AWS accepts at least 60",
        ),
        ({"retryStrategy": {"attempts": 0}}, "retryStrategy.attempts: is 0; AWS accepts 1 to 10"),
        ({"retryStrategy": {"attempts": 11}}, "retryStrategy.attempts: is 11; AWS accepts 1 to 10"),
        (
            {"retryStrategy": {"evaluateOnExit": [{"action": "EXIT"}] * 6}},
            "retryStrategy.evaluateOnExit: has 6 entries; AWS accepts at most 5",
        ),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "dependsOn: has 21 entries; AWS accepts at most 20"),
        (
            {"schedulingPriorityOverride": 10_000},
            "schedulingPriorityOverride: is 10,000; AWS accepts 0 to 9,999",
        ),
        ({"schedulingPriorityOverride": -1}, "schedulingPriorityOverride: is -1; AWS accepts 0 to 9,999"),
        ({"shareIdentifier": "a b"}, "shareIdentifier: 'a b' is not 1 to 255 letters and digits"),
        ({"nodeOverrides": {"numNodes": 0}}, "nodeOverrides.numNodes: is 0; AWS accepts at least 1"),
        ({"tags": {"aws:x": "1"}}, "tags: the key 'aws:x' begins with aws:"),
        ({"tags": {"x": "AWS:1"}}, "tags: the value 'AWS:1' begins with aws:"),
        ({"tags": {"": "1"}}, "tags: the key '' has 0 characters; AWS accepts 1 to 128"),
        ({"tags": {"k" * 129: "1"}}, "has 129 characters; AWS accepts 1 to 128"),
        ({"tags": {"k": "v" * 257}}, "tags.k: has 257 characters; AWS accepts at most 256"),
        ({"tags": {"a\nb": "x"}}, r"SubmitJob tags: 'a\nb' has characters other than letters"),
        ({"tags": {"k": "a;b"}}, "tags.k: 'a;b' has characters other than letters, digits, spaces"),
        (
            {"tags": {str(number): "" for number in range(44)}},
            "tags: there are 51, 7 of them Airflow's; AWS accepts at most 50",
        ),
        ({"tags": {"airflow-dag-id": "mine"}}, "tags: the key 'airflow-dag-id' is Airflow's"),
        (
            {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"command": ["run", ""]}]}]}},
            "ecsPropertiesOverride.taskProperties[0].containers[0].command[1]: is empty, which AWS does not accept",
        ),
    ],
)
def test_a_limit_is_named_with_the_field_and_the_value(options: dict[str, Any], message: str) -> None:
    """What AWS would refuse after the fact is refused before it."""
    assert message in refusal(options=options)


@pytest.mark.parametrize("name", ["", "a b", "-a", "manual__2026-01-31T12:00:00", "x" * 129, "a\n"])
def test_an_illegal_job_name_is_refused(name: str) -> None:
    """Botocore would send it."""
    assert f"jobName: {name!r} is not legal: a name has 1 to 128 letters" in refusal(job_name=name)


def test_an_empty_queue_is_refused() -> None:
    """A template may render to nothing."""
    assert "jobQueue: is empty" in refusal(job_queue=" ")
    assert "jobQueue: is None" in refusal(job_queue=None)


def test_an_unpinned_definition_is_refused() -> None:
    """AWS would run whichever revision is the newest."""
    with pytest.raises(NotPinnedError, match=r"has no revision\. Pin one"):
        request(job_definition="align-reads").validate()
    with pytest.raises(DefinitionError, match="'latest' is not a revision"):
        request(job_definition="align-reads:latest").validate()


def test_a_too_large_request_names_its_largest_part() -> None:
    """The limit is for the whole request."""
    message = refusal(parameters={"items": "ä" * 6000})
    assert "parameters: makes the request too large: 35.2 of 35.5 KiB, and AWS accepts 30 KiB in all" in message


def test_a_whole_number_of_another_library_is_one() -> None:
    """Such as numpy's int64, which is no int and says by `__index__` which it is."""

    class Int64:
        def __index__(self) -> int:
            return 3

    request = SubmitRequest(
        job_name="j", job_queue="q", job_definition="d:1", options={"arrayProperties": {"size": Int64()}}
    )
    assert request.to_api()["arrayProperties"] == {"size": 3}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("timeouts", "timeouts: is unknown to AWS. Did you mean 'timeout'?"),
        ("array_properties", "array_properties: is unknown to AWS. Did you mean 'arrayProperties'?"),
        ("RetryStrategy", "RetryStrategy: is unknown to AWS. Did you mean 'retryStrategy'?"),
        ("bogus", "bogus: is unknown to AWS."),
        ("jobName", "jobName: does not belong in submit_options; pass it as job_name="),
        ("job_queue", "job_queue: does not belong in submit_options; pass it as job_queue="),
        ("jobDefinition", "jobDefinition: does not belong in submit_options; pass it as definition="),
        ("parameters", "parameters: does not belong in submit_options; pass it as parameters="),
        ("containerOverrides", "pass it as container_overrides="),
    ],
)
def test_an_unknown_option_is_refused(option: str, message: str) -> None:
    """With what was meant, or with where it belongs."""
    assert message in refusal(options={option: {}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"options": {"timeout": {"attempt_duration_seconds": 60}}},
            "timeout.attempt_duration_seconds: is unknown to AWS. Did you mean 'attemptDurationSeconds'?",
        ),
        ({"options": {"timeout": None}}, "timeout: is None, which AWS does not accept; leave the field out"),
        ({"options": {"timeout": {"attemptDurationSeconds": None}}}, "timeout.attemptDurationSeconds: is None"),
        ({"options": {"dependsOn": [{"jobId": "x"}, None]}}, "dependsOn[1]: is None"),
        ({"options": {"timeout": 60}}, "timeout: must be a mapping, not a value of type int"),
        ({"options": {"dependsOn": "x"}}, "dependsOn: must be a list, not a value of type str"),
        (
            {"options": {"arrayProperties": {"size": "many"}}},
            "arrayProperties.size: must be a whole number, not 'many'",
        ),
        ({"options": {"arrayProperties": {"size": 2.5}}}, "arrayProperties.size: must be a whole number, not 2.5"),
        ({"options": {"arrayProperties": {"size": True}}}, "arrayProperties.size: must be a whole number, not True"),
        ({"options": {"propagateTags": "perhaps"}}, "propagateTags: must be true or false, not 'perhaps'"),
        (
            {"options": {"propagateTags": 10**5000}},
            "propagateTags: must be true or false, not a value of type int",
        ),
        ({"options": {"tags": {1: "x"}}}, "tags: has the key 1, which is not text"),
        ({"options": {"tags": ["x"]}}, "tags: must be a mapping"),
        ({"options": {"shareIdentifier": ["x"]}}, "shareIdentifier: must be text, not a value of type list"),
        (
            {"options": {"retryStrategy": {"evaluateOnExit": [{}]}}},
            "retryStrategy.evaluateOnExit[0].action: is missing",
        ),
        ({"parameters": {"x": None}}, "parameters.x: is None"),
    ],
)
def test_a_field_of_a_wrong_type_is_named_by_its_path(changes: dict[str, Any], message: str) -> None:
    """As AWS names it, however deep it is nested."""
    assert message in refusal(**changes)


@pytest.mark.parametrize("value", [["hush"], {"x": "hush"}, None, b"hush", SecretStr("hush")])
def test_a_value_of_the_environment_is_never_shown(value: Any) -> None:
    """It may be a secret that should not be there."""
    environment = [{"name": "PASSWORD", "value": value}]
    message = refusal(container_overrides={"environment": environment})
    assert "containerOverrides.environment[0].value: " in message
    assert "hush" not in message
    assert "hush" not in refusal(container_overrides={"environment": {"PASSWORD": "hush"}})
    assert "hush" not in refusal(container_overrides='{"environment": "hush"}')
    pod = {"podProperties": {"containers": [{"env": "hush"}]}}
    assert "hush" not in refusal(options={"eksPropertiesOverride": pod})


@pytest.mark.parametrize(
    ("options", "path"),
    [
        (
            {"ecsPropertiesOverride": {"taskProperties": [{"containers": [{"environment": "HERE"}]}]}},
            "ecsPropertiesOverride.taskProperties[0].containers[0].environment[0].name",
        ),
        (
            {
                "nodeOverrides": {
                    "nodePropertyOverrides": [{"targetNodes": "0", "containerOverrides": {"environment": "HERE"}}]
                }
            },
            "nodeOverrides.nodePropertyOverrides[0].containerOverrides.environment[0].name",
        ),
        (
            {"eksPropertiesOverride": {"podProperties": {"initContainers": [{"env": "HERE"}]}}},
            "eksPropertiesOverride.podProperties.initContainers[0].env[0].name",
        ),
    ],
)
def test_aws_keeps_its_environment_names(options: dict[str, Any], path: str) -> None:
    """In every kind of override."""
    reserved = [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]
    message = refusal(options=_put(options, reserved))
    assert f"{path}: 'AWS_BATCH_JOB_ID' begins with AWS_BATCH" in message
    assert "AWS_BATCH" in refusal(container_overrides={"environment": reserved})


def _put(value: Any, environment: list[dict[str, str]]) -> Any:
    if isinstance(value, dict):
        return {key: _put(item, environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_put(item, environment) for item in value]
    return environment if value == "HERE" else value


def test_the_digest_is_the_same_for_all_attempts() -> None:
    """The job's name and the tags of an attempt do not count; the order of keys neither."""
    first = request(options={"timeout": {"attemptDurationSeconds": 60}, "tags": {"team": "x"}})
    retry = replace(
        first,
        job_name="align-2",
        tags=task_tags(replace(IDENTITY, try_number=3, max_tries=9)),
        options={"tags": {"team": "x"}, "timeout": {"attemptDurationSeconds": "60"}},
    )
    assert first.digest() == retry.digest()
    assert re.fullmatch("[0-9a-f]{16}", first.digest())


@pytest.mark.parametrize(
    "changes",
    [
        {"job_definition": "align-reads:8"},
        {"job_queue": "other"},
        {"parameters": {"sample": "y"}},
        {"container_overrides": {"command": ["x"]}},
        {"options": {"timeout": {"attemptDurationSeconds": 90}}},
        {"options": {"tags": {"team": "x"}}},
    ],
)
def test_the_digest_differs_with_what_is_to_run(changes: dict[str, Any]) -> None:
    """A job of another request must not be adopted."""
    assert request(**changes).digest() != request().digest()


def test_stored_digests_stay_readable() -> None:
    """They are stored in Airflow: a running job must be found after an update of this package."""
    assert request().digest() == "5d8411cfca6dedda"


def test_placeholders_that_nothing_fills_are_found() -> None:
    """Only whole items of the command are placeholders."""
    command = ["run", "Ref::sample", "Ref::threads", "--x=Ref::x", "Ref::gone", "Ref::gone"]
    assert unfilled_placeholders(command, {"threads": "4"}, {"sample": "x"}) == ("gone",)


def test_what_is_done_to_the_arguments_does_not_change_the_request() -> None:
    """They are a copy, down to the last member."""
    request = SubmitRequest(
        job_name="n", job_queue="q", job_definition="d:1", options={"timeout": {"attemptDurationSeconds": 60}}
    )
    digest = request.digest()
    request.to_api()["timeout"]["attemptDurationSeconds"] = 1
    assert request.to_api()["timeout"] == {"attemptDurationSeconds": 60}
    assert request.digest() == digest


@pytest.mark.parametrize(
    ("options", "kind", "size"),
    [
        ({}, JobKind.SINGLE, None),
        ({"arrayProperties": {"size": "3"}}, JobKind.ARRAY_PARENT, 3),
        ({"nodeOverrides": {"numNodes": 2}}, JobKind.MULTI_NODE, None),
        ({"eksPropertiesOverride": {"podProperties": {"containers": [{"command": ["x"]}]}}}, JobKind.EKS, None),
    ],
)
def test_a_request_shows_the_shape_of_its_job(options: dict[str, Any], kind: JobKind, size: int | None) -> None:
    """So that the UI leads to an array's own page right after the submit."""
    assert (request(options=options).kind, request(options=options).array_size) == (kind, size)
