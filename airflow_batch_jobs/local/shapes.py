"""What AWS makes of a definition beside what it was given: the members that its answers always have, and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import is_on_fargate

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Lists that AWS shows for every container of ECS, even if they are empty.
EMPTY_CONTAINER: dict[str, list[Any]] = {
    key: []
    for key in (
        "command",
        "environment",
        "mountPoints",
        "resourceRequirements",
        "secrets",
        "ulimits",
        "volumes",
    )
}
_EMPTY_POD_CONTAINER: dict[str, list[Any]] = {"args": [], "command": [], "env": [], "volumeMounts": []}


def is_on_eks(definition: Mapping[str, Any]) -> bool:
    """Tell whether a definition's jobs run in pods: the job itself, or each of its nodes."""
    ranges = definition.get("nodeProperties", {}).get("nodeRangeProperties", ())
    return any("eksProperties" in properties for properties in (definition, *ranges))


def container_name(container: Mapping[str, Any], number: int) -> str:
    """Return the name of a task's container; AWS does not say how it names one that was given none."""
    return str(container.get("name") or f"container{number}")


def pod_container_name(container: Mapping[str, Any]) -> str:
    """Return the name of a pod's container, as AWS names one that was given none."""
    return str(container.get("name") or "Default")


def told_strategy(strategy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a retryStrategy as AWS tells it: with all its members, and actions in lower case."""
    rules = [{**rule, "action": rule["action"].lower()} for rule in strategy.get("evaluateOnExit", [])]
    return {"attempts": strategy.get("attempts", 1), "evaluateOnExit": rules}


def told_definition(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request of RegisterJobDefinition as DescribeJobDefinitions tells it."""
    told = {"parameters": {}, **request}
    if "retryStrategy" in request:
        told["retryStrategy"] = told_strategy(request["retryStrategy"])
    if "containerProperties" in request:
        fargate = {"fargatePlatformConfiguration": {"platformVersion": "LATEST"}} if is_on_fargate(request) else {}
        told["containerProperties"] = {**EMPTY_CONTAINER, **fargate, **request["containerProperties"]}
    if "nodeProperties" in request:
        nodes = request["nodeProperties"]
        told["nodeProperties"] = {**nodes, "nodeRangeProperties": [_range(one) for one in nodes["nodeRangeProperties"]]}
    if "eksProperties" in request:
        told["eksProperties"] = _told_pod(request["eksProperties"])
    return told


def _range(nodes: Mapping[str, Any]) -> dict[str, Any]:
    told = dict(nodes)
    if "container" in nodes:
        told["container"] = {**EMPTY_CONTAINER, **nodes["container"]}
    if "eksProperties" in nodes:
        told["eksProperties"] = _told_pod(nodes["eksProperties"])
    return told


def _told_pod(properties: Mapping[str, Any]) -> dict[str, Any]:
    pod = properties["podProperties"]
    return {"podProperties": {**pod, "containers": [{**_EMPTY_POD_CONTAINER, **one} for one in pod["containers"]]}}
