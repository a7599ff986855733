"""What a job runs: the containers of its definition with the submit's overrides, and parameters filled in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.node_ranges import narrowest
from airflow_batch_jobs.batch.override_length import overridden
from airflow_batch_jobs.local.shapes import container_name, pod_container_name

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
        task: What is said of all containers of its ECS task, or of its pod.
        override_length: How many characters of overrides it brings to its task.
    """

    name: str
    node: int | None
    is_essential: bool
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    log_group: str
    log_prefix: str
    properties: Mapping[str, Any]
    task: Mapping[str, Any] = field(default_factory=dict)
    override_length: int = 0


def containers_of(definition: Definition, request: Mapping[str, Any]) -> tuple[Container, ...]:
    """Return the containers that a submitted job runs.

    Args:
        definition: The revision it runs.
        request: The parameters of SubmitJob, which have been checked.
    """
    values = {**definition.request.get("parameters", {}), **request.get("parameters", {})}
    properties = definition.request
    if "nodeProperties" in properties:
        return tuple(_nodes(definition, request, values))
    return tuple(_run_by(definition, properties, request, values, node=None))


def node_count(definition: Definition, request: Mapping[str, Any]) -> int:
    """Return how many nodes a job has; 0 if it is not a multi-node one."""
    nodes = definition.request.get("nodeProperties", {})
    return int(request.get("nodeOverrides", {}).get("numNodes") or nodes.get("numNodes", 0))


def _run_by(
    definition: Definition,
    properties: Mapping[str, Any],
    request: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    node: int | None,
) -> Iterator[Container]:
    """Yield the containers of a job, or of one node: those of an ECS task, or of a pod."""
    if "eksProperties" in properties:
        return _pod(properties["eksProperties"]["podProperties"], request, values, node=node)
    return _task(definition, properties, request, values, node=node)


def _task(
    definition: Definition,
    properties: Mapping[str, Any],
    request: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    node: int | None,
) -> Iterator[Container]:
    single = properties.get("containerProperties") or properties.get("container")
    if single:
        yield _container(definition, "", single, request.get("containerOverrides", {}), values, node=node)
        return
    by_name = {
        one.get("name"): one
        for task in request.get("ecsPropertiesOverride", {}).get("taskProperties", [])
        for one in task.get("containers", [])
    }
    [task] = properties["ecsProperties"]["taskProperties"]
    of_task = {key: value for key, value in task.items() if key != "containers"}
    for number, one in enumerate(task["containers"]):
        name = container_name(one, number)
        container = _container(definition, name, one, by_name.get(name, {}), values, node=node)
        yield replace(container, task=of_task)


def _container(
    definition: Definition,
    name: str,
    properties: Mapping[str, Any],
    override: Mapping[str, Any],
    values: Mapping[str, str],
    *,
    node: int | None,
) -> Container:
    merged = {**properties, **_overridden(properties, override)}
    for kind, key in (("VCPU", "vcpus"), ("MEMORY", "memory")):
        if any(one["type"] == kind for one in override.get("resourceRequirements", ())):
            merged.pop(key, None)
    merged["command"] = _filled(merged.get("command", ()), values)
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
        override_length=overridden("", override, properties.get("command") or (), values).length(),
    )


def _overridden(properties: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an override makes of a container's properties.

    `vcpus` and `memory` override only themselves: they have no effect beside the definition's resourceRequirements.
    """
    changed: dict[str, Any] = {
        key: override[key]
        for key in ("command", "vcpus", "memory", "instanceType")
        if key in override and (key not in {"vcpus", "memory"} or key in properties)
    }
    for key, name in (("environment", "name"), ("resourceRequirements", "type")):
        changed[key] = _merged(properties.get(key, ()), override.get(key, ()), name)
    return changed


def _nodes(definition: Definition, request: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[Container]:
    count = node_count(definition, request)
    overrides = request.get("nodeOverrides", {}).get("nodePropertyOverrides", [])
    nodes = definition.request["nodeProperties"]
    for node in range(count):
        group = narrowest(nodes["nodeRangeProperties"], node, count)
        override = narrowest(overrides, node, count)
        for container in _run_by(definition, group, override, values, node=node):
            yield container if node == nodes["mainNode"] else replace(container, is_essential=False)


def _pod(
    pod: Mapping[str, Any], request: Mapping[str, Any], values: Mapping[str, str], *, node: int | None
) -> Iterator[Container]:
    overridden = request.get("eksPropertiesOverride", {}).get("podProperties", {}).get("containers", [])
    by_name = {one.get("name"): one for one in overridden}
    containers = pod["containers"]
    of_pod = {key: value for key, value in pod.items() if key != "containers"}
    for one in containers:
        name = pod_container_name(one)
        override = by_name.get(name, overridden[0] if len(containers) == len(overridden) == 1 else {})
        merged = {**one, "name": name}
        merged |= {key: override[key] for key in ("image", "command", "args", "resources") if key in override}
        merged["command"] = _filled(merged.get("command", ()), values)
        merged["args"] = _filled(merged.get("args", ()), values)
        merged["env"] = _merged(one.get("env", ()), override.get("env", ()), "name")
        yield Container(
            name=name,
            node=node,
            is_essential=True,
            command=(*merged["command"], *merged["args"]),
            environment=tuple((variable["name"], variable.get("value", "")) for variable in merged["env"]),
            log_group="",
            log_prefix="",
            properties=merged,
            task=of_pod,
        )


def _filled(command: Iterable[str], values: Mapping[str, str]) -> list[str]:
    """Fill in `Ref::name` where it is a whole item; one without a value stays as it is."""
    return [values.get(item[5:], item) if item.startswith("Ref::") else item for item in command]


def _merged(defaults: Iterable[Any], overrides: Iterable[Any], key: str) -> list[Any]:
    return list({**{one.get(key): one for one in defaults}, **{one.get(key): one for one in overrides}}.values())
