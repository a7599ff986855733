"""Judge: what a person has to check in the arguments of the provider's classes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.batch.definition import parse_reference
from airflow_batch_jobs.batch.request import TAG_PREFIX
from airflow_batch_jobs.errors import DefinitionError
from airflow_batch_jobs.migration.reading import code, is_none, is_word, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.migration.counterparts import Counterpart

#: How a definition that is a template has to end: in a colon and digits, or another template.
_ENDS_IN_REVISION = re.compile(r":([1-9][0-9]*|\{\{[^{}]*\}\})\Z")
#: Parameters that are mappings here as well.
_MAPPINGS = frozenset({"parameters", "container_overrides"})
#: Parameters that are not mappings in the provider.
_SCALARS = frozenset({"share_identifier", "scheduling_priority_override", "submit_job_timeout"})


def is_left_out(counterpart: Counterpart, argument: cst.Arg, rest: Mapping[str, cst.BaseExpression]) -> bool:
    """Whether an argument has no counterpart and is left out.

    Args:
        counterpart: The counterpart of the class that is called.
        argument: The argument.
        rest: All arguments of the call by name.
    """
    name, value = argument.keyword.value if argument.keyword else "", argument.value
    if name in counterpart.options:
        is_no_timeout = name == "submit_job_timeout" and isinstance(value, cst.Integer) and value.value == "0"
        return is_none(value) or is_no_timeout
    # A sensor that reschedules gives back its worker slot, which deferrable=True does here.
    is_about_slot = name == "mode" or (name == "deferrable" and is_word(value, "False"))
    if is_about_slot and not counterpart.options and text_of(rest.get("mode")) == "reschedule":
        return True
    return name in counterpart.dropped


def pinned(node: cst.BaseExpression, pins: Mapping[str, int]) -> cst.BaseExpression:
    """Return a definition's text, or a list of them, with the revision that its name is pinned to, if there is one."""
    if isinstance(node, (cst.List, cst.Tuple)):
        return node.with_changes(elements=[each.with_changes(value=pinned(each.value, pins)) for each in node.elements])
    text = text_of(node)
    if text is None or not isinstance(node, cst.SimpleString):
        return node
    try:
        reference = parse_reference(text)
    except DefinitionError:
        return node
    if reference.revision is not None or reference.name not in pins:
        return node
    end = len(node.value) - len(node.quote)
    return node.with_changes(value=f"{node.value[:end]}:{pins[reference.name]}{node.quote}")


class Judge:
    """Says what a person has to check in the arguments of a call.

    Args:
        pins: Revisions by the names of definitions.
        constants: What the module's names stand for, as far as can be seen.
    """

    def __init__(self, pins: Mapping[str, int], constants: Mapping[str, cst.BaseExpression]) -> None:
        self._pins = pins
        self._constants = constants

    def findings(self, counterpart: Counterpart, values: Mapping[str, cst.BaseExpression]) -> Iterator[str]:
        """Yield what is to be done about a call of one of the provider's classes.

        Args:
            counterpart: The counterpart of the class.
            values: The arguments by name.
        """
        for name, value in values.items():
            if name == "job_definition":
                yield from self.definition(value)
            elif counterpart.dropped.get(name) and not is_none(value):
                yield counterpart.dropped[name]
            elif name in {"wait_for_completion", "awslogs_enabled"} and text_of(value) is not None:
                yield f"{counterpart.renamed[name]}= takes no template: write True or False"
            elif name in {*counterpart.options, *_MAPPINGS} and not is_none(value):
                yield from _fields(name, value)
        if is_word(values.get("wait_for_completion"), "False") and is_word(values.get("deferrable"), "True"):
            yield "wait=False does not wait for the job; BatchOperator did, when it was deferrable"
        if "mode" in values and text_of(values["mode"]) not in {"poke", "reschedule"}:
            yield 'make sure that mode= is not "reschedule", which deferrable=True replaces'

    def definition(self, node: cst.BaseExpression) -> Iterator[str]:
        """Yield what is to be done about a job definition: each must have its revision."""
        if isinstance(node, cst.Name) and node.value in self._constants:
            # It may be used for something else as well, so it is not pinned here.
            if any(Judge({}, {}).definition(self._constants[node.value])):
                yield f'pin {node.value} to the revision that is to run, as in "align:7"'
            return
        if isinstance(node, cst.FormattedString):
            if not _ENDS_IN_REVISION.search(_outline(node)):
                yield f'make sure that {code(node)} ends in a revision, as in "align:7"'
            return
        text = text_of(pinned(node, self._pins))
        if text is None:
            yield f'make sure that {code(node)} has a revision, as in "align:7"'
        elif "{{" in text or "{%" in text:
            if not _ENDS_IN_REVISION.search(text):
                yield f'make sure that {code(node)} is rendered to a text with a revision, as in "align:7"'
        else:
            yield from _unpinned(text)


def _unpinned(text: str) -> Iterator[str]:
    try:
        reference = parse_reference(text)
    except DefinitionError:
        yield f'{text!r} is not a definition with a revision, as in "align:7"'
        return
    if reference.revision is None:
        yield f'pin the revision that is to run, as in "{reference.base}:7"'


def _outline(node: cst.FormattedString) -> str:
    """Return an f-string's text with a template for each of its values."""
    return "".join(part.value if isinstance(part, cst.FormattedStringText) else "{{ }}" for part in node.parts)


def _fields(name: str, value: cst.BaseExpression) -> Iterator[str]:
    """Yield what our operator refuses in a field of SubmitJob, as far as the file shows it."""
    if name not in _SCALARS and text_of(value) is not None:
        yield f"{name}: a text that is rendered to a mapping is refused; pass the .output of the task that makes it"
    found = _Nones()
    value.visit(found)
    if found.any and name != "parameters":
        yield f"{name}: a field that is None is refused; leave it out"
    if name == "tags" and isinstance(value, cst.Dict):
        keys = [text_of(each.key) or "" for each in value.elements if isinstance(each, cst.DictElement)]
        yield from (
            f"the tag {key!r} begins with airflow-, which is refused" for key in keys if key.startswith(TAG_PREFIX)
        )


class _Nones(cst.CSTVisitor):
    """Looks for None as a value, not in comparisons."""

    def __init__(self) -> None:
        self.any = False

    def visit_Comparison(self, node: cst.Comparison) -> bool:  # noqa: N802 - libcst's name
        del node
        return False

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802 - libcst's name
        self.any = self.any or node.value == "None"
