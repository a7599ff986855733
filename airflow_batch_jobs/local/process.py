"""A job's command as a process on this machine, in a group of its own; its output becomes its log stream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_batch_jobs.local.environment import environment_of
from airflow_batch_jobs.local.lifecycle import NOT_STARTED
from airflow_batch_jobs.local.output import Lines, Output

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.jobs import Attempt, Job, Part
    from airflow_batch_jobs.local.lifecycle import Lifecycle
    from airflow_batch_jobs.local.streams import Streams

#: How long to wait for a process that left its group and may hold the output open.
_DRAIN_SECONDS = 1.0
#: How long to wait for killed processes when the endpoint ends.
_CLOSE_SECONDS = 5.0
#: Docker's exit codes for a command that does not start.
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126
#: The exit code of a process that a signal ended is this plus the signal's number.
_SIGNALLED = 128


class _Begun(NamedTuple):
    """A part's process, just started."""

    process: asyncio.subprocess.Process
    output: int
    home: str


class Processes:
    """Runs the parts of attempts as processes."""

    def __init__(
        self, timeline: Timeline, streams: Streams, *, kill_seconds: float, on_line: Callable[[Job, str], None]
    ) -> None:
        """Start without a process.

        Args:
            timeline: The clock for log events, and for the wait between SIGTERM and SIGKILL.
            streams: Where the output goes.
            kill_seconds: How long a process has to end after SIGTERM.
            on_line: Called with each line that a job has written.
        """
        self.lifecycle: Lifecycle
        self._timeline = timeline
        self._streams = streams
        self._kill_seconds = kill_seconds
        self._on_line = on_line
        self._tasks: set[asyncio.Task[None]] = set()
        self._groups: dict[Part, int] = {}
        self._is_closed = False

    def start(self, job: Job, attempt: Attempt) -> None:
        """Start a process for each part: the main node's, and once those run, the other nodes'."""
        self._do(self._start(job, attempt))

    def stop(self, job: Job, attempt: Attempt) -> None:  # noqa: ARG002 - a runner's signature
        """Send SIGTERM to the parts that are still running, and SIGKILL a while later."""
        for part in attempt.parts:
            self._signal(part, signal.SIGTERM)

        def kill() -> None:
            for part in attempt.parts:
                self._signal(part, signal.SIGKILL)

        self._timeline.after(self._kill_seconds, kill)

    async def close(self) -> None:
        """End every process at once, and start no more."""
        self._is_closed = True
        for part in list(self._groups):
            self._signal(part, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                while self._tasks:  # one that starts a process leaves another behind that attends to it
                    await asyncio.wait(self._tasks)

    def _is_to_end(self, attempt: Attempt) -> bool:
        return attempt.is_stopping or self._is_closed

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _signal(self, part: Part, number: signal.Signals) -> None:
        if part in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._groups[part], number)

    async def _start(self, job: Job, attempt: Attempt) -> None:
        main = [part for part in attempt.parts if part.container.node == job.main]
        for parts in (main, [part for part in attempt.parts if part not in main]):
            begun: dict[Part, _Begun] = {}
            for part in parts:
                if started := await self._start_part(job, attempt, part):
                    begun[part] = started
            if begun and not attempt.is_stopping:
                self.lifecycle.started(job, attempt, begun)
            for part, started in begun.items():
                self._do(self._attend(job, part, started))

    async def _start_part(self, job: Job, attempt: Attempt, part: Part) -> _Begun | None:
        """Start a part's process; if it cannot start, note how it ended and return None."""
        if self._is_to_end(attempt):
            self.lifecycle.part_ended(job, part, None, "", NOT_STARTED)
            return None
        command = part.container.command
        try:
            begun = await _begin(job, attempt, part)
        except (OSError, ValueError) as error:
            code = _NOT_EXECUTABLE if isinstance(error, PermissionError) else _NOT_FOUND
            reason = f'CannotStartContainerError: exec: "{command[0] if command else ""}": {_why_not(error)}'
            self.lifecycle.part_ended(job, part, code, reason, NOT_STARTED)
            return None
        self._groups[part] = begun.process.pid
        if self._is_to_end(attempt):
            self._signal(part, signal.SIGKILL if self._is_closed else signal.SIGTERM)
        return begun

    async def _attend(self, job: Job, part: Part, begun: _Begun) -> None:
        """Read what a part's process writes, until it has ended."""
        output = Output(self._timeline, self._streams, part, lambda line: self._on_line(job, line))
        image = part.container.properties.get("image", "")
        output.write(f"[local AWS] the image {image!r} is ignored: the command runs as a process on this machine")
        lines = Lines(output.write)
        try:
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: lines, os.fdopen(begun.output, "rb")
            )
            code = await begun.process.wait()
            # A container ends with its first process, so whatever it left behind ends too.
            self._signal(part, signal.SIGKILL)
            await asyncio.wait([lines.end], timeout=_DRAIN_SECONDS)
            transport.close()
        finally:
            shutil.rmtree(begun.home, ignore_errors=True)
            output.close()
            del self._groups[part]
        self.lifecycle.part_ended(job, part, code if code >= 0 else _SIGNALLED - code)


async def _begin(job: Job, attempt: Attempt, part: Part) -> _Begun:
    """Start a part's process, in a directory of its own.

    Raises:
        OSError: The machine cannot start it.
        ValueError: There is no command, or it cannot be one.
    """
    if not part.container.command:
        raise ValueError("there is no command, and the image's own is not known here")
    home = tempfile.mkdtemp(prefix="batch-job-")
    read_end = write_end = -1
    try:
        read_end, write_end = os.pipe()
        # Not a pipe of asyncio's, whose `wait()` could wait for any process that holds the output open.
        process = await asyncio.create_subprocess_exec(
            *part.container.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            cwd=home,
            env=environment_of(job, attempt, part, home),
            start_new_session=True,
        )
    except (OSError, ValueError):
        shutil.rmtree(home, ignore_errors=True)
        if read_end >= 0:
            os.close(read_end)
        raise
    finally:
        if write_end >= 0:
            os.close(write_end)
    return _Begun(process, read_end, home)


def _why_not(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "executable file not found in $PATH"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
