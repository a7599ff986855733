"""What Batch refuses of the node ranges of a definition and of overrides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.node_ranges import NodeRange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: https://docs.aws.amazon.com/batch/latest/userguide/mnp-node-groups.html
MOST_RANGES = 5
MOST_NODES = 1000


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
            yield f"targetNodes {error}"
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
            yield f"targetNodes {error}"
            continue
        if nodes.nodes(count) not in known or (nodes.last or 0) >= count:
            yield f"NodeOverride targets should match job definition. Non matching targets - {one['targetNodes']}"
