"""The pairs of vCPUs and memory that Fargate offers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: The MiB of memory for each number of vCPUs, as the service model's ResourceRequirement lists them.
MEMORY_MIB: Mapping[float, Sequence[int]] = {
    0.25: (512, 1024, 2048),
    0.5: range(1024, 4096 + 1, 1024),
    1: range(2048, 8192 + 1, 1024),
    2: range(4096, 16384 + 1, 1024),
    4: range(8192, 30720 + 1, 1024),
    8: range(16384, 61440 + 1, 4096),
    16: range(32768, 122880 + 1, 8192),
    32: (61440, 122880, 249856),
}
_WHOLE = re.compile("[0-9]{1,9}")
_FRACTION = re.compile("[0-9]{1,9}(?:[.][0-9]{1,9})?")


class Size(NamedTuple):
    """What a task on Fargate has."""

    vcpus: float
    memory_mib: int

    @property
    def is_offered(self) -> bool:
        """Whether Fargate has this pair."""
        return self.memory_mib in MEMORY_MIB.get(self.vcpus, ())

    def nearest(self) -> Size:
        """Return the smallest pair that Fargate offers with at least as much of both; its largest if there is none."""
        offered = [Size(vcpus, memory_mib) for vcpus, all_mib in MEMORY_MIB.items() for memory_mib in all_mib]
        enough = [size for size in offered if size.vcpus >= self.vcpus and size.memory_mib >= self.memory_mib]
        return min(enough, default=max(offered))

    def __str__(self) -> str:
        return f"{self.vcpus:g} vCPU with {self.memory_mib} MiB"


def is_on_fargate(definition: Mapping[str, Any]) -> bool:
    """Tell whether a definition is for Fargate."""
    return "FARGATE" in (definition.get("platformCapabilities") or ())


def total_size(every: Iterable[Mapping[str, str]]) -> Size | None:
    """Return what the containers of a task have together.

    Args:
        every: The resources of each container by type: `{"VCPU": "0.25", "MEMORY": "512"}`.

    Returns:
        None if no container says how much of one of the two it has, or one says it in other than digits.
    """
    containers = list(every)
    vcpus, memory = ([one[kind] for one in containers if kind in one] for kind in ("VCPU", "MEMORY"))
    if not (vcpus and memory and all(map(_FRACTION.fullmatch, vcpus)) and all(map(_WHOLE.fullmatch, memory))):
        return None
    return Size(sum(map(float, vcpus)), sum(map(int, memory)))
