"""What a request overrides: the containers of a revision, in all the shapes that AWS has, each with its override."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.containers import needs
from airflow_batch_jobs.batch.members import structure, structures
from airflow_batch_jobs.batch.node_ranges import has_range, is_within, narrowest, nodes_of, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: The override for each kind of properties; in a range of nodes, a container's properties are called otherwise.
OVERRIDES = {
    "containerProperties": "containerOverrides",
    "container": "containerOverrides",
    "ecsProperties": "ecsPropertiesOverride",
    "eksProperties": "eksPropertiesOverride",
    "nodeProperties": "nodeOverrides",
}
#: The lists of containers in a pod.
POD_LISTS = ("initContainers", "containers")
#: The older field for each type of resource, in the revision and in an override.
OLDER = {"VCPU": "vcpus", "MEMORY": "memory"}
#: What AWS calls a container of a pod that was given no name.
_DEFAULT_NAME = "Default"


@dataclass(frozen=True, slots=True)
class OverriddenContainer:
    """A container of a revision, beside its override.

    Attributes:
        name: Its name; if the revision has none, the one that AWS gives it in a pod, and an empty one in an ECS task.
        defined: Its properties in the revision, under AWS's names.
        override: Its override in the request.
        kind: The field of SubmitJob, or of a range of nodes, that has the override: `containerOverrides`.
        path: Where the override stands in the request: `ecsPropertiesOverride.taskProperties[0].containers[1]`.
    """

    name: str
    defined: Mapping[str, Any]
    override: dict[str, Any]
    kind: str
    path: str

    @property
    def is_pods(self) -> bool:
        """Whether it is one of a pod's."""
        return self.kind == OVERRIDES["eksProperties"]


@dataclass(frozen=True, slots=True)
class OverriddenTask:
    """Containers that run together: an ECS task, or a pod.

    Attributes:
        containers: What runs in it.
        targets: The range of nodes that it is for, as the revision has it; empty for a job of one task.
        nodes: These nodes; ranges inside of it may have some of them. None for a job of one task.
    """

    containers: Sequence[OverriddenContainer]
    targets: str = ""
    nodes: range | None = None


def overridden_tasks(definition: Mapping[str, Any], request: dict[str, Any]) -> Iterator[OverriddenTask]:
    """Yield the tasks of a job; of nodes that run the same, the task of one.

    A node belongs to the narrowest range that has it, so an outer range comes before those inside of it. A range that
    no node belongs to is left out, and so is one that cannot be read.

    Args:
        definition: The revision, as AWS describes it.
        request: The arguments of SubmitJob. What a container has no override in is changed: an empty one is put there,
            and for a range of nodes a copy of what applies to it.
    """
    nodes = structure(definition, "nodeProperties")
    if not nodes:
        yield from map(OverriddenTask, _tasks(definition, request, ""))
        return
    own: list[dict[str, Any]] = request.setdefault("nodeOverrides", {}).setdefault("nodePropertyOverrides", [])
    count = node_count(definition, request)
    given = [(number, one) for number, one in enumerate(own) if has_range(one)]
    groups = [group for group in structures(nodes, "nodeRangeProperties") if has_range(group)]
    for group in sorted(_in_use(groups, count), key=lambda each: size(nodes_of(each, count)), reverse=True):
        mine = nodes_of(group, count)
        around = [(number, one) for number, one in given if is_within(mine, nodes_of(one, count))]
        nearest = min(reversed(around), key=lambda each: size(nodes_of(each[1], count)), default=None)
        number, override = nearest or (len(own), {})
        if nearest is None or nodes_of(override, count) != mine:
            override = {**_fitting(override, group), "targetNodes": group["targetNodes"]}
            own.append(override)
        for containers in _tasks(group, override, f"nodeOverrides.nodePropertyOverrides[{number}]."):
            yield OverriddenTask(containers, group["targetNodes"], mine)


def node_count(definition: Mapping[str, Any], request: Mapping[str, Any]) -> int:
    """Return how many nodes a job has; 0 if it is not a multi-node one."""
    given, nodes = structure(request, "nodeOverrides"), structure(definition, "nodeProperties")
    return int(given.get("numNodes") or nodes.get("numNodes") or 0)


def resources(defined: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, str]:
    """Return the resources of a container by type, `{"VCPU": "1", "MEMORY": "512"}`, as far as both say.

    `resourceRequirements` stand above the older fields, also those of the revision above an override's; so an older
    field says nothing where the revision is not known.
    """
    older = {
        kind: str(properties[name])
        for properties in ((defined, override) if defined else ())
        for kind, name in OLDER.items()
        if properties.get(name) is not None
    }
    return {**older, **needs(defined), **needs(override)}


def _in_use(groups: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """Return the ranges that a node belongs to; where none begins or has just ended, a node is in its neighbour's."""
    ranges = [nodes_of(group, count) for group in groups]
    ends = {node for nodes in ranges for node in (nodes.start, nodes.stop) if node < count}
    used = [narrowest(groups, node, count) for node in ends]
    return [group for group in groups if any(group is one for one in used)]


def _fitting(override: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the override of an outer range for one inside of it, which may be of another kind."""
    others = set(OVERRIDES.values()) - {OVERRIDES[kind] for kind in group if kind in OVERRIDES}
    return {key: deepcopy(value) for key, value in override.items() if key not in others}


def _tasks(
    properties: Mapping[str, Any], overrides: dict[str, Any], path: str
) -> Iterator[tuple[OverriddenContainer, ...]]:
    if single := structure(properties, "containerProperties") or structure(properties, "container"):
        kind = "containerOverrides"
        yield (OverriddenContainer("", single, overrides.setdefault(kind, {}), kind, path + kind),)
    for number, task in enumerate(structures(structure(properties, "ecsProperties"), "taskProperties")):
        kind = "ecsPropertiesOverride"
        own = overrides.setdefault(kind, {}).setdefault("taskProperties", [])
        own.extend({} for _ in range(len(own), number + 1))
        yield tuple(_named(task, own[number], "containers", kind, f"{path}{kind}.taskProperties[{number}]"))
    if pod := structure(structure(properties, "eksProperties"), "podProperties"):
        kind = "eksPropertiesOverride"
        of_pod = overrides.setdefault(kind, {}).setdefault("podProperties", {})
        yield tuple(
            container
            for key in POD_LISTS
            for container in _named(pod, of_pod, key, kind, f"{path}{kind}.podProperties")
        )


def _named(
    properties: Mapping[str, Any], overrides: dict[str, Any], key: str, kind: str, path: str
) -> Iterator[OverriddenContainer]:
    """Yield containers with the overrides of their names.

    In a pod, the only one of each belong together without a name; in an ECS task, AWS wants the name.
    """
    defined, own = structures(properties, key), overrides.setdefault(key, [])
    unnamed = _DEFAULT_NAME if kind == OVERRIDES["eksProperties"] else None
    places = {one.get("name", unnamed): number for number, one in enumerate(own)}
    alone = unnamed is not None and len(defined) == len(own) == 1 and "name" not in own[0]
    for container in defined:
        name = container.get("name")
        number = 0 if alone else places.get(name or unnamed, len(own))
        if number == len(own):
            own.append({} if name is None else {"name": name})
        yield OverriddenContainer(name or unnamed or "", container, own[number], kind, f"{path}.{key}[{number}]")
