"""Other files: what may hold DAGs and is no Python file, such as notebooks, DAGs in YAML, templates and archives."""

from __future__ import annotations

import re
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

from airflow_batch_jobs.migration.counterparts import CLASSES, MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ARCHIVES = frozenset({".zip"})
#: What the names of these files end in.
SUFFIXES = _ARCHIVES | {".ipynb", ".j2", ".jinja", ".jinja2", ".json", ".tmpl", ".toml", ".tpl", ".yaml", ".yml"}
#: The largest that is read, in bytes.
_LARGEST = 10_000_000
#: A class or module of the provider's; in a notebook it may stand behind a line end that is written as one.
_NAMED = re.compile(
    rb"(?:\b|(?<=\\n))(?:" + b"|".join(re.escape(each).encode() for each in sorted(MODULES | CLASSES)) + rb")\b"
)


class Mention(NamedTuple):
    """Where such a file names one of the provider's classes, or a module of theirs.

    Attributes:
        name: What it names.
        line: The line, from 1; None in an archive.
        member: The file in an archive; empty for any other.
    """

    name: str
    line: int | None = None
    member: str = ""


def first_mention(path: Path) -> Mention | None:
    """Return where a file names one of the provider's classes first; None if it does not, or cannot be read."""
    for member, content in _contents(path):
        if match := _NAMED.search(content):
            line = None if member else content.count(b"\n", 0, match.start()) + 1
            return Mention(match[0].decode(), line, member)
    return None


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the content of a file, or of each Python file in an archive, with that one's name."""
    try:
        if not path.is_file():  # opening a pipe would wait for who writes into it
            return
        if path.suffix not in _ARCHIVES:
            if path.stat().st_size <= _LARGEST:
                yield "", path.read_bytes()
            return
        with zipfile.ZipFile(path) as archive:
            for each in archive.infolist():
                if each.filename.endswith(".py") and each.file_size <= _LARGEST:
                    yield each.filename, archive.read(each)
    except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error):
        return
