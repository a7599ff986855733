"""NextJob: the job that an attempt is about to submit, spelled out so that each container can be changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import is_on_fargate, total_size
from airflow_batch_jobs.batch.members import structure, structures
from airflow_batch_jobs.batch.node_ranges import has_range, is_within, nodes_of
from airflow_batch_jobs.batch.overrides import OLDER, OVERRIDES, node_count, overridden_tasks, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.fargate import Size
    from airflow_batch_jobs.batch.overrides import OverriddenContainer, OverriddenTask

_WHOLE = re.compile("[0-9]{1,9}")
#: Kubernetes' mebibytes, the only unit of memory that AWS Batch takes for a pod.
_MEBIBYTES = re.compile("([0-9]{1,9})Mi")
#: What only tells which container, or which nodes, an override is of.
_NAMES = frozenset({"name", "targetNodes"})
#: The lists of overrides that have such names.
_NAMED = frozenset({"containers", "initContainers", "taskProperties", "nodePropertyOverrides"})


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
            merged = self._pods_resources()
            limit = structure(merged, "limits").get("memory", structure(merged, "requests").get("memory"))
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
        return resources(self.defined, self.override)

    def give(self, kind: str, value: str) -> None:
        """Override a resource, in the newer field, which counts whatever an older one says.

        Args:
            kind: `VCPU`, `MEMORY` or `GPU`.
            value: How much, as AWS has it: memory in MiB.
        """
        if kind in OLDER:
            self.override.pop(OLDER[kind], None)
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
        merged = self._pods_resources()
        for each in merged.values():
            if "memory" in each:
                each["memory"] = f"{mib}Mi"
        self.override["resources"] = merged

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
        if self.definition:
            return tuple(
                Task(tuple(_container(task, one) for one in task.containers), task.nodes)
                for task in overridden_tasks(self.definition, self.request)
            )
        single = "containerOverrides"
        if self.request.keys() & (set(OVERRIDES.values()) - {single}):
            return ()
        return (Task((Container("", single, {}, self.request.setdefault(single, {})),)),)

    @property
    def on_fargate(self) -> bool:
        """Whether it runs on Fargate."""
        return is_on_fargate(self.definition)

    def containers(self, failure: Failure) -> Iterator[tuple[Task, Container]]:
        """Yield what a failure is of: a container and its task; all of them where AWS does not say which it was.

        Args:
            failure: How an earlier job has failed.
        """
        tasks = self.tasks
        if failure.node is not None:
            tasks = [task for task in tasks if task.nodes is None or failure.node in task.nodes]
            tasks = [task for task in tasks if task.nodes == tasks[-1].nodes]  # the narrowest range comes last
        every = [(task, container) for task in tasks for container in task.containers]
        yield from [one for one in every if one[1].name == failure.container] or every

    def to_api(self) -> dict[str, Any]:
        """Return SubmitJob's arguments, without overrides that override nothing."""
        fields = {key: kept for key, value in self.request.items() if (kept := _without_empty(value)) not in ({}, [])}
        if structure(fields, "nodeOverrides").get("nodePropertyOverrides"):
            fields["nodeOverrides"]["nodePropertyOverrides"] = list(self._of_nodes())
        return fields

    def _of_nodes(self) -> Iterator[Mapping[str, Any]]:
        """Yield the overrides of nodes, with those that override nothing but keep another one from their nodes."""
        count = node_count(self.definition, self.request)
        every = [_without_empty(one) for one in structures(self.request["nodeOverrides"], "nodePropertyOverrides")]
        ranges = [nodes_of(one, count) if has_range(one) else None for one in every]
        said = {number for number, one in enumerate(every) if not one.keys() <= _NAMES}
        for number, (one, mine) in enumerate(zip(every, ranges, strict=True)):
            others = [(ranges[other], other < number) for other in said]
            if number in said or any(
                mine and nodes and is_within(mine, nodes) and (nodes != mine or is_before)
                for nodes, is_before in others
            ):
                yield one


def _container(task: OverriddenTask, one: OverriddenContainer) -> Container:
    path = f"nodeOverrides[{task.targets}].{one.kind}" if task.targets else one.kind
    return Container(one.name, f"{path}[{one.name}]" if one.name else path, one.defined, one.override, one.is_pods)


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
