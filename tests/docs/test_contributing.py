"""CONTRIBUTING.md and the pages for who carries on: every file, command and name that they mention is there."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.docs.source import PACKAGE, ROOT
from tests.test_import_graph import FACE, LATE_IMPORTS, LATE_ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
ARCHITECTURE, INTERNALS, RELEASING = (
    ROOT / "docs" / name for name in ("architecture.md", "airflow-internals.md", "releasing.md")
)
PAGES = (CONTRIBUTING, ARCHITECTURE, INTERNALS, RELEASING)
#: Words in code that name nothing in this repository: of shells, of Airflow, of AWS.
OF_OTHERS = {
    "Airflow's": {
        "SUPERVISOR_COMMS",
        "GetTaskBreadcrumbs",
        "_REASSIGNED_CANCEL_MSG",
        "_serialize_rendered_fields",
        "SET_DURING_EXECUTION",
        "_post_execute_hook",
        "_BaseOperator__from_mapped",
        "_expand_called",
        "RuntimeTaskInstance.get_task_states",
        "GetTaskStates",
        "GetDRCount",
        "SetExecutionTimeout",
        "TRIGGER_FAIL_REPR",
        "TriggerFailureReason",
        "OperatorPartial",
        "DagContext",
        "TaskGroupContext",
        "get_merged_defaults",
        "determine_kwargs",
        "context_merge",
        "ExecutionAPISecretsBackend",
        "EnvironmentVariablesBackend",
    },
    "of its triggers": {
        "TaskSuccessEvent",
        "TypeError",
        "context_carrier",
        "TaskGroup.loop",
        "<task>_<index>",
    },
    "of its hook": {"AwsGenericHook", "get_session", "conn_config"},
    "botocore's": {"before-parse", "Loader", "ServiceModel"},
    "of its SDK": {
        "should_hide_value_for_key",
        "execution_timeout",
        "ensure_secrets_backend_loaded",
        "Connection.extra",
        "timestamp",
    },
    "commands": {"redis-server", "airflow-batch-jobs"},
    "branches": {"gh-pages"},
    "options": {
        "--help",
        "--e2e",
        "--chaos",
        "deferrable=False",
        "terminate_on_kill=False",
        "version_added",
        "min_heartbeat_interval",
        "[batch_jobs]",
        "[core] killed_task_cleanup_time",
        "__init__",
    },
    "stored": {"batch_job", "batch_job_log_cursor", "batch_job_wait"},
}

#: Private names that a class of the package uses of another instance of its own.
OF_OUR_OWN = {"_begin"}


@cache
def quotes(page: Path) -> frozenset[str]:
    """Return what a page has in backticks, outside of its blocks."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return frozenset(re.findall(r"`([^`]+)`", text))


def is_path(quote: str) -> bool:
    """Tell whether a quote is a file or a folder."""
    return quote.startswith("/") or "/" in quote or quote.endswith((".py", ".md", ".yml"))


def exists(path: str) -> bool:
    """Tell whether a path leads somewhere, from the root or from the package."""
    return path.startswith("/") or any((base / path).exists() for base in (ROOT, PACKAGE))


@cache
def names() -> frozenset[str]:
    """Return every name that the package or its tests define, those of members with their class as well."""
    found: set[str] = set()
    for path in (*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ClassDef(name=name, body=body):
                    found.add(name)
                    found |= {f"{name}.{each.name}" for each in body if isinstance(each, _FUNCTIONS)}
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(name)
                case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(name)
    return frozenset(found)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_leads_somewhere(page: Path) -> None:
    """Also those of links; but for what is built, which need not be there."""
    text = page.read_text(encoding="utf-8")
    paths = {quote for quote in quotes(page) if is_path(quote) and not quote.startswith("build/")}
    assert len(paths) > 3
    assert {path for path in paths if not exists(path)} == set()
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.long
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_is_defined(page: Path) -> None:
    """In the package, in its tests, or by somebody else who is named here."""
    others = {each for known in OF_OTHERS.values() for each in known}
    called = {quote for quote in quotes(page) if not is_path(quote)} - others - {f"poe {task}" for task in tasks()}
    assert {name for name in called if name not in names() and name.removeprefix("uv run poe ") not in tasks()} == set()


@pytest.mark.parametrize(("page", "least"), [(ARCHITECTURE, 15), (INTERNALS, 30)])
def test_a_row_names_a_file_that_has_what_it_is_about(page: Path, least: int) -> None:
    """A name in the first column occurs in one of the files of the others."""
    rows = [line.strip("|").split("|") for line in page.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    astray, count = [], 0
    for what, *where in rows:
        files = [file for quote in re.findall(r"`([^`]+)`", " ".join(where)) for file in files_of(quote)]
        source = "".join(file.read_text(encoding="utf-8") for file in files)
        for name in [re.split(r"\W", quote)[-1] for quote in re.findall(r"`([\w.]+)`", what) if not is_path(quote)]:
            count += 1
            if name not in source:
                astray.append((name, *where))
    assert count > least
    assert astray == []


def test_every_row_of_the_internals_names_a_file() -> None:
    """What relies on them can be found."""
    rows = [
        line
        for line in INTERNALS.read_text(encoding="utf-8").splitlines()
        if line[:2] == "| " and line != "| what | where |"
    ]
    assert [row for row in rows if not any(map(files_of, re.findall(r"`([^`]+)`", row.split("|")[-2])))] == []


def test_every_private_name_of_airflow_is_among_the_internals() -> None:
    """Those that are imported, called, assigned or asked for by their text, and those of methods that are replaced."""
    found = {name for path in PACKAGE.rglob("*.py") for name in private_names(path)} | set(replaced_names())
    assert {"should_hide_value_for_key", "_expand_called", "_BaseOperator__from_mapped"} < found
    assert "_do_render_template_fields" in found
    assert {name for name in found if name not in quotes(INTERNALS)} == set()


def private_names(path: Path) -> Iterator[str]:
    """Yield what a module imports from private modules, and the private names of others that it has in its code.

    Ruff sees to it that an attribute of another class's is marked where it stands.
    """
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=str(source), names=imported) if "._" in source:
                yield from (each.name for each in imported)
            case ast.ImportFrom(module=str(source), names=imported) if not source.startswith(PACKAGE.name):
                yield from (each.name for each in imported if is_private(each.name))
            case ast.Attribute(attr=name, lineno=line) if "SLF001" in lines[line - 1]:
                yield from {name} - OF_OUR_OWN if is_private(name) else ()
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                yield from {name} if is_private(name) else ()


def replaced_names() -> Iterator[str]:
    """Yield the private names of classes of Airflow's that a class of the package has as well."""
    modules = [import_module(f"{PACKAGE.name}.{path.stem}") for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    modules += [import_module(f"{PACKAGE.name}.task.{path.stem}") for path in (PACKAGE / "task").glob("[a-z]*.py")]
    for kind in {each for module in modules for each in vars(module).values() if isinstance(each, type)}:
        own = [each for each in kind.__mro__ if each.__module__.startswith(PACKAGE.name)]
        airflows = [each for each in kind.__mro__ if each.__module__.startswith("airflow.")]
        both = {name for each in own for name in vars(each)} & {name for each in airflows for name in vars(each)}
        yield from filter(is_private, both - {"_abc_impl"})


def is_private(name: str) -> bool:
    """Tell whether a name is private; those of the language are not."""
    return name.startswith("_") and not name.endswith("__")


def test_the_rule_on_imports_names_every_place_of_late_ones() -> None:
    """As `tests/test_import_graph.py` has them."""
    listed = ARCHITECTURE.read_text(encoding="utf-8").partition("\nImports are inside functions only in:\n")[2]
    listed = listed.partition("\n## ")[0]
    places = [place.strip(".").replace(".", "/") for place in (*LATE_IMPORTS, *(LATE_ROOMS - FACE))]
    named = {each.rstrip("/").removesuffix(".py") for each in re.findall(r"`([^`]+)`", listed)}
    assert {place for place in places if place not in named} == set()


def files_of(quote: str) -> list[Path]:
    """Return the files at a path from the root or from the package, those of a folder as well."""
    path = next((base / quote for base in (ROOT, PACKAGE) if (base / quote).exists()), None)
    return [] if path is None else [path] if path.is_file() else sorted(path.rglob("*.py"))


def test_every_command_of_the_contributors_page_is_there() -> None:
    """Tasks of poe, and paths that pytest takes."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    named = set(re.findall(r"uv run poe ([\w-]+)", text))
    assert {"quick", "check"} <= named <= tasks()
    tried = re.findall(r"uv run pytest (\S+)", text)
    assert [path for path in tried if not exists(path)] == []


def test_the_map_has_every_room() -> None:
    """Each module and package at the root of the package stands on a floor, and the packages inside of `batch/`."""
    rooms = {path.name + ("/" if path.is_dir() else "") for path in PACKAGE.iterdir()}
    rooms |= {f"batch/{path.parent.name}/" for path in PACKAGE.glob("batch/*/__init__.py")}
    assert rooms - {"__init__.py", "py.typed", "__pycache__/"} <= quotes(ARCHITECTURE)


def tasks() -> set[str]:
    """Return the tasks of poe."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(project["tool"]["poe"]["tasks"])
