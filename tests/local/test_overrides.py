"""What SubmitJob refuses of overrides, what it takes and the job then fails of, and what has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws

RESERVED = [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]
SIZES = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
FINE: dict[str, Any] = {"image": "i", "command": ["run", "Ref::word"], "resourceRequirements": SIZES}


def needs(kind: str, value: str) -> list[dict[str, str]]:
    """Return one resource requirement."""
    return [{"type": kind, "value": value}]


@pytest.fixture
def definitions(batch: Any) -> None:
    """A definition of each kind."""
    role = {"executionRoleArn": "arn:aws:iam::123456789012:role/r"}
    ranges = [
        {"targetNodes": "0:", "container": FINE},
        {"targetNodes": "1:2", "ecsProperties": {"taskProperties": [{"containers": [{**FINE, "name": "a"}]}]}},
    ]
    of_pod = {"eksProperties": {"podProperties": {"containers": [{"image": "i", "name": "main"}]}}}
    on_eks = [{"targetNodes": targets, **of_pod} for targets in ("0:", "2:3")]
    closed = [{"targetNodes": "0:1", "container": FINE}]
    pair = [{**FINE, "name": "a"}, {**FINE, "name": "b", "essential": False}]
    kinds: dict[str, dict[str, Any]] = {
        "plain": {"containerProperties": FINE},
        "legacy": {"containerProperties": {"image": "i", "command": ["run"], "vcpus": 1, "memory": 128}},
        "fargate": {"platformCapabilities": ["FARGATE"], "containerProperties": {**FINE, **role}},
        "pair": {"ecsProperties": {"taskProperties": [{"containers": pair}]}},
        "pod": {"eksProperties": {"podProperties": {"containers": [{"image": "i", "name": "main"}]}}},
        "pods": {"nodeProperties": {"numNodes": 4, "mainNode": 0, "nodeRangeProperties": on_eks}},
        "mesh": {"nodeProperties": {"numNodes": 4, "mainNode": 1, "nodeRangeProperties": ranges}},
        "closed": {"nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": closed}},
    }
    for name, properties in kinds.items():
        kind = "multinode" if "nodeProperties" in properties else "container"
        batch.register_job_definition(jobDefinitionName=name, type=kind, **properties)


def submit(batch: Any, definition: str, **more: Any) -> dict[str, Any]:
    """Submit a job and describe it."""
    job_id = batch.submit_job(jobName="j", jobQueue="default", jobDefinition=definition, **more)["jobId"]
    [job] = batch.describe_jobs(jobs=[job_id])["jobs"]
    detail: dict[str, Any] = job
    return detail


def container(**override: Any) -> dict[str, Any]:
    """Return an override of a job's only container."""
    return {"containerOverrides": override}


def task(*overrides: dict[str, Any]) -> dict[str, Any]:
    """Return overrides of a task's containers."""
    return {"ecsPropertiesOverride": {"taskProperties": [{"containers": overrides}]}}


def pod(*overrides: dict[str, Any]) -> dict[str, Any]:
    """Return overrides of a pod's containers."""
    return {"eksPropertiesOverride": {"podProperties": {"containers": overrides}}}


def nodes(targets: str = "0:", count: int | None = None, **override: Any) -> dict[str, Any]:
    """Return an override of a range of nodes."""
    of_range: dict[str, Any] = {"nodePropertyOverrides": [{"targetNodes": targets, **override}]}
    return {"nodeOverrides": of_range if count is None else {**of_range, "numNodes": count}}


@pytest.mark.parametrize(
    ("definition", "given", "problem"),
    [
        ("plain", container(command=[""]), "empty string"),
        ("plain", container(command=["run", ""]), "empty string"),
        ("plain", container(environment=RESERVED), "AWS_BATCH"),
        ("plain", container(resourceRequirements=needs("MEMORY", "3")), "Memory value 3"),
        ("plain", container(resourceRequirements=needs("VCPU", "0.5")), "vCPU value 0.5"),
        ("plain", container(instanceType="m5.large"), "instanceType"),
        ("plain", task({"name": "a"}), "ecsProperties"),
        ("plain", nodes(), "nodeProperties"),
        ("legacy", container(memory=3), "Memory value 3"),
        ("fargate", container(vcpus=1), "vcpus is not applicable for Fargate. Use resource requirements instead"),
        ("fargate", container(memory=4096), "memory is not applicable for Fargate"),
        ("fargate", container(resourceRequirements=needs("MEMORY", "4000")), r"\(1.00 vCPU, 4000 MiB\) not valid"),
        ("fargate", container(resourceRequirements=needs("GPU", "1")), "GPU is not applicable"),
        ("pair", container(command=["x"]), "containerProperties"),
        ("pair", task({"name": "c", "command": ["x"]}), "override c does not match"),
        ("pair", task({"command": ["x"]}), "does not match"),
        ("pair", task({"name": "b", "command": [""]}), "empty string"),
        ("pair", task({"name": "b", "environment": RESERVED}), "AWS_BATCH"),
        ("pair", task({"name": "b", "resourceRequirements": needs("VCPU", "x")}), "vCPU value x"),
        ("pair", {"ecsPropertiesOverride": {"taskProperties": [{}, {}]}}, "at most one task"),
        ("pod", container(command=["x"]), "containerProperties"),
        ("pod", pod({"name": "other"}), "override other does not match"),
        ("pod", pod({"env": RESERVED}), "AWS_BATCH"),
        ("pod", pod({"resources": {"limits": {"memory": "1Gi"}}}), "suffix"),
        ("plain", container(resourceRequirements=needs("MEMORY", "128") * 2), "more than one"),
        ("pod", {"eksPropertiesOverride": {"podProperties": {"metadata": {"namespace": "default"}}}}, "is reserved"),
        ("mesh", container(command=["x"]), "containerProperties"),
        ("mesh", nodes("0:9"), "Non matching targets - 0:9"),
        ("mesh", nodes("0"), "NodeOverride targets should match job definition"),
        ("mesh", nodes("some"), "targetNodes 'some'"),
        ("mesh", nodes("0:", containerOverrides={"command": [""]}), "empty string"),
        ("mesh", nodes("0:", containerOverrides={"environment": RESERVED}), "AWS_BATCH"),
        ("mesh", nodes("0:", **task({"name": "a"})), "ecsPropertiesOverride .* node range with ecsProperties"),
        ("mesh", nodes("1:2", **container(command=["x"])), "containerOverrides .* node range with container"),
        ("mesh", nodes("1:2", **task({"name": "z"})), "override z does not match"),
        ("mesh", nodes("1:2", **task({"name": "a", "environment": RESERVED})), "AWS_BATCH"),
        ("mesh", nodes("0:", **pod({})), "eksPropertiesOverride .* node range with eksProperties"),
        ("pods", nodes("0:", **container(command=["x"])), "containerOverrides .* node range with container"),
        ("pods", nodes("2:3", **pod({"name": "other"})), "override other does not match"),
        ("pods", nodes("0:", **pod({"env": RESERVED})), "AWS_BATCH"),
        ("pods", pod({}), "eksPropertiesOverride can only be given"),
        ("mesh", nodes(count=0), "numNodes"),
        ("mesh", nodes(count=1001), "numNodes"),
        ("mesh", nodes(count=1), "NumNodes override 1"),
        ("closed", nodes("0:1", count=2), "at least 1 target node without a range_end"),
    ],
)
@pytest.mark.usefixtures("definitions")
def test_an_override_that_cannot_be_is_refused(
    batch: Any, aws: LocalAws, definition: str, given: dict[str, Any], problem: str
) -> None:
    """With a ClientException that says why; no job comes of it."""
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        submit(batch, definition, **given)
    assert aws.jobs() == []


@pytest.mark.usefixtures("definitions")
def test_resources_are_overridden_only_where_aws_does_it(batch: Any) -> None:
    """`memory` has no effect beside resourceRequirements, and gives way to them."""
    told = submit(batch, "plain", **container(memory=512))["container"]
    assert told["resourceRequirements"] == SIZES
    assert "memory" not in told
    told = submit(batch, "legacy", **container(memory=512, vcpus=2))["container"]
    assert (told["memory"], told["vcpus"]) == (512, 2)
    told = submit(batch, "legacy", **container(resourceRequirements=needs("MEMORY", "512")))["container"]
    assert told["resourceRequirements"] == needs("MEMORY", "512")
    assert ("memory" in told, told["vcpus"]) == (False, 1)


@pytest.mark.usefixtures("definitions")
def test_an_override_of_a_range_is_for_its_nodes(batch: Any, aws: LocalAws) -> None:
    """Of ranges within each other the inner one counts, for the properties and for the overrides."""
    overrides = [
        {"targetNodes": "0:", "containerOverrides": {"command": ["outer"]}},
        {"targetNodes": "1:2", **task({"name": "a", "command": ["inner"]})},
    ]
    job = submit(batch, "mesh", nodeOverrides={"numNodes": 5, "nodePropertyOverrides": overrides})
    shown = batch.describe_jobs(jobs=[f"{job['jobId']}#{node}" for node in range(5)])["jobs"]
    commands = [
        (
            node["container"]["command"]
            if "container" in node
            else node["ecsProperties"]["taskProperties"][0]["containers"][0]["command"]
        )
        for node in shown
    ]
    assert commands == [["outer"], ["inner"], ["inner"], ["outer"], ["outer"]]
    batch.terminate_job(jobId=job["jobId"], reason="seen")
    aws.wait_for_status(job["jobId"])


@pytest.mark.parametrize(
    ("definition", "given"),
    [
        ("plain", container(command=["x" * 8200])),
        ("plain", container(environment=[{"name": "A", "value": "x" * 8200}])),
        ("plain", {"parameters": {"word": "x" * 8200}}),
        ("pair", task({"name": "a", "command": ["x" * 4200]}, {"name": "b", "command": ["x" * 4200]})),
        ("mesh", nodes("0:", **container(command=["x" * 8200]))),
    ],
)
@pytest.mark.usefixtures("definitions")
def test_overrides_that_ecs_refuses_fail_the_job(
    batch: Any, aws: LocalAws, definition: str, given: dict[str, Any]
) -> None:
    """Batch takes more than 8,192 characters for one task; its job then fails without an attempt."""
    job = aws.wait_for_status(submit(batch, definition, **given)["jobId"])
    assert (job["status"], job["attempts"]) == ("FAILED", [])
    assert job["statusReason"] == "Container Overrides length must be at most 8192"


@pytest.mark.usefixtures("definitions")
def test_more_than_fifty_propagated_tags_fail_the_job(batch: Any, aws: LocalAws) -> None:
    """Those of job and definition together; without propagation they are fine."""
    batch.register_job_definition(
        jobDefinitionName="tagged",
        type="container",
        containerProperties={**FINE, "command": ["true"]},
        tags={f"d{number}": "" for number in range(30)},
    )
    tags = {f"j{number}": "" for number in range(21)}
    assert aws.wait_for_status(submit(batch, "tagged", tags=tags)["jobId"])["status"] == "SUCCEEDED"
    job = aws.wait_for_status(submit(batch, "tagged", tags=tags, propagateTags=True)["jobId"])
    assert (job["status"], job["attempts"]) == ("FAILED", [])
    assert "cannot exceed 50" in job["statusReason"]


def test_an_override_is_of_the_range_that_it_names(batch: Any) -> None:
    """Not of an inner one that begins at the same node."""
    tasks = [{"containers": [{**FINE, "name": "worker"}]}]
    ranges = [
        {"targetNodes": "0:", "ecsProperties": {"taskProperties": tasks}},
        {"targetNodes": "0", "container": FINE},
    ]
    batch.register_job_definition(
        jobDefinitionName="twin",
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
    )
    assert submit(batch, "twin", **nodes(**task({"name": "worker", "command": ["true"]})))
    with pytest.raises(batch.exceptions.ClientException, match="does not match a container"):
        submit(batch, "twin", **nodes(**task({"name": "main", "command": ["true"]})))
