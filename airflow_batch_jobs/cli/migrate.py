"""`airflow-batch-jobs migrate`: rewrite DAG files that use the Amazon provider's BatchOperator, as far as possible."""

from __future__ import annotations

import shlex
import stat

# typer reads the annotations when the command runs.
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_batch_jobs.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_batch_jobs.migration import Migration
    from airflow_batch_jobs.migration.neighbours import Look

_PIN = "--pin"
#: How many places a line of the summary names.
_NAMED = 8


def migrate(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DAG files, or folders of them.")],
    *,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the files. Without it, only show.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Neither rewrite nor show: exit with 1 unless there is nothing to do.")
    ] = False,
    pin: Annotated[
        list[str] | None,
        typer.Option(
            _PIN,
            metavar="NAME=REVISION",
            help="The revision of a definition that the files name without one; repeat for more.",
        ),
    ] = None,
) -> None:
    """Rewrite DAGs from the Amazon provider's BatchOperator and BatchSensor to this package.

    Knows them under all names that they have had: AwsBatchOperator, and airflow.contrib's AWSBatchOperator. Prints a
    unified diff and changes nothing; with --write it changes the files instead. What a file imports from another one is
    known if both are given. What the files alone do not decide is left to you: in a comment that begins with
    `# TODO(airflow-batch-jobs)`, and on stderr with the line in the rewritten file. Run it again, with --pin or
    without, as often as you like. Never runs a DAG, and asks AWS nothing.

    Passes over hidden files and folders, virtual environments, caches, `build`, `dist` and `node_modules`, unless you
    name them. Rewrites Python files only; of notebooks, YAML, JSON, TOML, templates and zip archives it names those
    that have one of the classes in them.

        airflow-batch-jobs migrate dags/nightly.py
        airflow-batch-jobs migrate dags/ --pin align-reads=7 --write
        airflow-batch-jobs migrate dags/ --check
        git grep -n "TODO(airflow-batch-jobs)"

    Exit codes:

        0  nothing is left for you; with --check: and no file would be rewritten
        1  something is left for you; with --check: or a file would be rewritten
        2  a file could not be read, understood or written; the others are done
    """
    from airflow_batch_jobs.migration.dag_files import DagFiles
    from airflow_batch_jobs.migration.neighbours import Neighbours

    if write and check:
        raise typer.BadParameter("--write and --check exclude each other", param_hint="--check")
    pins = _pins(pin or [])
    with console.errors_told():
        files, summary = DagFiles(), _Summary()
        every = list(files.below(paths))
        neighbours = Neighbours(every)
        # All are read before any is written: one may import from another.
        for path, migration in [(path, _migrated(path, pins, neighbours.seen_from(path))) for path in every]:
            if migration is None:
                summary.failed += 1
                continue
            summary.add(path, migration)
            if migration.changes and write:
                summary.failed += not _written(path, migration)
            elif migration.changes:
                _show(path, migration, is_brief=check)
            _say(path, migration)
        summary.others = sum(map(_say_other, files.others))
        for error in files.errors:
            console.complain(f"{error.filename}: {error.strerror}")
        summary.failed += len(files.errors)
        summary.say(paths, pins, files.passed_over, is_written=write)
        if summary.failed:
            raise typer.Exit(console.USAGE)
        if summary.todo or summary.others or (check and summary.changed):
            raise typer.Exit(console.FAILED)


class _Summary:
    """What became of all files."""

    def __init__(self) -> None:
        self.files = self.failed = self.rewritten = 0
        self.changed: list[Path] = []
        self.left = self.others = 0
        #: Where uses are left: a file and a line.
        self.left_at: list[str] = []
        #: Files with the number of comments that are left for a person.
        self.todo: dict[Path, int] = {}
        self._unpinned: set[str] = set()
        self._pinned: set[str] = set()

    def add(self, path: Path, migration: Migration) -> None:
        """Count what became of a file."""
        self.files += 1
        self.rewritten += migration.rewritten
        self.changed += [path] if migration.changes else []
        self.left += migration.left
        self.left_at += [f"{path}:{line}" for line in migration.left_at()]
        if findings := migration.findings():
            self.todo[path] = len(findings)
        self._unpinned |= migration.unpinned
        self._pinned |= migration.pinned

    def say(
        self, paths: Sequence[Path], pins: dict[str, int], passed_over: Sequence[Path], *, is_written: bool
    ) -> None:
        """Print on stderr how many uses there are, what became of them, and what to do next."""
        uses = self.rewritten + self.left
        where = f"of BatchOperator or BatchSensor in {_count(self.files, 'file')}"
        done = "rewritten" if is_written else "can be rewritten, with --write"
        console.note(
            f"{_count(uses, 'use')} {where}: {self.rewritten} {done}, {self.left} left." if uses else f"No use {where}."
        )
        if self.failed:
            console.note(f"{_count(self.failed, 'file or folder', 'files or folders')} failed, as said above.")
        if self.left_at:
            console.note(f"Left at {_named(self.left_at)}")
        if self.others:
            console.note(f"Other files that name these classes, as said above: {self.others}.")
        if self.todo:
            total = sum(self.todo.values())
            console.note(f"For you to do, as the comments say: {_count(total, 'comment')} in {_places(self.todo)}")
        if self._unpinned:
            options = [f"{_PIN} {shlex.quote(name)}=REVISION" for name in sorted(self._unpinned)]
            given = [
                f"{_PIN} {shlex.quote(name)}={revision}" for name, revision in pins.items() if name in self._pinned
            ]
            command = ["airflow-batch-jobs migrate", *(shlex.quote(str(path)) for path in paths), *given, *options]
            console.note(f"To pin what has no revision, complete: {' '.join(command)} --write")
        for name in sorted(pins.keys() - self._pinned):
            console.note(f"{_PIN} {name}={pins[name]} changes nothing: no definition without a revision has this name")
        if passed_over:
            console.note(f"Passed over: {_places(passed_over)}")


def _count(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _places(places: Iterable[Path] | dict[Path, int]) -> str:
    """Return the first places, with a count of each that has one above 1."""
    counts = places if isinstance(places, dict) else dict.fromkeys(places, 1)
    return _named([str(path) if count == 1 else f"{path} ({count})" for path, count in counts.items()])


def _named(places: Sequence[str]) -> str:
    """Return the first of many places, and how many more there are."""
    more = [f"and {len(places) - _NAMED} more"] if len(places) > _NAMED else []
    return ", ".join([*places[:_NAMED], *more])


def _migrated(path: Path, pins: dict[str, int], look: Look) -> Migration | None:
    """Return what becomes of a file; if it is not understood, complain and return None."""
    from airflow_batch_jobs.migration import NotUnderstoodError
    from airflow_batch_jobs.migration import migrate as rewrite

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            console.complain(f"{path}: it is not a regular file")
            return None
        return rewrite(path.read_bytes(), pins, look)
    except NotUnderstoodError as error:
        place = path if error.line is None else f"{path}:{error.line}"
        console.complain(f"{place}: {error}; the file is left as it is")
    except OSError as error:
        console.complain(f"{path}: {error.strerror}")
    except Exception as error:  # noqa: BLE001 - one file that we cannot deal with must not keep the others from it
        what = f"{type(error).__name__}: {error}"
        console.complain(f"{path}: a fault of airflow-batch-jobs, please report it: {what}; the file is left as it is")
    return None


def _show(path: Path, migration: Migration, *, is_brief: bool) -> None:
    """Print what would be rewritten on stdout, or only that something would be, on stderr."""
    if is_brief:
        typer.echo(f"{path}: would be rewritten", err=True)
    else:
        typer.echo(migration.diff(str(path)), nl=False)


def _say(path: Path, migration: Migration) -> None:
    """Print on stderr what a person should know of a file, and what is left to do in it."""
    for remark in migration.remarks:
        typer.echo(f"{path}: {remark}", err=True)
    for finding in migration.findings():
        typer.echo(f"{path}:{finding.line}: {finding.text}", err=True)


def _say_other(path: Path) -> bool:
    """Print on stderr if a file that is no Python file names a class of the provider's; return whether it does."""
    from airflow_batch_jobs.migration.other_files import first_mention

    if (mention := first_mention(path)) is None:
        return False
    place = path if mention.line is None else f"{path}:{mention.line}"
    where = f"{mention.member} in it" if mention.member else "it"
    typer.echo(f"{place}: {where} names {mention.name}; only Python files are rewritten: change it by hand", err=True)
    return True


def _written(path: Path, migration: Migration) -> bool:
    """Write a file and say so; if that fails, complain."""
    try:
        path.write_bytes(migration.content())
    except OSError as error:
        console.complain(f"{path}: {error.strerror}")
        return False
    typer.echo(f"{path}: rewritten", err=True)
    return True


def _pins(given: Sequence[str]) -> dict[str, int]:
    """Return the revision for each name of a definition.

    Raises:
        typer.BadParameter: One of them is not NAME=REVISION, or a name has two.
    """
    from airflow_batch_jobs.batch.definition import parse_reference
    from airflow_batch_jobs.errors import DefinitionError

    pins: dict[str, int] = {}
    for each in given:
        name, _, revision = each.partition("=")
        try:
            reference = parse_reference(f"{name}:{revision}")
        except DefinitionError as error:
            raise typer.BadParameter(f"{each!r}: {error}", param_hint=_PIN) from error
        if reference.revision is None:
            raise typer.BadParameter(f"{each!r} is not NAME=REVISION", param_hint=_PIN)
        if pins.setdefault(reference.name, reference.revision) != reference.revision:
            raise typer.BadParameter(f"{reference.name} has two revisions", param_hint=_PIN)
    return pins
