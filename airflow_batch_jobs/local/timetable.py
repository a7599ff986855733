"""Runs scripted jobs: one entry on the timeline per attempt, and log streams that make their lines when read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.local.resources import resources_of
from airflow_batch_jobs.local.scripted import LineNames
from airflow_batch_jobs.local.streams import ScriptedStream

if TYPE_CHECKING:
    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.jobs import Attempt, Job, Part
    from airflow_batch_jobs.local.lifecycle import Lifecycle
    from airflow_batch_jobs.local.scripted import Script, ScriptedAttempt
    from airflow_batch_jobs.local.streams import Streams

#: The exit code of a process that ends on SIGTERM.
_TERMINATED = 143
#: That of a process that the kernel ends for want of memory.
_KILLED = 137
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


class Timetable:
    """Runs attempts by their jobs' scripts."""

    def __init__(self, timeline: Timeline, streams: Streams, *, step_seconds: float) -> None:
        """Start without a job.

        Args:
            timeline: Where the ends of attempts are planned.
            streams: Where the log streams go.
            step_seconds: How long a stopped attempt takes to end if its script does not say.
        """
        self.lifecycle: Lifecycle
        self._timeline = timeline
        self._streams = streams
        self._step_seconds = step_seconds

    def start(self, job: Job, attempt: Attempt) -> None:
        """Plan the attempt's end and open its log streams."""
        if job.script is None:
            return
        scripted = job.script.attempt(attempt.number)
        seconds = job.script.running if scripted.running is None else scripted.running
        self.lifecycle.started(job, attempt, attempt.parts)
        for part in attempt.parts:
            if part.log_stream:
                self._open_stream(job, attempt, part, seconds)
        job.timer = self._timeline.after(seconds, lambda: self._end(job, attempt, scripted))

    def stop(self, job: Job, attempt: Attempt) -> None:
        """Let the attempt end a while later, as if it had been told to."""
        if job.script is None or attempt.is_over:
            return
        if job.timer:
            job.timer.cancel()
        seconds = self._step_seconds if job.script.stopping is None else job.script.stopping
        job.timer = self._timeline.after(seconds, lambda: self._end_stopped(job, attempt))

    def _end(self, job: Job, attempt: Attempt, scripted: ScriptedAttempt) -> None:
        job.timer = None
        ends = [
            (part, _KILLED, OUT_OF_MEMORY)
            if _runs_out(part, scripted)
            else (part, scripted.parts.get(_label(part), scripted.exit_code), scripted.reason)
            for part in attempt.parts
        ]
        # The first essential part to end decides: let it be one that fails.
        for part, exit_code, reason in sorted(ends, key=lambda end: (end[0].container.is_essential, end[1] == 0)):
            self.lifecycle.part_ended(job, part, exit_code, reason, scripted.status_reason)

    def _end_stopped(self, job: Job, attempt: Attempt) -> None:
        job.timer = None
        now = self._timeline.now_ms()
        for part in attempt.parts:
            stream = (self._streams.group(part.container.log_group) or {}).get(part.log_stream)
            if isinstance(stream, ScriptedStream):
                stream.stop(now)
            self.lifecycle.part_ended(job, part, _TERMINATED)

    def _open_stream(self, job: Job, attempt: Attempt, part: Part, seconds: float) -> None:
        script: Script | None = job.script
        if script is None:
            return
        self._streams.add(
            ScriptedStream(
                self._streams.next_number(),
                part.container.log_group,
                part.log_stream,
                self._timeline.now_ms(),
                lines=script.lines,
                delivery=script.delivery,
                seconds=seconds,
                names=LineNames(job.id, job.name, attempt.number, part.log_stream),
            )
        )


def _runs_out(part: Part, scripted: ScriptedAttempt) -> bool:
    """Tell whether a container has less memory than the script says that it needs."""
    needs = scripted.needs_mib.get(_label(part), scripted.needs_mib.get("", 0))
    return bool(needs) and int(resources_of(part.container.properties).get("MEMORY", 0)) < needs


def _label(part: Part) -> str:
    """Return what a script calls a part: its node's number, or its container's name."""
    return part.container.name if part.container.node is None else str(part.container.node)
