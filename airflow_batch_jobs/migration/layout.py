"""Items: what stands between brackets and commas, taken out or changed without losing a comment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Whitespace = cst.BaseParenthesizableWhitespace


@dataclass(frozen=True, slots=True)
class Item:
    """One argument of a call, or one name of an import, with the whitespace and comments around it.

    Attributes:
        node: The argument or name itself.
        before: What separates it from the bracket or comma before it, including comments on lines of their own.
        comment: The end of its line, if there is a comment.
    """

    node: Any
    before: Whitespace
    comment: cst.TrailingWhitespace | None = None

    def own_lines(self, indent: str) -> list[cst.EmptyLine]:
        """Return all comments of the item as lines of their own.

        Args:
            indent: Their indentation, where the item is not on a line of its own.
        """
        lines: list[cst.EmptyLine] = []
        whitespace, is_in_block = cst.SimpleWhitespace(indent), True
        if isinstance(self.before, cst.ParenthesizedWhitespace):
            lines += self.before.empty_lines
            whitespace, is_in_block = self.before.last_line, self.before.indent
        lines += [cst.EmptyLine(is_in_block, whitespace, each) for each in self.inner(whole=True)]
        if self.comment is not None:
            lines.append(cst.EmptyLine(is_in_block, whitespace, self.comment.comment))
        return lines

    def inner(self, *, whole: bool = False) -> list[cst.Comment]:
        """Return the comments between the item's parts and before its comma; if it is an argument, not its value's.

        Args:
            whole: Whether those of the value are meant as well.
        """
        node = self.node
        names = (
            [node.equal, *([node.value] if whole else [])] if isinstance(node, cst.Arg) else [node.name, node.asname]
        )
        before_comma = [node.comma.whitespace_before] if isinstance(node.comma, cst.Comma) else []
        return [comment for part in (*names, *before_comma) if part is not None for comment in _comments(part)]


class Items:
    """The items between two brackets, in order.

    Does not format: lines that are kept are kept as they are.

    Args:
        opening: What stands between the bracket and the first item.
        nodes: The items, each with its comma.
        closing: What stands behind the last item, if that has no comma.
        step: One more indentation in this file.
    """

    def __init__(
        self, opening: Whitespace, nodes: Sequence[cst.Arg | cst.ImportAlias], closing: Whitespace, step: str
    ) -> None:
        self._opening = opening
        self._has_comma = bool(nodes) and isinstance(nodes[-1].comma, cst.Comma)
        self.items: list[Item] = []
        before = opening
        for node in nodes:
            after = node.comma.whitespace_after if isinstance(node.comma, cst.Comma) else closing
            comment, rest = _split(after)
            self.items.append(Item(node, before, comment))
            before = rest
        self.closing = before
        lines = (each.before for each in self.items if isinstance(each.before, cst.ParenthesizedWhitespace))
        #: The indentation of the items if they are on lines of their own; else one step.
        self.indent = next((each.last_line.value for each in lines), step)
        self.step = "\t" if "\t" in self.indent else step

    def drop(self, is_dropped: Callable[[Any], bool], *, keep_comments: bool = True) -> list[Item]:
        """Drop items, and return them. Their comments become lines of their own, unless they are not to be kept."""
        kept: list[Item] = []
        dropped: list[Item] = []
        lines: list[cst.EmptyLine] = []
        opening: Whitespace | None = None
        for item in self.items:
            if is_dropped(item.node):
                opening = item.before if not kept and opening is None else opening
                dropped.append(item)
                lines += item.own_lines(self.indent) if keep_comments else ()
                continue
            before = item.before if opening is None else _over(opening, item.before)
            kept.append(replace(item, before=_with_lines(before, lines)))
            lines, opening = [], None
        self.items, self.closing = kept, _with_lines(self.closing, lines)
        return dropped

    def put_back(self) -> tuple[Whitespace, list[Any], Whitespace | None]:
        """Return what is before the first item, the items, and what is behind the last one if it has no comma."""
        nodes: list[Any] = []
        closing: Whitespace | None = None
        for index, item in enumerate(self.items):
            is_last = index + 1 == len(self.items)
            after = _joined(item.comment, self.closing if is_last else self.items[index + 1].before, self.indent)
            if is_last and not self._has_comma and not item.inner():
                nodes.append(item.node.with_changes(comma=cst.MaybeSentinel.DEFAULT))
                closing = after
            else:
                nodes.append(_with_comma(item.node, after))
        if not self.items:
            comment, _ = _split(self._opening)
            return _joined(comment, self.closing, self.indent), nodes, closing
        return self.items[0].before, nodes, closing


def _with_comma(node: Any, after: Whitespace) -> Any:
    if isinstance(node.comma, cst.Comma):
        return node.with_changes(comma=node.comma.with_changes(whitespace_after=after))
    if isinstance(node, cst.Arg):  # it was the last one
        node = node.with_changes(whitespace_after_arg=cst.SimpleWhitespace(""))
    return node.with_changes(comma=cst.Comma(whitespace_after=after))


def _comments(node: cst.CSTNode | cst.MaybeSentinel) -> list[cst.Comment]:
    """Return all comments in a node, in order."""
    if isinstance(node, cst.MaybeSentinel):
        return []
    if isinstance(node, cst.Comment):
        return [node]
    return [comment for child in node.children for comment in _comments(child)]


def _split(after: Whitespace) -> tuple[cst.TrailingWhitespace | None, Whitespace]:
    """Split the comment at the end of the line from what follows an item."""
    if not isinstance(after, cst.ParenthesizedWhitespace) or after.first_line.comment is None:
        return None, after
    return after.first_line, after.with_changes(first_line=cst.TrailingWhitespace(newline=after.first_line.newline))


def _joined(comment: cst.TrailingWhitespace | None, before: Whitespace, indent: str) -> Whitespace:
    """Put the comment at the end of the line back."""
    if comment is None:
        return before
    if isinstance(before, cst.ParenthesizedWhitespace):
        return before.with_changes(first_line=comment)
    return cst.ParenthesizedWhitespace(first_line=comment, indent=True, last_line=cst.SimpleWhitespace(indent))


def _over(opening: Whitespace, own: Whitespace) -> Whitespace:
    """Return what now comes before the first item: the bracket's line, and the item's own comments."""
    if isinstance(opening, cst.ParenthesizedWhitespace):
        lines = own.empty_lines if isinstance(own, cst.ParenthesizedWhitespace) else ()
        return opening.with_changes(empty_lines=lines)
    return opening if not isinstance(own, cst.ParenthesizedWhitespace) or not own.empty_lines else own


def _with_lines(before: Whitespace, lines: Sequence[cst.EmptyLine]) -> Whitespace:
    """Put lines before an item, above its own."""
    if not lines:
        return before
    if isinstance(before, cst.ParenthesizedWhitespace):
        return before.with_changes(empty_lines=(*lines, *before.empty_lines))
    return cst.ParenthesizedWhitespace(empty_lines=lines, indent=True, last_line=lines[-1].whitespace)
