"""The pairs of vCPUs and memory that Fargate offers."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: The MiB of memory for each number of vCPUs, as the service model's ResourceRequirement lists them.
MEMORY_MIB: Mapping[Decimal, Sequence[int]] = {
    Decimal("0.25"): (512, 1024, 2048),
    Decimal("0.5"): range(1024, 4096 + 1, 1024),
    Decimal(1): range(2048, 8192 + 1, 1024),
    Decimal(2): range(4096, 16384 + 1, 1024),
    Decimal(4): range(8192, 30720 + 1, 1024),
    Decimal(8): range(16384, 61440 + 1, 4096),
    Decimal(16): range(32768, 122880 + 1, 8192),
    Decimal(32): (61440, 122880, 249856),
}
_WHOLE = re.compile("[0-9]{1,9}")
_FRACTION = re.compile("[0-9]{1,9}(?:[.][0-9]{1,9})?")


class Size(NamedTuple):
    """What a task on Fargate has; vCPUs as the decimal number that AWS takes them for: `0.7` and `0.3` are `1`."""

    vcpus: Decimal
    memory_mib: int

    @property
    def is_offered(self) -> bool:
        """Whether Fargate has this pair."""
        return self.memory_mib in MEMORY_MIB.get(self.vcpus, ())

    @staticmethod
    def largest() -> Size:
        """Return the most that Fargate offers."""
        return max(OFFERED)

    def nearest(self) -> Size | None:
        """Return the smallest pair that Fargate offers with at least as much of both; None if there is none."""
        enough = [size for size in OFFERED if size.vcpus >= self.vcpus and size.memory_mib >= self.memory_mib]
        return min(enough, default=None)

    def __str__(self) -> str:
        return f"{vcpus_as_text(self.vcpus)} vCPU with {self.memory_mib} MiB"


#: All that Fargate offers.
OFFERED = tuple(Size(vcpus, memory_mib) for vcpus, all_mib in MEMORY_MIB.items() for memory_mib in all_mib)


def vcpus_as_text(vcpus: Decimal) -> str:
    """Write a number of vCPUs without what says nothing: `2`, not `2.0`."""
    return f"{vcpus.normalize():f}"


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
    return Size(sum(map(Decimal, vcpus), Decimal()), sum(map(int, memory)))
