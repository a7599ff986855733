"""Rounds: what a name is given in each round of a loop over what a DAG file has written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.migration.reading import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.migration.names import Binding
    from airflow_batch_jobs.migration.values import Values

#: What is known of a value: its expression; None for nothing.
_Value = cst.BaseExpression | None


class Rounds:
    """Follows definitions through loops such as `for name, job in JOBS.items()`.

    Args:
        values: The values of the module.
    """

    def __init__(self, values: Values) -> None:
        self._values = values

    def choices(self, node: cst.BaseExpression) -> list[_Value]:
        """Return all expressions that a name, or an entry of a dictionary that is named, stands for."""
        match node:
            case cst.Name():
                bindings = self._values.names.bindings(node, node.value)
                return [each for binding in bindings for each in self._bound(binding, node.value)] or [None]
            case cst.Subscript(value=cst.Name() as of, slice=[cst.SubscriptElement(slice=cst.Index(value=key))]) if (
                not self._values.is_added_to(of)
            ):
                return [self._entry(each, text_of(key)) for each in self.choices(of)]
        return [None]

    def _bound(self, binding: Binding, name: str) -> Iterator[_Value]:
        loop = binding.node
        if isinstance(loop, (cst.For, cst.CompFor)):
            for each in self._rounds(loop.iter):
                yield from _given(loop.target, each, name)
        else:
            yield binding.value

    def _rounds(self, iterated: cst.BaseExpression) -> list[_Value]:
        """Return what a loop goes through."""
        match node := self._written(iterated):
            case cst.List() | cst.Tuple() | cst.Set():
                return [each.value if isinstance(each, cst.Element) else None for each in node.elements] or [None]
            case cst.Call(func=cst.Name("enumerate"), args=[cst.Arg(value=several, star=""), *_]):
                return [_pair(cst.Integer("0"), each) for each in self._rounds(several)]
            case cst.Call(func=cst.Attribute(value=of, attr=cst.Name("items" | "values" as method)), args=[]):
                return [_of_element(each, method) for each in getattr(self._written(of), "elements", ())] or [None]
        return [None]

    def _written(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """Return a container as it is written out, unless something is put into it later."""
        return node if self._values.is_added_to(node) else self._values.names.value_of(node)

    def _entry(self, of: _Value, key: str | None) -> _Value:
        """Return what a dictionary has under a key."""
        if of is None or key is None or self._values.is_added_to(of):
            return None
        elements = getattr(self._values.names.value_of(of), "elements", ())
        if not all(isinstance(each, cst.DictElement) and text_of(each.key) is not None for each in elements):
            return None
        return next((each.value for each in reversed(elements) if text_of(each.key) == key), None)


def _given(target: cst.BaseExpression, value: _Value, name: str) -> Iterator[_Value]:
    """Yield what a name in a target gets of a value."""
    if isinstance(target, cst.Name):
        yield from [value] if target.value == name else ()
    elif isinstance(target, (cst.Tuple, cst.List)):
        given = value.elements if isinstance(value, (cst.Tuple, cst.List)) else ()
        is_plain = all(isinstance(each, cst.Element) for each in (*target.elements, *given))
        is_known = is_plain and len(given) == len(target.elements)
        for number, element in enumerate(target.elements):
            yield from _given(element.value, given[number].value if is_known else None, name)


def _pair(first: cst.BaseExpression, second: _Value) -> _Value:
    return None if second is None else cst.Tuple([cst.Element(first), cst.Element(second)])


def _of_element(element: cst.BaseElement | cst.BaseDictElement, method: str) -> _Value:
    if not isinstance(element, cst.DictElement):
        return None
    return _pair(element.key, element.value) if method == "items" else element.value
