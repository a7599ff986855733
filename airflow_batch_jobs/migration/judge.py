"""Judge: what a person has to check in the arguments of the provider's classes."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import libcst as cst

from airflow_batch_jobs.batch.request import TAG_PREFIX
from airflow_batch_jobs.migration.reading import is_none, is_word, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.migration.counterparts import Counterpart

#: Parameters that are mappings here as well.
_MAPPINGS = frozenset({"parameters", "container_overrides", "overrides"})
#: Parameters that are not mappings in the provider.
_SCALARS = frozenset({"share_identifier", "scheduling_priority_override", "submit_job_timeout"})
#: Parameters that are True or False, and nothing else.
_SWITCHES = frozenset({"awslogs_enabled", "deferrable", "wait_for_completion"})
#: The provider's max_retries, unless one says otherwise: 48 hours.
_MAX_RETRIES = "4200"
#: How alike a name and a misspelling of it are, from 0 to 1.
_NEAR = 0.8


def is_left_out(counterpart: Counterpart, argument: cst.Arg, rest: Mapping[str, cst.BaseExpression]) -> bool:
    """Whether an argument has no counterpart and is left out.

    Args:
        counterpart: The counterpart of the class that is called.
        argument: The argument.
        rest: All arguments of the call by name.
    """
    name, value = argument.keyword.value if argument.keyword else "", argument.value
    if name in counterpart.options:
        is_no_timeout = name == "submit_job_timeout" and _is_number(value, "0")
        return is_none(value) or is_no_timeout or (isinstance(value, cst.Dict) and not value.elements)
    # A sensor that reschedules gives back its worker slot, which deferrable=True does here.
    is_about_slot = name == "mode" or (name == "deferrable" and is_word(value, "False"))
    if is_about_slot and not counterpart.options and text_of(rest.get("mode")) == "reschedule":
        return True
    return name in counterpart.dropped


def why_left(counterpart: Counterpart, given: Mapping[str, object], mapped: Mapping[str, object]) -> str:
    """Say which arguments a call cannot be rewritten with; empty if it can.

    Args:
        counterpart: The counterpart of the class.
        given: The arguments by name.
        mapped: Those of `.expand(…)` by name.
    """
    for name in mapped:
        if name in counterpart.options:
            return f"it maps {name}; map submit_options with {counterpart.options[name]} in it"
        if name in counterpart.dropped or name == "mode":
            return f"it maps {name}, which {counterpart.name} does not take"
    ours: dict[str, str] = {}
    for name in (*given, *mapped):
        other = ours.setdefault(counterpart.renamed.get(name, name), name)
        if other != name:
            return f"{other}= and {name}= are the same to {counterpart.name}: keep one of them"
    if "submit_options" in given and counterpart.options.keys() & given.keys():
        return "submit_options= is given beside its fields"
    return ""


def findings(
    counterpart: Counterpart, values: Mapping[str, cst.BaseExpression], mapped: Mapping[str, object]
) -> Iterator[str]:
    """Yield what is to be done about a call of one of the provider's classes, apart from its definition's revision.

    Args:
        counterpart: The counterpart of the class.
        values: The arguments by name.
        mapped: Those of `.expand(…)` by name.
    """
    for name in (*values, *mapped):
        if name not in counterpart.known:
            yield _unknown(counterpart, name)
    for name, value in values.items():
        yield from _of_value(counterpart, name, value)
    if is_word(values.get("wait_for_completion"), "False") and is_word(values.get("deferrable"), "True"):
        yield "wait=False does not wait for the job; BatchOperator did, when it was deferrable"
    if "mode" in values and text_of(values["mode"]) not in {"poke", "reschedule"}:
        yield 'make sure that mode= is not "reschedule", which deferrable=True replaces'
    if "job_queue" in counterpart.required - {*values, *mapped} and "queue" in values:
        yield "queue= is Airflow's, for executors: the queue of AWS Batch is job_queue="


def _of_value(counterpart: Counterpart, name: str, value: cst.BaseExpression) -> Iterator[str]:
    """Yield what is to be done about one argument."""
    ours = counterpart.renamed.get(name, name)
    if name in _SWITCHES and is_none(value):
        yield f"{ours}= takes no None, which stood for False: write True or False"
    if ours == "poll_interval" and _is_number(value, "0"):
        yield "poll_interval= must be more than 0"
    if is_none(value) or (name == "max_retries" and _is_number(value, _MAX_RETRIES)):
        return
    if counterpart.dropped.get(name):
        yield counterpart.dropped[name]
    elif name in {"wait_for_completion", "awslogs_enabled"} and text_of(value) is not None:
        yield f"{ours}= takes no template: write True or False"
    elif name in {*counterpart.options, *_MAPPINGS}:
        yield from _fields(name, value)


def _unknown(counterpart: Counterpart, name: str) -> str:
    near = "".join(f"; is it {each}=?" for each in get_close_matches(name, sorted(counterpart.known), 1, _NEAR))
    return f"neither the provider nor {counterpart.name} knows {name}={near}"


def _is_number(value: cst.BaseExpression, digits: str) -> bool:
    return isinstance(value, cst.Integer) and value.value == digits


def _fields(name: str, value: cst.BaseExpression) -> Iterator[str]:
    """Yield what our operator refuses in a field of SubmitJob, as far as the file shows it."""
    if name not in _SCALARS and text_of(value) is not None:
        yield f"{name}: a text that is rendered to a mapping is refused; pass the .output of the task that makes it"
    if _has_none(value) and name != "parameters":
        yield f"{name}: a field that is None is refused; leave it out"
    if name == "tags" and isinstance(value, cst.Dict):
        keys = [text_of(each.key) or "" for each in value.elements if isinstance(each, cst.DictElement)]
        yield from (
            f"the tag {key!r} begins with airflow-, which is refused" for key in keys if key.startswith(TAG_PREFIX)
        )


def _has_none(value: cst.BaseExpression) -> bool:
    """Whether a value may be None, or a literal mapping or list with None in it."""
    match value:
        case cst.Dict():
            return any(_has_none(each.value) for each in value.elements)
        case cst.List() | cst.Tuple():
            return any(_has_none(each.value) for each in value.elements)
        case cst.IfExp():
            return _has_none(value.body) or _has_none(value.orelse)
        case cst.BooleanOperation():
            return _has_none(value.left) or _has_none(value.right)
    return is_none(value)
