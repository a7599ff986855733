"""CallArguments: name, rename, move and drop the arguments of a call in a DAG file without losing a comment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.migration.layout import Item, Items

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_NO_SPACE = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))


class CallArguments:
    """The arguments of a call, in order.

    Args:
        call: The call.
        step: One more indentation in this file.
    """

    def __init__(self, call: cst.Call, step: str) -> None:
        self._call = call
        closing = call.args[-1].whitespace_after_arg if call.args else cst.SimpleWhitespace("")
        self._list = Items(call.whitespace_before_args, call.args, closing, step)

    def name(self, names: Sequence[str]) -> None:
        """Give keywords to the arguments that have none, in order."""
        items = self._list.items
        for index, (item, name) in enumerate(zip(items, names, strict=False)):
            if item.node.keyword is not None:
                break
            items[index] = replace(item, node=item.node.with_changes(keyword=cst.Name(name), equal=_NO_SPACE))

    def rename(self, names: Mapping[str, str]) -> None:
        """Rename keywords."""
        self._list.items = [
            replace(item, node=item.node.with_changes(keyword=cst.Name(names[_name(item)])))
            if _name(item) in names
            else item
            for item in self._list.items
        ]

    def change(self, name: str, change: Callable[[cst.BaseExpression], cst.BaseExpression]) -> None:
        """Replace an argument's value with what a function makes of it."""
        self._list.items = [
            replace(item, node=item.node.with_changes(value=change(item.node.value))) if _name(item) == name else item
            for item in self._list.items
        ]

    def drop(self, is_dropped: Callable[[cst.Arg], bool]) -> None:
        """Drop arguments. Their comments become lines of their own."""
        self._list.drop(is_dropped)

    def gather(self, into: str, keys: Mapping[str, str]) -> None:
        """Move arguments into a dictionary, passed as one argument where the first of them was.

        Args:
            into: The dictionary's keyword.
            keys: The dictionary's key for each argument, by the argument's name.
        """
        moved = [item for item in self._list.items if _name(item) in keys]
        if not moved:
            return
        made = cst.Arg(keyword=cst.Name(into), equal=_NO_SPACE, value=self._dictionary(moved, keys))
        gathered = Item(made, moved[0].before, None if self._needs_lines(moved) else moved[0].comment)
        self._list.items = [
            gathered if item is moved[0] else item for item in self._list.items if item not in moved[1:]
        ]

    def to_call(self) -> cst.Call:
        """Return the call with these arguments."""
        before, args, closing = self._list.put_back()
        if args and closing is not None:
            args[-1] = args[-1].with_changes(whitespace_after_arg=closing)
        return self._call.with_changes(args=args, whitespace_before_args=before)

    @staticmethod
    def _needs_lines(moved: Sequence[Item]) -> bool:
        """Whether a dictionary of these arguments must have lines of their own for them."""
        if len(moved) == 1:
            return bool(moved[0].inner())
        are_on_lines = any(isinstance(each.before, cst.ParenthesizedWhitespace) for each in moved[1:])
        return are_on_lines or any(each.comment or each.inner() for each in moved)

    def _dictionary(self, moved: Sequence[Item], keys: Mapping[str, str]) -> cst.Dict:
        if not self._needs_lines(moved):
            return cst.Dict([cst.DictElement(_text(keys[_name(item)]), item.node.value) for item in moved])
        base = self._list.indent
        elements = []
        for index, item in enumerate(moved):
            following = moved[index + 1] if index + 1 < len(moved) else None
            behind = [cst.TrailingWhitespace(cst.SimpleWhitespace("  "), each) for each in item.inner()]
            behind += [item.comment] if item.comment else []
            deeper = cst.SimpleWhitespace(base + self._list.step)
            after = cst.ParenthesizedWhitespace(
                first_line=behind[0] if behind else cst.TrailingWhitespace(),
                empty_lines=[
                    *(cst.EmptyLine(whitespace=deeper, comment=each.comment) for each in behind[1:]),
                    *(self._deeper_lines(following.before) if following else ()),
                ],
                indent=True,
                last_line=deeper if following else cst.SimpleWhitespace(base),
            )
            value = item.node.value.visit(_Deeper(self._list.step))
            assert isinstance(value, cst.BaseExpression)  # noqa: S101 - what the transformer leaves it
            elements.append(cst.DictElement(_text(keys[_name(item)]), value, comma=cst.Comma(whitespace_after=after)))
        opening = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(base + self._list.step))
        return cst.Dict(elements, lbrace=cst.LeftCurlyBrace(whitespace_after=opening))

    def _deeper_lines(self, before: cst.BaseParenthesizableWhitespace) -> list[cst.EmptyLine]:
        return _deeper(before, self._list.step) if isinstance(before, cst.ParenthesizedWhitespace) else []


class _Deeper(cst.CSTTransformer):
    """Moves the lines of an expression one step to the right."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def leave_ParenthesizedWhitespace(  # noqa: N802 - libcst's name
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        return updated_node.with_changes(
            last_line=cst.SimpleWhitespace(original_node.last_line.value + self._step),
            empty_lines=_deeper(original_node, self._step),
        )


def _name(item: Item) -> str:
    """Return the keyword of an argument; empty if there is none."""
    return item.node.keyword.value if item.node.keyword else ""


def _text(key: str) -> cst.SimpleString:
    return cst.SimpleString(f'"{key}"')


def _deeper(before: cst.ParenthesizedWhitespace, step: str) -> list[cst.EmptyLine]:
    return [
        line.with_changes(whitespace=cst.SimpleWhitespace(line.whitespace.value + step)) if line.comment else line
        for line in before.empty_lines
    ]
