"""What RegisterJobDefinition refuses of containers, tasks, pods and nodes, as AWS documents it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.node_ranges import NodeRange, narrowest
from airflow_batch_jobs.local.node_ranges import range_problems
from tests.local.documented import needs, needs_members

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws

ROLE = "arn:aws:iam::123456789012:role/r"
ULIMIT = {"name": "nofile", "hardLimit": 1, "softLimit": 1}
RESERVED = [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]


def sizes(vcpus: str, memory_mib: str, *more: dict[str, str]) -> list[dict[str, str]]:
    """Return resource requirements."""
    return [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": memory_mib}, *more]


FINE: dict[str, Any] = {"image": "i", "command": ["true"], "resourceRequirements": sizes("1", "128")}
ON_FARGATE: dict[str, Any] = {"image": "i", "executionRoleArn": ROLE, "resourceRequirements": sizes("0.25", "512")}

WINDOWS = {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}


#: An access point of EFS.
POINT = {"accessPointId": "fsap-1"}


def efs(**more: Any) -> dict[str, Any]:
    """Return a volume of EFS."""
    return {"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1", **more}}


def one(**more: Any) -> dict[str, Any]:
    """Return containerProperties for EC2."""
    return {"containerProperties": {**FINE, **more}}


def fargate(**more: Any) -> dict[str, Any]:
    """Return containerProperties for Fargate."""
    return {"platformCapabilities": ["FARGATE"], "containerProperties": {**ON_FARGATE, **more}}


def task(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return ecsProperties of one task; the containers are fine but for what is given."""
    every = [{**FINE, **container} for container in containers]
    return {"ecsProperties": {"taskProperties": [{"containers": every, **more}]}}


def pod(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return eksProperties; the containers have an image."""
    every = [{"image": "i", **container} for container in containers]
    return {"eksProperties": {"podProperties": {"containers": every, **more}}}


def nodes(*ranges: str, count: int = 2, main: int = 0, **container: Any) -> dict[str, Any]:
    """Return nodeProperties with these ranges, all of the same container."""
    groups = [{"targetNodes": targets, "container": {**FINE, **container}} for targets in ranges]
    return {
        "type": "multinode",
        "nodeProperties": {"numNodes": count, "mainNode": main, "nodeRangeProperties": groups},
    }


def group(**properties: Any) -> dict[str, Any]:
    """Return nodeProperties with one group of nodes that has just this."""
    return of_ranges({"targetNodes": "0:", **properties})


def of_ranges(*groups: dict[str, Any]) -> dict[str, Any]:
    """Return nodeProperties with these groups of nodes."""
    properties = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": list(groups)}
    return {"type": "multinode", "nodeProperties": properties}


def pods(*ranges: str, count: int = 2, **properties: Any) -> dict[str, Any]:
    """Return nodeProperties with these ranges, all of the same pod."""
    of_each = {"podProperties": {"containers": [{"name": "main", "image": "i"}], **properties}}
    groups = [{"targetNodes": targets, "eksProperties": of_each} for targets in ranges]
    return {"type": "multinode", "nodeProperties": {"numNodes": count, "mainNode": 0, "nodeRangeProperties": groups}}


ACCEPTED = {
    "EC2": one(),
    "EC2 in two ways": {"containerProperties": {"image": "i", "vcpus": 1, "resourceRequirements": sizes("1", "4")[1:]}},
    "the least of EC2": one(resourceRequirements=sizes("1", "4", {"type": "GPU", "value": "1"})),
    "the least of Fargate": fargate(),
    "the most of Fargate": fargate(resourceRequirements=sizes("32", "249856")),
    "whole vCPUs as a fraction": fargate(resourceRequirements=sizes("1.0", "2048")),
    "a task of two that make a pair of Fargate": {
        "platformCapabilities": ["FARGATE"],
        **task(
            {"name": "a", "resourceRequirements": sizes("0.25", "1024")},
            {"name": "b", "essential": False, "resourceRequirements": sizes("0.75", "1024")},
            executionRoleArn=ROLE,
        ),
    },
    "a task of ten that have 1 vCPU": {
        "platformCapabilities": ["FARGATE"],
        **task(
            *({"name": f"c{number}", "resourceRequirements": sizes("0.1", "512")} for number in range(10)),
            executionRoleArn=ROLE,
        ),
    },
    "a task whose containers name no sizes": task({"name": "a", "resourceRequirements": []}),
    "a container after another": task(
        {"name": "a", "essential": False}, {"name": "b", "dependsOn": [{"containerName": "a", "condition": "SUCCESS"}]}
    ),
    "a container of a task with ulimits on Fargate": {
        "platformCapabilities": ["FARGATE"],
        **task(
            {"resourceRequirements": sizes("1", "2048"), "ulimits": [ULIMIT]},
            executionRoleArn=ROLE,
        ),
    },
    "a pod": pod({}),
    "a pod with the least memory": pod({"resources": {"limits": {"memory": "4Mi"}}}),
    "a pod of ten": pod(*({"name": f"c{number}"} for number in range(10))),
    "a pod in a namespace, with a volume and a profile": pod(
        {"volumeMounts": [{"name": "v", "mountPath": "/v"}], "securityContext": {"runAsUser": 2**31 - 1}},
        metadata={"namespace": "a" * 63},
        volumes=[{"name": "v", "emptyDir": {}}],
        securityContext={"seccompProfile": {"type": "Localhost", "localhostProfile": "p.json"}},
    ),
    "a pod with labels, annotations and volumes": pod(
        {},
        metadata={
            "labels": {"app.kubernetes.io/name": "A" * 63, "empty": "", "a": "x_y-z.1"},
            "annotations": {"example.com/a.b_c-d": "x" * 255, "a" * 63: "any sign: ü"},
        },
        volumes=[
            {"name": "a.b-c", "emptyDir": {"medium": "Memory"}},
            {"name": "b", "emptyDir": {"medium": ""}},
            {"name": "c", "secret": {"secretName": "s.t"}},
        ],
    ),
    "a file system on Fargate": fargate(
        fargatePlatformConfiguration={"platformVersion": "1.4.0"},
        volumes=[efs()],
        mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}],
    ),
    "limits and mounts of Linux": one(
        ulimits=[ULIMIT, {**ULIMIT, "name": "stack"}],
        linuxParameters={"tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": ["ro", "noexec", "mode=755"]}]},
    ),
    "an image by its digest": one(image="123456789012.dkr.ecr.us-east-1.amazonaws.com/a/b_c@sha256:0a"),
    "a task in the network of its host": {
        "platformCapabilities": ["MANAGED_INSTANCES"],
        **task({}, networkMode="host"),
    },
    "a container of Windows": fargate(runtimePlatform=WINDOWS),
    "nodes": nodes("0:"),
    "nodes within others": nodes("0:10", "4:5", count=11),
    "nodes of a task": group(**task({"name": "a"})),
    "nodes that are pods": pods("0:", "1:1"),
    "nodes of ten images": pods(
        "0:", containers=[{"name": f"c{number}", "image": f"{number}"} for number in range(10)]
    ),
    "a thousand nodes": nodes("0:0", "1:", count=1000),
}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "Container properties should not be empty"),
    ({"type": "multinode"}, "Node properties should not be empty"),
    ({"type": "multinode", **one()}, "exactly one"),
    ({"type": "container", "nodeProperties": nodes("0:")["nodeProperties"]}, "exactly one"),
    ({**one(), **task({})}, "exactly one"),
    (one(image=""), "image"),
    (one(image="i" * 256), "255"),
    (one(environment=RESERVED), "AWS_BATCH"),
    (one(environment=[{"name": "AWS_BATCHED", "value": ""}]), "AWS_BATCH"),
    (one(secrets=[{"name": "AWS_BATCH_X", "valueFrom": "arn"}]), "AWS_BATCH"),
    (one(resourceRequirements=sizes("0", "128")), "vCPU value 0 is not valid"),
    (one(resourceRequirements=sizes("0.25", "128")), "vCPU value 0.25 is not valid"),
    (one(resourceRequirements=sizes("one", "128")), "vCPU value one is not valid"),
    (one(resourceRequirements=sizes("", "128")), "vCPU value  is not valid"),
    (one(resourceRequirements=sizes("-1", "128")), "vCPU value -1 is not valid"),
    (one(resourceRequirements=sizes("1", "3")), "Memory value 3 is not valid"),
    (one(resourceRequirements=sizes("1", "128Mi")), "Memory value 128Mi is not valid"),
    (one(resourceRequirements=sizes("1", "9" * 30)), "Memory value"),
    (one(resourceRequirements=sizes("1", "128", {"type": "GPU", "value": "0"})), "GPU value 0 is not valid"),
    (one(resourceRequirements=sizes("1", "128", {"type": "MEMORY", "value": "9"})), "more than one .* MEMORY"),
    (one(resourceRequirements=sizes("1", "128")[:1]), "Memory is not provided"),
    (one(resourceRequirements=sizes("1", "128")[1:]), "vCPU is not provided"),
    (one(resourceRequirements=[]), "vCPU is not provided"),
    (one(vcpus=1), "vcpus and a resource requirement of type VCPU cannot both be set"),
    (one(memory=128), "memory and a resource requirement of type MEMORY cannot both be set"),
    ({"containerProperties": {"image": "i", "vcpus": 1, "memory": 3}}, "Memory value 3"),
    ({"containerProperties": {"image": "i", "vcpus": 0, "memory": 4}}, "vCPU value 0"),
    (one(instanceType="m5.large"), "instanceType"),
    (one(networkConfiguration={"assignPublicIp": "ENABLED"}), "networkConfiguration must not"),
    (one(fargatePlatformConfiguration={"platformVersion": "LATEST"}), "fargatePlatformConfiguration must not"),
    (one(linuxParameters={"swappiness": 101}), "swappiness"),
    (one(linuxParameters={"maxSwap": -1}), "maxSwap must be"),
    *(
        (one(linuxParameters={"tmpfs": [{"containerPath": "/t", "size": 1, "mountOptions": [option]}]}), "mountOptions")
        for option in ("nobind", "readonly", "")
    ),
    *((one(ulimits=[{**ULIMIT, "name": name}]), "name of a ulimit") for name in ("files", "NOFILE", "core|cpu", "")),
    *((one(image=image), "must contain an image") for image in ("", "x" * 256, "an image", "größe", "a\n")),
    (one(volumes=[{"name": "a b"}]), "name of a volume"),
    (task({}, volumes=[{"name": "a" * 256}]), "name of a volume"),
    *(
        (
            fargate(fargatePlatformConfiguration={"platformVersion": version}, volumes=[efs()]),
            "platformVersion of at least 1.4.0",
        )
        for version in ("1.0.0", "1.3.0")
    ),
    (
        {
            "platformCapabilities": ["FARGATE"],
            **task(
                {"resourceRequirements": sizes("1", "2048")},
                executionRoleArn=ROLE,
                platformVersion="1.3.0",
                volumes=[efs()],
            ),
        },
        "platformVersion of at least 1.4.0",
    ),
    (one(ephemeralStorage={"sizeInGiB": 20}), "between 21 and 200"),
    (fargate(executionRoleArn=""), "executionRoleArn"),
    (fargate(resourceRequirements=[], vcpus=1, memory=2048), "vcpus is not applicable for Fargate"),
    (
        fargate(resourceRequirements=sizes("3", "128")),
        r"Fargate resource requirements \(3.00 vCPU, 128 MiB\) not valid",
    ),
    (fargate(resourceRequirements=sizes("1", "4000")), r"\(1.00 vCPU, 4000 MiB\) not valid"),
    (fargate(resourceRequirements=sizes("8", "17408")), "not valid"),
    (fargate(resourceRequirements=sizes("0.25", "512", {"type": "GPU", "value": "1"})), "GPU is not applicable"),
    (fargate(privileged=True), "privileged is not applicable"),
    (one(volumes=[efs(rootDirectory="/data", transitEncryption="ENABLED", authorizationConfig=POINT)]), "set to /"),
    (one(volumes=[efs(authorizationConfig=POINT)]), "transitEncryption must be enabled"),
    (one(volumes=[efs(authorizationConfig={"iam": "ENABLED"}, transitEncryption="DISABLED")]), "transitEncryption"),
    (task({}, volumes=[efs(transitEncryptionPort=65_536)]), "transitEncryptionPort must be between"),
    (fargate(volumes=[efs(rootDirectory="/" + "x" * 4_096)]), "at most 4096 characters"),
    (one(volumes=[{"name": "v" * 256}]), "at most 255 letters"),
    (nodes("0:", volumes=[efs(authorizationConfig=POINT)]), "transitEncryption must be enabled"),
    (pod({"resources": {"limits": {"cpu": "0.3"}}}), "multiple of 0.25"),
    (pod({"resources": {"limits": {"cpu": "500m"}}}), "multiple of 0.25"),
    (pod({"resources": {"requests": {"memory": "1Gi"}}}), "suffix"),
    *((pod({"resources": {"requests": {"memory": memory}}}), "at least 4") for memory in ("0Mi", "3Mi", "003Mi")),
    (pod({"resources": {"limits": {"nvidia.com/gpu": "0.5"}}}), "whole number"),
    (pod({"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1.25"}}}), "cpu in limits must be at least"),
    (
        pod({"resources": {"limits": {"memory": "8Mi"}, "requests": {"memory": "4Mi"}}}),
        "memory in limits must be equal",
    ),
    (
        pod({"resources": {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "1"}}}),
        "gpu in limits must be equal",
    ),
    (
        task({"resourceRequirements": sizes("0.25", "512")}, ipcMode="host", executionRoleArn=ROLE)
        | {"platformCapabilities": ["FARGATE"]},
        "ipcMode is not applicable",
    ),
    (fargate(ulimits=[ULIMIT]), "ulimits is not applicable"),
    (fargate(linuxParameters={"sharedMemorySize": 64}), "sharedMemorySize is not applicable"),
    (fargate(linuxParameters={"swappiness": 0}), "swappiness is not applicable"),
    (fargate(logConfiguration={"logDriver": "syslog"}), "awslogs and splunk"),
    (fargate(volumes=[{"name": "v", "host": {"sourcePath": "/x"}}]), "Volumes of the host"),
    (fargate(runtimePlatform={"cpuArchitecture": "Z80"}), "cpuArchitecture Z80"),
    ({"ecsProperties": {"taskProperties": []}}, "exactly one task"),
    ({"ecsProperties": {"taskProperties": [task({})["ecsProperties"]["taskProperties"][0]] * 2}}, "exactly one task"),
    (task(), "between 1 and 10"),
    (task(*({"name": f"c{number}"} for number in range(11))), "between 1 and 10"),
    (task({"name": "a", "environment": RESERVED}), "AWS_BATCH"),
    (task({"name": "a", "resourceRequirements": sizes("1", "3")}), "Memory value 3"),
    ({"platformCapabilities": ["FARGATE"], **task({"resourceRequirements": []})}, "vCPU is not provided"),
    (task({"name": "a", "essential": False}), "at least one essential container"),
    (task({"name": "a"}, {"name": "a"}), "unique name"),
    (task({"name": "a", "dependsOn": [{"containerName": "b", "condition": "START"}]}), "container b, which"),
    (task({"name": "a", "dependsOn": [{"containerName": "a", "condition": "START"}]}), "in a circle"),
    (task({"name": "a", "dependsOn": [{"containerName": "a", "condition": "HEALTHY"}]}), "condition HEALTHY"),
    (
        task({"name": "a"}, {"name": "b", "dependsOn": [{"containerName": "a", "condition": "SUCCESS"}]}),
        "SUCCESS can't be set on the essential container a",
    ),
    (task({"name": "a", "stopTimeout": 1}), "stopTimeout"),
    (task({"name": "a"}, ipcMode="shared"), "ipcMode shared"),
    (task({"name": "a"}, platformVersion="LATEST"), "platformVersion must not"),
    ({"platformCapabilities": ["FARGATE"], **task({"name": "a"}, executionRoleArn=ROLE)}, "not valid"),
    (
        {
            "platformCapabilities": ["FARGATE"],
            **task({"name": "a", "resourceRequirements": sizes("1", "2048")}),
        },
        "executionRoleArn",
    ),
    ({"eksProperties": {}}, "must contain at least one container"),
    (pod(), "must contain at least one container"),
    (pod({"image": ""}), "must contain image"),
    (pod({"env": RESERVED}), "AWS_BATCH"),
    (pod({}, initContainers=[{"name": "init", "image": "i", "env": RESERVED}]), "AWS_BATCH"),
    (pod({}, {}), "unique name"),
    (pod({"imagePullPolicy": "Sometimes"}), "imagePullPolicy Sometimes"),
    (pod({}, dnsPolicy="None"), "dnsPolicy None"),
    (pod(*({"name": f"c{number}"} for number in range(11))), "at most 10"),
    *((pod({}, metadata={"namespace": name}), "namespace") for name in ("", "UPPER", "-a", "a-", "a_b", "a" * 64)),
    *((pod({}, metadata={"namespace": name}), "is reserved") for name in ("default", "kube-system", "kube")),
    *(
        (pod({}, metadata={kind: {key: "x"}}), f"{kind} key")
        for kind in ("labels", "annotations")
        for key in ("-a", "a-", "a b", "a" * 64, "/a", "a/", "A.b/c", "a" * 254 + "/b", "a/b/c")
    ),
    *((pod({}, metadata={"labels": {"a": value}}), "labels value") for value in ("a" * 64, "a b", "-a", "a_")),
    (pod({}, metadata={"annotations": {"a": "x" * 256}}), "annotations values"),
    *((pod({}, volumes=[{"name": name, "emptyDir": {}}]), "DNS subdomain") for name in ("A", "a_b", "a..b", "")),
    (pod({}, volumes=[{"name": "a", "secret": {"secretName": "A"}}]), "secretName A"),
    (pod({}, volumes=[{"name": "a", "emptyDir": {"medium": "Disk"}}]), "medium Disk"),
    *((pod({"securityContext": {key: -1}}), f"{key} must be") for key in ("runAsUser", "runAsGroup")),
    *((pod({}, securityContext={key: 2**31}), f"{key} must be") for key in ("runAsUser", "runAsGroup")),
    (pod({"securityContext": {"seccompProfile": {"type": "Localhost"}}}), "needs localhostProfile"),
    (
        pod({}, securityContext={"seccompProfile": {"type": "Unconfined", "localhostProfile": "p"}}),
        "needs localhostProfile",
    ),
    (pod({"securityContext": {"capabilities": {"add": ["SYS_PTRACE"] * 65}}}), "less than or equal to 64"),
    (pod({"securityContext": {"capabilities": {"drop": ["x" * 129]}}}), "less than or equal to 128"),
    (pod({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}), "volumeMount v"),
    (task({"name": "a"}, networkMode="host"), "Managed Instances only"),
    (
        {
            "platformCapabilities": ["FARGATE"],
            **task({"resourceRequirements": sizes("1", "2048")}, executionRoleArn=ROLE, networkMode="host"),
        },
        "Managed",
    ),
    ({"platformCapabilities": ["MANAGED_INSTANCES"], **task({}, networkMode="bridge")}, "networkMode bridge"),
    (group(**task({}, networkMode="host")), "Managed Instances only"),
    (fargate(runtimePlatform={"operatingSystemFamily": "BEOS"}), "operatingSystemFamily BEOS"),
    (fargate(runtimePlatform={**WINDOWS, "cpuArchitecture": "ARM64"}), "X86_64 for Windows"),
    (fargate(runtimePlatform=WINDOWS, user="root"), "user can't be set for Windows"),
    (fargate(runtimePlatform=WINDOWS, readonlyRootFilesystem=True), "readonlyRootFilesystem can't"),
    (fargate(runtimePlatform=WINDOWS, linuxParameters={"initProcessEnabled": True}), "linuxParameters can't"),
    (
        fargate(runtimePlatform=WINDOWS, volumes=[{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]),
        "efsVolumeConfiguration can't",
    ),
    ({"platformCapabilities": ["EC2"], **pod({})}, "platformCapabilities must not"),
    ({"propagateTags": True, **pod({})}, "propagateTags must not"),
    (nodes("0:", main=2), "mainNode 2"),
    (nodes("0:", main=-1), "mainNode -1"),
    (nodes("0:", count=0), "numNodes"),
    (nodes("0:", count=1001), "numNodes"),
    (nodes(), "between 1 and 5"),
    (nodes(*("0:",) * 6), "between 1 and 5"),
    (nodes("abc"), "targetNodes 'abc'"),
    (nodes(""), "targetNodes ''"),
    (nodes("1:0", "0:"), "targetNodes 1:0"),
    (nodes("0:2"), "targetNodes 0:2 is not within"),
    (nodes("0:", "2:"), "targetNodes 2: is not within"),
    (nodes("0"), "none has node 1"),
    (nodes("0", "2:3", count=4), "none has node 1"),
    (nodes("0:", environment=RESERVED), "AWS_BATCH"),
    (nodes("0:", resourceRequirements=[]), "vCPU is not provided"),
    (nodes("0:", image=""), "image"),
    (group(), "exactly one of container, ecsProperties and eksProperties"),
    (group(container=FINE, **task({})), "exactly one of container, ecsProperties and eksProperties"),
    (group(container=FINE, **pod({})), "exactly one of container, ecsProperties and eksProperties"),
    (group(**task({"essential": False})), "at least one essential"),
    (
        of_ranges({"targetNodes": "0", "container": FINE}, {"targetNodes": "1", **pod({})}),
        "All node ranges must have eksProperties",
    ),
    (pods("0:", containers=[]), "must contain at least one container"),
    (group(eksProperties={}), "must contain at least one container"),
    (pods("0:", containers=[{"name": "a", "image": ""}]), "must contain image"),
    (pods("0:", containers=[{"name": "a", "image": "i", "env": RESERVED}]), "AWS_BATCH"),
    (pods("0:", metadata={"namespace": "kube-system"}), "is reserved"),
    (
        {
            "type": "multinode",
            "nodeProperties": {
                "numNodes": 2,
                "mainNode": 0,
                "nodeRangeProperties": [
                    {"targetNodes": "0", **pod({}, metadata={"namespace": "one"})},
                    {"targetNodes": "1", **pod({})},
                ],
            },
        },
        "same namespace",
    ),
    (
        pods("0:", initContainers=[{"name": f"c{number}", "image": f"{number}"} for number in range(10)]),
        "at most 10 distinct images",
    ),
    (pods("0"), "none has node 1"),
    (pods(*("0:",) * 6), "between 1 and 5"),
    ({"platformCapabilities": ["EC2"], **pods("0:")}, "platformCapabilities must not"),
    ({"propagateTags": True, **pods("0:")}, "propagateTags must not"),
    (group(container=FINE, instanceTypes=["a", "b"]), "same instance type"),
    ({"platformCapabilities": ["FARGATE"], **nodes("0:")}, "EC2 only"),
]


def sendable(properties: dict[str, Any]) -> pytest.MarkDecorator:
    """Skip a case that the installed botocore cannot send."""
    request = {"jobDefinitionName": "d", "type": "container", **properties}
    return needs_members("batch", "RegisterJobDefinition", request)


@pytest.mark.parametrize(
    "properties", [pytest.param(each, id=name, marks=sendable(each)) for name, each in ACCEPTED.items()]
)
def test_a_definition_within_the_limits_is_taken_and_runs(
    frozen_aws: LocalAws, frozen_batch: Any, properties: dict[str, Any]
) -> None:
    """And can be described, as can its job."""
    frozen_aws.script(running=1)
    frozen_batch.register_job_definition(**{"jobDefinitionName": "d", "type": "container", **properties})
    [described] = frozen_batch.describe_job_definitions(jobDefinitionName="d")["jobDefinitions"]
    assert described["status"] == "ACTIVE"
    [job_id] = frozen_aws.submit("d:1")
    frozen_aws.advance(10)
    [job] = frozen_batch.describe_jobs(jobs=[job_id])["jobs"]
    assert job["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("properties", "problem"), [pytest.param(*case, marks=sendable(case[0])) for case in REFUSED])
def test_a_definition_that_cannot_be_is_refused(batch: Any, properties: dict[str, Any], problem: str) -> None:
    """With a ClientException that says why; no revision comes of it."""
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        batch.register_job_definition(**{"jobDefinitionName": "d", "type": "container", **properties})
    assert batch.describe_job_definitions()["jobDefinitions"] == []


def test_a_definition_has_at_most_24_kib(batch: Any) -> None:
    """As its JSON is sent."""
    with pytest.raises(batch.exceptions.ClientException, match="size must be less than 24 KiB, got 25 KiB"):
        batch.register_job_definition(jobDefinitionName="d", type="container", **one(command=["x" * 24_500]))


@needs("batch", "RegisterJobDefinition", "MANAGED_INSTANCES")
def test_a_definition_for_managed_instances_needs_ecs_properties(batch: Any) -> None:
    """The one platform that takes no containerProperties."""
    managed: dict[str, Any] = {"platformCapabilities": ["MANAGED_INSTANCES"], **one()}
    with pytest.raises(batch.exceptions.ClientException, match="ecsProperties"):
        batch.register_job_definition(jobDefinitionName="d", type="container", **managed)


@needs("batch", "RegisterJobDefinition", "MANAGED_INSTANCES")
def test_managed_instances_run_no_windows(batch: Any) -> None:
    """Windows is for Fargate."""
    managed = {"platformCapabilities": ["MANAGED_INSTANCES"], **task({}, runtimePlatform=WINDOWS)}
    with pytest.raises(batch.exceptions.ClientException, match="operatingSystemFamily WINDOWS_SERVER_2022_CORE is not"):
        batch.register_job_definition(jobDefinitionName="d", type="container", **managed)


def test_a_definition_is_told_with_the_members_that_it_always_has(batch: Any) -> None:
    """Lists and maps that were not given are empty, the platform version of Fargate is the latest one."""
    for name, properties in {
        "plain": one(),
        "fargate": fargate(),
        "nodes": nodes("0:"),
        "pod": pod({}),
        "pods": pods("0:"),
    }.items():
        batch.register_job_definition(**{"jobDefinitionName": name, "type": "container", **properties})
    told = {each["jobDefinitionName"]: each for each in batch.describe_job_definitions()["jobDefinitions"]}
    empty: dict[str, list[Any]] = {key: [] for key in ("environment", "mountPoints", "secrets", "ulimits", "volumes")}
    assert told["plain"]["containerProperties"] == {**FINE, **empty}
    assert told["plain"]["parameters"] == told["plain"]["tags"] == {}
    assert not told["plain"].keys() & {"platformCapabilities", "retryStrategy", "propagateTags", "timeout"}
    latest = {"platformVersion": "LATEST"}
    assert told["fargate"]["containerProperties"]["fargatePlatformConfiguration"] == latest
    assert told["fargate"]["containerProperties"]["command"] == []
    [of_nodes] = told["nodes"]["nodeProperties"]["nodeRangeProperties"]
    assert of_nodes["container"].items() >= empty.items()
    [of_pod] = told["pod"]["eksProperties"]["podProperties"]["containers"]
    assert (of_pod["command"], of_pod["args"], of_pod["env"]) == ([], [], [])
    [of_nodes] = told["pods"]["nodeProperties"]["nodeRangeProperties"][0]["eksProperties"]["podProperties"][
        "containers"
    ]
    assert of_nodes == {**of_pod, "name": "main"}
    assert [name for name, one in told.items() if one["containerOrchestrationType"] == "EKS"] == ["pod", "pods"]


@given(st.lists(st.from_regex("[0-9]{0,2}:?[0-9]{0,2}", fullmatch=True), min_size=1, max_size=5), st.integers(1, 12))
def test_ranges_that_are_accepted_have_every_node(ranges: list[str], count: int) -> None:
    """And each node belongs to the smallest range around it."""
    groups = [{"targetNodes": targets} for targets in ranges]
    if list(range_problems({"numNodes": count, "mainNode": 0, "nodeRangeProperties": groups})):
        return
    for node in range(count):
        inner = NodeRange.parse(narrowest(groups, node, count)["targetNodes"]).nodes(count)
        around = [NodeRange.parse(targets).nodes(count) for targets in ranges]
        assert len(inner) == min(len(nodes) for nodes in around if node in nodes)
