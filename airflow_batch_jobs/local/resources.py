"""What vCPUs, memory and GPUs a container may ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: The MiB of memory that Fargate has for each number of vCPUs, as the service model's ResourceRequirement lists them.
_FARGATE_MIB: dict[float, Iterable[int]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4096 + 1, 1024),
    1: range(2048, 8192 + 1, 1024),
    2: range(4096, 16384 + 1, 1024),
    4: range(8192, 30720 + 1, 1024),
    8: range(16384, 61440 + 1, 4096),
    16: range(32768, 122880 + 1, 8192),
    32: (61440, 122880, 249856),
}
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
    for kind in {kind for kind in kinds if kinds.count(kind) > 1}:
        yield f"There is more than one resource requirement of type {kind}"
    if on_fargate and "GPU" in kinds:
        yield "GPU is not applicable for Fargate."
    for kind, value in resources_of(container).items():
        if not _is_value(kind, value, on_fargate=on_fargate):
            least = {"VCPU": "a whole number of at least 1", "MEMORY": "a whole number of at least 4 MiB"}
            allowed = "a number" if on_fargate and kind == "VCPU" else least.get(kind, "a whole number of at least 1")
            yield f"{_NAMES[kind]} value {value} is not valid: it must be {allowed}"


def total_problems(containers: Iterable[Mapping[str, Any]], *, on_fargate: bool) -> Iterator[str]:
    """Yield what is wrong with the resources of a task's containers together, each of which is right by itself."""
    every = [resources_of(container) for container in containers]
    for kind in ("VCPU", "MEMORY"):
        if not any(kind in resources for resources in every):
            yield f"{_NAMES[kind]} is not provided. A resource requirement of type {kind} is needed"
            return
    vcpus = sum(float(resources.get("VCPU", 0)) for resources in every)
    memory_mib = sum(int(resources.get("MEMORY", 0)) for resources in every)
    if on_fargate and memory_mib not in _FARGATE_MIB.get(vcpus, ()):
        yield f"Fargate resource requirements ({vcpus:.2f} vCPU, {memory_mib} MiB) not valid."


def _is_value(kind: str, value: str, *, on_fargate: bool) -> bool:
    if kind == "VCPU" and on_fargate:
        return bool(_FRACTION.fullmatch(value))
    return bool(_WHOLE.fullmatch(value)) and int(value) >= (LEAST_MEMORY_MIB if kind == "MEMORY" else 1)
