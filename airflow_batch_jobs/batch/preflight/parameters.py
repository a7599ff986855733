"""The parameters of a request: whether each placeholder of the commands that will run is filled, and each is of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.definition.problems import nearest
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.placeholders import placeholders_inside, placeholders_of
from airflow_batch_jobs.batch.request import unfilled_placeholders
from airflow_batch_jobs.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.batch.overrides import OverriddenContainer
    from airflow_batch_jobs.batch.preflight.plan import Plan

_MOST_SHOWN = 60


def check_placeholders(plan: Plan) -> None:
    """Find any `Ref::x` in the commands that will run for which nothing gives `x` a value.

    AWS would pass the placeholder to the program as it is.

    Raises:
        ParameterError: A placeholder is not filled.
    """
    defaults, given = plan.definition.get("parameters") or {}, plan.request.get("parameters") or {}
    for command in _running(plan):
        for name in unfilled_placeholders(command, defaults, given):
            raise ParameterError(
                plan.name,
                name,
                f"is missing: the command has the placeholder Ref::{name} and neither the definition's defaults nor "
                "the parameters given fill it",
            )


def note_placeholders_inside(plan: Plan, note: Callable[[str], object]) -> None:
    """Tell of any `Ref::x` that stands inside an item of a command, where AWS does not fill it."""
    found = {
        name: item
        for command in _running(plan)
        for item in command
        for name in placeholders_inside(item, plan.parameters)
    }
    if found:
        names, items = ", ".join(f"Ref::{name}" for name in found), list(dict.fromkeys(found.values()))
        more = ", …" if len(items) > 1 else ""
        note(
            f"Not filled in: {names} in {excerpt(items[0], _MOST_SHOWN)!r}{more}. AWS fills in whole items of the "
            "command only; make an item of each, or pass the value in the environment"
        )


def note_placeholders_elsewhere(plan: Plan, note: Callable[[str], object]) -> None:
    """Tell of any `Ref::x` in an image or in the environment, where AWS fills none."""
    found = {
        f"Ref::{name}": where
        for task in plan.tasks
        for container in task.containers
        for where, text in _texts(container)
        for name in placeholders_of(text, plan.parameters)
        if name
    }
    if found:
        note(
            f"Not filled in: {', '.join(found)} in {', '.join(dict.fromkeys(found.values()))}. AWS fills in items of "
            "the command only; write the value itself, or override the environment with it"
        )


def note_unused_parameters(plan: Plan, note: Callable[[str], object]) -> None:
    """Tell of the parameters of the request that no command has a placeholder for, not even one that is replaced."""
    defaults = set(plan.definition.get("parameters") or {})
    used = {
        name for command in _all_commands(plan) for item in command for name in placeholders_of(item, plan.parameters)
    }
    given = set(plan.request.get("parameters") or {})
    if unused := sorted(given - used):
        near = {name: nearest(name, (used | defaults) - given) for name in unused}
        names = ", ".join(f"{name!r} (did you mean {near[name]!r}?)" if near[name] else repr(name) for name in unused)
        note(f"Nothing in {plan.name} uses {names}: such a parameter has no effect")


def commands(container: OverriddenContainer) -> Iterator[list[str]]:
    """Yield what will run in a container; in a pod that is the command and its arguments."""
    for key in ("command", "args"):
        yield list(container.override.get(key) or container.defined.get(key) or ())


def _texts(container: OverriddenContainer) -> Iterator[tuple[str, str]]:
    """Yield the image and the value of each environment variable, with what it is."""
    yield "the image", str(container.defined.get("image") or "")
    environment = {
        variable.get("name"): variable.get("value")
        for properties in (container.defined, container.override)
        for variable in properties.get("env") or properties.get("environment") or ()
    }
    for name, value in environment.items():
        yield f"the environment variable {name}", str(value or "")


def _running(plan: Plan) -> Iterator[list[str]]:
    return (command for task in plan.tasks for container in task.containers for command in commands(container))


def _all_commands(plan: Plan) -> Iterator[list[str]]:
    yield from _running(plan)
    for task in plan.tasks:
        for container in task.containers:
            yield list(container.defined.get("command") or ())
            yield list(container.defined.get("args") or ())
