"""Reading: what can be read from a DAG file's code without running it."""

from __future__ import annotations

import libcst as cst

#: The longest piece of code that a finding shows, in characters.
_SHOWN = 60


def code(node: cst.CSTNode) -> str:
    """Return a node's code on one line, cut to the length that a finding shows."""
    text = " ".join(cst.Module([]).code_for_node(node).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def is_none(node: cst.BaseExpression) -> bool:
    """Whether a value is None."""
    return isinstance(node, cst.Name) and node.value == "None"


def is_word(node: cst.BaseExpression | None, word: str) -> bool:
    """Whether a value is a name such as `True`."""
    return isinstance(node, cst.Name) and node.value == word


def text_of(node: cst.BaseExpression | None) -> str | None:
    """Return the value of a literal text; None for anything else."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def module_of(node: cst.ImportFrom) -> str:
    """Return the name of the module that names are imported from; empty for a relative one."""
    if node.module is None or node.relative:
        return ""
    return cst.Module([]).code_for_node(node.module)


def values_of(call: cst.Call) -> dict[str, cst.BaseExpression]:
    """Return the keyword arguments of a call by name."""
    return {arg.keyword.value: arg.value for arg in call.args if arg.keyword}


def constants(module: cst.Module) -> dict[str, cst.BaseExpression]:
    """Return the names that a module assigns at its top level, once and to a text, with that text."""
    found: dict[str, list[cst.BaseExpression]] = {}
    for statement in module.body:
        for small in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
            if isinstance(small, cst.Assign):
                for each in small.targets:
                    if isinstance(each.target, cst.Name):
                        found.setdefault(each.target.value, []).append(small.value)
    once = {name: values[0] for name, values in found.items() if len(values) == 1}
    return {name: value for name, value in once.items() if isinstance(value, cst.BaseString)}
