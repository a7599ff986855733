"""CallArguments: rename, move and drop the arguments of a call in a DAG file without losing a comment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Whitespace = cst.BaseParenthesizableWhitespace

_STEP = "    "


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument with the whitespace and comments around it.

    Attributes:
        node: The argument itself.
        before: What separates it from the bracket or comma before it, including comments on lines of their own.
        comment: The end of its line, if there is a comment.
    """

    node: cst.Arg
    before: Whitespace
    comment: cst.TrailingWhitespace | None = None

    @property
    def name(self) -> str:
        """The keyword; empty if there is none."""
        return self.node.keyword.value if self.node.keyword else ""

    def own_lines(self) -> list[cst.EmptyLine]:
        """Return all comments of the argument as lines of their own."""
        lines = list(self.before.empty_lines) if isinstance(self.before, cst.ParenthesizedWhitespace) else []
        if self.comment is not None:
            lines.append(
                cst.EmptyLine(whitespace=cst.SimpleWhitespace(_indent(self.before)), comment=self.comment.comment)
            )
        return lines


class CallArguments:
    """The arguments of a call, in order.

    Does not format: lines that are kept are kept as they are.

    Args:
        call: The call.
    """

    def __init__(self, call: cst.Call) -> None:
        self._call = call
        self._items: list[Argument] = []
        before = call.whitespace_before_args
        for arg in call.args:
            after = arg.comma.whitespace_after if isinstance(arg.comma, cst.Comma) else arg.whitespace_after_arg
            comment, rest = _split(after)
            self._items.append(Argument(arg, before, comment))
            before = rest
        self._closing = before

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename keywords."""
        self._items = [
            replace(item, node=item.node.with_changes(keyword=cst.Name(names[item.name])))
            if item.name in names
            else item
            for item in self._items
        ]

    def change(self, name: str, change: Callable[[cst.BaseExpression], cst.BaseExpression]) -> None:
        """Replace an argument's value with what a function makes of it."""
        self._items = [
            replace(item, node=item.node.with_changes(value=change(item.node.value))) if item.name == name else item
            for item in self._items
        ]

    def drop(self, is_dropped: Callable[[cst.Arg], bool]) -> None:
        """Drop arguments. Their comments become lines of their own."""
        kept: list[Argument] = []
        lines: list[cst.EmptyLine] = []
        opening: Whitespace | None = None
        for item in self._items:
            if is_dropped(item.node):
                opening = item.before if not kept and opening is None else opening
                lines += item.own_lines()
                continue
            before = item.before if opening is None else _over(opening, item.before)
            kept.append(replace(item, before=_with_lines(before, lines)))
            lines, opening = [], None
        self._items, self._closing = kept, _with_lines(self._closing, lines)

    def gather(self, into: str, keys: Mapping[str, str]) -> None:
        """Move arguments into a dictionary, passed as one argument where the first of them was.

        Args:
            into: The dictionary's keyword.
            keys: The dictionary's key for each argument, by the argument's name.
        """
        moved = [item for item in self._items if item.name in keys]
        if not moved:
            return
        made = cst.Arg(
            keyword=cst.Name(into),
            equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
            value=self._dictionary(moved, keys),
        )
        gathered = Argument(made, moved[0].before, moved[0].comment if len(moved) == 1 else None)
        self._items = [gathered if item is moved[0] else item for item in self._items if item not in moved[1:]]

    def to_call(self) -> cst.Call:
        """Return the call with these arguments."""
        has_comma = bool(self._call.args) and isinstance(self._call.args[-1].comma, cst.Comma)
        args: list[cst.Arg] = []
        for index, item in enumerate(self._items):
            is_last = index + 1 == len(self._items)
            after = _joined(item.comment, self._closing if is_last else self._items[index + 1].before, self._indent())
            if is_last and not has_comma:
                args.append(item.node.with_changes(comma=cst.MaybeSentinel.DEFAULT, whitespace_after_arg=after))
                continue
            comma = item.node.comma if isinstance(item.node.comma, cst.Comma) else cst.Comma()
            changes = {"comma": comma.with_changes(whitespace_after=after)}
            if not isinstance(item.node.comma, cst.Comma):  # it was the last one
                args.append(item.node.with_changes(**changes, whitespace_after_arg=cst.SimpleWhitespace("")))
            else:
                args.append(item.node.with_changes(**changes))
        before = self._items[0].before if self._items else self._call.whitespace_before_args
        return self._call.with_changes(args=args, whitespace_before_args=before)

    def _indent(self) -> str:
        """Return the indentation of the arguments, if they are on lines of their own."""
        return next((_indent(item.before) for item in self._items if _is_line(item.before)), _STEP)

    def _dictionary(self, moved: Sequence[Argument], keys: Mapping[str, str]) -> cst.Dict:
        if len(moved) == 1 or not any(_is_line(item.before) or item.comment for item in moved[1:]):
            return cst.Dict([cst.DictElement(_text(keys[item.name]), item.node.value) for item in moved])
        base = self._indent()
        elements = []
        for index, item in enumerate(moved):
            following = moved[index + 1] if index + 1 < len(moved) else None
            after = cst.ParenthesizedWhitespace(
                first_line=item.comment or cst.TrailingWhitespace(),
                empty_lines=_deeper_lines(following.before) if following else (),
                indent=True,
                last_line=cst.SimpleWhitespace(base + _STEP if following else base),
            )
            value = item.node.value.visit(_Deeper())
            assert isinstance(value, cst.BaseExpression)  # noqa: S101 - what the transformer leaves it
            elements.append(cst.DictElement(_text(keys[item.name]), value, comma=cst.Comma(whitespace_after=after)))
        opening = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(base + _STEP))
        return cst.Dict(elements, lbrace=cst.LeftCurlyBrace(whitespace_after=opening))


class _Deeper(cst.CSTTransformer):
    """Moves the lines of an expression one step to the right."""

    def leave_ParenthesizedWhitespace(  # noqa: N802 - libcst's name
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        return updated_node.with_changes(
            last_line=cst.SimpleWhitespace(original_node.last_line.value + _STEP),
            empty_lines=_deeper_lines(original_node),
        )


def _text(key: str) -> cst.SimpleString:
    return cst.SimpleString(f'"{key}"')


def _is_line(whitespace: Whitespace) -> bool:
    return isinstance(whitespace, cst.ParenthesizedWhitespace)


def _indent(whitespace: Whitespace) -> str:
    return whitespace.last_line.value if isinstance(whitespace, cst.ParenthesizedWhitespace) else _STEP


def _split(after: Whitespace) -> tuple[cst.TrailingWhitespace | None, Whitespace]:
    """Split the comment at the end of the line from what follows an argument."""
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
    """Return what now comes before the first argument: the bracket's line, and the argument's own comments."""
    if isinstance(opening, cst.ParenthesizedWhitespace):
        lines = own.empty_lines if isinstance(own, cst.ParenthesizedWhitespace) else ()
        return opening.with_changes(empty_lines=lines)
    return opening if not isinstance(own, cst.ParenthesizedWhitespace) or not own.empty_lines else own


def _with_lines(before: Whitespace, lines: Sequence[cst.EmptyLine]) -> Whitespace:
    """Put lines before an argument, above its own."""
    if not lines:
        return before
    if isinstance(before, cst.ParenthesizedWhitespace):
        return before.with_changes(empty_lines=(*lines, *before.empty_lines))
    return cst.ParenthesizedWhitespace(empty_lines=lines, indent=True, last_line=lines[-1].whitespace)


def _deeper_lines(before: Whitespace) -> list[cst.EmptyLine]:
    if not isinstance(before, cst.ParenthesizedWhitespace):
        return []
    return [
        line.with_changes(whitespace=cst.SimpleWhitespace(line.whitespace.value + _STEP)) if line.comment else line
        for line in before.empty_lines
    ]
