"""`airflow-batch-jobs migrate`: rewrite DAG files that use the Amazon provider's BatchOperator, as far as possible."""

from __future__ import annotations

import sys

# typer reads the annotations when the command runs.
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_batch_jobs.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_batch_jobs.migration import Migration

_PIN = "--pin"


def migrate(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, help="DAG files, or folders of them.")],
    *,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the files. Without it, only show.")] = False,
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

    Prints a unified diff and changes nothing; with --write it changes the files instead. What cannot be decided from a
    file alone is left to you: in a comment that begins with `# TODO(airflow-batch-jobs)`, and on stderr with the line
    in the rewritten file. Run it again to see what is left. Never runs a DAG, and asks AWS nothing.

    Exits with 0 if nothing is left for you, with 1 if something is, and with 2 if a file cannot be read.

        airflow-batch-jobs migrate dags/nightly.py
        airflow-batch-jobs migrate dags/ --pin align-reads=7 --write
        git grep -n "TODO(airflow-batch-jobs)"
    """
    pins = _pins(pin or [])
    unread = left = False
    for path in _files(paths):
        migration = _migrated(path, pins)
        if migration is None:
            unread = True
            continue
        if migration.changes and write:
            path.write_bytes(migration.after.encode(migration.encoding))
            typer.echo(f"{path}: rewritten", err=True)
        elif migration.changes:
            sys.stdout.write(migration.diff(str(path)))
        for finding in migration.findings():
            left = True
            typer.echo(f"{path}:{finding.line}: {finding.text}", err=True)
    if unread or left:
        raise typer.Exit(console.USAGE if unread else console.FAILED)


def _migrated(path: Path, pins: dict[str, int]) -> Migration | None:
    """Return what becomes of a file; if it cannot be read, complain and return None."""
    from libcst import ParserSyntaxError

    from airflow_batch_jobs.migration import migrate as rewrite

    try:
        return rewrite(path.read_bytes(), pins)
    except ParserSyntaxError as error:
        console.complain(f"{path}:{error.editor_line}: {error.message}")
    except (OSError, SyntaxError, UnicodeError) as error:
        console.complain(f"{path}: {error}")
    return None


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def _pins(given: Sequence[str]) -> dict[str, int]:
    """Return the revision for each name of a definition.

    Raises:
        typer.BadParameter: One of them is not NAME=REVISION.
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
        if reference.revision is not None:
            pins[reference.name] = reference.revision
    return pins
