"""SavedLog: how far a deferred task's log is copied, and where it is, kept in the task's XComs while its job runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from airflow_batch_jobs.links import BatchJobLogLink, log_stream_url
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.supervisor import UnansweredError
from airflow_batch_jobs.task.wait import WaitListener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.task.supervisor import TaskInstance
    from airflow_batch_jobs.task.triggerer import Triggerer

#: The name of the XCom with where the log of a running job has been copied to.
CURSOR_XCOM = "batch_job_log_cursor"
#: The longest time between two saved cursors while lines flow.
CURSOR_SECONDS = 30.0


class SavedLog(WaitListener):
    """Keeps what the next run of a trigger, and the UI, have to know of a running job's log.

    Args:
        job_id: The job.
        task: Its task instance.
        triggerer: Bounds the questions and writes of all its triggers together.
    """

    def __init__(self, job_id: str, task: TaskInstance, triggerer: Triggerer) -> None:
        self._job_id = job_id
        self._task = task
        self._triggerer = triggerer
        self._fetched: asyncio.Task[Any] | None = None
        self._is_stored = False
        self._saved_at = float("-inf")

    async def ask_ahead(self) -> None:
        """Ask before it is needed. A failure says nothing: it is asked again when it is."""
        try:
            await self._fetch()
        except UnansweredError:  # `load_cursors` will tell
            self._fetched = None

    async def load_cursors(self) -> Mapping[str, Any]:
        """Return where an earlier run left the log; asked when there is a log, if it was not ahead.

        Airflow uploads what a trigger has logged when the trigger has ended, and not when its triggerer is stopped or
        dies, and shows nothing else of a finished task. So where logs are remote, the whole log is copied once more.
        """
        try:
            saved = await self._fetch()
        except UnansweredError as error:  # lines that come twice are better than none
            log.problem(f"Where the log copy left off is not known; lines may appear twice: {error}")
            return {}
        self._is_stored = saved is not None
        if not isinstance(saved, dict) or saved.get("job_id") != self._job_id:
            return {}
        if _are_logs_remote():
            log.note(
                "The log is copied from its beginning: what an earlier triggerer wrote is not in the remote log store."
            )
            return {}
        if not saved.get("left"):
            self._note_gap(saved.get("saved_at"))
        streams: dict[str, Any] = saved["streams"]
        return streams

    async def _fetch(self) -> Any:
        if self._fetched is None:
            self._fetched = asyncio.create_task(self._ask())
        return await asyncio.shield(self._fetched)

    async def _ask(self) -> Any:
        async with self._triggerer.questions:
            return await self._task.get_xcom(CURSOR_XCOM)

    async def on_lines(self, cursors: Callable[[], Mapping[str, Any]]) -> None:
        """Save how far the log is copied if that was long ago; the rate of all triggers together is bounded.

        The first lines count as such, so that a run that goes on after a crash knows that there was one before it.

        Args:
            cursors: Tells where the copy of the log stands now, by stream.
        """
        now = asyncio.get_running_loop().time()
        if now - self._saved_at < CURSOR_SECONDS or not self._triggerer.cursor_writes.allows(now):
            return
        self._saved_at = now
        with suppress(UnansweredError):  # the next one will do
            async with self._triggerer.questions:
                await self.save(cursors())

    async def on_streams(self, streams: tuple[LogStream, ...]) -> bool:
        """Let the UI's link lead to the newest stream while the job runs, as soon as the common rate allows."""
        if not self._triggerer.link_writes.allows(asyncio.get_running_loop().time()):
            return False
        newest = streams[-1]
        with suppress(UnansweredError):  # a link is not worth a job
            async with self._triggerer.questions:
                await self._task.set_xcom(BatchJobLogLink().xcom_key, log_stream_url(newest.to_dict()))
        return True

    async def save(self, cursors: Mapping[str, Any], *, left: bool = False) -> None:
        """Save how far the log is copied, at once.

        Args:
            cursors: Where the copy of the log stands, by stream.
            left: Whether nothing will be copied here any more, so that the next triggerer neither loses a line nor
                copies one twice.

        Raises:
            UnansweredError: It may not be saved.
        """
        if cursors:
            self._is_stored = True
            saved = {"job_id": self._job_id, "streams": cursors, "saved_at": _now().isoformat(), "left": left}
            await self._task.set_xcom(CURSOR_XCOM, saved)

    async def forget(self) -> None:
        """Forget it: the job has ended.

        Raises:
            UnansweredError: It may still be there.
        """
        if self._is_stored:
            await self._task.delete_xcom(CURSOR_XCOM)

    def _note_gap(self, saved_at: str | None) -> None:
        """Say that the earlier triggerer did not end as it should: it may have copied lines after it last saved."""
        ago = f" {(_now() - datetime.fromisoformat(saved_at)).total_seconds():.0f} s ago" if saved_at else ""
        log.note(
            f"The log continues where an earlier triggerer saved its place{ago}; lines since then may appear twice."
        )


def _are_logs_remote() -> bool:
    return bool(conf.getboolean("logging", "remote_logging", fallback=False))


def _now() -> datetime:
    return datetime.now(tz=UTC)
