"""A job's command as a process on this machine, in a group of its own; its output becomes its log stream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING

from airflow_batch_jobs.local.environment import environment_of
from airflow_batch_jobs.local.lifecycle import EXITED, NOT_STARTED
from airflow_batch_jobs.local.output import Lines, Output

if TYPE_CHECKING:
    from collections.abc import Callable

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
        self._runs: dict[Part, asyncio.Task[None]] = {}
        self._groups: dict[Part, int] = {}
        self._is_closed = False

    def start(self, job: Job, attempt: Attempt) -> None:
        """Start a process for each part."""
        for part in attempt.parts:
            self._runs[part] = asyncio.get_running_loop().create_task(self._run(job, attempt, part))

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
        if self._runs:
            await asyncio.wait(self._runs.values(), timeout=_CLOSE_SECONDS)

    def _signal(self, part: Part, number: signal.Signals) -> None:
        if part in self._groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._groups[part], number)

    async def _run(self, job: Job, attempt: Attempt, part: Part) -> None:
        output = Output(self._timeline, self._streams, part, lambda line: self._on_line(job, line))
        image = part.container.properties.get("image", "")
        output.write(f"[local AWS] the image {image!r} is ignored: the command runs as a process on this machine")
        home = tempfile.mkdtemp(prefix="batch-job-")
        try:
            environment = environment_of(job, attempt, part, home)
            exit_code, reason = await self._run_command(attempt, part, environment, home, Lines(output.write))
        finally:
            shutil.rmtree(home, ignore_errors=True)
            output.close()
            self._groups.pop(part, None)
            del self._runs[part]
        self.lifecycle.part_ended(job, part, exit_code, reason, NOT_STARTED if reason else EXITED)

    async def _run_command(
        self, attempt: Attempt, part: Part, environment: dict[str, str], home: str, lines: Lines
    ) -> tuple[int, str]:
        """Run a part's command to its end and return its exit code, and why it could not start, if so."""
        command = part.container.command
        if not command:
            return _NOT_FOUND, "CannotStartContainerError: there is no command, and the image's own is not known here"
        read_end, write_end = os.pipe()
        try:
            # Not a pipe of asyncio's, whose `wait()` could wait for any process that holds the output open.
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                cwd=home,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            os.close(read_end)
            code = _NOT_EXECUTABLE if isinstance(error, PermissionError) else _NOT_FOUND
            return code, f'CannotStartContainerError: exec: "{command[0]}": {_why_not(error)}'
        finally:
            os.close(write_end)
        self._groups[part] = process.pid
        if attempt.is_stopping or self._is_closed:
            self._signal(part, signal.SIGKILL if self._is_closed else signal.SIGTERM)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: lines, os.fdopen(read_end, "rb"))
        code = await process.wait()
        # A container ends with its first process, so whatever it left behind ends too.
        self._signal(part, signal.SIGKILL)
        await asyncio.wait([lines.end], timeout=_DRAIN_SECONDS)
        transport.close()
        return (code if code >= 0 else _SIGNALLED - code), ""


def _why_not(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "executable file not found in $PATH"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
