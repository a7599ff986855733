"""What holds for every command: it is registered, is on its page, tells its errors, and costs `--help` nothing."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest
from typer.main import get_command
from typer.models import ParameterInfo

from airflow_batch_jobs.cli import app
from tests.docs.source import PACKAGE, ROOT, modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = sorted(get_command(app).commands)  # type: ignore[attr-defined]  # a group, since there are several
COMMANDS: list[Callable[..., Any]] = [each.callback for each in app.registered_commands if each.callback]
#: What the modules of cli/ import at their top, beside each other and the standard library: it is light.
LIGHT = {
    "typer",
    "rich",
    "airflow_batch_jobs.errors",
    "airflow_batch_jobs.batch.aws",
    "airflow_batch_jobs.batch.aws.explanation",
    "airflow_batch_jobs.batch.detail",
    "airflow_batch_jobs.batch.diagnosis",
    "airflow_batch_jobs.batch.identity",
    "airflow_batch_jobs.batch.job_id",
    "airflow_batch_jobs.batch.logs.event",
    "airflow_batch_jobs.batch.operations",
    "airflow_batch_jobs.batch.orphans",
    "airflow_batch_jobs.batch.status",
    "airflow_batch_jobs.batch.summary",
    "airflow_batch_jobs.batch.waiting",
    "airflow_batch_jobs.demo.interrupt",
}


def functions() -> Iterator[Callable[..., Any]]:
    """Yield the public functions that the modules of cli/ define."""
    for path in (PACKAGE / "cli").glob("[a-z]*.py"):
        module = import_module(f"airflow_batch_jobs.cli.{path.stem}")
        for name, each in vars(module).items():
            if inspect.isfunction(each) and each.__module__ == module.__name__ and name[0] != "_":
                yield each


def is_command(function: Callable[..., Any]) -> bool:
    """Tell whether a function is written as a command: with options, or a table of exit codes."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError:  # Typer could not read them either
        hints = {}
    takes_options = any(isinstance(each, ParameterInfo) for kind in hints.values() for each in _metadata(kind))
    return takes_options or "Exit codes:" in (function.__doc__ or "")


def _metadata(kind: Any) -> tuple[Any, ...]:
    return getattr(kind, "__metadata__", ())


def test_every_command_is_registered() -> None:
    """One that is not could not be called."""
    assert app.registered_callback is not None
    written = {each for each in functions() if is_command(each)}
    assert written == {*COMMANDS, app.registered_callback.callback}


def test_every_command_is_on_its_page() -> None:
    """With an example."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^airflow-batch-jobs ([a-z][a-z-]*)", page, re.MULTILINE))
    assert shown == set(NAMES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.__name__)
def test_a_command_works_where_its_errors_are_told(command: Callable[..., Any]) -> None:
    """Whatever goes wrong in it is one line and an exit code, so nothing stands behind that block."""
    [function] = ast.parse(textwrap.dedent(inspect.getsource(command))).body
    assert isinstance(function, ast.FunctionDef)
    last = function.body[-1]
    assert isinstance(last, ast.With)
    assert "console.errors_told()" in [ast.unparse(each.context_expr) for each in last.items]


def test_commands_import_at_the_top_only_what_is_light() -> None:
    """`--help` and completion import all of it: the rest is imported where it is used."""
    found = {
        source
        for module, tree in modules().items()
        if module.startswith("cli/")
        for node in tree.body
        for source in _imported(node)
        if not source.startswith("airflow_batch_jobs.cli") and source.partition(".")[0] not in sys.stdlib_module_names
    }
    assert {each.partition(".")[0] if each.startswith(("rich.", "typer.")) else each for each in found} == LIGHT


def _imported(node: ast.stmt) -> list[str]:
    match node:
        case ast.ImportFrom(module=str(source)):
            return [source]
        case ast.Import(names=names):
            return [each.name for each in names]
    return []
