"""Reading: what can be read from a DAG file's code without running it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The longest piece of code that a finding shows, in characters.
_SHOWN = 60
#: A name, which may have dots in it.
DOTTED = re.compile(r"[^\W\d][\w.]*")
#: The decorators that make a task of a function.
TASK = re.compile(r"(\w+\.)?task(\.\w+)?")


def code(node: cst.CSTNode, *, instead: str) -> str:
    """Return a node's code on one line, as a finding shows it.

    Args:
        node: The node.
        instead: What to say of a node whose code is too long to be shown.
    """
    text = " ".join(cst.Module([]).code_for_node(node).split())
    return text if len(text) <= _SHOWN else instead


def is_none(node: cst.BaseExpression) -> bool:
    """Whether a value is None."""
    return isinstance(node, cst.Name) and node.value == "None"


def is_word(node: cst.BaseExpression | None, word: str) -> bool:
    """Whether a value is a name such as `True`."""
    return isinstance(node, cst.Name) and node.value == word


def text_of(node: cst.CSTNode | None) -> str | None:
    """Return the value of a literal text; None for anything else."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def dotted(node: cst.CSTNode | None) -> str:
    """Return a name with dots in it, such as `self.task`; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    return ".".join([node.value, *reversed(parts)]) if isinstance(node, cst.Name) else ""


def last_name(node: cst.CSTNode) -> str:
    """Return a name, or the last one of an attribute; empty for anything else."""
    return node.attr.value if isinstance(node, cst.Attribute) else dotted(node)


def module_of(node: cst.ImportFrom) -> str:
    """Return the name of the module that names are imported from, with a dot in front if it is a relative one."""
    return "." * len(node.relative) + dotted(node.module)


def values_of(call: cst.Call, positional: Sequence[str] = ()) -> dict[str, cst.BaseExpression]:
    """Return the arguments of a call by name.

    Args:
        call: The call.
        positional: The names of the arguments that are given without one.
    """
    unnamed = iter(positional)
    names = (arg.keyword.value if arg.keyword else "" if arg.star else next(unnamed, "") for arg in call.args)
    return {name: arg.value for name, arg in zip(names, call.args, strict=True) if name}
