"""What a request makes of a revision: the containers that will run, each with what overrides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.members import NOTHING
from airflow_batch_jobs.batch.node_ranges import NodeRange, narrowest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class PlannedContainer:
    """A container that will run.

    Attributes:
        defined: Its properties in the revision, under AWS's names.
        override: Its override in the request; empty if there is none.
        path: Where that stands in the request: `containerOverrides`.
    """

    defined: Mapping[str, Any]
    override: Mapping[str, Any]
    path: str

    def commands(self) -> Iterator[list[str]]:
        """Yield what will run; in a pod that is the command and its arguments."""
        for key in ("command", "args"):
            yield list(self.override.get(key) or self.defined.get(key) or ())

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield the image and the value of each environment variable, with what it is."""
        yield "the image", str(self.defined.get("image") or "")
        environment = {
            variable.get("name"): variable.get("value")
            for properties in (self.defined, self.override)
            for variable in properties.get("env") or properties.get("environment") or ()
        }
        for name, value in environment.items():
            yield f"the environment variable {name}", str(value or "")


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """Containers that run together: an ECS task, or a pod.

    Attributes:
        containers: What runs in it.
        is_pod: Whether it is a pod, on EKS.
    """

    containers: tuple[PlannedContainer, ...]
    is_pod: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A request for a job, beside the revision that it pins.

    Attributes:
        definition: The revision, as AWS describes it.
        request: The arguments of SubmitJob.
        tasks: What the job will run; of nodes that run the same, the task of one.
    """

    definition: Mapping[str, Any]
    request: Mapping[str, Any]
    tasks: tuple[PlannedTask, ...]

    @classmethod
    def of(cls, definition: Mapping[str, Any], request: Mapping[str, Any]) -> Self:
        """Look at what a request makes of a revision."""
        return cls(definition, request, planned_tasks(definition, request))

    @property
    def name(self) -> str:
        """The revision as `name:revision`."""
        return str(parse_reference(self.request["jobDefinition"]))

    @property
    def parameters(self) -> Mapping[str, str]:
        """The value of each parameter: the request's, else the definition's default."""
        return {**(self.definition.get("parameters") or NOTHING), **self.request.get("parameters", NOTHING)}

    def ecs_tasks(self) -> Iterator[PlannedTask]:
        """Yield the tasks that run on ECS."""
        return (task for task in self.tasks if not task.is_pod)


def planned_tasks(definition: Mapping[str, Any], request: Mapping[str, Any]) -> tuple[PlannedTask, ...]:
    """Return the tasks of a job; of nodes that run the same, the task of one.

    Args:
        definition: The revision, as AWS describes it.
        request: The arguments of SubmitJob.
    """
    nodes = definition.get("nodeProperties")
    if not nodes:
        return tuple(_tasks(definition, request, ""))
    overrides = request.get("nodeOverrides") or NOTHING
    count = overrides.get("numNodes") or nodes.get("numNodes") or 0
    groups = [group for group in nodes.get("nodeRangeProperties") or () if has_range(group)]
    own = [
        {**one, "path": f"nodeOverrides.nodePropertyOverrides[{number}]."}
        for number, one in enumerate(overrides.get("nodePropertyOverrides") or ())
        if has_range(one)
    ]
    found: dict[tuple[int, str], tuple[PlannedTask, ...]] = {}
    for node in _boundaries([*groups, *own], count):
        group, override = narrowest(groups, node, count), narrowest(own, node, count)
        path = override.get("path", "")
        found[id(group), path] = tuple(_tasks(group, override, path))
    return tuple(task for tasks in found.values() for task in tasks)


def has_range(group: Mapping[str, Any]) -> bool:
    """Tell whether something has a range of nodes that can be read."""
    try:
        NodeRange.parse(group.get("targetNodes") or "")
    except ValueError:
        return False
    return True


def _boundaries(groups: list[Mapping[str, Any]], count: int) -> list[int]:
    """Return the nodes at which a range begins, or the next after its end: all others run what their neighbours do."""
    ranges = [NodeRange.parse(group["targetNodes"]).nodes(count) for group in groups]
    return sorted({node for one in ranges for node in (one.start, one.stop) if 0 <= node < count})


def _tasks(properties: Mapping[str, Any], overrides: Mapping[str, Any], path: str) -> Iterator[PlannedTask]:
    single = properties.get("containerProperties") or properties.get("container")
    if single:
        where = f"{path}containerOverrides"
        yield PlannedTask((PlannedContainer(single, overrides.get("containerOverrides") or NOTHING, where),))
    own = (overrides.get("ecsPropertiesOverride") or NOTHING).get("taskProperties") or ()
    for number, task in enumerate((properties.get("ecsProperties") or NOTHING).get("taskProperties") or ()):
        override = own[number] if number < len(own) else NOTHING
        where = f"{path}ecsPropertiesOverride.taskProperties[{number}].containers"
        yield PlannedTask(tuple(_named(task.get("containers") or (), override.get("containers") or (), where)))
    if pod := (properties.get("eksProperties") or NOTHING).get("podProperties"):
        override = (overrides.get("eksPropertiesOverride") or NOTHING).get("podProperties") or NOTHING
        where = f"{path}eksPropertiesOverride.podProperties"
        yield PlannedTask(
            tuple(
                container
                for key in ("initContainers", "containers")
                for container in _named(pod.get(key) or (), override.get(key) or (), f"{where}.{key}")
            ),
            is_pod=True,
        )


def _named(defined: Any, overrides: Any, path: str) -> Iterator[PlannedContainer]:
    """Yield containers with the overrides of their names; the only one of each belong together without names."""
    by_name = {one.get("name"): (one, f"{path}[{number}]") for number, one in enumerate(overrides)}
    alone = len(defined) == len(overrides) == 1 and "name" not in overrides[0]
    for container in defined:
        override, where = by_name.get(None if alone else container.get("name"), (NOTHING, path))
        yield PlannedContainer(container, override, where)
