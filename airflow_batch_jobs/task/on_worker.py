"""WorkerWait: the trigger's wait, but in the task's own process on a worker, and what SIGTERM means there."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowTaskTerminated

from airflow_batch_jobs.batch.watch import JobWatcher
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import TaskEvictedError
from airflow_batch_jobs.task import execution_timeout, stop, supervisor
from airflow_batch_jobs.task.metrics import worker_meter
from airflow_batch_jobs.task.record import has_record
from airflow_batch_jobs.task.saved_job import SavedJob, Turns
from airflow_batch_jobs.task.supervisor import UNANSWERED, TaskInstance, UnansweredError
from airflow_batch_jobs.task.wait import AFTER_TIMEOUT_SECONDS, JobWait

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.identity import TaskKey
    from airflow_batch_jobs.task.handover import Outcome, WaitPlan
    from airflow_batch_jobs.task.supervisor import LoopRegion

#: How long to wait for the API server to tell the task's state after SIGTERM.
STATE_SECONDS = 1.0
#: How long to wait for the last lines of a terminated job: Airflow sends SIGKILL about 5 s after SIGTERM.
LAST_LINES_SECONDS = 3.0
#: How long the API server may take then to be told of the job, once it is terminated and once it has ended.
LAST_WORDS_SECONDS = 1.0
#: The most writes of what is known of the job.
WRITES_PER_SECOND = 4.0
#: What a worker may write: it shares its event loop with nothing else, and manages about 9,000.
LINES_PER_SECOND = 5_000.0


class WorkerWait:
    """Waits for one job in the process that executes the task.

    Args:
        plan: What to wait for.
        clients: Calls AWS.
        key: The task instance.
        attempt: What marks its XCom as this attempt's.
        retry_left: Whether Airflow will try the task again if this attempt fails.
        recorded_as: The id under which this attempt has written the record of its submit; None if it has not.
        loop_region: Where Airflow keeps the pass of a loop, see `TaskInstance`.
        carrier: The task instance's trace context.
    """

    def __init__(
        self,
        plan: WaitPlan,
        clients: ClientFactory,
        key: TaskKey,
        *,
        attempt: Mapping[str, int],
        retry_left: bool,
        recorded_as: Any = None,
        loop_region: LoopRegion | None = None,
        carrier: Mapping[str, str] | None = None,
    ) -> None:
        self.plan = plan
        self._clients = clients
        self._task = TaskInstance(key, loop_region)
        self._attempt = attempt
        self._retry_left = retry_left
        self._recorded_as = recorded_as
        self._carrier = carrier
        self._meter = worker_meter()
        self._is_killed = False
        self._wake: Callable[[], object] = lambda: None

    def run(self) -> Outcome:
        """Wait until the job has ended.

        Raises:
            AirflowTaskTerminated: A user stopped the task; the job is terminated.
            TaskEvictedError: The worker was told to stop for another reason.
        """
        if execution_timeout.disarm() and self.plan.deadline is not None:
            left = (self.plan.deadline - datetime.now(tz=UTC)).total_seconds()
            supervisor.extend_execution_timeout(max(0.0, left) + AFTER_TIMEOUT_SECONDS)
        try:
            return asyncio.run(self._run())
        finally:
            if self._meter is not None:
                self._meter.flush()

    def kill(self) -> None:
        """Wake the wait: SIGTERM has come. Safe in a signal handler; what it means is decided outside the handler."""
        self._is_killed = True
        self._wake()

    async def _run(self) -> Outcome:
        loop, killed_event = asyncio.get_running_loop(), asyncio.Event()
        # A handler may run between any two steps, so `_wake` is set first, and `_is_killed` checked after that.
        self._wake = lambda: loop.call_soon_threadsafe(killed_event.set)
        if self._is_killed:
            killed_event.set()
        options = replace(Settings.read().watch_options(), log_lines_per_second=LINES_PER_SECOND)
        watcher = JobWatcher(self._clients, options, meter=self._meter)
        saved_job = self._new_saved_job()
        on_news = saved_job.on_news if saved_job else None
        has_groups = supervisor.is_here()
        new_wait = JobWait(
            self.plan,
            watcher,
            on_news=on_news,
            is_current=self._is_current,
            has_groups=has_groups,
            carrier=self._carrier,
        )
        async with new_wait as wait:
            waiting = asyncio.create_task(wait.outcome())
            killed = asyncio.create_task(killed_event.wait())
            try:
                await asyncio.wait({waiting, killed}, return_when=asyncio.FIRST_COMPLETED)
                killed.cancel()
                self._wake = lambda: None
                if saved_job is not None:
                    saved_job.drop()
                if waiting.done():
                    return waiting.result()
                return await self._stop(wait, waiting, saved_job)
            finally:  # before the wait is closed: from then on it asks nobody before it terminates its job
                waiting.cancel()

    def _new_saved_job(self) -> SavedJob | None:
        """Return what keeps the XCom current; None under `dag.test()`, where an event loop has nobody to tell."""
        if not supervisor.is_here():
            return None
        turns, is_there = Turns(WRITES_PER_SECOND), self.plan.submitted_at is not None
        return SavedJob(self._task, self._attempt, turns, nullcontext(), is_there=is_there)

    async def _is_current(self) -> bool:
        """Ask whether this attempt is still its task instance's current one; no answer counts as no."""
        if not supervisor.is_here():
            return True  # without a supervisor there is no other attempt either
        try:
            if await self._task.state() != "running":
                return False
            return self._recorded_as is None or await has_record(self._recorded_as)
        except UnansweredError:  # if it stays so, the supervisor will end this process
            return False

    async def _stop(self, wait: JobWait, waiting: asyncio.Task[Outcome], saved_job: SavedJob | None) -> Outcome:
        """Find out what SIGTERM means, and act. If the task's time is up, it changes nothing but that time is short.

        Raises:
            AirflowTaskTerminated: A user stopped the task.
            TaskEvictedError: The worker was told to stop for another reason.
        """
        is_late = self.plan.deadline is not None and datetime.now(tz=UTC) >= self.plan.deadline
        state, verdict = await verdict_on_worker(
            self._task, retry_left=self._retry_left and not is_late, recorded_as=self._recorded_as
        )
        if not self.plan.terminate_on_kill:
            verdict = stop.Verdict.LEAVE
        is_users = state in stop.STOPPED_STATES
        if verdict is stop.Verdict.TERMINATE:
            late = stop.TIME_IS_UP if is_late else stop.WORKER_STOPPED
            reason = stop.reason(state) if is_users else late
            is_terminated = await wait.terminate(reason)
            telling = asyncio.create_task(_tell(saved_job if is_terminated else None, wait, reason))
            await asyncio.wait({waiting}, timeout=LAST_LINES_SECONDS)
            await telling
            if wait.has_seen_end:
                await _tell(saved_job, wait, reason)
            if is_late and not is_users:
                return replace(waiting.result() if waiting.done() else wait.unfinished(), timed_out=True)
        raise stop_error(self.plan.job_id, state, verdict)


async def _tell(saved_job: SavedJob | None, wait: JobWait, reason: str) -> None:
    """Tell in the XCom that the job was terminated, while there is time: nobody will do so later."""
    if saved_job is not None:
        with suppress(UnansweredError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await saved_job.save_stopped(wait.job(), reason)


async def verdict_on_worker(
    task: TaskInstance, *, retry_left: bool, recorded_as: Any = None
) -> tuple[str | None, stop.Verdict]:
    """Ask the API server what SIGTERM means. No answer means that the server is lost, not that a user stopped the task.

    Unless a user has stopped the task, an attempt that has been replaced terminates nothing, since the next one may
    have adopted its job: a scheduler that starts after another one died resets the tasks of workers that live on. The
    state of a pass of a loop tells of no clear; what the attempt has lost, and the other passes, do.
    """
    try:
        state = await task.state(STATE_SECONDS)
        may_be_replaced = state not in stop.STOPPED_STATES and recorded_as is not None
        if may_be_replaced and not await has_record(recorded_as, STATE_SECONDS):
            if await task.is_made_anew(STATE_SECONDS):
                return stop.REPLACED, stop.Verdict.TERMINATE
            return state, stop.Verdict.LEAVE
    except UnansweredError:
        state = UNANSWERED
    return state, stop.on_worker(state, retry_left=retry_left)


def stopped_after_end(task: TaskInstance, job_id: str) -> BaseException | None:
    """Ask what SIGTERM means once the job has ended; return what ends the task if a user has stopped it.

    No answer means that the server is lost, not that a user stopped the task.
    """
    with suppress(UnansweredError):
        state = asyncio.run(task.state(STATE_SECONDS))
        if state in stop.STOPPED_STATES:
            return stop_error(job_id, state, stop.Verdict.LEAVE)
    return None


def stop_error(job_id: str, state: str | None, verdict: stop.Verdict) -> BaseException:
    """Return the exception that ends the task: an `execute` that returned after a kill would count as a success."""
    if state in stop.STOPPED_STATES:
        return AirflowTaskTerminated(f"The task was stopped by a user. Job: {job_id}")
    return TaskEvictedError(job_id, runs_on=verdict is stop.Verdict.LEAVE)
