"""The arguments of the operators: what is none of theirs, and what is not of its kind, found when a DAG is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from inspect import signature
from itertools import takewhile
from types import SimpleNamespace
from typing import Any, Protocol

from airflow.sdk.bases.operator import get_merged_defaults
from airflow.sdk.definitions._internal.contextmanager import DagContext, TaskGroupContext

from airflow_batch_jobs.batch.arguments import check_mapping, check_region, check_switch, check_text, check_verify
from airflow_batch_jobs.batch.definition import is_late
from airflow_batch_jobs.batch.definition.argument import DefinitionArgument
from airflow_batch_jobs.batch.definition.values import is_airflow_placeholder
from airflow_batch_jobs.batch.numbers import reasonable
from airflow_batch_jobs.batch.override_length import check_overrides
from airflow_batch_jobs.batch.result.model import task_model
from airflow_batch_jobs.errors import RequestError

_PACKAGE = f"{__name__.partition('.')[0]}."
#: The arguments that are True or False; None in place of the last leaves it to the configuration.
_SWITCHES = ("wait", "deferrable", "copy_logs", "terminate_on_kill", "finish_in_triggerer")
#: Those that hold AWS's or botocore's own fields by their names.
_MAPPINGS = ("parameters", "container_overrides", "submit_options")
#: Those that are text, and those that are seconds.
_TEXTS = frozenset({"job_queue", "job_name", "job_id"})
_SECONDS = frozenset({"poll_interval", "timeout", "poke_interval", "max_wait"})
#: What a task has of which nothing is given.
_NOT_GIVEN = dict.fromkeys(("aws_conn_id", "region_name", "verify", "botocore_config", "execution_timeout"))


class HasAwsParameters(Protocol):
    """What has the same AWS parameters as the Amazon provider's operators."""

    @property
    def aws_conn_id(self) -> str | None:
        """The Airflow connection."""

    @property
    def region_name(self) -> str | None:
        """The region."""

    @property
    def verify(self) -> bool | str | None:
        """Whether to verify TLS certificates, or the path of a CA bundle."""

    @property
    def botocore_config(self) -> Mapping[str, Any] | None:
        """Keyword arguments of botocore's Config."""


def check_aws_arguments(task: HasAwsParameters) -> None:
    """Find at parse time what is no AWS setting.

    Raises:
        ValueError: Something is not; the error names it.
    """
    check_text(task.aws_conn_id, "aws_conn_id", or_empty=True)
    check_region(task.region_name)
    check_verify(task.verify)
    check_mapping(task.botocore_config, "botocore_config")
    if isinstance(task.botocore_config, Mapping):
        from airflow_batch_jobs.batch.aws.botocore_config import check_config

        check_config(task.botocore_config)


def check_arguments(task: Any) -> None:
    """Find at parse time what of an operator's arguments is not of its kind.

    Raises:
        ValueError: Something is not; the error names it.
    """
    for name in _SWITCHES:
        check_switch(getattr(task, name, False), name, or_none=name == _SWITCHES[-1])
    for name in _MAPPINGS:
        check_mapping(getattr(task, name, None), name)
    check_aws_arguments(task)
    if task.execution_timeout is not None:
        reasonable(task.execution_timeout, "execution_timeout", or_zero=True)


def check_rendered(task: Any) -> None:
    """Find what a run has made of an operator's arguments that is not of its kind.

    Shows no value of a mapping, which may hold secrets.

    Raises:
        RequestError: Something is not; the error names it.
    """
    for name in (*_MAPPINGS, "job_queue", "job_name"):
        value, is_mapping = getattr(task, name), name in _MAPPINGS
        if is_mapping and isinstance(value, str):
            raise RequestError(
                name,
                "must be a mapping, and has become text. Give a mapping whose values are templates, or a task's "
                "result; a template makes a mapping only with render_template_as_native_obj=True at the task",
            )
        try:
            if is_mapping:
                check_mapping(value, name)
            else:
                check_text(value, name, or_empty=name == "job_name")
        except ValueError as error:
            raise RequestError(name, str(error).removeprefix(f"{name} ")) from error


def check_literal_overrides(container_overrides: Any, submit_options: Any) -> None:
    """Find at parse time what no rendering makes shorter: literal overrides that are too long for ECS.

    What has another shape than AWS's is found when the request is made.

    Raises:
        RequestError: They are too long.
    """
    own = submit_options if isinstance(submit_options, dict) else {}
    with suppress(AttributeError, TypeError):
        check_overrides(_literal({**own, "containerOverrides": container_overrides}), {})


def check_mapped(kind: type, given: Mapping[str, Any]) -> None:
    """Find when the DAG is parsed what of the arguments of a task to be mapped is not of its kind.

    Args:
        kind: The class that is mapped. What a subclass of a user's takes by itself is its own affair.
        given: Arguments that are common to all tasks, or those of one of them; defaults count as well.

    Raises:
        DefinitionError: The definition is not pinned, a literal parameter does not fit it, or what is declared as a
            result cannot be one.
        RequestError: Literal overrides have more characters than ECS takes.
        ValueError: An argument is not of its kind; the error names it.
    """
    names = _arguments(kind) - _of_users(kind)
    given = {name: value for name, value in {**_defaults(given), **given}.items() if name in names}
    check_on_retry(given.get("on_retry", ()))
    for name in _TEXTS & given.keys():
        check_text(given[name], name, or_empty=name == "job_name")
    for name in _SECONDS & given.keys():
        if given[name] is not None:
            reasonable(given[name], name, or_zero=name != "poll_interval")
    check_arguments(SimpleNamespace(**{**_NOT_GIVEN, **given}))
    check_literal_overrides(given.get("container_overrides"), given.get("submit_options"))
    definition = DefinitionArgument(given.get("definition", ""))
    if "definition" in given and not is_airflow_placeholder(given["definition"]):
        definition.reference()
    task_model(given.get("result"), definition.typed, waits=given.get("wait", True) is not False)
    if "parameters" in given and (given["parameters"] is None or isinstance(given["parameters"], dict)):
        definition.check(given["parameters"] or {})


def check_on_retry(given: Any) -> None:
    """Find at parse time what is no change of a request.

    Raises:
        ValueError: Something is none.
    """
    if given != ():
        from airflow_batch_jobs.batch.changes.change import check_changes

        check_changes(given, "on_retry")


@cache
def _arguments(kind: type) -> frozenset[str]:
    """Return the arguments that a class and those above it take."""
    every = (vars(each)["__init__"] for each in kind.__mro__ if "__init__" in vars(each))
    return frozenset(name for each in every for name in signature(each).parameters)


@cache
def _of_users(kind: type) -> frozenset[str]:
    """Return the arguments that those take which are derived from the classes of this package."""
    users = takewhile(lambda each: not each.__module__.startswith(_PACKAGE), kind.__mro__)
    every = (vars(each)["__init__"] for each in users if "__init__" in vars(each))
    return frozenset(name for each in every for name in signature(each).parameters)


@cache
def _required(kind: type) -> frozenset[str]:
    """Return the arguments without which Airflow makes no task of a class."""
    every = signature(kind.__init__).parameters.values()  # type: ignore[misc]  # the class is known here
    return frozenset(each.name for each in every if each.kind is each.KEYWORD_ONLY and each.default is each.empty)


def _defaults(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a call's `default_args`, its task group and its DAG have for it."""
    dag = given.get("dag") or DagContext.get_current()
    group = given.get("task_group") or (TaskGroupContext.get_current(dag) if dag else None)
    return get_merged_defaults(dag, group, None, given.get("default_args"))[0]


def refuse_foreign(kind: type, given: Mapping[str, Any], *, is_whole: bool = True) -> frozenset[str]:
    """Refuse arguments by the names that they have in the Amazon provider; return what is missing besides.

    Args:
        kind: The class that is called.
        given: The call's arguments.
        is_whole: Whether there are no more to come but defaults; if so, one by such a name counts where it would take
            the place of an argument that is missing.

    Raises:
        TypeError: There are some; the error names their counterparts.
    """
    foreign = [name for name in given if name not in _arguments(kind) and not name.startswith("_")]
    missing = _required(kind) - given.keys() if is_whole else frozenset()
    defaults = _defaults(given) if missing else {}
    missing -= defaults.keys()
    if foreign or missing:
        from airflow_batch_jobs.migration.counterparts import OPERATOR, SENSOR

        is_sensor = SENSOR.name in {each.__name__ for each in kind.__mro__}
        counterpart = SENSOR if is_sensor else OPERATOR
        foreign += [name for name in defaults if name not in given and counterpart.renamed.get(name) in missing]
        if refusal := counterpart.refusal(foreign, given.keys() | defaults.keys(), missing):
            raise TypeError(refusal)
    return missing


def refuse_mapped(kind: type, given: Mapping[str, Any]) -> None:
    """Refuse the arguments of a task to be mapped as Airflow does with one that it makes when the DAG is parsed."""
    if missing := refuse_foreign(kind, given):
        raise TypeError(f"{kind.__name__} is mapped without {' and '.join(sorted(missing))}")


def _literal(value: Any) -> Any:
    """Return a value with nothing in place of what is known only at run time."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_literal(item) for item in value]
    return value if isinstance(value, str) and not is_late(value) else ""
