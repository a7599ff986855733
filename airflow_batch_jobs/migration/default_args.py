"""DefaultArgs: what a DAG file gives its tasks by `default_args`, however that is spelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import libcst as cst

from airflow_batch_jobs.migration.reading import code, dotted, is_none, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.migration.names import Names

_NAME = "default_args"
#: Functions that return a dictionary made of their arguments.
_COPIES = frozenset({"dict", "copy", "deepcopy", "copy.copy", "copy.deepcopy", "ChainMap", "collections.ChainMap"})


class Default(NamedTuple):
    """One default argument.

    Attributes:
        name: Its name.
        node: Where it is given.
    """

    name: str
    node: cst.CSTNode


class DefaultArgs:
    """The default arguments in a module.

    Follows names through the file, but not into what it imports.

    Args:
        names: The names of the module.

    Attributes:
        given: The default arguments that can be seen.
        unseen: What else default arguments come from, as a person reads it.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._seen: set[cst.CSTNode] = set()
        #: The names of variables that hold default arguments.
        self._variables: set[str] = set()
        self.unseen: dict[str, None] = {}
        self.given = [each for root in self._roots() for each in self._in(root)]
        self.given += self._added_later()

    def _roots(self) -> Iterator[cst.BaseExpression]:
        """Yield what is passed or assigned as default arguments."""
        for arg in self._names.of(cst.Arg):
            if arg.keyword is not None and arg.keyword.value == _NAME:
                yield arg.value
        for element in self._names.of(cst.DictElement):
            if text_of(element.key) == _NAME:
                yield element.value
        for name, binding in self._names.all_bindings():
            if binding.value is not None and _NAME in name.lower():
                yield binding.value
        for target in self._names.of(cst.AssignTarget):
            if isinstance(target.target, cst.Attribute) and target.target.attr.value == _NAME:
                yield cst.ensure_type(self._names.parent(target), cst.Assign).value

    def _in(self, node: cst.BaseExpression | None) -> Iterator[Default]:
        """Yield the entries of a dictionary, and of those that it is made of."""
        if node is None or node in self._seen:
            return
        self._seen.add(node)
        match node:
            case cst.Dict():
                yield from self._in_dictionary(node)
            case cst.List() | cst.Tuple():
                yield from _in_pairs(node)
            case cst.Call() if dotted(node.func) in _COPIES:
                yield from self._arguments(node)
            case cst.Call(func=cst.Attribute(value=made_of, attr=cst.Name(value="copy" | "update"))):
                yield from self._in(made_of)
                yield from self._arguments(node)
            case cst.BinaryOperation(operator=cst.BitOr()) | cst.BooleanOperation():
                yield from self._in(node.left)
                yield from self._in(node.right)
            case cst.IfExp():
                yield from self._in(node.body)
                yield from self._in(node.orelse)
            case cst.Name():
                yield from self._in_name(node)
            case _:
                self._unseen(node)

    def _in_dictionary(self, node: cst.Dict) -> Iterator[Default]:
        for element in node.elements:
            if not isinstance(element, cst.DictElement):
                yield from self._in(element.value)
            elif name := text_of(element.key):
                yield Default(name, element)

    def _in_name(self, node: cst.Name) -> Iterator[Default]:
        self._variables.add(node.value)
        bindings = self._names.bindings(node, node.value)
        for binding in bindings:
            yield from self._in(binding.value)
        if not is_none(node) and (not bindings or any(each.value is None for each in bindings)):
            self._unseen(node, next((each.imported for each in bindings), ""))

    def _added_later(self) -> Iterator[Default]:
        """Yield what is added to a variable that holds default arguments."""
        for call in self._names.of(cst.Call):
            if isinstance(call.func, cst.Attribute) and self._is_variable(call.func.value):
                if call.func.attr.value == "setdefault" and call.args and (name := text_of(call.args[0].value)):
                    yield Default(name, call)
                elif call.func.attr.value == "update":
                    yield from self._arguments(call)
        for target in self._names.of(cst.AssignTarget):
            match target.target:
                case cst.Subscript(value=value, slice=[cst.SubscriptElement(slice=cst.Index(value=key))]):
                    if self._is_variable(value) and (name := text_of(key)):
                        yield Default(name, target)
        for change in self._names.of(cst.AugAssign):
            if self._is_variable(change.target):
                yield from self._in(change.value)

    def _unseen(self, node: cst.BaseExpression, full_name: str = "") -> None:
        self._variables.add(dotted(node))
        self.unseen[full_name or code(node, instead="an expression")] = None

    def _is_variable(self, node: cst.BaseExpression) -> bool:
        name = dotted(node)
        return bool(name) and (name in self._variables or _NAME in name.lower())

    def _arguments(self, call: cst.Call) -> Iterator[Default]:
        for arg in call.args:
            if arg.keyword is not None:
                yield Default(arg.keyword.value, arg)
            else:
                yield from self._in(arg.value)


def _in_pairs(node: cst.List | cst.Tuple) -> Iterator[Default]:
    """Yield the entries of a dictionary that is written as pairs."""
    for element in node.elements:
        match element.value:
            case cst.Tuple(elements=[cst.Element(value=key), _]) if name := text_of(key):
                yield Default(name, element)
