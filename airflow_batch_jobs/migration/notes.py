"""Notes: what a migration has to say to a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from airflow_batch_jobs.migration.names import Names

#: The beginning of a comment that says what a person has to do.
MARK = "# TODO(airflow-batch-jobs): "


class Notes:
    """What is to be said of a module, by statement.

    Args:
        names: The names of the module.

    Attributes:
        above: What a person has to do, by the statement that the comment goes above.
        done: What an earlier migration left to do there, and is done now.
        remarks: What a person should know, though there is nothing to do.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self.above: dict[cst.CSTNode, dict[str, None]] = {}
        self.done: dict[cst.CSTNode, set[str]] = {}
        self.remarks: dict[str, None] = {}

    def add(self, node: cst.CSTNode, finding: str) -> None:
        """Say once what is to be done about a node."""
        self.above.setdefault(self._statement(node), {})[finding] = None

    def take_back(self, node: cst.CSTNode, finding: str) -> None:
        """Say that what an earlier migration left to do about a node is done."""
        self.done.setdefault(self._statement(node), set()).add(finding)

    def remark(self, text: str) -> None:
        """Say something once of the file."""
        self.remarks[text] = None

    def _statement(self, node: cst.CSTNode) -> cst.CSTNode:
        while not hasattr(node, "leading_lines") or isinstance(node, cst.Decorator):
            node = self._names.parent(node)
        return node
