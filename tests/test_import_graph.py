"""The house as its imports draw it: which room may import which, read from the source; imports of types count too."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import airflow_batch_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "airflow_batch_jobs"
PACKAGE = Path(str(airflow_batch_jobs.__file__)).parent
#: What a DAG's author and Airflow import; the package itself is the empty name.
FACE = frozenset(
    {"decorators", "job_task", "operators", "plugin", "provider", "retries", "sensors", "sweep", "triggers", ""}
)
#: Upwards; what stands on one floor may import from those below it, and from its own where that closes no circle.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"batch"}),
    frozenset({"config", "links", "local", "migration"}),
    frozenset({"task"}),
    FACE,
    frozenset({"demo"}),
    frozenset({"cli"}),
)
#: JobFailedError carries the diagnosis that its raiser made.
UPWARD_TYPES = {("errors", "batch.diagnosis")}
#: These import inside functions: a DAG file is parsed again and again, and a command is to answer at once.
LATE_ROOMS = FACE | {"config", "links", "cli"}
#: These do so where something heavy must not be loaded with them: boto3, and Airflow's hook above it, take a second, so
#: the thread that makes a client loads them; the local AWS is to start in a third of a second and to stay small;
#: what is wrong with an argument is explained only where something is.
LATE_IMPORTS = {
    "batch.aws.": ("boto3", "botocore"),
    "task.arguments": ("airflow_batch_jobs.batch", "airflow_batch_jobs.migration"),
    "task.connection": ("airflow.providers.amazon", "botocore"),
    "local": ("boto3", "botocore", "importlib", "airflow_batch_jobs.local"),
}
MOST_ROOMS = 18
LONGEST_FACE = 40


class Import(NamedTuple):
    """One import in a module."""

    module: str
    target: str
    is_type: bool
    is_late: bool


@cache
def module_names() -> frozenset[str]:
    """Return the names of all modules, without reading them."""
    return frozenset(_name(path) for path in PACKAGE.rglob("*.py"))


@cache
def modules() -> dict[str, ast.Module]:
    """Return the source of each module by its dotted name below the package; the package itself is empty."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return {_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of every module."""
    return tuple(found for module, tree in modules().items() for found in _imports(module, tree))


def own_imports() -> Iterator[Import]:
    """Yield the imports of the package's own modules."""
    for found in imports():
        if found.target == NAME or found.target.startswith(f"{NAME}."):
            yield found._replace(target=found.target.removeprefix(NAME).removeprefix("."))


def floor(module: str) -> int:
    """Return the floor that a module stands on."""
    room = module.partition(".")[0]
    [number] = [number for number, rooms in enumerate(FLOORS) if room in rooms]
    return number


def packages() -> list[Path]:
    """Return the folders of the packages in the package."""
    return sorted(path.parent for path in PACKAGE.rglob("*/__init__.py"))


def test_nothing_imports_upward_but_a_type() -> None:
    """Command line, face, task, batch, errors: each knows only what is below it."""
    upward = {found for found in own_imports() if floor(found.target) > floor(found.module)}
    assert {(found.module, found.target) for found in upward} == UPWARD_TYPES
    assert all(found.is_type for found in upward)


def test_no_module_leads_back_to_itself() -> None:
    """There is no circle of imports, not even of types."""
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for found in own_imports():
        graph[found.module].add(found.target)
    _assert_no_circle(graph)


@pytest.mark.parametrize("depth", [1, 2])
def test_no_room_leads_back_to_itself(depth: int) -> None:
    """Nor is there one between packages, each standing for everything in it."""
    graph: dict[str, set[str]] = {}
    for found in own_imports():
        module, target = (".".join(name.split(".")[:depth]) for name in (found.module, found.target))
        if module != target and (found.module, found.target) not in UPWARD_TYPES:
            graph.setdefault(module, set()).add(target)
    _assert_no_circle(graph)


def test_airflow_is_known_to_the_face_and_to_tasks() -> None:
    """Batch, the local AWS, the command line and the DAG rewriting do without it."""
    knows = {found.module.partition(".")[0] for found in imports() if found.target.partition(".")[0] == "airflow"}
    assert not knows & {"errors", "batch", "local", "migration", "demo", "cli"}


def test_imports_stand_at_the_top() -> None:
    """Only the face, commands, and what must be loaded in a thread import inside functions."""
    late = {found for found in imports() if found.is_late and not _may_import_late(found)}
    assert late == set()


def test_the_root_is_small() -> None:
    """That many rooms can be taken in at a glance."""
    rooms = {module.partition(".")[0] for module in modules()} - {""}
    assert len(rooms) <= MOST_ROOMS
    assert rooms | {""} == frozenset().union(*FLOORS)


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.name)
def test_a_package_has_a_short_face(package: Path) -> None:
    """Its `__init__` names what others use from it, and holds no code of its own."""
    text = (package / "__init__.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text), clean=False) or ""
    assert len(text.splitlines()) - len(docstring.splitlines()) < LONGEST_FACE
    assert not package.with_suffix(".py").exists()


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(module: str, tree: ast.AST, *, is_type: bool = False, is_late: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(module, each.name, is_type, is_late) for each in names)
            case ast.ImportFrom(module=str(source), names=names):
                # `from package import module` leads to the module, `from module import name` to that.
                own = source.removeprefix(NAME).removeprefix(".")
                for each in names:
                    inner = f"{own}.{each.name}" if own else each.name
                    is_module = source.startswith(NAME) and inner in module_names()
                    yield Import(module, f"{source}.{each.name}" if is_module else source, is_type, is_late)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imports(module, node, is_type=True, is_late=is_late)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _imports(module, node, is_type=is_type, is_late=True)
            case _:
                yield from _imports(module, node, is_type=is_type, is_late=is_late)


def _may_import_late(found: Import) -> bool:
    if found.module.partition(".")[0] in LATE_ROOMS:
        return True
    return any(
        found.module.startswith(place) and found.target.startswith(targets) for place, targets in LATE_IMPORTS.items()
    )


def _assert_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
