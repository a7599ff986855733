"""Register the job definitions in a folder: one file per revision, as RegisterJobDefinition takes it.

`align-reads.7.json` is revision 7 of `align-reads`. A program need not be written into the JSON: an item of a command
that reads `file://align.py` is replaced with the text of that file, which is beside the JSON.
"""

from __future__ import annotations

import json
import re
from copy import copy
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.first_revision import MOST, beginning_at
from airflow_batch_jobs.errors import AwsError, DefinitionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from airflow_batch_jobs.batch.aws import ClientFactory

_FILE_NAME = re.compile(r"(?P<name>.+)\.(?P<revision>[1-9][0-9]*)\.json")
_FILE_MARK = "file://"


@dataclass(frozen=True, slots=True, order=True)
class DefinitionFile:
    """A file that holds one revision of a job definition.

    Attributes:
        name: The definition's name.
        revision: The revision.
        path: The file.
    """

    name: str
    revision: int
    path: Path

    def __str__(self) -> str:
        return f"{self.name}:{self.revision}"

    def request(self) -> dict[str, Any]:
        """Return the arguments for RegisterJobDefinition.

        Raises:
            DefinitionError: The file is not a JSON object, has another name in it, or names a missing program.
        """
        try:
            request = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DefinitionError(f"{self.path} is not JSON: {error}") from error
        if not isinstance(request, dict) or request.get("jobDefinitionName") != self.name:
            raise DefinitionError(f'{self.path} must be a JSON object with "jobDefinitionName": "{self.name}".')
        return dict(self._with_programs(request))

    def _with_programs(self, value: Any) -> Any:
        """Return JSON with the text of files in place of their names, wherever these occur in it."""
        if isinstance(value, dict):
            return {key: self._with_programs(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._with_programs(item) for item in value]
        if not isinstance(value, str) or not value.startswith(_FILE_MARK):
            return value
        program = self.path.with_name(value.removeprefix(_FILE_MARK).rpartition("/")[2])
        if value != f"{_FILE_MARK}{program.name}" or not program.is_file():
            raise DefinitionError(f"{self.path} names {value}: there is no such file beside it.")
        return program.read_text(encoding="utf-8")


def read_folder(folder: Path) -> list[DefinitionFile]:
    """Return the definitions in a folder, the revisions of each in order.

    Raises:
        DefinitionError: There are none, or between two revisions one is missing: AWS counts them one after the other.
    """
    found = sorted(_definition_files(folder))
    if not found:
        raise DefinitionError(f"{folder} has no job definitions: files called `<name>.<revision>.json`.")
    for before, each in pairwise(found):
        missing = before.revision + 1
        if each.name == before.name and each.revision != missing:
            raise DefinitionError(f"{folder} has {each.path.name} but not {each.name}.{missing}.json.")
    return found


def register_folder(clients: ClientFactory, folder: Path) -> list[str]:
    """Register the definitions in a folder, in an account that has none of them yet.

    In a local AWS they may begin at any revision, since older ones need not be kept. A real account counts from 1.

    Args:
        clients: Makes the clients.
        folder: Where the files are.

    Returns:
        What was registered: `name:revision`.

    Raises:
        DefinitionError: A file is not what it should be, or AWS gave its revision another number.
        AwsError: AWS refused a definition; the error names its file.
    """
    files = read_folder(folder)
    requests = [(each, each.request()) for each in files]
    first = {each.name: each.revision for each in reversed(files)}
    batch = service(beginning_at(clients, first), "batch")
    for each, request in requests:
        try:
            revision = batch.call("register_job_definition", itemgetter("revision"), **request)
        except AwsError as error:
            named = copy(error)
            named.args = (f"{error} The definition is in {each.path}.",)
            raise named from error
        if revision != each.revision:
            why = "AWS counts from 1" if revision < each.revision else "the account already had this definition"
            raise DefinitionError(f"{each.path} was registered as revision {revision}: {why}.")
    return [str(each) for each in files]


def _definition_files(folder: Path) -> Iterator[DefinitionFile]:
    for path in folder.glob("*.json"):
        if match := _FILE_NAME.fullmatch(path.name):
            revision = int(match["revision"])
            if revision > MOST:
                raise DefinitionError(f"{path} has no revision in its name: AWS counts up to {MOST:,}.")
            yield DefinitionFile(match["name"], revision, path)
