"""ComposedTexts: module names that a DAG file puts together from parts."""

from __future__ import annotations

import re
from itertools import groupby, takewhile
from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.migration.counterparts import COUNTERPARTS, MODULES
from airflow_batch_jobs.migration.reading import last_name, text_of, values_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from airflow_batch_jobs.migration.names import Names

#: What such a text begins with.
_ROOTS = ("airflow.providers.amazon", "airflow.contrib", "astronomer.providers.amazon")
#: What a file that has such a text has in it: its beginning, with an end or a gap behind it. No full name is longer.
SIGN = rb"(?:airflow|astronomer)\.(?:providers\.amazon|contrib)[\w.]{0,80}[\"'{%]"
_IMPORTERS = frozenset({"import_module", "__import__"})
_PACKAGES = frozenset(module.rpartition(".")[0] for module in MODULES)
_FULL_NAMES = sorted(MODULES | COUNTERPARTS.keys())
#: The gaps of a text that is formatted by `%`, and of one by `.format(…)`.
_PERCENT = re.compile(r"%(?:\(\w*\))?[^a-zA-Z%]*[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")
#: How many names of names are followed.
_DEEPEST = 8

#: The parts of a text; None for one that the file does not show.
_Parts = list[str | None]


def composed_names(names: Names) -> Iterator[cst.BaseExpression]:
    """Yield what may become the name of one of the provider's modules, or of a class in it.

    Where nothing in the file shows what becomes of the name of their package, that is it.
    """
    kinds = (cst.FormattedString, cst.ConcatenatedString, cst.BinaryOperation, cst.Call)
    found = {node for kind in kinds for node in names.of(kind) if _can_be_providers(_whole(node, names))}
    for kind in kinds:
        yield from (node for node in names.of(kind) if node in found and not _is_part(node, found, names))
    for text in names.of(cst.SimpleString) if not found else ():
        call = names.parent(names.parent(text))
        is_argument = isinstance(call, cst.Call) and last_name(call.func) in _IMPORTERS  # its other one is known
        if (text_of(text) or "").rstrip(".") in _PACKAGES and not is_argument:
            yield text


def _is_part(node: cst.CSTNode, others: Container[cst.CSTNode], names: Names) -> bool:
    """Whether a node is a part of another one in its statement."""
    while not isinstance(node, (cst.BaseStatement, cst.BaseSmallStatement, cst.Module)):
        node = names.parent(node)
        if node in others:
            return True
    return False


def _whole(node: cst.BaseExpression, names: Names) -> _Parts:
    """Return the parts of a text, or of the module's name that a call imports."""
    if isinstance(node, cst.Call) and last_name(node.func) in _IMPORTERS:
        return _imported(node, names)
    return _parts(node, names)


def _imported(call: cst.Call, names: Names) -> _Parts:
    """Return the parts of the name that a call imports; none if that is written in one piece."""
    given = values_of(call, ("name", "package"))
    name, package = given.get("name"), given.get("package")
    if name is None:
        return []
    parts = _parts(name, names)
    if package is not None and last_name(call.func) == "import_module":
        if text_of(name) is not None and text_of(package) is not None:
            return []
        return [*_parts(package, names), *parts]
    is_package = len(parts) == 1 and parts[0] in _PACKAGES
    return [*parts, ".", None] if is_package else parts


def _parts(node: cst.BaseExpression, names: Names, depth: int = 0) -> _Parts:
    found: _Parts | None = None
    if depth < _DEEPEST:
        match node:
            case cst.SimpleString() if not _is_whole(text_of(node)):  # that one is said to name a module by itself
                found = [text_of(node)]
            case cst.ConcatenatedString() | cst.BinaryOperation(operator=cst.Add()):
                found = [*_parts(node.left, names, depth + 1), *_parts(node.right, names, depth + 1)]
            case cst.FormattedString():
                found = [part for each in node.parts for part in _of_formatted(each, names, depth)]
            case cst.BinaryOperation(operator=cst.Modulo()):
                found = _with_gaps(_parts(node.left, names, depth + 1), _PERCENT)
            case cst.Call(func=cst.Attribute(attr=cst.Name("format"), value=text)):
                found = _with_gaps(_parts(text, names, depth + 1), _BRACES)
            case cst.Call(func=cst.Attribute(attr=cst.Name("join"), value=text), args=[cst.Arg(value=several)]):
                found = _joined(_parts(text, names, depth + 1), several, names, depth + 1)
            case cst.Name() if not isinstance(value := names.value_of(node), cst.Name):
                found = _parts(value, names, depth + 1)
    return [None] if found is None else found


def _of_formatted(part: cst.BaseFormattedStringContent, names: Names, depth: int) -> _Parts:
    if isinstance(part, cst.FormattedStringText):
        return [part.value]
    expression = cst.ensure_type(part, cst.FormattedStringExpression)
    return [None] if expression.format_spec else _parts(expression.expression, names, depth + 1)


def _joined(separator: _Parts, several: cst.BaseExpression, names: Names, depth: int) -> _Parts:
    if not isinstance(several, (cst.List, cst.Tuple)):
        return [None]
    joined: _Parts = []
    for element in several.elements:
        joined += [*(separator if joined else ()), *_parts(element.value, names, depth)]
    return joined


def _with_gaps(parts: _Parts, gap: re.Pattern[str]) -> _Parts:
    found: _Parts = []
    for part in parts:
        for number, piece in enumerate([None] if part is None else gap.split(part)):
            found += [None, piece] if number else [piece]
    return found


def _is_whole(text: str | None) -> bool:
    return any(f"{text}.".startswith(f"{module}.") for module in MODULES)


def _can_be_providers(parts: _Parts) -> bool:
    """Whether a text can become the full name of one of the provider's modules or classes."""
    known = (part for part in takewhile(lambda part: part is not None, parts))
    if not "".join(part or "" for part in known).startswith(_ROOTS):
        return False
    return any(_can_become(full_name, parts) for full_name in _FULL_NAMES)


def _can_become(full_name: str, parts: _Parts) -> bool:
    """Whether a name has the known parts in their order, with nothing but gaps between them."""
    known = ["".join(filter(None, group)) for is_gap, group in groupby(parts, lambda part: part is None) if not is_gap]
    begins = known.pop(0) if parts[0] is not None else ""
    ends = known.pop() if parts[-1] is not None and known else ""
    if None not in parts:
        return full_name == begins
    at, end = len(begins), len(full_name) - len(ends)
    if at > end or not (full_name.startswith(begins) and full_name.endswith(ends)):
        return False
    for part in known:
        at = full_name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
