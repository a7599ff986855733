"""BatchJobTrigger: waits for a job in the triggerer, and stops it when a user stops the task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_batch_jobs import stop
from airflow_batch_jobs.connection import AwsConnection
from airflow_batch_jobs.task_instance import CURSOR_XCOM, JOB_XCOM, TaskKey
from airflow_batch_jobs.task_log import TaskLog
from airflow_batch_jobs.waiting import JobWait, Outcome, WaitPlan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from airflow_batch_jobs.batch.detail import LogStream
    from airflow_batch_jobs.batch.watch import JobWatcher

#: How long a stopped task's state may stay undecided: scheduled, queued, running.
UNDECIDED_SECONDS = 20.0
#: How long the last lines of a stopped job are waited for.
LAST_LINES_SECONDS = 20.0
#: The longest time between two saved cursors while lines flow.
CURSOR_SECONDS = 30.0
#: How long the scheduler may take to hear that a worker's process has ended.
SCHEDULER_SECONDS = 2.0
#: How long a triggerer that is shutting down waits for a cursor to be saved.
GOODBYE_SECONDS = 1.0


class JobEvent(TriggerEvent):
    """A trigger's event that shows itself in one short line: the triggerer prints it into the task log."""

    def __repr__(self) -> str:
        job = self.payload["job"]
        return f"job {job['job_id']} {job.get('status', 'unknown')}"


class BatchJobTrigger(BaseTrigger):
    """Wait for a job; fires one event, the JSON form of `Outcome`.

    A stop by a user terminates the job and copies its last lines; a restart of the triggerer, or another triggerer
    taking over, leaves it alone and goes on in the log where the last one was.

    The deadline is the trigger's own, since Airflow's trigger timeout would run neither this code nor the operator's.

    Args:
        job_id: The job.
        poll_interval: Seconds between two looks at it.
        copy_logs: Whether to copy its log lines.
        terminate_on_kill: Whether a user's stop, or the deadline, terminates the job.
        deadline: When the wait ends, ISO 8601; None for no end.
        submitted_at: When the job was submitted, ISO 8601.
        rendered: Handed back in the event.
        finish_in_triggerer: Whether to end the task here when the job has succeeded and all of its log is copied.
        try_number: The attempt that deferred to this trigger.
        max_tries: Its task instance's, which tells a retry from a clear.
        aws_conn_id: The Airflow connection.
        region_name: The region; None for the connection's.
        verify: See `AwsConnection`.
        botocore_config: See `AwsConnection`.
    """

    def __init__(  # noqa: PLR0913 - a stored format: flat, so that it can grow
        self,
        job_id: str,
        *,
        poll_interval: float = 5.0,
        copy_logs: bool = True,
        terminate_on_kill: bool = True,
        deadline: str | None = None,
        submitted_at: str | None = None,
        rendered: dict[str, Any] | None = None,
        finish_in_triggerer: bool = False,
        try_number: int = 1,
        max_tries: int = 0,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger is untyped
        self.plan = WaitPlan.from_dict(
            {
                "job_id": job_id,
                "poll_interval": poll_interval,
                "copy_logs": copy_logs,
                "terminate_on_kill": terminate_on_kill,
                "deadline": deadline,
                "submitted_at": submitted_at,
                "rendered": rendered,
            }
        )
        self.attempt = (max_tries, try_number)
        self.finish_in_triggerer = finish_in_triggerer
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)
        self._task_log = TaskLog()
        self._wait: JobWait | None = None
        self._waiting: asyncio.Task[Outcome] | None = None
        self._settled = False
        self._cursor_saved_at = 0.0

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make this trigger again elsewhere."""
        max_tries, try_number = self.attempt
        kwargs = {
            **self.plan.to_dict(),
            "finish_in_triggerer": self.finish_in_triggerer,
            "try_number": try_number,
            "max_tries": max_tries,
            **self.connection.to_dict(),
        }
        return "airflow_batch_jobs.triggers.BatchJobTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the outcome."""
        self._waiting = asyncio.create_task(self._wait_for_job())
        try:
            outcome = await asyncio.shield(self._waiting)
        except asyncio.CancelledError as cancelled:
            # Airflow gives the reason only to what it calls a user action; without one the triggerer is shutting down.
            if cancelled.args:
                await _undisturbed(self._stop_if_wanted())
            raise
        finally:
            self._waiting.cancel()
        if await self._has_finished(outcome):
            yield TaskSuccessEvent()
        else:
            yield JobEvent(payload=outcome.to_event())

    async def on_kill(self) -> None:
        """Terminate the job if `run` had no chance to; Airflow gives this method about a second."""
        if not self._settled:
            await self._stop_if_wanted()

    async def cleanup(self) -> None:
        """Save where the log stands, or forget it when the job has ended. Never stops the job."""
        if self._key is None or self._wait is None or not self.plan.copy_logs:
            return
        with suppress(Exception):
            async with asyncio.timeout(GOODBYE_SECONDS):
                if self._wait.ended or self._settled:
                    await self._key.delete_xcom(CURSOR_XCOM)
                else:
                    await self._save_cursor()

    def _can_finish(self, outcome: Outcome) -> bool:
        return (
            self.finish_in_triggerer
            and self._key is not None
            and outcome.succeeded
            and not outcome.unread
            and not outcome.timed_out
        )

    async def _has_finished(self, outcome: Outcome) -> bool:
        """Do what the worker would do at the end, if all of it can be done here.

        The event could carry XComs, but Airflow 3.3 encodes those twice: what reads them would get a text of JSON.
        """
        if self._key is None or not self._can_finish(outcome):
            return False
        max_tries, try_number = self.attempt
        try:
            await self._key.set_xcom(JOB_XCOM, {**outcome.job, "try_number": try_number, "max_tries": max_tries})
            await self._key.set_xcom("return_value", outcome.job_id)
        except Exception as error:  # noqa: BLE001 - whatever is wrong here, a worker can still end the task
            self._task_log.problem(f"The task is ended by a worker, since its XComs could not be written: {error!r}")
            return False
        self._task_log.note(outcome.summary)
        return True

    async def _wait_for_job(self) -> Outcome:
        """Wait for the job, and no shorter than Airflow can bear.

        The supervisor of the worker that deferred may notice the end of its process one heartbeat late. If the task
        runs again by then, the scheduler takes that worker's end for the end of the task and marks it failed.
        """
        begun = asyncio.get_running_loop().time()
        self._wait = JobWait(
            self.plan,
            watcher_of(self.connection),
            log=self._task_log,
            cursors=await self._saved_cursors(),
            on_lines=self._save_cursor_now_and_then,
            on_streams=self._show_log_link,
        )
        outcome = await self._wait.run()
        if self._key is not None and not self._can_finish(outcome):
            early = begun + _shortest_deferral_seconds() - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, early))
        return outcome

    @property
    def _key(self) -> TaskKey | None:
        """The task instance this trigger belongs to; None under `dag.test()`."""
        return None if self.task_instance is None else TaskKey.of(self.task_instance)

    async def _stop_if_wanted(self) -> None:
        """Find out whether a user wants the job gone; then terminate it and copy its last lines."""
        state, verdict = await self._verdict()
        if verdict is not stop.Verdict.TERMINATE or not self.plan.terminate_on_kill:
            self._settled = True
            self._task_log.note(f"The task is {state or 'cleared'}; job {self.plan.job_id} is left alone.")
            return
        reason = f"Airflow task stopped by a user: now {state or 'cleared'}"
        # A wait that has not begun yet can stop its job all the same; there is no log to wait for then.
        wait = self._wait or JobWait(self.plan, watcher_of(self.connection), log=self._task_log)
        self._settled = await wait.terminate(reason)
        if self._wait and self._waiting:
            await asyncio.wait({self._waiting}, timeout=LAST_LINES_SECONDS)

    async def _verdict(self) -> tuple[str | None, stop.Verdict]:
        """Ask the API server until the task instance's state is one that decides; no answer means: leave it."""
        if self._key is None:
            return None, stop.Verdict.TERMINATE
        loop = asyncio.get_running_loop()
        until = loop.time() + UNDECIDED_SECONDS
        while True:
            try:
                state = await self._key.state()
                stored = await self._key.get_xcom(JOB_XCOM) if state == "deferred" else None
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the API server, the job must not pay
                self._task_log.problem(
                    f"The API server does not say whether a user stopped this task ({error!r}); job "
                    f"{self.plan.job_id} is left running. Terminate it by hand if it is not wanted."
                )
                return "unknown", stop.Verdict.LEAVE
            verdict = stop.in_triggerer(state, stored, self.plan.job_id, self.attempt)
            if verdict is not stop.Verdict.ASK_AGAIN:
                return state, verdict
            if loop.time() >= until:
                return state, stop.Verdict.LEAVE
            await asyncio.sleep(1)

    async def _saved_cursors(self) -> dict[str, Any] | None:
        """Return where an earlier run of this trigger left the log; None where there was none."""
        if self._key is None or not self.plan.copy_logs:
            return None
        try:
            saved = await self._key.get_xcom(CURSOR_XCOM)
        except Exception as error:  # noqa: BLE001 - without it lines come twice, which is better than not at all
            self._task_log.problem(f"Where the log was left is not known, lines may come twice: {error!r}")
            return None
        return saved["streams"] if saved and saved.get("job_id") == self.plan.job_id else None

    async def _save_cursor_now_and_then(self) -> None:
        """Save where the log stands if that was long ago; the rate of all triggers together is bounded."""
        now = asyncio.get_running_loop().time()
        if self._key is None or now - self._cursor_saved_at < CURSOR_SECONDS or not CURSOR_WRITES.allows(now):
            return
        self._cursor_saved_at = now
        with suppress(Exception):  # the next one will do
            await self._save_cursor()

    async def _save_cursor(self) -> None:
        if self._key and self._wait and (streams := self._wait.cursors()):
            await self._key.set_xcom(CURSOR_XCOM, {"job_id": self.plan.job_id, "streams": streams})

    async def _show_log_link(self, streams: tuple[LogStream, ...]) -> None:
        """Let the UI's link lead to the newest stream while the job runs."""
        if self._key is None:
            return
        from airflow_batch_jobs.links import BatchJobLogLink, log_stream_url

        newest = streams[-1]
        with suppress(Exception):  # a link is not worth a job
            await self._key.set_xcom(BatchJobLogLink().xcom_key, log_stream_url(newest.to_dict()))


class WriteRate:
    """At most so many writes a second of all triggers in this process together."""

    def __init__(self, per_second: float) -> None:
        self._span = 1 / per_second
        self._next = 0.0

    def allows(self, now: float) -> bool:
        """Return whether another write may go out at `now`, in seconds, and count it."""
        if now < self._next:
            return False
        self._next = now + self._span
        return True


#: Cursors are a convenience; the API server has other things to do.
CURSOR_WRITES = WriteRate(per_second=4)


def watcher_of(connection: AwsConnection) -> JobWatcher:
    """Return this event loop's watcher for a set of AWS settings."""
    from airflow_batch_jobs.batch.watch import JobWatcher, shared_watcher
    from airflow_batch_jobs.config import Settings

    return shared_watcher(connection.key, lambda: JobWatcher(connection.clients(), Settings.read().watch_options()))


def _shortest_deferral_seconds() -> float:
    """Return how long a task has to stay deferred before it can safely run again."""
    from airflow.sdk.configuration import conf

    return float(conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)) + SCHEDULER_SECONDS


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do work to its end although Airflow repeats its cancellation at every sync, about once a second.

    A cancellation without a reason is the triggerer's shutdown: then the work is dropped at once.
    """
    task = asyncio.create_task(work)
    until = datetime.now(tz=UTC).timestamp() + UNDECIDED_SECONDS + LAST_LINES_SECONDS + 5
    while not task.done() and (left := until - datetime.now(tz=UTC).timestamp()) > 0:
        try:
            await asyncio.wait({task}, timeout=left)
        except asyncio.CancelledError as again:
            if not again.args:
                task.cancel()
                raise
    if task.done() and not task.cancelled() and (error := task.exception()):
        raise error
