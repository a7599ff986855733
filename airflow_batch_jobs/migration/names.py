"""Names: what each name in a DAG file stands for, by Python's rules of scope, without running the file."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import libcst as cst

from airflow_batch_jobs.migration.reading import module_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_batch_jobs.migration.neighbours import Look

#: Fields of nodes that hold layout, or names that are looked up nowhere.
_PASSED_OVER = ("whitespace", "leading_lines", "lines_after", "header", "footer", "newline", "comma", "semicolon")
_PASSED_OVER_EXACTLY = frozenset({"lpar", "rpar", "attr", "keyword"})
_COMPREHENSIONS = (cst.GeneratorExp, cst.ListComp, cst.SetComp, cst.DictComp)

_Node = TypeVar("_Node", bound=cst.CSTNode)


class Binding(NamedTuple):
    """One place where a name gets its meaning.

    Attributes:
        node: The statement or target that binds it.
        imported: The full name of what is imported; empty if it is not an import.
        value: What is assigned, if that is one expression.
        is_shared: Whether other scopes have the name as well: by a `global` or `nonlocal` statement there, or as an
            attribute of the class that imports it.
    """

    node: cst.CSTNode
    imported: str = ""
    value: cst.BaseExpression | None = None
    is_shared: bool = False


class Names:
    """The names of a module.

    Does not follow what happens: a name that is bound in two places of one scope stands for both.

    Args:
        module: The module.
        look: Looks up the modules that it imports, as far as they are known.
    """

    def __init__(self, module: cst.Module, look: Look) -> None:
        self._module = module
        self._look = look
        self._nodes: dict[type, list[Any]] = {}
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self._bindings: dict[tuple[cst.CSTNode, str], list[Binding]] = {}
        self._bound: set[cst.CSTNode] = set()
        self._global: set[tuple[cst.CSTNode, str]] = set()
        self._walk()
        for statement in self.of(cst.Global):
            scope = self.scope(statement)
            self._global |= {(scope, each.name.value) for each in statement.names}
        self._nonlocal = [
            (self.scope(statement), each.name.value) for statement in self.of(cst.Nonlocal) for each in statement.names
        ]
        self._bind_all()
        self._move_nonlocal()
        self._pass_over_replaced()

    def of(self, kind: type[_Node]) -> Sequence[_Node]:
        """Return all nodes of a kind in the order of the file; only code, not layout, and nothing of imports."""
        return self._nodes.get(kind, [])

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        """Return what a node is part of; the module for itself."""
        return self._parents.get(node, self._module)

    def is_read(self, name: cst.Name) -> bool:
        """Whether a name is looked up where it stands, and not given a meaning."""
        return name not in self._bound

    def scope(self, node: cst.CSTNode) -> cst.CSTNode:
        """Return the scope around a node: a function, lambda, class, comprehension, or the module."""
        while (parent := self._parents.get(node)) is not None:
            if isinstance(parent, (cst.FunctionDef, cst.ClassDef, cst.Lambda)) and node is parent.body:
                return parent
            if isinstance(parent, _COMPREHENSIONS):
                return parent
            node = parent
        return self._module

    def bindings(self, place: cst.CSTNode, name: str) -> Sequence[Binding]:
        """Return all that a name may stand for where it is read; nothing if the file does not say."""
        scope = first = self.scope(place)
        while True:
            if (scope, name) in self._global:
                scope = self._module
            if scope is first or not isinstance(scope, cst.ClassDef):
                found = self._bindings.get((scope, name), ())
                if found or scope is self._module:
                    return found
            scope = self.scope(scope)

    def all_bindings(self) -> Iterator[tuple[str, Binding]]:
        """Yield every name that is given a meaning anywhere, and where."""
        for (_, name), found in self._bindings.items():
            yield from ((name, each) for each in found)

    def imported(self, node: cst.ImportFrom, name: str) -> Sequence[str]:
        """Return the full names of what is imported by a name; several, if another file has it from several places."""
        neighbour = self._look(module_of(node))
        found = neighbour.names.get(name) if neighbour else None
        return found or (f"{module_of(node)}.{name}",)

    def starred(self, node: cst.ImportFrom) -> Iterator[tuple[str, str]]:
        """Yield the names that `import *` is known to give, with the full name of what each stands for."""
        if neighbour := self._look(module_of(node)):
            for name in sorted(neighbour.public):
                yield from ((name, full_name) for full_name in neighbour.names[name])

    def value_of(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """Return what a name stands for, if it is assigned in one place; any other expression as it is."""
        for _ in range(len(self._bindings)):  # names of names, and no circle
            found = self.bindings(node, node.value) if isinstance(node, cst.Name) else ()
            if len(found) != 1 or found[0].value is None:
                break
            node = found[0].value
        return node

    def _walk(self) -> None:
        waiting: list[cst.CSTNode] = [self._module]
        while waiting:
            node = waiting.pop()
            self._nodes.setdefault(type(node), []).append(node)
            if isinstance(node, (cst.Import, cst.ImportFrom)):
                continue
            children: list[cst.CSTNode] = []
            for name in _fields(type(node)):
                value = getattr(node, name)
                if isinstance(value, cst.CSTNode):
                    children.append(value)
                elif isinstance(value, (list, tuple)):
                    children += value
            for child in children:
                self._parents[child] = node
            waiting += reversed(children)

    def _bind(self, name: str, scope: cst.CSTNode, binding: Binding) -> None:
        place = self._module if (scope, name) in self._global else scope
        self._bindings.setdefault((place, name), []).append(binding)

    def _move_nonlocal(self) -> None:
        """Give what `nonlocal` names to the function around that has the name."""
        for scope, name in self._nonlocal:
            found, owner = self._bindings.pop((scope, name), []), self.scope(scope)
            while owner is not self._module and (
                isinstance(owner, cst.ClassDef) or (owner, name) not in self._bindings
            ):
                owner = self.scope(owner)
            if found:
                self._bindings.setdefault((owner, name), []).extend(found)

    def _pass_over_replaced(self) -> None:
        """Pass over what `import *` gives where a later statement at the top of the file replaces it in any case."""
        order: dict[cst.CSTNode, int] = {statement: number for number, statement in enumerate(self._module.body)}
        for star in self.of(cst.ImportFrom):
            for name, _ in self.starred(star) if isinstance(star.names, cst.ImportStar) else ():
                found = self._bindings[self._module, name]
                last = max(order.get(self._line(each.node), -1) for each in found)
                if last > order[self._line(star, at_top=True)]:
                    self._bindings[self._module, name] = [each for each in found if each.node is not star]

    def _line(self, node: cst.CSTNode, *, at_top: bool = False) -> cst.CSTNode:
        """Return the statement that a node is in; the one at the top of the file, if asked for."""
        while not isinstance(node, cst.BaseStatement) or (at_top and self.parent(node) is not self._module):
            node = self.parent(node)
        return node

    def _bind_target(self, target: cst.CSTNode | None, scope: cst.CSTNode, binding: Binding) -> None:
        if isinstance(target, (cst.Tuple, cst.List)):
            for element, value in zip(target.elements, _values_for(target, binding.value), strict=True):
                self._bind_target(element.value, scope, Binding(binding.node, value=value))
        elif isinstance(target, cst.Name):
            self._bound.add(target)
            self._bind(target.value, scope, binding)

    def _bind_all(self) -> None:
        binders: dict[type[cst.CSTNode], Callable[[Any], None]] = {
            cst.Import: self._bind_import,
            cst.ImportFrom: self._bind_import,
            cst.AssignTarget: self._bind_assigned,
            cst.AnnAssign: self._bind_assigned,
            cst.NamedExpr: self._bind_assigned,
            cst.AugAssign: self._bind_to_something,
            cst.For: self._bind_to_something,
            cst.CompFor: self._bind_to_something,
            cst.Del: self._bind_to_something,
            cst.AsName: self._bind_named,
            cst.MatchAs: self._bind_named,
            cst.MatchStar: self._bind_named,
            cst.FunctionDef: self._bind_named,
            cst.ClassDef: self._bind_named,
            cst.Param: self._bind_parameter,
            cst.NameItem: self._pass_over,
        }
        for kind, bind in binders.items():
            for node in self.of(kind):
                bind(node)

    def _bind_import(self, node: Any) -> None:
        scope = self.scope(node)
        for name, full_name in self._imports(node):
            is_named = (scope, name) in self._global or (scope, name) in self._nonlocal
            is_shared = is_named or isinstance(scope, cst.ClassDef)
            self._bind(name, scope, Binding(node, full_name, is_shared=is_shared))

    def _imports(self, node: cst.Import | cst.ImportFrom) -> Iterator[tuple[str, str]]:
        """Yield the names that an import gives a meaning, with their full names."""
        if isinstance(node.names, cst.ImportStar):
            yield from self.starred(cst.ensure_type(node, cst.ImportFrom))
            return
        for alias in node.names:
            full_name, name = alias.evaluated_name, alias.evaluated_alias
            if isinstance(node, cst.ImportFrom):
                yield from ((name or full_name, each) for each in self.imported(node, full_name))
            elif name is None:  # `import a.b` binds a
                yield full_name.partition(".")[0], full_name.partition(".")[0]
            else:
                yield name, full_name

    def _bind_assigned(self, node: Any) -> None:
        scope = self.scope(node)
        while isinstance(node, cst.NamedExpr) and isinstance(scope, _COMPREHENSIONS):
            scope = self.scope(scope)
        statement: Any = self.parent(node) if isinstance(node, cst.AssignTarget) else node
        self._bind_target(node.target, scope, Binding(node, value=statement.value))

    def _bind_to_something(self, node: Any) -> None:
        self._bind_target(node.target, self.scope(node), Binding(node))

    def _bind_named(self, node: Any) -> None:
        self._bind_target(node.name, self.scope(node), Binding(node))

    def _bind_parameter(self, node: Any) -> None:
        self._bind_target(node.name, self.parent(self.parent(node)), Binding(node))

    def _pass_over(self, node: Any) -> None:
        self._bound.add(node.name)


def _values_for(target: cst.Tuple | cst.List, value: cst.BaseExpression | None) -> Sequence[cst.BaseExpression | None]:
    """Return what each of several names is assigned: of `a, b = 1, 2`, as far as both sides are written out."""
    values = value.elements if isinstance(value, (cst.Tuple, cst.List)) else ()
    starred = any(isinstance(each, cst.StarredElement) for each in (*target.elements, *values))
    if starred or len(values) != len(target.elements):
        return [None] * len(target.elements)
    return [each.value for each in values]


@cache
def _fields(kind: type[Any]) -> tuple[str, ...]:
    """Return the fields of a kind of node that hold code."""
    return tuple(
        each.name
        for each in fields(kind)
        if each.name not in _PASSED_OVER_EXACTLY and not any(word in each.name for word in _PASSED_OVER)
    )
