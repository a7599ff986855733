"""The life of jobs: SUBMITTED, PENDING, RUNNABLE, STARTING, RUNNING, and SUCCEEDED or FAILED, as in AWS."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.local.dependencies import Dependencies
from airflow_batch_jobs.local.jobs import Attempt, Job, Part, new_attempt
from airflow_batch_jobs.local.retry import is_retried
from airflow_batch_jobs.local.runnable import RunnableJobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.jobs import Jobs

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
TIMED_OUT = "Job attempt duration exceeded timeout"
#: The reason of a container has at most this many characters.
MOST_REASON_LENGTH = 255
DEPENDENCY_FAILED = "Dependent Job failed"
CHILD_FAILED = "Array Child Job failed"


class Runner(Protocol):
    """What runs an attempt's parts, and tells `Lifecycle` which have `started`, and of each that it has ended."""

    def start(self, job: Job, attempt: Attempt) -> None:
        """Start all parts, the main node's first. A part that cannot start ends without having started."""

    def stop(self, job: Job, attempt: Attempt) -> None:
        """Ask the parts that are still running to end, and make sure that they do. Called once per attempt."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What `Lifecycle` needs from outside.

    Attributes:
        runner_of: Returns what runs a job.
        children_of: Makes an array job's children.
        on_change: Called when a job has changed.
    """

    runner_of: Callable[[Job], Runner]
    children_of: Callable[[Job], list[Job]]
    on_change: Callable[[Job], None]


class Lifecycle:
    """Moves jobs from state to state. All its methods run on the event loop."""

    def __init__(
        self, timeline: Timeline, jobs: Jobs, surroundings: Surroundings, *, slots: int, step_seconds: float
    ) -> None:
        """Start without a job.

        Args:
            timeline: When things happen.
            jobs: Where jobs are kept.
            surroundings: What is needed from outside.
            slots: How many jobs are STARTING or RUNNING at once; the others wait in RUNNABLE.
            step_seconds: How long a job stays in each state that it only passes through.
        """
        self._timeline = timeline
        self._jobs = jobs
        self._outside = surroundings
        self._free_slots = slots
        self._step_seconds = step_seconds
        self._line: OrderedDict[str, Job] = OrderedDict()
        self.runnable = RunnableJobs(timeline.now_ms)
        self._dependencies = Dependencies(jobs)

    def submit(self, job: Job) -> None:
        """Begin a job's life."""
        self._jobs.add(job)
        self._after_a_step(job, self._leave_submitted)

    def terminate(self, job: Job, reason: str) -> None:
        """End a job as TerminateJob does: in any state, and its children with it."""
        if job.status.is_final:
            return
        job.is_terminated = True
        self._stop(job, reason)
        for child in job.children:
            self.terminate(child, reason)
        if job.attempt and job.attempt.is_begun:
            self._stop_attempt(job, job.attempt)
        elif not job.children:
            self._fail_soon(job)

    def cancel(self, job: Job, reason: str) -> None:
        """End a job as CancelJob does: only before STARTING, and in PENDING not before the jobs it waits for end."""
        if not job.status.is_waiting:
            return
        self._stop(job, reason)
        for child in job.children:
            self.cancel(child, reason)
        if not job.children and not job.waits_for:
            self._fail_soon(job)

    def started(self, job: Job, attempt: Attempt, parts: Iterable[Part]) -> None:
        """Note that parts of a job's attempt run now, and have a log stream; with the first ones the job is RUNNING."""
        now = self._timeline.now_ms()
        for part in parts:
            part.started_at = now
            if part.container.log_group:
                part.log_stream = f"{part.container.log_prefix}/{part.task_id}"
        if attempt.started_at is not None:
            self._outside.on_change(job)
            return
        attempt.started_at = job.started_at = now
        if job.timeout_seconds:
            job.time_limit = self._timeline.after(job.timeout_seconds, lambda: self._time_out(job, attempt))
        self._enter(job, JobStatus.RUNNING)

    def part_ended(
        self, job: Job, part: Part, exit_code: int | None, reason: str = "", status_reason: str = EXITED
    ) -> None:
        """Note that a part of a job's attempt has ended; the first essential one ends the attempt.

        Args:
            job: The job.
            part: A part of the current attempt.
            exit_code: Its exit code; None if it has none.
            reason: Why it could not start or run.
            status_reason: What the attempt's statusReason says if this part decides.
        """
        attempt = job.attempt
        if attempt is None or part.has_ended:
            return
        part.exit_code, part.reason, part.status_reason = exit_code, reason[:MOST_REASON_LENGTH], status_reason
        part.stopped_at = self._timeline.now_ms()
        if attempt.decided_by is None and part.container.is_essential:
            attempt.decided_by = part
            attempt.status_reason = status_reason
            if not attempt.is_over:
                self._stop_attempt(job, attempt)
        if attempt.is_over:
            self._attempt_ended(job, attempt)
        else:
            self._outside.on_change(job)

    def _stop(self, job: Job, reason: str) -> None:
        job.is_cancelled = job.is_cancelled or job.status.is_waiting
        job.stop_reason = job.status_reason = reason
        self._outside.on_change(job)

    def _stop_attempt(self, job: Job, attempt: Attempt) -> None:
        if not attempt.is_stopping:
            attempt.is_stopping = True
            self._outside.runner_of(job).stop(job, attempt)

    def _enter(self, job: Job, status: JobStatus, reason: str = "") -> None:
        if job.parent:
            counts = job.parent.children_in
            counts[job.status] = counts.get(job.status, 0) - 1
            counts[status] = counts.get(status, 0) + 1
            self._outside.on_change(job.parent)
        if job.status is JobStatus.RUNNABLE:
            self.runnable.leave(job)
        job.status = status
        job.status_reason = job.stop_reason or reason
        if status is JobStatus.RUNNABLE:
            self.runnable.enter(job)
        self._outside.on_change(job)

    def _after_a_step(self, job: Job, act: Callable[[Job], None]) -> None:
        seconds = self._step_seconds
        if job.script and job.status in _PASSED and not job.stop_reason:
            seconds = job.script.seconds_in(job.status, seconds)

        def step() -> None:
            job.timer = None
            act(job)

        if job.timer:
            job.timer.cancel()
        job.timer = self._timeline.after(seconds, step)

    def _leave_submitted(self, job: Job) -> None:
        """Look at a job: PENDING is for those that wait for others, and for the parents of arrays."""
        if not job.array_size and self._dependencies.are_met(job):
            self._to_runnable(job)
            return
        self._enter(job, JobStatus.PENDING)
        self._wait_for_dependencies(job)

    def _wait_for_dependencies(self, job: Job) -> None:
        if self._dependencies.have_failed(job):
            self._fail_soon(job, DEPENDENCY_FAILED)
            return
        self._dependencies.wait(job)
        if not job.waits_for:
            self._after_a_step(job, self._dependencies_met)

    def _dependencies_met(self, job: Job) -> None:
        if job.stop_reason:
            self._finish(job, JobStatus.FAILED)
        elif job.array_size:
            self._spawn(job)
        else:
            self._to_runnable(job)

    def _spawn(self, parent: Job) -> None:
        parent.children = self._outside.children_of(parent)
        parent.children_in = {JobStatus.PENDING: len(parent.children)}
        self._outside.on_change(parent)
        for child in parent.children:
            self._jobs.add(child)
        for child in parent.children:
            self._wait_for_dependencies(child)

    def _to_runnable(self, job: Job) -> None:
        self._enter(job, JobStatus.RUNNABLE, job.script.runnable_reason if job.script else "")
        self._after_a_step(job, self._wait_for_slot)

    def _wait_for_slot(self, job: Job) -> None:
        if job.script and not job.script.uses_slot:
            self._to_starting(job)
            return
        self._line[job.id] = job
        self._fill_slots()

    def _fill_slots(self) -> None:
        while self._free_slots and self._line:
            _, job = self._line.popitem(last=False)
            self._free_slots -= 1
            job.has_slot = True
            self._to_starting(job)

    def _free_slot(self, job: Job) -> None:
        if job.has_slot:
            job.has_slot = False
            self._free_slots += 1
            self._fill_slots()

    def _to_starting(self, job: Job) -> None:
        if job.flaw:
            self._finish(job, JobStatus.FAILED, job.flaw)
            return
        job.attempt = new_attempt(job)
        self._enter(job, JobStatus.STARTING)
        self._after_a_step(job, self._start)

    def _start(self, job: Job) -> None:
        attempt = job.attempt
        if attempt is None:
            return
        scripted = job.script.attempt(attempt.number) if job.script else None
        if scripted and not scripted.starts:
            for part in attempt.parts:
                self.part_ended(job, part, scripted.exit_code, scripted.reason, NOT_STARTED)
            return
        attempt.is_begun = True
        self._outside.runner_of(job).start(job, attempt)

    def _time_out(self, job: Job, attempt: Attempt) -> None:
        job.has_timed_out = True
        self._stop_attempt(job, attempt)

    def _attempt_ended(self, job: Job, attempt: Attempt) -> None:
        if job.time_limit:
            job.time_limit.cancel()
        attempt.stopped_at = self._timeline.now_ms()
        if job.has_timed_out or job.is_terminated:
            attempt.status_reason = job.stop_reason or TIMED_OUT
        job.past_attempts.append(attempt)
        job.attempt = None
        self._free_slot(job)
        part = attempt.decided_by or attempt.parts[0]
        if job.is_terminated or job.has_timed_out:
            self._finish(job, JobStatus.FAILED, attempt.status_reason)
        elif part.exit_code == 0:
            self._finish(job, JobStatus.SUCCEEDED, attempt.status_reason)
        elif is_retried(job.retry_strategy, attempt):
            self._to_runnable(job)
        else:
            self._finish(job, JobStatus.FAILED, attempt.status_reason)

    def _fail_soon(self, job: Job, reason: str = "") -> None:
        self._line.pop(job.id, None)
        self._after_a_step(job, lambda job: self._finish(job, JobStatus.FAILED, reason))

    def _finish(self, job: Job, status: JobStatus, reason: str = "") -> None:
        job.stopped_at = self._timeline.now_ms()
        job.attempt = None
        self._free_slot(job)
        self._enter(job, status, reason)
        self._jobs.finished(job)
        self._tell_dependants(job.id, status)
        if job.array_size and not job.children:
            for index in range(job.array_size):
                self._tell_dependants(f"{job.id}:{index}", status)
        if job.parent and job.parent.open_children == 0:
            self._after_a_step(job.parent, self._finish_parent)

    def _finish_parent(self, parent: Job) -> None:
        if parent.stop_reason or parent.children_in.get(JobStatus.FAILED):
            self._finish(parent, JobStatus.FAILED, CHILD_FAILED)
        else:
            self._finish(parent, JobStatus.SUCCEEDED)

    def _tell_dependants(self, job_id: str, status: JobStatus) -> None:
        for dependant in self._dependencies.ended(job_id):
            if dependant.timer or dependant.status.is_final:
                continue
            if status is JobStatus.FAILED:
                self._fail_soon(dependant, DEPENDENCY_FAILED)
            elif not dependant.waits_for:
                self._after_a_step(dependant, self._dependencies_met)


#: The states whose length a script sets.
_PASSED = frozenset({JobStatus.SUBMITTED, JobStatus.PENDING, JobStatus.RUNNABLE, JobStatus.STARTING})
