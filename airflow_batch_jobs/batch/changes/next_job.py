"""NextJob: the job that an attempt is about to submit, spelled out so that each container can be changed."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import is_on_fargate, total_size
from airflow_batch_jobs.batch.members import structure, structures
from airflow_batch_jobs.batch.node_ranges import NodeRange, narrowest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.fargate import Size

_WHOLE = re.compile("[0-9]{1,9}")
#: Kubernetes' mebibytes, the only unit of memory that AWS Batch takes for a pod.
_MEBIBYTES = re.compile("([0-9]{1,9})Mi")
#: The older field for each type of resource, in the revision and in an override.
_OLDER = {"VCPU": "vcpus", "MEMORY": "memory"}
#: What only tells which container, or which nodes, an override is of.
_NAMES = frozenset({"name", "targetNodes"})
#: The lists of overrides that have such names.
_NAMED = frozenset({"containers", "initContainers", "taskProperties", "nodePropertyOverrides"})
#: The overrides of a job that is not of a single container.
_OTHER_OVERRIDES = frozenset({"ecsPropertiesOverride", "eksPropertiesOverride", "nodeOverrides"})


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the next job.

    Attributes:
        name: Its name; empty for the only one of a job.
        path: Where its override stands in the request.
        defined: Its properties in the revision.
        override: Its override in the request, to be changed.
        is_pods: Whether it is one of a pod's.
    """

    name: str
    path: str
    defined: Mapping[str, Any]
    override: dict[str, Any]
    is_pods: bool = False

    @property
    def memory_mib(self) -> int | None:
        """How much memory it has; None where neither the revision nor the override says."""
        if self.is_pods:
            resources = self._pods_resources()
            limit = structure(resources, "limits").get("memory", structure(resources, "requests").get("memory"))
            found = _MEBIBYTES.fullmatch(str(limit))
            return int(found[1]) if found else None
        memory = self.resources().get("MEMORY", "")
        return int(memory) if _WHOLE.fullmatch(memory) else None

    @property
    def vcpus(self) -> str:
        """How many vCPUs it has, as AWS has them in a text; empty where neither the revision nor the override says."""
        return self.resources().get("VCPU", "")

    def resources(self) -> dict[str, str]:
        """Return its resources by type, `{"VCPU": "1", "MEMORY": "512"}`, as far as revision and override say.

        `resourceRequirements` stand above the older fields, also those of the revision above an override's; so an older
        field says nothing where the revision is not known.
        """
        older = {
            kind: str(properties[name])
            for properties in ((self.defined, self.override) if self.defined else ())
            for kind, name in _OLDER.items()
            if properties.get(name) is not None
        }
        return {**older, **_needs(self.defined), **_needs(self.override)}

    def give(self, kind: str, value: str) -> None:
        """Override a resource, in the newer field, which counts whatever an older one says.

        Args:
            kind: `VCPU`, `MEMORY` or `GPU`.
            value: How much, as AWS has it: memory in MiB.
        """
        self.override.pop(_OLDER[kind], None)
        others = [need for need in self.override.get("resourceRequirements") or () if need.get("type") != kind]
        self.override["resourceRequirements"] = [*others, {"type": kind, "value": value}]

    def give_memory(self, mib: int) -> None:
        """Override how much memory it has.

        Args:
            mib: How much, in MiB.
        """
        if not self.is_pods:
            self.give("MEMORY", str(mib))
            return
        resources = self._pods_resources()
        for each in resources.values():
            if "memory" in each:
                each["memory"] = f"{mib}Mi"
        self.override["resources"] = resources

    def _pods_resources(self) -> dict[str, dict[str, Any]]:
        own, defined = structure(self.override, "resources"), structure(self.defined, "resources")
        merged = {kind: {**structure(defined, kind), **structure(own, kind)} for kind in ("limits", "requests")}
        return {kind: each for kind, each in merged.items() if each}


@dataclass(frozen=True, slots=True)
class Task:
    """Containers that run together.

    Attributes:
        containers: What runs in it.
        nodes: The nodes it runs on; None for a job of one task.
    """

    containers: Sequence[Container]
    nodes: range | None = None

    def size(self) -> Size | None:
        """Return what its containers have together; None where that is not known."""
        return total_size(container.resources() for container in self.containers)


@dataclass(frozen=True, slots=True)
class NextJob:
    """A job that is about to be submitted.

    Attributes:
        request: SubmitJob's arguments, in which each container of the revision has its override, if only an empty one.
        definition: The pinned revision, as AWS describes it; empty if the role may not look it up.
        note: Told in one line what could not be changed.
    """

    request: dict[str, Any]
    definition: Mapping[str, Any] = field(default_factory=dict)
    note: Callable[[str], object] = lambda _: None

    def __post_init__(self) -> None:
        _ = self.tasks

    @property
    def tasks(self) -> Sequence[Task]:
        """What the job runs, each container with its override as it is now in the request; of an array, a child's."""
        return tuple(_tasks(self.definition, self.request))

    @property
    def on_fargate(self) -> bool:
        """Whether it runs on Fargate."""
        return is_on_fargate(self.definition)

    def containers(self, failure: Failure) -> Iterator[tuple[Task, Container]]:
        """Yield what a failure is of: a container and its task; all of them where AWS does not say which it was.

        Args:
            failure: How an earlier job has failed.
        """
        for task in self.tasks:
            if task.nodes is None or failure.node is None or failure.node in task.nodes:
                named = [container for container in task.containers if container.name == failure.container]
                yield from ((task, container) for container in named or task.containers)

    def to_api(self) -> dict[str, Any]:
        """Return SubmitJob's arguments, without overrides that override nothing."""
        fields = {key: kept for key, value in self.request.items() if (kept := _without_empty(value)) not in ({}, [])}
        if made := structures(structure(fields, "nodeOverrides"), "nodePropertyOverrides"):
            fields["nodeOverrides"]["nodePropertyOverrides"] = list(self._with_inner(made))
        return fields

    def _with_inner(self, made: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield overrides of nodes, with those that override nothing but keep an outer one from their nodes."""
        count = _count(self.definition, self.request)
        of_nodes = {one["targetNodes"]: one for one in made}
        reached = [set(_nodes(one, count)) for one in made]
        for one in structures(self.request["nodeOverrides"], "nodePropertyOverrides"):
            if kept := of_nodes.get(one["targetNodes"]):
                yield kept
            elif any(set(_nodes(one, count)) < outer for outer in reached):
                yield {"targetNodes": one["targetNodes"]}


def _tasks(definition: Mapping[str, Any], request: dict[str, Any]) -> Iterator[Task]:
    if not definition:
        if not _OTHER_OVERRIDES & request.keys():
            yield Task((Container("", "containerOverrides", {}, request.setdefault("containerOverrides", {})),))
        return
    nodes = structure(definition, "nodeProperties")
    if not nodes:
        yield Task(tuple(_containers(definition, request, "")))
        return
    overrides = request.setdefault("nodeOverrides", {})
    own: list[dict[str, Any]] = overrides.setdefault("nodePropertyOverrides", [])
    count = _count(definition, request)
    given = tuple(own)
    groups = structures(nodes, "nodeRangeProperties")
    # A node belongs to the narrowest range that has it, so an outer range comes before those inside of it.
    for group in sorted(groups, key=lambda group: -len(_nodes(group, count))):
        mine = [one for one in own if _nodes(one, count) == _nodes(group, count)]
        if not mine:
            outer = narrowest(given, _nodes(group, count).start, count)
            mine = [{**deepcopy(outer), "targetNodes": group["targetNodes"]}]
            own.extend(mine)
        where = f"nodeOverrides[{group['targetNodes']}]."
        yield Task(tuple(_containers(group, mine[-1], where)), _nodes(group, count))


def _count(definition: Mapping[str, Any], request: Mapping[str, Any]) -> int:
    given, nodes = structure(request, "nodeOverrides"), structure(definition, "nodeProperties")
    return int(given.get("numNodes") or nodes.get("numNodes") or 0)


def _nodes(group: Mapping[str, Any], count: int) -> range:
    return NodeRange.parse(group["targetNodes"]).nodes(count)


def _containers(properties: Mapping[str, Any], overrides: dict[str, Any], path: str) -> Iterator[Container]:
    """Yield the containers of a task, each with its override, which is put into the overrides if there is none."""
    if single := structure(properties, "containerProperties") or structure(properties, "container"):
        yield Container("", f"{path}containerOverrides", single, overrides.setdefault("containerOverrides", {}))
    for number, task in enumerate(structures(structure(properties, "ecsProperties"), "taskProperties")):
        tasks = overrides.setdefault("ecsPropertiesOverride", {}).setdefault("taskProperties", [])
        tasks.extend({} for _ in range(len(tasks), number + 1))
        yield from _named(task, tasks[number], "containers", f"{path}ecsPropertiesOverride")
    if pod := structure(structure(properties, "eksProperties"), "podProperties"):
        override = overrides.setdefault("eksPropertiesOverride", {}).setdefault("podProperties", {})
        for key in ("initContainers", "containers"):
            yield from _named(pod, override, key, f"{path}eksPropertiesOverride", is_pods=True)


def _named(
    properties: Mapping[str, Any], overrides: dict[str, Any], key: str, path: str, *, is_pods: bool = False
) -> Iterator[Container]:
    """Yield containers with the overrides of their names; the only one of each in a pod belong together without."""
    defined, own = structures(properties, key), overrides.setdefault(key, [])
    alone = is_pods and len(defined) == len(own) == 1 and "name" not in own[0]
    by_name = {one.get("name"): one for one in own}
    for container in defined:
        name = container.get("name")
        override = own[0] if alone else by_name.get(name)
        if override is None:
            override = {} if name is None else {"name": name}
            own.append(override)
        yield Container(name or "", f"{path}[{name}]" if name else path, container, override, is_pods)


def _needs(properties: Mapping[str, Any]) -> dict[str, str]:
    return {str(need.get("type")): str(need.get("value")) for need in structures(properties, "resourceRequirements")}


def _without_empty(value: Any, key: str = "") -> Any:
    """Return a part of a request without what is empty, and without overrides that say nothing but whose they are."""
    if isinstance(value, dict):
        kept = {name: _without_empty(item, name) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in ({}, [])}
    if isinstance(value, list):
        kept_items = [_without_empty(item) for item in value]
        said = [item for item in kept_items if not (isinstance(item, dict) and item.keys() <= _NAMES)]
        return said if key in _NAMED else kept_items
    return value
