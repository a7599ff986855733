"""BatchJobTrigger: waits for a job in the triggerer, and stops it when a user stops the task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_batch_jobs.task import log, stop
from airflow_batch_jobs.task.connection import AwsConnection
from airflow_batch_jobs.task.saved_log import SavedLog
from airflow_batch_jobs.task.supervisor import JOB_XCOM, TaskKey
from airflow_batch_jobs.task.triggerer import Triggerer
from airflow_batch_jobs.task.wait import JobWait, Outcome, WaitPlan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

#: How long a stopped task's state may stay undecided: scheduled, queued, running.
UNDECIDED_SECONDS = 20.0
#: How long the last lines of a stopped job are waited for.
LAST_LINES_SECONDS = 20.0
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
        self._wait: JobWait | None = None
        self._saved_log: SavedLog | None = None
        self._settled = False

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
        outcome = await self._wait_for_job()
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
        if self._saved_log is None or self._wait is None:
            return
        with suppress(Exception):
            async with asyncio.timeout(GOODBYE_SECONDS):
                if self._wait.ended or self._settled:
                    await self._saved_log.forget()
                else:
                    await self._saved_log.save(self._wait, left=True)

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
            async with Triggerer.here().questions:
                await self._key.set_xcom(JOB_XCOM, {**outcome.job, "try_number": try_number, "max_tries": max_tries})
                await self._key.set_xcom("return_value", outcome.job_id)
        except Exception as error:  # noqa: BLE001 - whatever is wrong here, a worker can still end the task
            why = f"its XComs could not be written: {error!r}"
            log.problem(f"The task is ended by a worker, since {why}")
            return False
        log.note(outcome.summary)
        return True

    async def _wait_for_job(self) -> Outcome:
        """Wait for the job, and see to it when Airflow cancels the wait.

        A task has to stay deferred for a while: the supervisor of the worker that deferred may notice the end of its
        process one heartbeat late. If the task runs again by then, the scheduler takes that worker's end for the end of
        the task and marks it failed.
        """
        triggerer = Triggerer.here()
        begun = asyncio.get_running_loop().time()
        if self._key is not None and self.plan.copy_logs:
            self._saved_log = SavedLog(self.plan.job_id, self._key, triggerer)
            triggerer.ask_ahead(self._saved_log)
        self._wait = JobWait(
            self.plan,
            triggerer.watcher(self.connection),
            listener=self._saved_log,
            is_current=self._is_current,
        )
        async with self._wait:
            try:
                outcome = await self._wait.outcome()
                if self._key is not None and not self._can_finish(outcome):
                    early = begun + _shortest_deferral_seconds() - asyncio.get_running_loop().time()
                    await asyncio.sleep(max(0.0, early))
            except asyncio.CancelledError as cancelled:
                # Airflow gives the reason only to what it calls a user action; without one the triggerer is shutting
                # down.
                if cancelled.args:
                    await _undisturbed(self._stop_if_wanted())
                raise
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
            self._saved_log = None  # it is another's now
            log.note(f"The task is {state or 'cleared'}; job {self.plan.job_id} is left alone.")
            return
        reason = f"Airflow task stopped by a user: now {state or 'cleared'}"
        # A wait that has not begun yet can stop its job all the same; there is no log to wait for then.
        wait = self._wait or JobWait(self.plan, Triggerer.here().watcher(self.connection))
        self._settled = await wait.terminate(reason)
        if wait.is_open and not wait.ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(wait.outcome(), LAST_LINES_SECONDS)

    async def _is_current(self) -> bool:
        """Ask whether the task is still deferred by this very attempt; no answer is a no.

        A triggerer that stalled may wake up when a later attempt has long adopted the job.
        """
        if self._key is None:
            return True
        try:
            if await self._key.state() != "deferred":
                return False
            return not stop.is_newer(await self._key.get_xcom(JOB_XCOM), self.attempt[1])
        except Exception:  # noqa: BLE001 - whatever is wrong with the API server, it is asked again
            return False

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
                log.problem(
                    f"The API server does not say whether a user stopped this task ({error!r}); job "
                    f"{self.plan.job_id} is left running. Terminate it by hand if it is not wanted."
                )
                return "unknown", stop.Verdict.LEAVE
            verdict = stop.in_triggerer(state, stored, self.plan.job_id, self.attempt[1])
            if verdict is not stop.Verdict.ASK_AGAIN:
                return state, verdict
            if loop.time() >= until:
                return state, stop.Verdict.LEAVE
            await asyncio.sleep(1)


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
