"""BatchJobTrigger: waits for a job in the triggerer, and stops it when a user stops the task."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TaskSuccessEvent, TriggerEvent

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.storable import storable, storable_text
from airflow_batch_jobs.task import crash, stop
from airflow_batch_jobs.task.connection import AwsConnection
from airflow_batch_jobs.task.handover import WaitPlan
from airflow_batch_jobs.task.in_triggerer import TriggererWait, stay_deferred, undisturbed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable


class JobEvent(TriggerEvent):
    """A trigger's event whose repr is one short line: the triggerer prints it into the task log."""

    def __repr__(self) -> str:
        job = self.payload["job"]
        return f"job {job['job_id']} {job.get('status', 'unknown')}"


class BatchJobTrigger(BaseTrigger):
    """Wait for a job; fires one event, the JSON form of `Outcome`.

    A stop by a user terminates the job and copies its last lines; a restart of the triggerer, or another triggerer
    taking over, leaves it alone and continues the log where the last one left off.

    The deadline is the trigger's own, since Airflow's trigger timeout would run neither this code nor the operator's.

    If it crashes, the worker that resumes the task defers to another one, which begins later, see `task.crash`.

    Args:
        job_id: The job.
        finish_in_triggerer: Whether to end the task here when the job has succeeded and all of its log is copied.
        try_number: The attempt that deferred to this trigger.
        max_tries: The task instance's `max_tries`, which tells a retry from a clear.
        loop_index: The pass of the loop that the task is in; None outside of loops.
        aws_conn_id: The Airflow connection.
        region_name: The region; None for the connection's.
        verify: See `AwsConnection`.
        botocore_config: See `AwsConnection`.
        **plan: The other fields of `WaitPlan`, in their JSON form.

    Raises:
        TypeError: An argument cannot be read. For that Airflow fails the trigger alone; any other error would end the
            triggerer, with all that wait in it.
    """

    def __init__(  # noqa: PLR0913 - each is a part of a stored format
        self,
        job_id: str,
        *,
        finish_in_triggerer: bool = False,
        try_number: int = 1,
        max_tries: int = 0,
        loop_index: int | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **plan: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger is untyped
        try:
            self.plan = WaitPlan.from_dict({"job_id": job_id, **plan})
        except ValueError as error:
            raise TypeError(storable_text(str(error))) from error
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)
        self.finish_in_triggerer = finish_in_triggerer
        self.try_number = try_number
        self.max_tries = max_tries
        self.loop_index = loop_index
        self._wait: TriggererWait | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that recreate this trigger elsewhere."""
        kwargs = {
            **storable(self.plan.to_dict()),
            "finish_in_triggerer": self.finish_in_triggerer,
            "try_number": self.try_number,
            "max_tries": self.max_tries,
            "loop_index": self.loop_index,
            **self.connection.to_dict(),
        }
        return "airflow_batch_jobs.triggers.BatchJobTrigger", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield the outcome."""
        begun = asyncio.get_running_loop().time()
        try:
            event = await self._event()
        except Exception as error:
            await self._or_stop(self._stay_deferred(begun))
            if not _can_be_told(error):
                raise _told(error) from None
            raise
        yield event
        if self._wait is not None:
            await self._wait.linger()

    async def _event(self) -> TriggerEvent:
        await self._or_stop(crash.pause(self.plan))
        self._wait = wait = self._new_wait()
        outcome = await wait.run()
        return TaskSuccessEvent() if await wait.has_finished(outcome) else JobEvent(payload=outcome.to_event())

    async def _stay_deferred(self, begun: float) -> None:
        """Leave the wait that has crashed, and keep the task deferred for as long as any has to be.

        Args:
            begun: When this trigger began, in seconds of the event loop.
        """
        crashed, self._wait = self._wait, None
        if crashed is not None:
            with suppress(Exception):  # the crash itself is what must be reported
                await crashed.leave()
        if self.task_instance is not None:
            await stay_deferred(begun)

    async def _or_stop(self, work: Awaitable[None]) -> None:
        """Do something while no wait is there that could hear of a user's stop."""
        try:
            await work
        except asyncio.CancelledError as cancelled:
            if stop.is_users(cancelled):
                await undisturbed(self.on_kill())
            raise

    async def on_kill(self) -> None:
        """Terminate the job if `run` had no chance to; Airflow gives this method about a second."""
        self._wait = self._wait or self._new_wait()
        await self._wait.kill()

    async def cleanup(self) -> None:
        """Save how far the log is copied, or forget it if the job has ended. Never stops the job."""
        if self._wait is not None:
            await self._wait.leave()

    def _new_wait(self) -> TriggererWait:
        return TriggererWait(
            self.plan,
            self.connection,
            None if self.task_instance is None else TaskKey.of(self.task_instance, self.loop_index),
            try_number=self.try_number,
            max_tries=self.max_tries,
            may_finish=self.finish_in_triggerer,
            carrier=getattr(self.task_instance, "context_carrier", None),
        )


def _can_be_told(error: Exception) -> bool:
    """Tell whether Airflow can hand the traceback on to the worker: if not, its triggerer would end."""
    text = "".join(traceback.format_exception(error))
    return storable_text(text) == text


def _told(error: Exception) -> Exception:
    """Return an error for the worker in place of one whose text cannot be handed on."""
    text = storable_text(f"{type(error).__name__}: {error}")
    return RuntimeError(text).with_traceback(error.__traceback__)
