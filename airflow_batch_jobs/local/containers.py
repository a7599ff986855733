"""What a job runs: the containers of its definition with the submit's overrides, and parameters filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_batch_jobs.local.definitions import Definition

DEFAULT_LOG_GROUP = "/aws/batch/job"


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a job.

    Attributes:
        name: Its name; empty for a job's only container.
        node: The node it runs on; None if the job is not a multi-node one.
        is_essential: Whether its end ends the job's attempt. Only those on a multi-node job's main node can be.
        command: The command with all parameters filled in.
        environment: Names and values.
        log_group: The group of its log stream; empty if it has none in CloudWatch.
        log_prefix: What the log stream's name begins with.
        properties: Its container properties with the overrides, as DescribeJobs shows them.
    """

    name: str
    node: int | None
    is_essential: bool
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    log_group: str
    log_prefix: str
    properties: Mapping[str, Any]


def containers_of(definition: Definition, request: Mapping[str, Any]) -> tuple[Container, ...]:
    """Return the containers that a submitted job runs.

    Args:
        definition: The revision it runs.
        request: The parameters of SubmitJob.

    Raises:
        ServiceError: The overrides are not for this kind of definition.
    """
    values = {**definition.request.get("parameters", {}), **request.get("parameters", {})}
    properties = definition.request
    _check_overrides(properties, request)
    if "nodeProperties" in properties:
        return tuple(_nodes(definition, request, values))
    if "eksProperties" in properties:
        return tuple(_pod(properties["eksProperties"], request, values))
    return tuple(_task(definition, properties, request, values, node=None))


def node_count(definition: Definition, request: Mapping[str, Any]) -> int:
    """Return how many nodes a job has; 0 if it is not a multi-node one."""
    nodes = definition.request.get("nodeProperties", {})
    return int(request.get("nodeOverrides", {}).get("numNodes") or nodes.get("numNodes", 0))


_OVERRIDES = {
    "containerOverrides": "containerProperties",
    "nodeOverrides": "nodeProperties",
    "ecsPropertiesOverride": "ecsProperties",
    "eksPropertiesOverride": "eksProperties",
}


def _check_overrides(properties: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    for override, kind in _OVERRIDES.items():
        if request.get(override) and kind not in properties:
            raise client_exception(f"{override} can only be given for a job definition with {kind}")


def _task(
    definition: Definition,
    properties: Mapping[str, Any],
    request: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    node: int | None,
) -> Iterator[Container]:
    """Yield the containers of one ECS task: a job's, or one node's."""
    single = properties.get("containerProperties") or properties.get("container")
    if single:
        yield _container(definition, "", single, request.get("containerOverrides", {}), values, node=node)
        return
    overridden = request.get("ecsPropertiesOverride", {}).get("taskProperties", [{}])
    by_name = {one.get("name"): one for one in overridden[0].get("containers", [])} if overridden else {}
    for number, task in enumerate(properties.get("ecsProperties", {}).get("taskProperties", [{}])[0]["containers"]):
        name = task.get("name") or f"container{number}"
        yield _container(definition, name, task, by_name.get(name, {}), values, node=node)


def _container(
    definition: Definition,
    name: str,
    properties: Mapping[str, Any],
    override: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    node: int | None,
) -> Container:
    merged = dict(properties)
    for key in ("command", "vcpus", "memory", "instanceType"):
        if override.get(key) is not None:
            merged[key] = override[key]
    merged["command"] = _filled(merged.get("command", ()), values)
    merged["environment"] = _merged(properties.get("environment", ()), override.get("environment", ()), "name")
    merged["resourceRequirements"] = _merged(
        properties.get("resourceRequirements", ()), override.get("resourceRequirements", ()), "type"
    )
    logging = properties.get("logConfiguration", {"logDriver": "awslogs"})
    options = logging.get("options", {})
    prefix = options.get("awslogs-stream-prefix", definition.name)
    return Container(
        name=name,
        node=node,
        is_essential=properties.get("essential", True),
        command=tuple(merged["command"]),
        environment=tuple((one["name"], one.get("value", "")) for one in merged["environment"] if one.get("name")),
        log_group=options.get("awslogs-group", DEFAULT_LOG_GROUP) if logging["logDriver"] == "awslogs" else "",
        log_prefix=f"{prefix}/{name or 'default'}",
        properties=merged,
    )


def _nodes(definition: Definition, request: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Container]:
    count = node_count(definition, request)
    overrides = request.get("nodeOverrides", {}).get("nodePropertyOverrides", [])
    ranges = definition.request["nodeProperties"]["nodeRangeProperties"]
    main_node = definition.request["nodeProperties"]["mainNode"]
    for node in range(count):
        mine = [one for one in ranges if _covers(one["targetNodes"], node, count)]
        if not mine:
            raise client_exception(f"No node range covers node {node}")
        own_overrides = [one for one in overrides if _covers(one["targetNodes"], node, count)]
        override = own_overrides[-1] if own_overrides else {}
        for container in _task(definition, mine[-1], override, values, node=node):
            yield container if node == main_node else replace(container, is_essential=False)


def _covers(targets: str, node: int, count: int) -> bool:
    """Tell whether a node is in a range such as `0:3`, `2:`, `:1` or `4`."""
    first, colon, last = targets.partition(":")
    if not colon:
        return node == int(first)
    return int(first or 0) <= node <= int(last or count - 1)


def _pod(properties: Mapping[str, Any], request: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Container]:
    overridden = request.get("eksPropertiesOverride", {}).get("podProperties", {}).get("containers", [])
    by_name = {one.get("name"): one for one in overridden}
    containers = properties.get("podProperties", {}).get("containers", [])
    for number, one in enumerate(containers):
        name = one.get("name") or f"container{number}"
        override = by_name.get(one.get("name"), overridden[0] if len(containers) == len(overridden) == 1 else {})
        merged = {**one, "name": name}
        for key in ("image", "command", "args", "resources"):
            if override.get(key) is not None:
                merged[key] = override[key]
        merged["command"] = _filled(merged.get("command", ()), values)
        merged["args"] = _filled(merged.get("args", ()), values)
        merged["env"] = _merged(one.get("env", ()), override.get("env", ()), "name")
        yield Container(
            name=name,
            node=None,
            is_essential=True,
            command=(*merged["command"], *merged["args"]),
            environment=tuple((variable["name"], variable.get("value", "")) for variable in merged["env"]),
            log_group="",
            log_prefix="",
            properties=merged,
        )


def _filled(command: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Fill in `Ref::name` where it is a whole item; one without a value stays as it is."""
    return [values.get(item[5:], item) if item.startswith("Ref::") else item for item in command]


def _merged(defaults: Iterable[Any], overrides: Iterable[Any], key: str) -> list[Any]:
    return list({**{one.get(key): one for one in defaults}, **{one.get(key): one for one in overrides}}.values())
