"""What RegisterJobDefinition refuses of a definition's containers, tasks, pods and nodes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import is_on_fargate
from airflow_batch_jobs.local.limits import MOST_CONTAINERS, environment_problems, value_problems
from airflow_batch_jobs.local.linux_parameters import linux_problems
from airflow_batch_jobs.local.node_ranges import range_problems
from airflow_batch_jobs.local.pods import pod_problems
from airflow_batch_jobs.local.resources import resource_problems, total_problems
from airflow_batch_jobs.local.shapes import container_name, is_on_eks
from airflow_batch_jobs.local.volumes import volume_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: What the service model says of it, and the sign before a digest.
_IMAGE = re.compile("[-A-Za-z0-9_:./#@]{1,255}")
#: https://docs.aws.amazon.com/batch/latest/userguide/mnp-eks-running-mnp-jobs.html
_MOST_IMAGES_OF_RANGE = 10
_LEAST_EPHEMERAL_GIB, _MOST_EPHEMERAL_GIB = 21, 200
_LEAST_STOP_SECONDS, _MOST_FARGATE_STOP_SECONDS = 2, 120
#: What the service model says of each: not applicable to jobs on Fargate, or for these only.
_NOT_ON_FARGATE = ("privileged",)
_ONLY_ON_FARGATE = ("networkConfiguration", "fargatePlatformConfiguration", "platformVersion")
_FARGATE_LOG_DRIVERS = frozenset({"awslogs", "splunk", "awsfirelens"})
#: What the service model says of Windows: it can't be set for its containers.
_NOT_ON_WINDOWS = ("linuxParameters", "privileged", "user", "ulimits", "readonlyRootFilesystem")
_VALUES = {
    "ipcMode": {"host", "task", "none"},
    "pidMode": {"host", "task"},
    "condition": {"START", "COMPLETE", "SUCCESS"},
    "cpuArchitecture": {"X86_64", "ARM64"},
    "networkMode": {"host"},
    "operatingSystemFamily": {
        "LINUX",
        "WINDOWS_SERVER_2019_CORE",
        "WINDOWS_SERVER_2019_FULL",
        "WINDOWS_SERVER_2022_CORE",
        "WINDOWS_SERVER_2022_FULL",
    },
}


_OF_MANAGED_INSTANCES = {"operatingSystemFamily": {"LINUX"}}


def property_problems(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the properties of a definition."""
    kind, given = request["type"], [key for key in _PROBLEMS_OF if key in request]
    if not given:
        yield f"{'Node' if kind == 'multinode' else 'Container'} properties should not be empty"
    elif len(given) > 1 or (kind == "multinode") != (given == ["nodeProperties"]):
        yield f"A job definition of type {kind} needs exactly one of its properties, not {' and '.join(given)}"
    else:
        yield from _PROBLEMS_OF[given[0]](request)


def _of_container(request: Mapping[str, Any]) -> Iterator[str]:
    if "MANAGED_INSTANCES" in request.get("platformCapabilities", []):
        yield "Job definitions for MANAGED_INSTANCES must use ecsProperties"
    if "instanceType" in request["containerProperties"]:
        yield "instanceType is for multi-node parallel jobs only"
    yield from _single_problems(request["containerProperties"], on_fargate=is_on_fargate(request))


def _of_task(request: Mapping[str, Any]) -> Iterator[str]:
    properties = request["ecsProperties"]
    yield from _task_problems(properties, on_fargate=is_on_fargate(request))
    if "MANAGED_INSTANCES" not in request.get("platformCapabilities", []):
        yield from _network_mode_problems(properties)
        return
    for task in properties["taskProperties"]:
        yield from value_problems(task.get("runtimePlatform", {}), _OF_MANAGED_INSTANCES, "operatingSystemFamily")


def _of_pod(request: Mapping[str, Any]) -> Iterator[str]:
    yield from _eks_problems(request)
    yield from pod_problems(request["eksProperties"].get("podProperties", {}))


def _of_nodes(request: Mapping[str, Any]) -> Iterator[str]:
    if is_on_eks(request):
        yield from _eks_problems(request)
    elif set(request.get("platformCapabilities", [])) - {"EC2"}:
        yield "Multi-node parallel jobs run on EC2 only"
    yield from _node_problems(request["nodeProperties"])


_PROBLEMS_OF: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "containerProperties": _of_container,
    "nodeProperties": _of_nodes,
    "ecsProperties": _of_task,
    "eksProperties": _of_pod,
}


def _eks_problems(request: Mapping[str, Any]) -> Iterator[str]:
    for key in ("platformCapabilities", "propagateTags"):
        if key in request:
            yield f"{key} must not be specified for jobs that run on Amazon EKS"


def _single_problems(container: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with containerProperties, or with a node's container."""
    yield from _container_problems(container, on_fargate=on_fargate)
    if on_fargate and container.get("ulimits"):  # The service model says so of these, but not of a task's containers.
        yield "ulimits is not applicable for Fargate."
    yield from total_problems([container], on_fargate=on_fargate)
    yield from _platform_problems(container, on_fargate=on_fargate)
    yield from _windows_problems(container, [container])


def _container_problems(container: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    if not _IMAGE.fullmatch(container.get("image", "")):
        yield (
            "Container properties must contain an image of at most 255 letters, numbers, hyphens, underscores, colons, "
            "periods, forward slashes, and number signs"
        )
    yield from environment_problems([*container.get("environment", []), *container.get("secrets", [])])
    yield from resource_problems(container, on_fargate=on_fargate)
    yield from linux_problems(container, on_fargate=on_fargate)
    if on_fargate:
        yield from _fargate_problems(container)


def _fargate_problems(container: Mapping[str, Any]) -> Iterator[str]:
    for key in _NOT_ON_FARGATE:
        if container.get(key):
            yield f"{key} is not applicable for Fargate."
    if container.get("logConfiguration", {}).get("logDriver", "awslogs") not in _FARGATE_LOG_DRIVERS:
        yield "Jobs on Fargate are restricted to the log drivers awslogs and splunk"


def _platform_problems(properties: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with what is said of a whole task: in containerProperties, or in a taskProperties."""
    storage_gib = properties.get("ephemeralStorage", {}).get("sizeInGiB", _LEAST_EPHEMERAL_GIB)
    if not _LEAST_EPHEMERAL_GIB <= storage_gib <= _MOST_EPHEMERAL_GIB:
        yield f"ephemeralStorage must be between {_LEAST_EPHEMERAL_GIB} and {_MOST_EPHEMERAL_GIB} GiB"
    yield from volume_problems(properties, on_fargate=on_fargate)
    yield from value_problems(properties, _VALUES, "ipcMode", "pidMode")
    yield from value_problems(
        properties.get("runtimePlatform", {}), _VALUES, "cpuArchitecture", "operatingSystemFamily"
    )
    if on_fargate:
        if not properties.get("executionRoleArn"):
            yield "executionRoleArn must be provided for jobs that run on Fargate resources"
        if "ipcMode" in properties:
            yield "ipcMode is not applicable for Fargate."
        if any(volume.get("host") for volume in properties.get("volumes", [])):
            yield "Volumes of the host are not applicable for Fargate."
        return
    for key in _ONLY_ON_FARGATE:
        if key in properties:
            yield f"{key} must not be specified for jobs that run on EC2 resources"


def _task_problems(properties: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    tasks = properties["taskProperties"]
    if len(tasks) != 1:
        yield "ecsProperties must contain exactly one task in taskProperties"
        return
    [task] = tasks
    containers = task["containers"]
    if not 1 <= len(containers) <= MOST_CONTAINERS:
        yield f"A task must contain between 1 and {MOST_CONTAINERS} containers"
        return
    for container in containers:
        yield from _container_problems(container, on_fargate=on_fargate)
        yield from _timeout_problems(container, on_fargate=on_fargate)
    if not any(container.get("essential", True) for container in containers):
        yield "All jobs must have at least one essential container"
    yield from _dependency_problems(containers)
    if on_fargate:  # On EC2 AWS does not document which container of a task has to name its sizes.
        yield from total_problems(containers, on_fargate=True)
    yield from _platform_problems(task, on_fargate=on_fargate)
    yield from value_problems(task, _VALUES, "networkMode")
    yield from _windows_problems(task, containers)


def _network_mode_problems(properties: Mapping[str, Any]) -> Iterator[str]:
    if any("networkMode" in task for task in properties["taskProperties"]):
        yield "networkMode is for jobs on Amazon ECS Managed Instances only"


def _windows_problems(properties: Mapping[str, Any], containers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what a task may not have on Windows.

    Args:
        properties: What is said of the whole task.
        containers: Its containers.
    """
    platform = properties.get("runtimePlatform", {})
    if not platform.get("operatingSystemFamily", "").startswith("WINDOWS_"):
        return
    if platform.get("cpuArchitecture", "X86_64") != "X86_64":
        yield "cpuArchitecture must be X86_64 for Windows containers"
    for key in _NOT_ON_WINDOWS:
        if any(container.get(key) for container in containers):
            yield f"{key} can't be set for Windows containers"
    if any("efsVolumeConfiguration" in volume for volume in properties.get("volumes", [])):
        yield "efsVolumeConfiguration can't be set for Windows containers"


def _timeout_problems(container: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    for key in ("startTimeout", "stopTimeout"):
        seconds = container.get(key, _LEAST_STOP_SECONDS)
        if seconds < _LEAST_STOP_SECONDS or (on_fargate and seconds > _MOST_FARGATE_STOP_SECONDS):
            yield f"{key} must be at least {_LEAST_STOP_SECONDS} seconds, and on Fargate at most 120"


def _dependency_problems(containers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [container_name(container, number) for number, container in enumerate(containers)]
    if len(set(names)) < len(names):
        yield "Each container of a task must have a unique name"
    essential = {name for name, container in zip(names, containers, strict=True) if container.get("essential", True)}
    needs = {
        name: {one.get("containerName", "") for one in container.get("dependsOn", [])}
        for name, container in zip(names, containers, strict=True)
    }
    for name, container in zip(names, containers, strict=True):
        for dependency in container.get("dependsOn", []):
            other, condition = dependency.get("containerName", ""), dependency.get("condition", "START")
            yield from value_problems(dependency, _VALUES, "condition")
            if other not in names:
                yield f"Container {name} depends on container {other}, which the task does not have"
            elif other in essential and condition in {"COMPLETE", "SUCCESS"}:
                yield f"The condition {condition} can't be set on the essential container {other}"
    while ready := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in ready}
    if needs:
        yield f"Containers depend on each other in a circle: {', '.join(needs)}"


def _node_problems(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with nodeProperties.

    Takes nodes that are pods, as https://docs.aws.amazon.com/batch/latest/userguide/mnp-eks-jobs.html has them; the
    service model still says that jobs on Amazon EKS have no nodes. AWS does not say whether nodes on ECS and on EKS can
    be of one job: here they can't, since a definition has one containerOrchestrationType.
    """
    yield from range_problems(nodes)
    groups = nodes["nodeRangeProperties"]
    types: set[str | None] = set()
    for group in groups:
        types.update(group.get("instanceTypes", []), [group.get("container", {}).get("instanceType")])
        given = [key for key in _PROBLEMS_OF_RANGE if key in group]
        if len(given) == 1:
            yield from _PROBLEMS_OF_RANGE[given[0]](group[given[0]])
        else:
            yield (
                f"The node range {group['targetNodes']} needs exactly one of container, ecsProperties and eksProperties"
            )
    pods = [group["eksProperties"].get("podProperties", {}) for group in groups if "eksProperties" in group]
    if len({pod.get("metadata", {}).get("namespace") for pod in pods}) > 1:
        yield "The same namespace must be provided across all the node ranges"
    if len({"eksProperties" in group for group in groups}) > 1:
        yield "All node ranges must have eksProperties if one of them has"
    if len(types - {None}) > 1:
        yield "All node groups in a multi-node parallel job must use the same instance type"


def _container_of_range(container: Mapping[str, Any]) -> Iterator[str]:
    yield from _single_problems(container, on_fargate=False)


def _task_of_range(properties: Mapping[str, Any]) -> Iterator[str]:
    yield from _task_problems(properties, on_fargate=False)
    yield from _network_mode_problems(properties)


def _pod_of_range(properties: Mapping[str, Any]) -> Iterator[str]:
    pod = properties.get("podProperties", {})
    yield from pod_problems(pod)
    containers = (*pod.get("containers", []), *pod.get("initContainers", []))
    if len({container.get("image") for container in containers}) > _MOST_IMAGES_OF_RANGE:
        yield f"A node range can have at most {_MOST_IMAGES_OF_RANGE} distinct images"


_PROBLEMS_OF_RANGE: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "container": _container_of_range,
    "ecsProperties": _task_of_range,
    "eksProperties": _pod_of_range,
}
