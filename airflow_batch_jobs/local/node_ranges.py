"""The node ranges of a multi-node job: `0:3`, `2:`, `:1`, `:` or `4`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_RANGE = re.compile("([0-9]{0,9})(:?)([0-9]{0,9})")
#: https://docs.aws.amazon.com/batch/latest/userguide/mnp-node-groups.html
MOST_RANGES = 5
MOST_NODES = 1000


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
            raise ValueError(f"targetNodes {text!r} is no range of nodes such as 0:3, 2:, :1 or 4")
        first, colon, last = match.groups()
        if not colon:
            return cls(int(first), int(first))
        return cls(int(first or 0), int(last) if last else None)

    def nodes(self, count: int) -> range:
        """Return its nodes in a job that has so many."""
        return range(self.first, count if self.last is None else min(self.last + 1, count))


def range_problems(nodes: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the ranges of nodeProperties: they must account for every node, and for no other."""
    count, groups = nodes["numNodes"], nodes["nodeRangeProperties"]
    if not 1 <= count <= MOST_NODES:
        yield f"numNodes must be between 1 and {MOST_NODES}"
        return
    if not 0 <= nodes["mainNode"] < count:
        yield f"mainNode {nodes['mainNode']} must be fewer than the number of nodes, {count}"
    if not 1 <= len(groups) <= MOST_RANGES:
        yield f"nodeRangeProperties must have between 1 and {MOST_RANGES} node ranges"
    covered: set[int] = set()
    for group in groups:
        try:
            nodes_of_group = NodeRange.parse(group["targetNodes"])
        except ValueError as error:
            yield str(error)
            return
        last = nodes_of_group.first if nodes_of_group.last is None else nodes_of_group.last
        if not nodes_of_group.first <= last < count:
            yield f"targetNodes {group['targetNodes']} is not within the {count} nodes of the job"
        covered.update(nodes_of_group.nodes(count))
    if len(covered) < count:
        yield f"Node ranges must account for all nodes: none has node {min(set(range(count)) - covered)}"


def override_problems(definition: Mapping[str, Any], overrides: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the ranges of nodeOverrides.

    Args:
        definition: The definition's nodeProperties.
        overrides: What SubmitJob was given.
    """
    ranges = [NodeRange.parse(group["targetNodes"]) for group in definition["nodeRangeProperties"]]
    count = overrides.get("numNodes", definition["numNodes"])
    if not 1 <= count <= MOST_NODES:
        yield f"numNodes must be between 1 and {MOST_NODES}"
        return
    if "numNodes" in overrides:
        if all(one.last is not None for one in ranges):
            yield (
                "NumNodes override can only be applied if the job definition has at least 1 target node without a "
                "range_end i.e (:) or (range_start:)."
            )
        if max(one.first for one in ranges) >= count or definition["mainNode"] >= count:
            yield f"NumNodes override {count} must be more than the main node and than the start of each node range"
    known = {one.nodes(count) for one in ranges}
    for one in overrides.get("nodePropertyOverrides", []):
        try:
            nodes = NodeRange.parse(one["targetNodes"])
        except ValueError as error:
            yield str(error)
            continue
        if nodes.nodes(count) not in known or (nodes.last or 0) >= count:
            yield f"NodeOverride targets should match job definition. Non matching targets - {one['targetNodes']}"


def narrowest(groups: Iterable[Mapping[str, Any]], node: int, count: int) -> Mapping[str, Any]:
    """Return the group of a node: of ranges within each other the inner one, of equal ones the last.

    Args:
        groups: What has `targetNodes`.
        node: The node.
        count: How many nodes the job has.

    Returns:
        The group; empty if none has the node.
    """
    mine = [group for group in groups if node in NodeRange.parse(group["targetNodes"]).nodes(count)]
    return min(reversed(mine), key=lambda group: len(NodeRange.parse(group["targetNodes"]).nodes(count)), default={})
