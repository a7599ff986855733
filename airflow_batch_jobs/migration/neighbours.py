"""Neighbours: the files of a run, and what one of them gets by importing from another."""

from __future__ import annotations

import ast
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from airflow_batch_jobs.migration.counterparts import CLASSES, COUNTERPARTS, MODULES, OURS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    #: Returns what is known of a module, by the name that a file imports it under; None if that is nothing.
    Look = Callable[[str], "Neighbour | None"]


class Neighbour(NamedTuple):
    """What other files can import from a file, as far as it concerns the provider's classes.

    Attributes:
        names: The full names of what each name stands for.
        public: The names that `import *` gives.
    """

    names: Mapping[str, Sequence[str]]
    public: frozenset[str]


class Neighbours:
    """The files of a run. Reads those that another one imports from, and runs none."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = {path.absolute() for path in paths}
        self._known: dict[Path, Neighbour | None] = {}

    def seen_from(self, path: Path) -> Look:
        """Return what looks up the modules that a file imports."""
        return partial(self._look, path.absolute())

    def _look(self, importer: Path, module: str) -> Neighbour | None:
        """Return what is known of a module.

        Args:
            importer: The file that imports it.
            module: Its name there, with dots in front if it is relative.
        """
        found = self._find(importer, module)
        if found is None:
            return None
        if found not in self._known:
            self._read(found, module)
        return self._known[found]

    def _find(self, importer: Path, module: str) -> Path | None:
        """Return the file that a module is; None if it is none of the run, or may be several."""
        name = module.lstrip(".")
        level = len(module) - len(name)
        folders = [importer, *importer.parents][level : level + 1] if level else importer.parents
        parts = name.split(".") if name else []
        ends = [[*parts, "__init__.py"], *([[*parts[:-1], f"{parts[-1]}.py"]] if parts else [])]
        files = {folder.joinpath(*end) for folder in folders for end in ends} & self._paths
        return files.pop() if len(files) == 1 else None

    def _read(self, path: Path, module: str) -> None:
        """Read a file, and whatever it imports from: one after the other, since a chain of imports may be long."""
        files: dict[Path, tuple[str, list[ast.stmt]]] = {}
        waiting = [(path, module)]
        while waiting:
            path, module = waiting.pop()
            if path in self._known:
                continue
            try:
                tree = ast.parse(path.read_bytes())
            except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
                self._known[path] = None  # said of that file itself
                continue
            self._known[path] = Neighbour({}, frozenset())
            statements = list(_statements(tree.body))
            files[path] = module, statements
            sources = [_source(each) for each in statements if isinstance(each, ast.ImportFrom)]
            waiting += [(found, source) for source in sources if (found := self._find(path, source))]
        is_stable = False
        for _ in files:  # the last ones first, and again where files import from each other in a circle
            if is_stable:
                break
            is_stable = True
            for each, (name, statements) in reversed(files.items()):
                before, self._known[each] = self._known[each], self._named(each, name, statements)
                is_stable = is_stable and self._known[each] == before

    def _named(self, path: Path, module: str, statements: Iterable[ast.stmt]) -> Neighbour:
        names: dict[str, set[str]] = {}
        for statement in statements:
            for name, full_names in self._bound(path, module, statement):
                names.setdefault(name, set()).update(full_names)
        wanted = {name: sorted(found) for name, found in names.items() if name in CLASSES or _OF_INTEREST & found}
        exported = _exported(statements)
        public = (name for name in wanted if (not name.startswith("_") if exported is None else name in exported))
        return Neighbour(wanted, frozenset(public))

    def _bound(self, path: Path, module: str, statement: ast.stmt) -> Iterator[tuple[str, Iterable[str]]]:
        """Yield the names that a statement at the top of a file gives a meaning, with their full names."""
        match statement:
            case ast.ImportFrom():
                source = _source(statement)
                known = self._look(path, source)
                for alias in statement.names:
                    if alias.name == "*":
                        yield from _all_of(source, known)
                    else:
                        found = known.names.get(alias.name) if known else None
                        yield alias.asname or alias.name, found or [f"{source}.{alias.name}"]
            case ast.Import():
                for alias in statement.names:
                    name = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield alias.asname or name, [name]
            case ast.ClassDef() | ast.FunctionDef():
                yield statement.name, [f"{module}.{statement.name}"]
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, [f"{module}.{target.id}"]


#: What other files may get from one that imports it.
_OF_INTEREST = COUNTERPARTS.keys() | MODULES | OURS.keys()


def _all_of(module: str, known: Neighbour | None) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what `import *` gives: of a file of the run, or of a module of the provider's."""
    if known is not None:
        yield from ((name, known.names[name]) for name in sorted(known.public))
    for full_name in COUNTERPARTS:
        package, _, name = full_name.rpartition(".")
        if package == module:
            yield name, [full_name]


def _source(statement: ast.ImportFrom) -> str:
    """Return the module that a statement imports from, with dots in front if it is relative."""
    return "." * statement.level + (statement.module or "")


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements that run when a module is imported, also those below an `if` or a `try`."""
    waiting = list[ast.AST](body)[::-1]
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.stmt):
            yield each
        if isinstance(each, (ast.If, ast.Try, ast.TryStar, ast.ExceptHandler, ast.With, ast.For, ast.While)):
            parts = [getattr(each, part, []) for part in ("body", "handlers", "orelse", "finalbody")]
            waiting += reversed([below for part in parts for below in part])


def _exported(statements: Iterable[ast.stmt]) -> set[str] | None:
    """Return the names in `__all__`; None if there is none, or it is not written out."""
    exported: set[str] | None = None
    for statement in statements:
        if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign)) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            exported = exported or set()
            with suppress(ValueError, TypeError):
                exported.update(ast.literal_eval(statement.value))
                continue
            return None
    return exported
