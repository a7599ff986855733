"""Revisions: which revision a definition in a DAG file has, as far as the file shows it, and how to write one in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.batch.definition import parse_reference
from airflow_batch_jobs.errors import DefinitionError
from airflow_batch_jobs.migration.reading import TASK, code, dotted, last_name, text_of
from airflow_batch_jobs.migration.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.migration.values import Values

#: What stands for a part of a text that is known only when it runs.
_LATE = "{{ }}"
#: How a definition that is a template has to end: in a colon and digits, or another template.
_ENDS_IN_REVISION = re.compile(r":([1-9][0-9]*|\{\{[^{}]*\}\})\Z")
_PERCENT = re.compile(r"%(\(\w+\))?[-+ #0-9.]*[a-zA-Z]")
_BRACES = re.compile(r"\{[^{}]*\}")
#: How far a text is followed; also where a name is made of itself.
_DEEPEST = 50


class Revisions:
    """Reads definitions, and pins those whose names are given.

    Args:
        values: The values of the module.
        pins: Revisions by the names of definitions.

    Attributes:
        unpinned: The names of the definitions that no revision was found for.
        used: The names whose revisions were written in.
        replacements: What is to be written instead of an expression.
    """

    def __init__(self, values: Values, pins: Mapping[str, int]) -> None:
        self._names = values.names
        self._rounds = Rounds(values)
        self._pins = pins
        self.unpinned: set[str] = set()
        self.used: set[str] = set()
        self.replacements: dict[cst.CSTNode, cst.BaseExpression] = {}

    def findings(self, node: cst.BaseExpression) -> Iterator[str]:
        """Pin a definition, and yield what is to be done where that cannot be: each must have its revision.

        Args:
            node: The definition; a list or tuple of them; or an expression that chooses one.
        """
        for choice in _choices(node):
            if task := self._task_of(choice):
                yield (
                    f"{_shown(choice)} is a task's result: pull it with \"{{{{ ti.xcom_pull(task_ids='{task}') }}}}\" "
                    "and write >>, or use @task.batch_job"
                )
                continue
            texts = self._texts(choice)
            for text in texts:
                yield from self._findings_of(choice, text, is_only=len(texts) == 1)

    def pinned(self, node: cst.BaseExpression) -> Iterator[str]:
        """Pin a definition of our own operator; yield the findings that an earlier migration had about it."""
        for choice in _choices(node):
            texts = self._texts(choice)
            for text in texts:
                is_unpinned = bool(_unpinned_name(text))
                if is_unpinned and not list(self._findings_of(choice, text, is_only=len(texts) == 1)):
                    yield _to_pin(choice, text)

    def _findings_of(self, node: cst.BaseExpression, text: str | None, *, is_only: bool) -> Iterator[str]:
        if text is None:
            yield f'make sure that {_shown(node)} has a revision, as in "align:7"'
        elif "{{" in text or "{%" in text:
            if not _ENDS_IN_REVISION.search(text):
                ends = "is rendered to a text with a revision" if text_of(node) else "ends in a revision"
                yield f'make sure that {_shown(node)} {ends}, as in "align:7"'
        elif name := _unpinned_name(text):
            pinned = _with_revision(node, self._pins.get(name, 1)) if is_only else None
            if pinned is not None and name in self._pins:
                self.used.add(name)
                self.replacements[node] = pinned
                return
            self.unpinned |= {name} if pinned is not None else set()
            yield _to_pin(node, text)
        elif name is None:
            yield f'{text!r} is not a definition with a revision, as in "align:7"'

    def _texts(self, node: cst.BaseExpression) -> list[str | None]:
        """Return the texts that a definition may have, with a template for what is not known."""
        values = self._rounds.choices(node)
        if None not in values:
            return list(dict.fromkeys(self._text(each, 1) for each in values if each is not None))
        return [self._text(node)]

    def _text(  # noqa: PLR0911 - a way to write a text each
        self, node: cst.BaseExpression, depth: int = 0
    ) -> str | None:
        """Return a text as far as it is known; None if none of it is."""
        if depth > _DEEPEST:  # a name that is made of itself
            return None
        match node:
            case cst.SimpleString():
                return text_of(node)
            case cst.Integer():
                return node.value if depth else None
            case cst.NamedExpr(value=value):
                return self._text(value, depth)
            case cst.Name():
                value = self._names.value_of(node)
                return None if value is node else self._text(value, depth + 1)
            case cst.FormattedString():
                return "".join(self._text_in(part, depth) for part in node.parts)
            case cst.ConcatenatedString() | cst.BinaryOperation(operator=cst.Add()):
                left, right = self._text(node.left, depth + 1), self._text(node.right, depth + 1)
                return None if left is right is None else f"{left or _LATE}{right or _LATE}"
            case cst.BinaryOperation(operator=cst.Modulo(), left=form):
                return _filled_in(_PERCENT, self._text(form, depth + 1))
            case cst.Call(func=cst.Attribute(value=form, attr=cst.Name(value="format"))):
                return _filled_in(_BRACES, self._text(form, depth + 1))
        return None

    def _text_in(self, part: cst.BaseFormattedStringContent, depth: int) -> str:
        if isinstance(part, cst.FormattedStringExpression):
            return self._text(part.expression, depth + 1) or _LATE
        return cst.ensure_type(part, cst.FormattedStringText).value

    def _task_of(self, node: cst.BaseExpression) -> str:
        """Return the name of the task whose result an expression is; empty if it is not known to be one."""
        value = self._names.value_of(node)
        while isinstance(value, cst.Subscript):
            value = self._names.value_of(value.value)
        if isinstance(value, cst.Attribute) and value.attr.value == "output":
            return dotted(value.value) or "task"
        made = value.func if isinstance(value, cst.Call) else None
        if isinstance(value, cst.Call) and last_name(value.func) == "XComArg" and value.args:
            return dotted(value.args[0].value) or "task"
        for binding in self._names.bindings(made, made.value) if isinstance(made, cst.Name) else ():
            for each in binding.node.decorators if isinstance(binding.node, cst.FunctionDef) else ():
                decorator = each.decorator.func if isinstance(each.decorator, cst.Call) else each.decorator
                if TASK.fullmatch(dotted(decorator)):
                    return cst.ensure_type(binding.node, cst.FunctionDef).name.value
        return ""


def _filled_in(places: re.Pattern[str], text: str | None) -> str | None:
    """Return a text with a template wherever something is filled in."""
    return None if text is None else places.sub(_LATE, text)


def _shown(node: cst.BaseExpression) -> str:
    return code(node, instead="this definition")


def _choices(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    """Yield each definition that an expression may be."""
    match node:
        case cst.List() | cst.Tuple():
            for element in node.elements:
                yield from _choices(element.value)
        case cst.IfExp():
            yield from _choices(node.body)
            yield from _choices(node.orelse)
        case cst.BooleanOperation(operator=cst.Or()):
            yield from _choices(node.left)
            yield from _choices(node.right)
        case _:
            yield node


def _unpinned_name(text: str | None) -> str | None:
    """Return the name of a definition without a revision; empty if it has one, None if it is no definition."""
    try:
        reference = parse_reference(text or "")
    except DefinitionError:
        return None
    return reference.name if reference.revision is None else ""


def _to_pin(node: cst.BaseExpression, text: str | None) -> str:
    what = f"{_shown(node)} to " if isinstance(node, (cst.Name, cst.Subscript)) else ""
    return f'pin {what}the revision that is to run, as in "{text}:7"'


def _with_revision(node: cst.BaseExpression, revision: int) -> cst.BaseExpression | None:
    """Return a definition's text with a revision; None for what it cannot be written behind."""
    match node:
        case cst.SimpleString():
            end = len(node.value) - len(node.quote)
            return node.with_changes(value=f"{node.value[:end]}:{revision}{node.quote}")
        case cst.FormattedString():
            return node.with_changes(parts=[*node.parts, cst.FormattedStringText(f":{revision}")])
        case cst.NamedExpr():
            value = _with_revision(node.value, revision)
            return None if value is None else node.with_changes(value=value)
        case cst.ConcatenatedString() | cst.BinaryOperation(operator=cst.Add()):
            right = _with_revision(node.right, revision)
            return None if right is None else node.with_changes(right=right)
        case cst.Name():
            # It may be used for something else as well.
            parts = [cst.FormattedStringExpression(cst.Name(node.value)), cst.FormattedStringText(f":{revision}")]
            return cst.FormattedString(parts, 'f"', '"')
    return None
