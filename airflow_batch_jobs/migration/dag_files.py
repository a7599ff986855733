"""DagFiles: the Python files of a folder that may be somebody's DAGs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_batch_jobs.migration.other_files import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Folders that are nobody's DAGs, besides hidden ones.
_NOBODYS = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"})
#: What a virtual environment has in it, whatever it is called.
_ENVIRONMENT = "pyvenv.cfg"


class DagFiles:
    """The files below given paths, each once, also where links lead to it twice or in a circle.

    Attributes:
        passed_over: The folders and hidden files that were not looked into.
        others: Files that are no Python files, and may have DAGs in them all the same.
        errors: What could not be looked into, and why.
    """

    def __init__(self) -> None:
        self.passed_over: list[Path] = []
        self.others: list[Path] = []
        self.errors: list[OSError] = []
        self._seen: set[str] = set()

    def below(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Yield the given files, and the Python files in the given folders and in all folders below, sorted."""
        for path in paths:
            for each in self._in(path) if path.is_dir() else (path,):
                if not self._is_new(each):
                    continue
                if each.suffix in SUFFIXES:
                    self.others.append(each)
                else:
                    yield each

    def _in(self, folder: Path) -> Iterator[Path]:
        for parent, folders, names in os.walk(folder, onerror=self.errors.append, followlinks=True):
            place = Path(parent)
            if not self._is_new(place):
                folders.clear()
                continue
            nobodys = {name for name in folders if _is_nobodys(place / name)}
            self.passed_over += [place / name for name in sorted(nobodys)]
            folders[:] = sorted(set(folders) - nobodys)
            files = [place / name for name in sorted(names) if name.endswith((".py", *SUFFIXES))]
            self.passed_over += [each for each in files if _is_hidden(each) and each.suffix == ".py"]
            yield from (each for each in files if not _is_hidden(each))

    def _is_new(self, path: Path) -> bool:
        """Whether a file or folder is met for the first time, by whatever name."""
        real = os.path.realpath(path)
        is_new = real not in self._seen
        self._seen.add(real)
        return is_new


def _is_hidden(path: Path) -> bool:
    """Whether it is an editor's or a system's, such as `.#dag.py` and `._dag.py`."""
    return path.name.startswith(".")


def _is_nobodys(folder: Path) -> bool:
    return _is_hidden(folder) or folder.name in _NOBODYS or os.path.lexists(folder / _ENVIRONMENT)
