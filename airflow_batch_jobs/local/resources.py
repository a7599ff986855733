"""What vCPUs, memory and GPUs a container may ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.fargate import total_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LEGACY = {"vcpus": "VCPU", "memory": "MEMORY"}
_NAMES = {"VCPU": "vCPU", "MEMORY": "Memory", "GPU": "GPU"}
_WHOLE = re.compile("[0-9]{1,9}")
_FRACTION = re.compile("[0-9]{1,9}(?:[.][0-9]{1,9})?")
LEAST_MEMORY_MIB = 4


def resources_of(container: Mapping[str, Any]) -> dict[str, str]:
    """Return a container's resources by type: `{"VCPU": "1", …}`."""
    legacy = {kind: str(container[key]) for key, kind in _LEGACY.items() if key in container}
    return legacy | {one["type"]: one["value"] for one in container.get("resourceRequirements", [])}


def resource_problems(container: Mapping[str, Any], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with the resources of one container, whatever the others of its task have."""
    kinds = [one["type"] for one in container.get("resourceRequirements", [])]
    for key, kind in _LEGACY.items():
        if key in container and on_fargate:
            yield f"{key} is not applicable for Fargate. Use resource requirements instead."
        elif key in container and kind in kinds:
            yield f"{key} and a resource requirement of type {kind} cannot both be set"
    yield from repeated_problems(container)
    if on_fargate and "GPU" in kinds:
        yield "GPU is not applicable for Fargate."
    for kind, value in resources_of(container).items():
        if not _is_value(kind, value, on_fargate=on_fargate):
            least = {"VCPU": "a whole number of at least 1", "MEMORY": "a whole number of at least 4 MiB"}
            allowed = "a number" if on_fargate and kind == "VCPU" else least.get(kind, "a whole number of at least 1")
            yield f"{_NAMES[kind]} value {value} is not valid: it must be {allowed}"


def repeated_problems(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield which types of resource a container, or an override of one, names more than once."""
    kinds = [one["type"] for one in container.get("resourceRequirements", [])]
    for kind in sorted({kind for kind in kinds if kinds.count(kind) > 1}):
        yield f"There is more than one resource requirement of type {kind}"


def total_problems(containers: Iterable[Mapping[str, Any]], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with the resources of a task's containers together, each of which is right by itself."""
    every = [resources_of(container) for container in containers]
    for kind in ("VCPU", "MEMORY"):
        if not any(kind in resources for resources in every):
            yield f"{_NAMES[kind]} is not provided. A resource requirement of type {kind} is needed"
            return
    size = total_size(every)
    if on_fargate and size and not size.is_offered:
        yield f"Fargate resource requirements ({size.vcpus:.2f} vCPU, {size.memory_mib} MiB) not valid."


def _is_value(kind: str, value: str, *, on_fargate: bool) -> bool:
    if kind == "VCPU" and on_fargate:
        return bool(_FRACTION.fullmatch(value))
    return bool(_WHOLE.fullmatch(value)) and int(value) >= (LEAST_MEMORY_MIB if kind == "MEMORY" else 1)
