"""What a triggerer writes while it runs: the logs of its tasks, and its own output."""

from __future__ import annotations

import json
import re
import time
from array import array
from collections import Counter
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path


_JOB_SOURCE = "batch.job"
#: What a line about a job's state begins with.
_STATES = {each.value for each in JobStatus}
_LINE = re.compile(r"^(?P<job>\S+) line (?P<number>\d+)$")
#: What scripted jobs have to write so that their lines can be told apart.
LINE_TEXT = "{job_name} line {number}"
_BLOCKED = re.compile(r"^(?P<time>\S+).*async thread was blocked for (?P<seconds>[\d.]+) seconds")
#: How long the watchdog sleeps between two looks, which it counts as well.
_WATCHDOG_SECONDS = 0.1


@dataclass(slots=True)
class JobLines:
    """The lines of one job that came into its task's log.

    Attributes:
        numbers: How often each of its lines came.
        strange: Lines that it did not write.
        started_at: When its trigger began, in seconds since the epoch.
        described_at: When the job's state was first in the log.
        written: When the lines that came live were written …
        seen: … and when they were seen in the log.
    """

    numbers: Counter[int] = field(default_factory=Counter)
    strange: int = 0
    started_at: float | None = None
    described_at: float | None = None
    written: array[float] = field(default_factory=lambda: array("d"))
    seen: array[float] = field(default_factory=lambda: array("d"))

    def take(self, text: str) -> None:
        """Count a line."""
        found = _LINE.match(text)
        if found:
            self.numbers[int(found["number"])] += 1
        else:
            self.strange += 1

    def lost(self, expected: int) -> int:
        """Return how many of the lines 1 to `expected` are missing."""
        return expected - sum(1 for number in self.numbers if 1 <= number <= expected)

    def double(self, expected: int) -> int:
        """Return how many lines came more than once, or were never written."""
        beyond = sum(count for number, count in self.numbers.items() if not 1 <= number <= expected)
        return self.strange + beyond + sum(self.numbers.values()) - len(self.numbers)


#: Where the lines that a thread copies are counted, and its warnings kept.
_COUNTED: ContextVar[tuple[JobLines, list[str]]] = ContextVar("_COUNTED")


@contextmanager
def counted_lines(lines: JobLines) -> Iterator[list[str]]:
    """Count the lines of a job that this thread writes to the task log, instead of writing them.

    Args:
        lines: Where they are counted.

    Yields:
        A list that gets the warnings.
    """
    problems: list[str] = []

    def count(_logger: Any, method: str, entry: MutableMapping[str, Any]) -> NoReturn:
        if "timestamp" in entry:
            _COUNTED.get()[0].take(entry["event"])
        elif method == "warning":
            _COUNTED.get()[1].append(entry["event"])
        raise structlog.DropEvent

    structlog.configure(processors=[count])
    token = _COUNTED.set((lines, problems))
    try:
        yield problems
    finally:
        _COUNTED.reset(token)


class TaskLogs:
    """Reads the tasks' log files as they grow.

    Args:
        folder: Has a folder for each task instance.
        tasks: How many task instances there are.
    """

    def __init__(self, folder: Path, tasks: int) -> None:
        self.jobs = [JobLines() for _ in range(tasks)]
        self.problems: Counter[str] = Counter()
        self._folders = [folder / f"map_index={index}" for index in range(tasks)]
        self._files: list[Growing | None] = [None] * tasks

    def look(self) -> None:
        """Read what is new."""
        for index, job in enumerate(self.jobs):
            if (file := self._file(index)) is None:
                continue
            for line in file.new_lines():
                self._take(job, json.loads(line), time.time())

    def _file(self, index: int) -> Growing | None:
        if self._files[index] is None and self._folders[index].is_dir():
            path = next(self._folders[index].glob("*.trigger.*.log"), None)
            self._files[index] = Growing(path) if path else None
        return self._files[index]

    def _take(self, job: JobLines, entry: dict[str, Any], now: float) -> None:
        text, at = str(entry["event"]), datetime.fromisoformat(entry["timestamp"]).timestamp()
        if entry.get("logger") == _JOB_SOURCE:
            job.take(text)
            job.written.append(at)
            job.seen.append(now)
        elif job.started_at is None and text.endswith("starting"):
            job.started_at = at
        elif job.described_at is None and text.partition(":")[0] in _STATES:
            job.described_at = at
        elif entry.get("level") in {"warning", "error", "critical"}:
            self.problems[text] += 1


class Growing:
    """A file of lines that others write.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def new_lines(self) -> Iterator[bytes]:
        """Yield the lines that have been completed since the last call."""
        if self._path.stat().st_size == self._position:
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._position += len(line)
                yield line


def stalls(output: Path) -> list[tuple[float, float]]:
    """Return when the triggerer said that its event loop had been held, and for how long, in seconds.

    It says so of what held the loop for more than 0.1 s.
    """
    found = (_BLOCKED.search(line) for line in output.read_text(errors="replace").splitlines())
    return [
        (datetime.fromisoformat(each["time"]).timestamp(), float(each["seconds"]) - _WATCHDOG_SECONDS)
        for each in found
        if each
    ]
