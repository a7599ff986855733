"""What submit sends for its options, and for an existing job that is to run again; against the local AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.identity import DAG_TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws

    Run = Callable[..., Any]

OPTIONS: dict[str, Any] = {
    "parameters": {"sample": "NA12"},
    "containerOverrides": {
        "command": ["echo", "Ref::sample"],
        "environment": [{"name": "LEVEL", "value": "2"}],
        "resourceRequirements": [{"type": "MEMORY", "value": "512"}],
    },
    "arrayProperties": {"size": 2},
    "timeout": {"attemptDurationSeconds": 600},
    "retryStrategy": {"attempts": 3},
    "tags": {"lab": "x"},
}


@pytest.fixture
def align(aws: LocalAws) -> str:
    """A definition with a parameter, and with a variable of its own."""
    own = {"environment": [{"name": "OWN", "value": "1"}]}
    return aws.register("align", ["true", "Ref::sample"], container=own, parameters={"sample": "default"})


def sent(aws: LocalAws) -> dict[str, Any]:
    """Return the request of the last job that was submitted over HTTP, without its name."""
    [*_, request] = aws.requests("SubmitJob")
    return {name: value for name, value in request.parameters.items() if name not in {"jobName", "propagateTags"}}


def test_the_options_are_what_is_sent(run: Run, aws: LocalAws, align: str) -> None:
    """Under AWS's names; a variable of --env wins over one of the same name."""
    override = {"command": ["true"], "environment": [{"name": "A", "value": "0"}, {"name": "B", "value": "=2"}]}
    options = ("--array-size", "2", "-e", "A=1", "--container-override", json.dumps(override), "--job-name", "mine")
    result = run("submit", align, "-q", "default", "-p", "sample=x", *options)

    assert result.exit_code == 0, result.stderr
    assert sent(aws) == {
        "jobQueue": "default",
        "jobDefinition": "align:1",
        "parameters": {"sample": "x"},
        "arrayProperties": {"size": 2},
        "containerOverrides": {
            "command": ["true"],
            "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "=2"}],
        },
    }
    assert aws.jobs()[0]["jobName"].startswith("mine-")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-e", "A"), "'A' is not NAME=VALUE"),
        (("-e", "A=1", "-e", "A=2"), "'A' has two values"),
        (("--container-override", "memory=9"), "it is not JSON"),
        (("--container-override", "[" * 100_000), "it is not JSON"),
        (("--container-override", "[1]"), 'it is not a JSON object, such as {"command": ["align"]}'),
        (("--container-override", '{"comand": []}'), "comand"),
        (("--container-override", '{"environment": "A=1"}', "-e", "B=2"), "environment"),
        (("--array-size", "1"), "Invalid value for '--array-size'"),
        (("--like", "abcd:1"), "a child of an array is not submitted alone; give abcd"),
        (("--like", "abcd#1"), "a node is not submitted alone; give abcd"),
    ],
)
def test_options_that_cannot_be_meant_start_nothing(
    run: Run, aws: LocalAws, align: str, options: tuple[str, ...], said: str
) -> None:
    """They are told apart from what AWS refuses."""
    result = run("submit", align, "-q", "default", *options)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", "").split())
    assert aws.jobs() == []


@pytest.mark.parametrize("given", [(), ("align:1",)])
def test_what_is_missing_is_named(run: Run, given: tuple[str, ...]) -> None:
    """And that a job to repeat would do."""
    result = run("submit", *given)

    assert result.exit_code == 2
    assert "--like" in result.stderr
    assert ("--queue" if given else "DEFINITION:REVISION") in result.stderr


def test_what_is_not_pinned_is_told_without_python(run: Run, align: str) -> None:
    """A shell has no classes."""
    result = run("submit", align.partition(":")[0], "-q", "default")

    assert result.exit_code == 2
    assert result.stderr == "error: Job definition 'align' has no revision. Pin one: write \"align:7\".\n"


def test_a_job_runs_again_as_it_did(run: Run, aws: LocalAws, align: str) -> None:
    """With all that it was submitted with, but what made it a task's."""
    tags = {**OPTIONS["tags"], DAG_TAG: "nightly"}
    [first] = aws.submit(align, **{**OPTIONS, "tags": tags})
    result = run("submit", "--like", first[:8])

    assert result.exit_code == 0, result.stderr
    again = result.stdout.strip()
    queue, definition = (aws.job(first)[name] for name in ("jobQueue", "jobDefinition"))
    overrides = {**OPTIONS["containerOverrides"], "command": ["echo", "NA12"]}
    expected = {**OPTIONS, "containerOverrides": overrides}
    assert sent(aws) == {"jobQueue": queue, "jobDefinition": definition, **expected}
    assert again != first
    assert aws.job(again)["container"]["environment"] == aws.job(first)["container"]["environment"]


def test_a_job_that_was_submitted_with_nothing_is_repeated_with_nothing(run: Run, aws: LocalAws, align: str) -> None:
    """What it has is its definition's."""
    [first] = aws.submit(align)

    assert run("submit", "--like", first).exit_code == 0
    assert sent(aws).keys() == {"jobQueue", "jobDefinition"}


def test_what_is_given_beside_a_job_to_repeat_wins(run: Run, aws: LocalAws, align: str) -> None:
    """Definition, queue, parameters, variables, a field of the override, and the size of the array."""
    aws.clients()("batch").create_job_queue(jobQueueName="other", priority=1)
    newer = aws.register("align", ["true", "Ref::sample"])
    [first] = aws.submit(align, **OPTIONS)
    options = ("-q", "other", "-p", "sample=NA34", "-e", "LEVEL=3", "-e", "MORE=1", "--array-size", "3")
    result = run("submit", newer, "--like", first, *options, "--container-override", '{"command": ["true"]}')

    assert result.exit_code == 0, result.stderr
    request = sent(aws)
    assert request["jobDefinition"] == newer
    assert request["jobQueue"] == "other"
    assert request["parameters"] == {"sample": "NA34"}
    assert request["arrayProperties"] == {"size": 3}
    assert request["containerOverrides"] == {
        "command": ["true"],
        "environment": [{"name": "LEVEL", "value": "3"}, {"name": "MORE", "value": "1"}],
        "resourceRequirements": OPTIONS["containerOverrides"]["resourceRequirements"],
    }


def test_overrides_that_aws_does_not_tell_are_said_to_be_missing(run: Run, aws: LocalAws) -> None:
    """Of a job that is not one container's."""
    node = {"targetNodes": "0:", "container": {"image": "i", "command": ["true"], "vcpus": 1, "memory": 128}}
    nodes = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [node]}
    aws.clients()("batch").register_job_definition(jobDefinitionName="mpi", type="multinode", nodeProperties=nodes)
    [first] = aws.submit("mpi:1")
    result = run("submit", "--like", first)

    assert result.exit_code == 0, result.stderr
    assert f"AWS does not show the nodeOverrides of job {first}; if it had any, they are not repeated." in result.stderr


def test_a_job_to_repeat_that_aws_does_not_know_is_named(run: Run, aws: LocalAws) -> None:
    """And nothing is submitted."""
    result = run("submit", "--like", "no-such-job")

    assert result.exit_code == 1
    assert "AWS Batch has no job no-such-job" in result.stderr
    assert aws.jobs() == []


def test_without_its_definition_all_of_a_job_counts_as_its_own(run: Run, aws: LocalAws, align: str) -> None:
    """A role that may not look definitions up repeats a job all the same."""
    [first] = aws.submit(align)
    aws.fault("DescribeJobDefinitions", "denied")
    result = run("submit", "--like", first)

    assert result.exit_code == 0, result.stderr
    assert sent(aws)["containerOverrides"]["command"] == ["true", "default"]
    assert sent(aws)["parameters"] == {"sample": "default"}
