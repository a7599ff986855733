"""Jobs of several containers or nodes, and pods."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_batch_jobs.local import LocalAws

RESOURCES = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]


def container(name: str, script: str, **more: Any) -> dict[str, Any]:
    """Return a container of a multi-container job."""
    return {"name": name, "image": "i", "command": ["sh", "-c", script], "resourceRequirements": RESOURCES, **more}


def register_ecs(batch: Any, *containers: Mapping[str, Any]) -> None:
    """Register a definition of several containers."""
    batch.register_job_definition(
        jobDefinitionName="pair", type="container", ecsProperties={"taskProperties": [{"containers": containers}]}
    )


def register_nodes(batch: Any, script: str) -> None:
    """Register a definition of three nodes, of which the second is the main one."""
    one = {"image": "i", "command": ["sh", "-c", script], "resourceRequirements": RESOURCES}
    ranges = [
        {"targetNodes": "0:", "container": one},
        {"targetNodes": "1", "container": {**one, "environment": [{"name": "ROLE", "value": "main"}]}},
    ]
    nodes = {"numNodes": 3, "mainNode": 1, "nodeRangeProperties": ranges}
    batch.register_job_definition(jobDefinitionName="mesh", type="multinode", nodeProperties=nodes)


def messages(logs: Any, stream: str) -> list[str]:
    """Return what a process wrote, without the line about its image."""
    events = logs.filter_log_events(logGroupName="/aws/batch/job", logStreamNames=[stream])["events"]
    return [event["message"] for event in events][1:]


def test_containers_of_one_job_have_their_own_streams_and_ends(
    aws: LocalAws, batch: Any, logs: Any, tmp_path: Path
) -> None:
    """The essential one decides; the others are stopped when it ends."""
    said = tmp_path / "said"
    register_ecs(
        batch,
        container("main", f"echo from main; until test -e {said}; do sleep 0.05; done; exit 3"),
        container("sidecar", f"echo from sidecar; touch {said}; exec sleep 60", essential=False),
    )
    [job_id] = aws.submit("pair:1", retryStrategy={"attempts": 1})
    aws.wait_for_status(job_id)
    [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
    assert "container" not in job
    [attempt] = job["attempts"]
    parts = {one["name"]: one for one in attempt["taskProperties"][0]["containers"]}
    assert {name: part["exitCode"] for name, part in parts.items()} == {"main": 3, "sidecar": 143}
    assert messages(logs, parts["main"]["logStreamName"]) == ["from main"]
    assert messages(logs, parts["sidecar"]["logStreamName"]) == ["from sidecar"]
    shown = {one["name"]: one for one in job["ecsProperties"]["taskProperties"][0]["containers"]}
    assert shown["main"]["exitCode"] == 3
    assert shown["sidecar"]["logStreamName"] == parts["sidecar"]["logStreamName"]


def test_containers_are_overridden_by_name(aws: LocalAws, batch: Any, logs: Any) -> None:
    """The other one keeps its command."""
    register_ecs(batch, container("main", "echo main"), container("sidecar", "echo sidecar", essential=False))
    override = {"taskProperties": [{"containers": [{"name": "main", "command": ["echo", "overridden"]}]}]}
    [job_id] = aws.submit("pair:1", ecsPropertiesOverride=override)
    aws.wait_for_line(job_id, "overridden")
    job = aws.wait_for_status(job_id)
    assert job["status"] == "SUCCEEDED"
    streams = [one["logStreamName"] for one in job["attempts"][0]["taskProperties"][0]["containers"]]
    assert messages(logs, streams[0]) == ["overridden"]


def test_scripted_containers_end_as_the_script_says(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """By name; a failing essential one decides."""
    register_ecs(frozen_batch, container("good", "x"), container("bad", "x"), container("aside", "x", essential=False))
    frozen_aws.script(attempts=[{"parts": {"bad": 9, "aside": 7}}])
    [job_id] = frozen_aws.submit("pair:1")
    frozen_aws.advance(10)
    [job] = frozen_batch.describe_jobs(jobs=[job_id])["jobs"]
    assert job["status"] == "FAILED"
    parts = job["attempts"][0]["taskProperties"][0]["containers"]
    assert [part["exitCode"] for part in parts] == [0, 9, 7]


def test_a_multi_node_job_ends_with_its_main_node(aws: LocalAws, batch: Any, logs: Any, tmp_path: Path) -> None:
    """The nodes are `id#n`, know where they are, and are stopped when the main one ends."""
    says, said = 'echo "$AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES"', tmp_path / "said"
    other, main = f"echo >> {said}; exec sleep 60", f"until test $(cat {said} | wc -l) = 2; do sleep 0.05; done"
    register_nodes(batch, f'{says}; [ "$ROLE" = main ] || {{ {other}; }}; {main}')
    [job_id] = aws.submit("mesh:1")
    job = aws.wait_for_status(job_id)
    assert (job["status"], job["nodeProperties"]["numNodes"]) == ("SUCCEEDED", 3)
    assert "container" not in job
    nodes = batch.describe_jobs(jobs=[f"{job_id}#{node}" for node in range(4)])["jobs"]
    assert [node["jobId"] for node in nodes] == [f"{job_id}#{node}" for node in range(3)]
    assert [node["nodeDetails"]["isMainNode"] for node in nodes] == [False, True, False]
    assert [node["container"]["exitCode"] for node in nodes] == [143, 0, 143]
    assert messages(logs, nodes[2]["attempts"][0]["container"]["logStreamName"]) == ["2 of 3"]
    assert [node["status"] for node in nodes] == ["FAILED", "SUCCEEDED", "FAILED"]
    listed = batch.list_jobs(multiNodeJobId=job_id, jobStatus="FAILED")["jobSummaryList"]
    assert [one["nodeProperties"]["nodeIndex"] for one in listed] == [0, 2]


def test_a_node_has_a_state_of_its_own(aws: LocalAws, batch: Any) -> None:
    """It ends by its own exit code, while the main node runs; the job's own attempt is that of the main node."""
    main, other = (
        {"image": "i", "command": [*command], "resourceRequirements": RESOURCES}
        for command in (["sleep", "60"], ["false"])
    )
    ranges = [
        {"targetNodes": "0", "container": other},
        {"targetNodes": "1", "container": main},
        {"targetNodes": "2", "container": {**other, "command": ["no-such-program"]}},
    ]
    nodes = {"numNodes": 3, "mainNode": 1, "nodeRangeProperties": ranges}
    batch.register_job_definition(jobDefinitionName="mesh", type="multinode", nodeProperties=nodes)
    [job_id] = aws.submit("mesh:1")
    aws.wait_for_status(job_id, "RUNNING")

    def described() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = batch.describe_jobs(jobs=[f"{job_id}#{node}" for node in range(3)])["jobs"]
        return found

    until = time.monotonic() + 60
    while [node["status"] for node in described()] != ["FAILED", "RUNNING", "FAILED"]:
        assert time.monotonic() < until
    failed, running, never_ran = described()
    assert failed["container"]["exitCode"] == failed["attempts"][0]["container"]["exitCode"] == 1
    assert failed["statusReason"] == "Essential container in task exited"
    assert failed["startedAt"] <= failed["stoppedAt"]
    assert (running["attempts"], "stoppedAt" in running) == ([], False)
    assert never_ran["statusReason"] == "Task failed to start"
    assert not never_ran.keys() & {"startedAt"}
    assert "logStreamName" not in never_ran["container"]
    listed = batch.list_jobs(multiNodeJobId=job_id, jobStatus="FAILED")["jobSummaryList"]
    assert [(one["jobId"], one["container"]["exitCode"]) for one in listed] == [
        (f"{job_id}#0", 1),
        (f"{job_id}#2", 127),
    ]
    batch.terminate_job(jobId=job_id, reason="seen")
    job = aws.wait_for_status(job_id)
    [attempt] = job["attempts"]
    assert attempt["container"]["logStreamName"] == described()[1]["container"]["logStreamName"]
    assert [node["statusReason"] for node in described()] == ["seen"] * 3


def test_a_main_node_that_cannot_start_fails_the_job_before_the_others_start(aws: LocalAws, batch: Any) -> None:
    """None of them has ever run."""
    register_nodes(batch, "sleep 60")
    container = {"command": ["no-such-program"]}
    override = {"targetNodes": "1", "containerOverrides": container}
    [job_id] = aws.submit("mesh:1", nodeOverrides={"nodePropertyOverrides": [override]})
    job = aws.wait_for_status(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    nodes = batch.describe_jobs(jobs=[f"{job_id}#{node}" for node in range(3)])["jobs"]
    assert [node["status"] for node in nodes] == ["FAILED"] * 3
    assert not [node for node in nodes if "startedAt" in node or "logStreamName" in node["container"]]


def test_a_container_that_cannot_start_ends_the_task_if_it_is_essential(aws: LocalAws, batch: Any) -> None:
    """The others are stopped and the job was never RUNNING; one that is not essential is passed over."""
    lost = {"command": ["no-such-program"]}
    register_ecs(batch, container("main", "sleep 60"), {**container("lost", ""), **lost})
    job = aws.wait_for_status(aws.submit("pair:1")[0])
    assert (job["status"], job["statusReason"], "startedAt" in job) == ("FAILED", "Task failed to start", False)
    register_ecs(batch, container("main", "true"), {**container("lost", "", essential=False), **lost})
    job = aws.wait_for_status(aws.submit("pair:2")[0])
    assert (job["status"], "startedAt" in job) == ("SUCCEEDED", True)
    ends = {one["name"]: one for one in job["attempts"][0]["taskProperties"][0]["containers"]}
    assert ends["lost"]["reason"].startswith("CannotStartContainerError")


def test_an_attempt_names_the_instance_it_ran_on(aws: LocalAws, batch: Any) -> None:
    """As the job does, and its task; Fargate has none."""
    register_ecs(batch, container("main", "true"))
    role = "arn:aws:iam::123456789012:role/r"
    sizes = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
    aws.register("ec2")
    aws.register(
        "fargate", platformCapabilities=["FARGATE"], container={"resourceRequirements": sizes, "executionRoleArn": role}
    )
    jobs = {name: aws.wait_for_status(aws.submit(f"{name}:1")[0]) for name in ("ec2", "fargate", "pair")}
    plain = jobs["ec2"]["container"]["containerInstanceArn"]
    assert jobs["ec2"]["attempts"][0]["container"]["containerInstanceArn"] == plain
    assert jobs["pair"]["attempts"][0]["taskProperties"][0]["containerInstanceArn"] == plain
    assert jobs["pair"]["ecsProperties"]["taskProperties"][0]["containerInstanceArn"] == plain
    assert "containerInstanceArn" not in jobs["fargate"]["attempts"][0]["container"]


def test_nodes_are_overridden_by_range(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """And their number may be another."""
    register_nodes(frozen_batch, "true")
    override = {"targetNodes": "0:3", "containerOverrides": {"command": ["false"]}}
    [job_id] = frozen_aws.submit("mesh:1", nodeOverrides={"numNodes": 4, "nodePropertyOverrides": [override]})
    nodes = frozen_batch.describe_jobs(jobs=[f"{job_id}#{node}" for node in range(4)])["jobs"]
    assert [node["container"]["command"][0] for node in nodes] == ["false"] * 4
    assert frozen_aws.job(job_id)["nodeProperties"]["numNodes"] == 4


def test_scripted_nodes_end_as_the_script_says(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Another node's exit code does not decide."""
    register_nodes(frozen_batch, "x")
    frozen_aws.script(attempts=[{"parts": {"0": 9}}])
    [job_id] = frozen_aws.submit("mesh:1")
    frozen_aws.advance(10)
    assert frozen_aws.job(job_id)["status"] == "SUCCEEDED"
    [node] = frozen_batch.describe_jobs(jobs=[f"{job_id}#0"])["jobs"]
    assert node["container"]["exitCode"] == 9


def test_a_pods_only_container_is_overridden_without_its_name(aws: LocalAws, batch: Any) -> None:
    """Variables are merged, everything else is replaced."""
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    resources = {"requests": {"cpu": "1", "memory": "2048Mi"}, "limits": {"cpu": "2", "memory": "2048Mi"}}
    one = {"image": "i", "command": ["sleep", "10"], "env": env, "resources": resources}
    batch.register_job_definition(
        jobDefinitionName="pod", type="container", eksProperties={"podProperties": {"containers": [one]}}
    )
    less = {"requests": {"cpu": "4", "memory": "4096Mi"}}
    override = {
        "command": ["true"],
        "env": [{"name": "A", "value": "3"}, {"name": "C", "value": "4"}],
        "resources": less,
    }
    [job_id] = aws.submit("pod:1", eksPropertiesOverride={"podProperties": {"containers": [override]}})
    aws.wait_for_status(job_id)
    [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
    [shown] = job["eksProperties"]["podProperties"]["containers"]
    assert (shown["name"], shown["image"], shown["command"]) == ("Default", "i", ["true"])
    assert {one["name"]: one["value"] for one in shown["env"]} == {"A": "3", "B": "2", "C": "4"}
    assert shown["resources"] == less


def test_a_pod_has_no_log_stream(aws: LocalAws, batch: Any) -> None:
    """An EKS job shows its containers' ends in eksAttempts and nothing of CloudWatch."""
    one = {"name": "main", "image": "i", "command": ["sh", "-c"], "args": ["exit $CODE"]}
    pod = {"containers": [{**one, "env": [{"name": "CODE", "value": "4"}]}]}
    batch.register_job_definition(jobDefinitionName="pod", type="container", eksProperties={"podProperties": pod})
    [job_id] = aws.submit("pod:1")
    aws.wait_for_status(job_id)
    [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
    assert (job["status"], job["attempts"]) == ("FAILED", [])
    assert job["eksAttempts"][0]["containers"][0]["exitCode"] == 4
    assert job["eksProperties"]["podProperties"]["containers"][0]["exitCode"] == 4
    assert "logStreamName" not in str(job)


def register_pods(batch: Any, command: str, *ranges: dict[str, Any], retry: int = 1) -> None:
    """Register `pods`: three nodes, whose pods run a shell command; more ranges stand within the one of all."""
    one = {"name": "main", "image": "i", "command": ["sh", "-c", command]}
    every = {"targetNodes": "0:", "eksProperties": {"podProperties": {"containers": [one]}}}
    batch.register_job_definition(
        jobDefinitionName="pods",
        type="multinode",
        retryStrategy={"attempts": retry},
        nodeProperties={"numNodes": 3, "mainNode": 0, "nodeRangeProperties": [every, *ranges]},
    )


def test_nodes_on_eks_have_a_pod_each(aws: LocalAws, batch: Any, tmp_path: Path) -> None:
    """And a status, an end and attempts of their own, without a log stream; the job tells its main node's pods."""
    labels = {"metadata": {"labels": {"team": "science"}}}
    others_run = f"{tmp_path}/$AWS_BATCH_JOB_ATTEMPT"
    end = f"trap '' TERM; echo >> {others_run}; test $AWS_BATCH_JOB_NUM_NODES = 3 && exit $CODE"
    one = {"image": "i", "command": ["sh", "-c", end], "env": [{"name": "CODE", "value": "7"}]}
    last = {"targetNodes": "2", "eksProperties": {"podProperties": {"containers": [one], **labels}}}
    main = f"until test $(cat {others_run} | wc -l) = 2; do sleep 0.05; done; exit 3"
    register_pods(batch, f"test $AWS_BATCH_JOB_NODE_INDEX = 1 && {{ CODE=0; {end}; }}; {main}", last, retry=2)
    [job_id] = aws.submit("pods:1")
    job = aws.wait_for_status(job_id)
    assert (job["status"], job["attempts"], len(job["eksAttempts"])) == ("FAILED", [], 2)
    shown = batch.describe_jobs(jobs=[f"{job_id}#{node}" for node in range(3)])["jobs"]
    assert [node["status"] for node in shown] == ["FAILED", "SUCCEEDED", "FAILED"]
    pods = [node["eksProperties"]["podProperties"] for node in shown]
    assert [pod["containers"][0]["exitCode"] for pod in pods] == [3, 0, 7]
    assert [pod.get("metadata") for pod in pods] == [None, None, labels["metadata"]]
    attempts = [node["eksAttempts"] for node in shown]
    assert [[attempt["containers"][0]["exitCode"] for attempt in each] for each in attempts] == [
        [3] * 2,
        [0] * 2,
        [7] * 2,
    ]
    assert len({attempt["podName"] for each in attempts for attempt in each}) == 6
    assert [pod["podName"] for pod in pods] == [each[-1]["podName"] for each in attempts]
    assert [one["podName"] for one in job["eksAttempts"]] == [one["podName"] for one in attempts[0]]
    assert [node["nodeDetails"]["isMainNode"] for node in shown] == [True, False, False]
    assert "logStreamName" not in str(shown)
    assert not [node for node in shown if node["attempts"] or "container" in node]


def test_nodes_on_eks_are_overridden_by_range(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """As the user guide's example does: their number, and their container's command."""
    register_pods(frozen_batch, "sleep 60")
    override = {"podProperties": {"containers": [{"name": "main", "command": ["sleep", "150"]}]}}
    ranges = [{"targetNodes": "0:", "eksPropertiesOverride": override}]
    [job_id] = frozen_aws.submit("pods:1", nodeOverrides={"numNodes": 5, "nodePropertyOverrides": ranges})
    nodes = frozen_batch.describe_jobs(jobs=[f"{job_id}#{node}" for node in range(5)])["jobs"]
    containers = [node["eksProperties"]["podProperties"]["containers"] for node in nodes]
    assert [[one["command"] for one in each] for each in containers] == [[["sleep", "150"]]] * 5
    assert frozen_aws.job(job_id)["nodeProperties"]["numNodes"] == 5


def test_another_log_driver_has_no_log_stream(aws: LocalAws, logs: Any) -> None:
    """Its lines are lost here."""
    aws.register("align", ["echo", "hi"], container={"logConfiguration": {"logDriver": "splunk"}})
    [job_id] = aws.submit("align:1")
    job = aws.wait_for_status(job_id)
    assert job["status"] == "SUCCEEDED"
    assert "logStreamName" not in job["container"]
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.filter_log_events(logGroupName="/aws/batch/job")


def test_the_log_group_and_prefix_are_the_definitions(aws: LocalAws, logs: Any) -> None:
    """awslogs-group and awslogs-stream-prefix."""
    options = {"awslogs-group": "/mine", "awslogs-stream-prefix": "p"}
    aws.register("align", ["echo", "hi"], container={"logConfiguration": {"logDriver": "awslogs", "options": options}})
    [job_id] = aws.submit("align:1")
    name = aws.wait_for_status(job_id)["container"]["logStreamName"]
    assert name.startswith("p/default/")
    assert logs.get_log_events(logGroupName="/mine", logStreamName=name)["events"][-1]["message"] == "hi"
