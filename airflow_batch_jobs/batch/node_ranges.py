"""The node ranges of a multi-node job: `0:3`, `2:`, `:1`, `:` or `4`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RANGE = re.compile("([0-9]{0,9})(:?)([0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class NodeRange:
    """A range of nodes.

    Attributes:
        first: The first node.
        last: The last node; None for the job's last one.
    """

    first: int
    last: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a range.

        Raises:
            ValueError: It is none.
        """
        match = _RANGE.fullmatch(text)
        if not text or match is None:
            raise ValueError(f"{text!r} is not a range of nodes such as 0:3, 2:, :1 or 4")
        first, colon, last = match.groups()
        if not colon:
            return cls(int(first), int(first))
        return cls(int(first or 0), int(last) if last else None)

    def nodes(self, count: int) -> range:
        """Return its nodes in a job that has so many."""
        return range(self.first, count if self.last is None else min(self.last + 1, count))


def narrowest(groups: Iterable[Mapping[str, Any]], node: int, count: int) -> Mapping[str, Any]:
    """Return the group of a node: of ranges within each other the inner one, of equal ones the last.

    Args:
        groups: What has `targetNodes`.
        node: The node.
        count: How many nodes the job has.

    Returns:
        The group; empty if none has the node.
    """
    mine = [group for group in groups if node in nodes_of(group, count)]
    return min(reversed(mine), key=lambda group: size(nodes_of(group, count)), default={})


def has_range(group: Mapping[str, Any]) -> bool:
    """Tell whether something has a range of nodes that can be read."""
    try:
        NodeRange.parse(group.get("targetNodes") or "")
    except ValueError:
        return False
    return True


def nodes_of(group: Mapping[str, Any], count: int) -> range:
    """Return the nodes of what has `targetNodes`, in a job that has so many."""
    return NodeRange.parse(group["targetNodes"]).nodes(count)


def is_within(nodes: range, others: range) -> bool:
    """Tell whether all of some nodes are among others."""
    return others.start <= nodes.start and nodes.stop <= others.stop


def size(nodes: range) -> int:
    """Return how many nodes a range has; below 0 if it begins behind the job's last one."""
    return nodes.stop - nodes.start  # len() takes no more than 63 bits
