"""The reference: every public name has a place in it, and a docstring that says what it takes, in which unit."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from pydoc import locate
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.config import OPTIONS, Settings
from airflow_batch_jobs.errors import BatchJobsError
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
            path = directive or anchor
            found = value_of(path) if path in PUBLIC else locate(path)  # a module may be called as what is in it
            if isinstance(found, ModuleType):
                yield from (getattr(found, name) for name in names_of(found.__name__))
            else:
                yield found


def told_of(*explained: Any) -> dict[str, str]:
    """Return what docstrings say of each argument and attribute."""
    texts = "\n\n".join(inspect.getdoc(each) or "" for each in explained)
    sections = re.findall(r"^(?:Args|Attributes):\n((?: +.*\n?|\n)+)", texts, re.MULTILINE)
    entries = re.findall(r"^ {4}\**(\w+): (.+(?:\n {5,}.+)*)", "\n".join(sections), re.MULTILINE)
    return dict(entries)


def callables() -> dict[str, tuple[Any, tuple[Any, ...]]]:
    """Return the public functions, methods and constructors, each with what explains its arguments."""
    found: dict[str, tuple[Any, tuple[Any, ...]]] = {}
    for path in PUBLIC:
        value = value_of(path)
        if not getattr(value, "__module__", "").startswith(PACKAGE):
            continue
        if inspect.isfunction(value):
            found[f"{value.__module__}.{value.__name__}"] = value, (value,)
        elif inspect.isclass(value) and not issubclass(value, Enum):
            for name, each in vars(value).items():
                call = inspect.unwrap(getattr(each, "__func__", each))
                is_ours = inspect.isfunction(call) and call.__module__.startswith(PACKAGE)
                if is_ours and (name == "__init__" or not name.startswith("_")):
                    classes = value.__mro__[:-1] if name == "__init__" else ()
                    found[f"{value.__module__}.{value.__name__}.{name}"] = call, (call, *reversed(classes))
    return found


CALLABLES = callables()


def taken_by(call: Any) -> dict[str, str]:
    """Return the arguments of a function with their types, without those that it hands on."""
    return {
        name: str(each.annotation)
        for name, each in inspect.signature(call).parameters.items()
        if name not in {"self", "cls"} and each.kind not in {each.VAR_KEYWORD, each.VAR_POSITIONAL}
    }


def kept_by(kind: Any) -> set[str]:
    """Return the public attributes of what is handed over: fields, and what the constructor of an error sets."""
    named = [each.name for each in fields(kind)] if "__dataclass_fields__" in vars(kind) else []
    if issubclass(kind, BatchJobsError) and "__init__" in vars(kind):
        named = re.findall(r"\bself\.(\w+)(?:: .+)? = ", inspect.getsource(kind.__init__))
    return {name for name in named if not name.startswith("_")}


def raised_by(call: Any) -> set[str]:
    """Return the names of the errors that a function makes and raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(call)))
    made = (node.exc.func for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call))
    return {name for kind in made if (name := ast.unparse(kind)).endswith("Error")}


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


@pytest.mark.parametrize("path", CALLABLES)
def test_every_argument_is_explained(path: str) -> None:
    """Of every public function, method and constructor, with its unit if it is a time."""
    call, explained = CALLABLES[path]
    told = told_of(*explained)
    for name, annotation in taken_by(call).items():
        if path == f"{PACKAGE}.config.Settings.__init__":
            assert OPTIONS[name]["description"]  # of which the page of options is made
            continue
        assert told.get(name), name
        if _SPAN.search(name) and "float" in annotation:
            assert "seconds" in told[name].lower() or name.endswith("seconds"), name


@pytest.mark.parametrize("path", [path for path in PUBLIC if inspect.isclass(value_of(path))])
def test_every_attribute_is_explained(path: str) -> None:
    """The fields of what is handed over, and what an error knows."""
    kind = value_of(path)
    if kind.__module__.startswith(PACKAGE) and kind is not Settings:
        assert kept_by(kind) <= told_of(*reversed(kind.__mro__[:-1])).keys()


@pytest.mark.parametrize("path", CALLABLES)
def test_every_error_that_is_raised_is_explained(path: str) -> None:
    """By the function that raises it, or by the class whose constructor it is."""
    call, explained = CALLABLES[path]
    if not is_dataclass(explained[-1]):
        said = "\n".join(inspect.getdoc(each) or "" for each in explained)
        raises = re.findall(r"^Raises:\n((?: +.*\n?|\n)+)", said, re.MULTILINE)
        assert raised_by(call) <= set(re.findall(r"^ {4}(\w+): ", "\n".join(raises), re.MULTILINE))


def test_every_option_says_its_unit() -> None:
    """In what Airflow and the reference show of it."""
    for each in fields(Settings):
        if each.type == "float":
            assert re.search(r"[Ss]econd", OPTIONS[each.name]["description"]), each.name
