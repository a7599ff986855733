"""CONTRIBUTING.md and the pages for who carries on: every file, command and name that they mention is there."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.docs.source import PACKAGE, ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = (ROOT / "CONTRIBUTING.md", *(ROOT / "docs" / name for name in ("architecture.md", "releasing.md")))
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
    },
    "of its triggers": {
        "TaskSuccessEvent",
        "TypeError",
        "context_carrier",
        "TaskGroup.loop",
        "<task>_<index>",
    },
    "of its hook": {"AwsGenericHook", "get_session"},
    "of its SDK": {
        "should_hide_value_for_key",
        "execution_timeout",
        "ensure_secrets_backend_loaded",
        "Connection.extra",
    },
    "commands": {"redis-server", "airflow-batch-jobs"},
    "branches": {"gh-pages"},
    "options": {"--help", "deferrable=False", "[batch_jobs]", "[core] killed_task_cleanup_time", "__init__"},
    "stored": {"batch_job", "batch_job_log_cursor", "batch_job_wait"},
}


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


def test_a_row_of_the_architecture_names_a_file_that_has_what_it_is_about() -> None:
    """A name in the first column occurs in one of the files of the others."""
    rows = [
        line.strip("|").split("|") for line in PAGES[1].read_text(encoding="utf-8").splitlines() if line[:2] == "| "
    ]
    astray, count = [], 0
    for what, *where in rows:
        files = [file for quote in re.findall(r"`([^`]+)`", " ".join(where)) for file in files_of(quote)]
        source = "".join(file.read_text(encoding="utf-8") for file in files)
        for name in re.findall(r"`(?:\w+\.)*(\w+)`", what):
            count += 1
            if name not in source:
                astray.append((name, *where))
    assert count > 40
    assert astray == []


def files_of(quote: str) -> list[Path]:
    """Return the files at a path from the root or from the package, those of a folder as well."""
    path = next((base / quote for base in (ROOT, PACKAGE) if (base / quote).exists()), None)
    return [] if path is None else [path] if path.is_file() else sorted(path.rglob("*.py"))


def test_every_command_of_the_contributors_page_is_there() -> None:
    """Tasks of poe, and paths that pytest takes."""
    text = PAGES[0].read_text(encoding="utf-8")
    named = set(re.findall(r"uv run poe ([\w-]+)", text))
    assert {"quick", "check"} <= named <= tasks()
    tried = re.findall(r"uv run pytest (\S+)", text)
    assert [path for path in tried if not exists(path)] == []


def test_the_map_has_every_room() -> None:
    """Each module and package at the root of the package stands on a floor."""
    rooms = {path.name + ("/" if path.is_dir() else "") for path in PACKAGE.iterdir()}
    assert rooms - {"__init__.py", "py.typed", "__pycache__/"} <= quotes(PAGES[1])


def tasks() -> set[str]:
    """Return the tasks of poe."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(project["tool"]["poe"]["tasks"])
