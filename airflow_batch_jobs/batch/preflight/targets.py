"""What a request overrides: it must be there in the revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.definition.problems import did_you_mean
from airflow_batch_jobs.batch.members import NOTHING
from airflow_batch_jobs.batch.node_ranges import NodeRange, has_range, nodes_of
from airflow_batch_jobs.batch.overrides import OVERRIDES, POD_LISTS
from airflow_batch_jobs.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def check_targets(definition: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Find what the revision does not have, and its kind of job does not take.

    Args:
        definition: The revision, as AWS describes it.
        request: The arguments of SubmitJob.

    Raises:
        RequestError: There is one.
    """
    _check_kind(definition, request, "", "the job definition")
    if nodes := definition.get("nodeProperties"):
        if request.get("arrayProperties"):
            raise RequestError("arrayProperties", "are not taken for a multi-node job; submit one job for each element")
        _check_nodes(nodes, request.get("nodeOverrides") or NOTHING)
    else:
        if definition.get("containerProperties") and "instanceType" in (request.get("containerOverrides") or NOTHING):
            raise RequestError(
                "containerOverrides.instanceType",
                "is taken for multi-node jobs only; choose a queue whose compute environments have that type",
            )
        _check_containers(definition, request, "")


def _check_kind(properties: Mapping[str, Any], overrides: Mapping[str, Any], path: str, what: str) -> None:
    """Check that overrides are of the kind of the properties; properties of a kind that is new are not judged."""
    kinds = [kind for kind in OVERRIDES if properties.get(kind)]
    right = {OVERRIDES[kind] for kind in kinds}
    for override in dict.fromkeys(OVERRIDES.values()):
        if kinds and overrides.get(override) and override not in right:
            raise RequestError(
                path + override, f"overrides nothing: {what} has {' and '.join(kinds)}; use {' or '.join(right)}"
            )


def _check_nodes(nodes: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
    groups = [group for group in nodes.get("nodeRangeProperties") or () if has_range(group)]
    ranges = [NodeRange.parse(group["targetNodes"]) for group in groups]
    targets = [group["targetNodes"] for group in groups]
    if not groups:
        return
    if (count := overrides.get("numNodes")) is not None:
        if all(one.last is not None for one in ranges):
            raise RequestError(
                "nodeOverrides.numNodes", f"no range of the job definition is open, as 0: is: {', '.join(targets)}"
            )
        least = max(nodes.get("mainNode") or 0, *(one.first for one in ranges)) + 1
        if count < least:
            raise RequestError("nodeOverrides.numNodes", f"is {count}; the job definition needs at least {least}")
    else:
        count = nodes.get("numNodes") or 0
    known = {one.nodes(count) for one in ranges}
    for number, one in enumerate(overrides.get("nodePropertyOverrides") or ()):
        path = f"nodeOverrides.nodePropertyOverrides[{number}]."
        target = one.get("targetNodes") or ""
        try:
            nodes_of_target = NodeRange.parse(target)
        except ValueError as error:
            raise RequestError(f"{path}targetNodes", str(error)) from error
        is_known = nodes_of_target.nodes(count) in known and (nodes_of_target.last or 0) < count
        if not is_known and target not in targets:
            raise RequestError(
                f"{path}targetNodes",
                f"{target!r} is none of the ranges of the {count} nodes of the job: {', '.join(targets)}",
            )
        mine = [group for group in groups if nodes_of(group, count) == nodes_of_target.nodes(count)]
        group = (mine or [group for group in groups if group["targetNodes"] == target])[-1]
        _check_kind(group, one, path, f"the range {group.get('targetNodes')} of nodes")
        _check_containers(group, one, path)


def _check_containers(properties: Mapping[str, Any], overrides: Mapping[str, Any], path: str) -> None:
    """Check the overrides of an ECS task's and of a pod's containers."""
    tasks = (properties.get("ecsProperties") or NOTHING).get("taskProperties") or ()
    own = (overrides.get("ecsPropertiesOverride") or NOTHING).get("taskProperties") or ()
    if tasks and len(own) > len(tasks):
        have = f"the job definition has {len(tasks)}"
        raise RequestError(f"{path}ecsPropertiesOverride.taskProperties", f"are {len(own)} tasks; {have}")
    for number, (task, override) in enumerate(zip(tasks, own, strict=False)):
        place = f"{path}ecsPropertiesOverride.taskProperties[{number}].containers"
        _check_names(task.get("containers") or (), override.get("containers") or (), place)
    pod = (properties.get("eksProperties") or NOTHING).get("podProperties") or NOTHING
    override = (overrides.get("eksPropertiesOverride") or NOTHING).get("podProperties") or NOTHING
    for key in POD_LISTS if pod else ():
        defined, given = pod.get(key) or (), override.get(key) or ()
        place = f"{path}eksPropertiesOverride.podProperties.{key}"
        _check_names(defined, given, place, needs_names=len(defined) != 1)


def _check_names(
    defined: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], path: str, *, needs_names: bool = True
) -> None:
    names = [one.get("name") for one in defined]
    known = [name for name in names if name]
    if len(known) < len(names):
        return  # AWS does not say how it names a container that was given no name
    for number, one in enumerate(given):
        name = one.get("name")
        if name in known or (name is None and not needs_names):
            continue
        have = f"The job definition has {', '.join(known)}." if known else "The job definition has none."
        if not name:
            raise RequestError(f"{path}[{number}].name", f"is missing. {have}")
        raise RequestError(
            f"{path}[{number}].name", f"no container is called {name!r}. {have}{did_you_mean(name, known)}"
        )
