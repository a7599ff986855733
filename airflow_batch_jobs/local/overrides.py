"""What SubmitJob refuses of overrides: by kind of definition, by what they name, and by what comes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import is_on_fargate
from airflow_batch_jobs.batch.node_ranges import nodes_of
from airflow_batch_jobs.local.limits import environment_problems, metadata_problems
from airflow_batch_jobs.local.node_ranges import override_problems
from airflow_batch_jobs.local.pods import pod_resource_problems
from airflow_batch_jobs.local.resources import repeated_problems, resource_problems, total_problems
from airflow_batch_jobs.local.shapes import container_name, pod_container_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_batch_jobs.local.containers import Container
    from airflow_batch_jobs.local.definitions import Definition

_KINDS = {
    "containerOverrides": "containerProperties",
    "nodeOverrides": "nodeProperties",
    "ecsPropertiesOverride": "ecsProperties",
    "eksPropertiesOverride": "eksProperties",
}
OVERRIDES = frozenset(_KINDS)
_OF_A_NODE = {
    "containerOverrides": "container",
    "ecsPropertiesOverride": "ecsProperties",
    "eksPropertiesOverride": "eksProperties",
}


def all_override_problems(definition: Definition, request: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the overrides of a request, for a definition's revision."""
    properties = definition.request
    for key, kind in _KINDS.items():
        if request.get(key) and kind not in properties:
            yield f"{key} can only be given for a job definition with {kind}"
            return
    if "nodeProperties" in properties:
        yield from _node_problems(properties["nodeProperties"], request.get("nodeOverrides", {}))
    elif "eksProperties" in properties:
        yield from _pod_problems(properties["eksProperties"]["podProperties"], request.get("eksPropertiesOverride", {}))
    else:
        yield from _task_problems(properties, request)


def result_problems(definition: Definition, containers: Iterable[Container]) -> Iterator[str]:
    """Yield what is wrong with the resources that containers have by overrides, which are right by themselves."""
    if definition.is_on_eks:
        return
    on_fargate = is_on_fargate(definition.request)
    every = [container.properties for container in containers]
    for properties in every:
        yield from resource_problems(properties, on_fargate=on_fargate)
    if on_fargate:
        yield from total_problems(every, on_fargate=True)


def _task_problems(properties: Mapping[str, Any], request: Mapping[str, Any]) -> Iterator[str]:
    single = request.get("containerOverrides", {})
    yield from _container_problems(single)
    if "instanceType" in single and "containerProperties" in properties:
        yield "instanceType is for multi-node parallel jobs only"
    for key in ("vcpus", "memory"):
        if key in single and is_on_fargate(properties):
            yield f"{key} is not applicable for Fargate. Use resource requirements instead."
    tasks = request.get("ecsPropertiesOverride", {}).get("taskProperties", [])
    if len(tasks) > 1:
        yield "ecsPropertiesOverride must contain at most one task in taskProperties"
    names = {
        container_name(container, number)
        for task in properties.get("ecsProperties", {}).get("taskProperties", [])
        for number, container in enumerate(task["containers"])
    }
    for task in tasks:
        yield from _named_problems(task.get("containers", []), names)


def _named_problems(overrides: Iterable[Mapping[str, Any]], names: set[str]) -> Iterator[str]:
    for override in overrides:
        yield from _container_problems(override)
        if override.get("name") not in names:
            yield f"Container override {override.get('name', '')} does not match a container of the job definition"


def _container_problems(override: Mapping[str, Any]) -> Iterator[str]:
    if "" in override.get("command", []):
        yield "Container overrides command can't contain an empty string"
    yield from environment_problems(override.get("environment", []))
    yield from repeated_problems(override)


def _node_problems(nodes: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[str]:
    problems = list(override_problems(nodes, overrides))
    yield from problems
    count = overrides.get("numNodes", nodes["numNodes"])
    for override in overrides.get("nodePropertyOverrides", []) if not problems else []:
        mine = nodes_of(override, count)
        group = next(group for group in reversed(nodes["nodeRangeProperties"]) if nodes_of(group, count) == mine)
        for key, kind in _OF_A_NODE.items():
            if override.get(key) and kind not in group:
                yield f"{key} can only be given for a node range with {kind}"
        if "eksProperties" in group:
            yield from _pod_problems(group["eksProperties"]["podProperties"], override.get("eksPropertiesOverride", {}))
        else:
            yield from _task_problems(group, override)


def _pod_problems(pod: Mapping[str, Any], override: Mapping[str, Any]) -> Iterator[str]:
    overridden = override.get("podProperties", {})
    yield from metadata_problems(overridden)
    for key in ("containers", "initContainers"):
        defined = pod.get(key, [])
        names = {pod_container_name(container) for container in defined}
        for one in overridden.get(key, []):
            yield from environment_problems(one.get("env", []))
            yield from pod_resource_problems(one.get("resources", {}))
            if pod_container_name(one) not in names and not ("name" not in one and len(defined) == 1):
                yield f"Container override {one.get('name', '')} does not match a container of the job definition"
