"""The reference: every public name has a place in it, and a docstring that says what it takes, in which unit."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from enum import Enum
from importlib import import_module
from pydoc import locate
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import pytest

import airflow_batch_jobs
from airflow_batch_jobs.config import OPTIONS, Settings
from airflow_batch_jobs.decorators import batch_job_task
from docs.public_names import MODULES, PACKAGE, names_of
from tests.docs.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
#: What a page documents by a directive of mkdocstrings, or in words under an anchor.
DIRECTIVE = re.compile(r"^::: ([\w.]+)$|^\[\]\(\)\{#([\w.]+)\}", re.MULTILINE)
PUBLIC = [f"{module}.{name}" for module in MODULES for name in names_of(module)]
#: Arguments of time, by their names.
_SPAN = re.compile(r"interval|timeout|grace|seconds|delay")


def value_of(path: str) -> Any:
    """Return what a path leads to."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def documented() -> Iterator[Any]:
    """Yield all that has a place in the reference; of a module that is all of its public names."""
    for page in PAGES:
        for directive, anchor in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            found = locate(directive or anchor)
            if isinstance(found, ModuleType):
                yield from (getattr(found, name) for name in names_of(found.__name__))
            else:
                yield found


def arguments(kind: Any) -> dict[str, str]:
    """Return what the docstrings of a class and its constructor, or of a function, say of each argument."""
    texts = [inspect.getdoc(kind) or "", inspect.getdoc(kind.__init__) or "" if inspect.isclass(kind) else ""]
    sections = re.findall(r"^(?:Args|Attributes):\n((?: +.*\n?|\n)+)", "\n\n".join(texts), re.MULTILINE)
    entries = re.findall(r"^ {4}\**(\w+): (.+(?:\n {5,}.+)*)", "\n".join(sections), re.MULTILINE)
    return dict(entries)


def kinds() -> list[Any]:
    """Return the classes and functions of the face that people call themselves."""
    named = [getattr(airflow_batch_jobs, name) for name in airflow_batch_jobs.__all__]
    own = [each for each in named if inspect.isclass(each) and each.__module__.startswith(PACKAGE)]
    return [each for each in own if not issubclass(each, (Exception, Enum, Protocol))] + [batch_job_task]


def taken_by(kind: Any) -> dict[str, str]:
    """Return the arguments of a class or function with their types, without those that it hands on."""
    call = inspect.unwrap(kind.__init__) if inspect.isclass(kind) else kind
    return {
        name: str(each.annotation)
        for name, each in inspect.signature(call).parameters.items()
        if name != "self" and each.kind not in {each.VAR_KEYWORD, each.VAR_POSITIONAL}
    }


def test_every_public_name_has_a_place() -> None:
    """By what it is: a class that is public in two modules has one."""
    placed = list(documented())
    assert len(PUBLIC) > 100
    missing = [path for path in PUBLIC if not any(value_of(path) is each for each in placed)]
    assert missing == [f"{PACKAGE}.__version__"]


@pytest.mark.parametrize("path", PUBLIC)
def test_every_public_name_is_explained(path: str) -> None:
    """By a docstring of its own; the constants among them by the line above."""
    value = value_of(path)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_argument_is_explained(kind: Any) -> None:
    """Of what a DAG's author calls, with its unit if it is a time."""
    told = arguments(kind)
    for name, annotation in taken_by(kind).items():
        assert told.get(name), name
        if _SPAN.search(name) and "float" in annotation:
            assert "seconds" in told[name].lower() or name.endswith("_seconds"), name


def test_every_option_says_its_unit() -> None:
    """In what Airflow and the reference show of it."""
    for each in fields(Settings):
        if each.type == "float":
            assert re.search(r"[Ss]econd", OPTIONS[each.name]["description"]), each.name
