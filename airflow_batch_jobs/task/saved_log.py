"""SavedLog: how far a job's log is copied, kept in the deferred task's XComs while the job runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.configuration import conf

from airflow_batch_jobs.batch.fault_points import reach
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs.cursors import are_partial
from airflow_batch_jobs.batch.logs.reading import CLOCK_SKEW_MS
from airflow_batch_jobs.batch.xcoms import CURSOR_XCOM
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.supervisor import UnansweredError
from airflow_batch_jobs.task.wait import WaitListener

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_batch_jobs.batch.logs import LogEvent
    from airflow_batch_jobs.task.supervisor import TaskInstance
    from airflow_batch_jobs.task.triggerer import Triggerer

#: The time between two saves of the cursors while lines flow, or more if the shared rate is used up.
CURSOR_SECONDS = 30.0
#: How many triggerers are remembered that wrote the log of one attempt.
_MOST_WRITERS = 20


class SavedLog(WaitListener):
    """Keeps what the next run of a trigger has to know about a running job's log.

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
        self._is_exact = False
        self._is_closed = False
        self._saved_at = float("-inf")
        self._writers: list[str] = []
        self._gap: tuple[int, str] | None = None  # see `_gap`

    async def ask_ahead(self) -> None:
        """Ask before the answer is needed. A failure does not matter: `load_cursors` asks again."""
        try:
            await self._fetch()
        except UnansweredError:  # `load_cursors` will tell
            self._fetched = None

    async def load_cursors(self) -> Mapping[str, Any]:
        """Return where an earlier run left the log; asked once there is a log, unless it was asked ahead.

        Airflow uploads what a trigger has logged once the trigger has ended, but not if its triggerer is stopped or
        dies, and shows nothing else for a finished task. So if logs are remote, the whole log is copied once more; and
        also if an earlier trigger of the attempt wrote in this very triggerer, which has emptied that file.
        """
        try:
            saved = await self._fetch()
        except UnansweredError as error:  # lines that come twice are better than none
            log.problem(f"Where the log copy left off is not known; lines may appear twice: {error}")
            return {}
        self._is_stored = saved is not None
        if not isinstance(saved, dict) or saved.get("job_id") != self._job_id:
            return {}
        if are_logs_remote():
            log.note(
                "The log is copied from its beginning: what an earlier triggerer wrote is not in the remote log store."
            )
            return {}
        try:
            return self._go_on(saved)
        except Exception as error:  # noqa: BLE001 - it may be anything, of another version or damaged
            log.problem(f"Where the log copy left off cannot be read; lines may appear twice: {error!r}")
            return {}

    def _go_on(self, saved: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return where to go on according to what is stored, and say what that means for the lines."""
        self._writers = [str(each) for each in saved.get("writers", [])]
        if self._triggerer.name in self._writers:
            log.note("The log is copied from its beginning: Airflow has emptied what an earlier trigger wrote here.")
            return {}
        if not saved.get("left"):
            self._gap = _gap(saved.get("saved_at"))
        streams: dict[str, Any] = saved["streams"]
        if are_partial(streams):
            log.note("The log is large and continues from further back than it was copied; lines may appear twice.")
        return streams

    async def _fetch(self) -> Any:
        if self._fetched is None:
            self._fetched = asyncio.create_task(self._ask())
        return await asyncio.shield(self._fetched)

    async def _ask(self) -> Any:
        async with self._triggerer.questions:
            return await self._task.get_xcom(CURSOR_XCOM)

    def before_lines(self, events: tuple[LogEvent, ...]) -> None:
        """Say, before the first lines that an earlier triggerer may have copied, that it did not end cleanly.

        It has not saved that it ends, either, if no line had come since it saved its place; then nothing is said.
        """
        if self._gap is not None and events[0].timestamp < self._gap[0]:
            (_, ago), self._gap = self._gap, None
            log.note(
                f"The log continues where an earlier triggerer saved its place{ago}; lines since then may appear twice."
            )

    async def on_lines(self, cursors: Callable[[], Mapping[str, Any]]) -> None:
        """Save how far the log is copied if the last save was long ago; all triggers share one bounded rate.

        The first lines are saved at once, so that a run that resumes after a crash knows that there was one before it.

        Args:
            cursors: Returns how far the log is copied now, by stream.
        """
        reach("after-lines", self._task.key.run_id)
        self._is_exact = False
        if self._is_closed:
            return
        now = asyncio.get_running_loop().time()
        if now - self._saved_at < CURSOR_SECONDS or not self._triggerer.cursor_writes.allows(now):
            return
        self._saved_at = now
        with suppress(UnansweredError):  # the next one will do
            async with self._triggerer.questions:
                await self.save(cursors())

    def close(self) -> None:
        """Write nothing of the lines that are still to come: Airflow refuses it once the task is not deferred."""
        self._is_closed = True

    async def save(self, cursors: Mapping[str, Any], *, left: bool = False) -> None:
        """Save how far the log is copied, at once, unless no line has come since the last time.

        Args:
            cursors: How far the log is copied, by stream.
            left: Whether nothing more will be copied here, so that the next triggerer neither loses a line nor copies
                one twice.

        Raises:
            UnansweredError: It may not be saved.
        """
        if cursors and not self._is_exact:
            self._is_stored = True
            saved = {"job_id": self._job_id, "streams": cursors, "saved_at": _now().isoformat(), "left": left}
            writers = list(dict.fromkeys([*self._writers, self._triggerer.name]))[-_MOST_WRITERS:]
            await self._task.set_xcom(CURSOR_XCOM, saved | {"writers": writers})
            self._is_exact = True

    async def forget(self) -> None:
        """Forget it: the job has ended.

        Raises:
            UnansweredError: It may still be there.
        """
        if self._is_stored:
            await self._task.delete_xcom(CURSOR_XCOM)


def are_logs_remote() -> bool:
    """Tell whether Airflow uploads a trigger's log once the trigger has ended."""
    return bool(conf.getboolean("logging", "remote_logging", fallback=False))


def _gap(saved_at: str | None) -> tuple[int, str]:
    """Return until when (ms) an earlier triggerer may have copied lines, and how long ago it saved its place."""
    now = _now()
    ago = f" {(now - datetime.fromisoformat(saved_at)).total_seconds():.0f} s ago" if saved_at else ""
    return milliseconds(now) + CLOCK_SKEW_MS, ago


def _now() -> datetime:
    return datetime.now(tz=UTC)
