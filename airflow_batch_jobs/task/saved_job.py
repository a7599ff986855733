"""SavedJob: what is known of a task's job, kept current in its XCom `batch_job` while the job lives.

An XCom is written by the task instance's name, so nothing keeps an attempt that has been replaced from overwriting its
successor's. Therefore each write first reads what is there: it is left alone if it is a newer attempt's, or gone, as it
is when a newer attempt has begun. What it knows of the same job is carried on, which makes a takeover by another
triggerer exact.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.job_xcom import carried_on, is_older, stopped
from airflow_batch_jobs.batch.watch.apart import start_apart
from airflow_batch_jobs.batch.xcoms import JOB_XCOM
from airflow_batch_jobs.links import JOB_LINKS
from airflow_batch_jobs.task import stop
from airflow_batch_jobs.task.supervisor import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from airflow_batch_jobs.task.supervisor import TaskInstance

    #: Returns what is known of a job now.
    Job = Callable[[], Mapping[str, Any]]
    #: Writes, and returns how much that was.
    Write = Callable[[], Awaitable[int]]

#: How long news that nobody waits for is gathered: an array's counts change at every look. An API server that did not
#: answer is asked again after the same time.
GATHER_SECONDS = 30.0
#: The process's own: what concerns the API server alone belongs in no task's log.
_LOG = logging.getLogger(__name__)


class Turns:
    """Has many write, one after the other, in the order in which they asked for it, with a bounded rate.

    Args:
        per_second: The most writes.
    """

    def __init__(self, per_second: float) -> None:
        self._pause = 1 / per_second
        self._waiting: dict[Write, None] = {}
        self._task: asyncio.Task[None] | None = None

    def ask(self, write: Write) -> None:
        """Have something written when its turn comes; once, however often that is asked for until then."""
        self._waiting.setdefault(write)
        if self._task is None or self._task.done():
            self._task = start_apart(self._run())

    def leave(self, write: Write) -> None:
        """Give up a turn."""
        self._waiting.pop(write, None)

    async def _run(self) -> None:
        while self._waiting:
            write = next(iter(self._waiting))
            del self._waiting[write]
            writes = await write()
            del write  # it would keep a trigger alive
            await asyncio.sleep(self._pause * writes)


class _OlderError(Exception):
    """What is there is newer."""


class SavedJob:
    """The XCom `batch_job` of a task instance whose job is waited for, and the UI's link to the job's log.

    Args:
        task: The task instance.
        attempt: What marks the XCom as this attempt's: `try_number` and `max_tries`.
        turns: Bounds the writes of all tasks together.
        questions: Held while the API server is asked.
        is_there: Whether this attempt has written the XCom already, so that it is another's turn if it is gone.
    """

    def __init__(
        self,
        task: TaskInstance,
        attempt: Mapping[str, int],
        turns: Turns,
        questions: AbstractAsyncContextManager[Any],
        *,
        is_there: bool,
    ) -> None:
        self._task = task
        self._attempt = dict(attempt)
        self._turns = turns
        self._questions = questions
        self._is_there = is_there
        self._is_over = False
        self._job: Job | None = None
        self._links: dict[str, str] = {}
        self._gathered_at = asyncio.get_running_loop().time() + GATHER_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()

    def on_news(self, job: Job, *, is_urgent: bool) -> None:
        """Write what is known of the job when the shared rate allows; what is not urgent, only after a while.

        Args:
            job: Returns what is known of it now.
            is_urgent: Whether somebody waits for it.
        """
        if self._is_over:
            return
        self._job = job
        loop = asyncio.get_running_loop()
        if is_urgent or loop.time() >= self._gathered_at:
            self._ask()
        elif self._timer is None:
            self._timer = loop.call_at(self._gathered_at, self._ask)

    async def save(self, value: Mapping[str, Any]) -> bool:
        """Write at once, unless another attempt has taken over; return whether that was written.

        Args:
            value: What is known of the job.

        Raises:
            UnansweredError: It may not be written.
        """
        return await self._save_at_once(lambda _: value)

    async def save_stopped(self, value: Mapping[str, Any], reason: str) -> bool:
        """Write at once that the job was terminated, as `save` does.

        Args:
            value: What is known of the job; if AWS has not been asked for it, what is there already counts.
            reason: What AWS was given as the reason.

        Raises:
            UnansweredError: It may not be written.
        """

        def told(stored: Any) -> Mapping[str, Any]:
            is_known = "status" in value or not isinstance(stored, dict) or stored.get("job_id") != value["job_id"]
            return stopped(value if is_known else stored, reason)

        return await self._save_at_once(told, is_stopped=True)

    async def _save_at_once(self, job: Callable[[Any], Mapping[str, Any]], *, is_stopped: bool = False) -> bool:
        async with self._writing:
            try:
                return bool(await self._save(job, is_stopped=is_stopped))
            except _OlderError:
                return False

    def drop(self) -> None:
        """Write no more news: somebody else will."""
        self._is_over = True
        self._job = None
        self._turns.leave(self._take_turn)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Write no more news, and let what is being written be written, so that nothing comes after the end."""
        self.drop()
        async with self._writing:
            pass

    def _ask(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._turns.ask(self._take_turn)

    async def _take_turn(self) -> int:
        """Write the news; return how many writes that took."""
        job = self._job
        if job is None:
            return 0
        async with self._writing:
            try:
                return await self._save(lambda _: job())
            except (UnansweredError, _OlderError):
                if self._job is not None and self._timer is None:
                    self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._ask)
            except Exception:  # noqa: BLE001 - the others' turns come all the same
                _LOG.exception("What is known of the job of %s could not be saved.", self._task.key)
        return 1

    async def _save(self, job: Callable[[Any], Mapping[str, Any]], *, is_stopped: bool = False) -> int:
        self._gathered_at = asyncio.get_running_loop().time() + GATHER_SECONDS
        async with self._questions:
            stored = await self._task.get_xcom(JOB_XCOM)
            if stop.is_newer(stored, self._attempt["try_number"]) or (stored is None and self._is_there):
                self.drop()
                return 0
            value = job(stored)
            if is_older(value, stored):  # by another triggerer, or a clock that is ahead
                raise _OlderError
            await self._task.set_xcom(JOB_XCOM, {**carried_on(value, stored), **self._attempt}, is_stopped=is_stopped)
            self._is_there = True
            return 1 + await self._point_links(value, stored, is_stopped=is_stopped)

    async def _point_links(self, value: Mapping[str, Any], stored: Any, *, is_stopped: bool) -> int:
        """Point the UI's links to where they lead now: to a new log stream, or to the page of the job's kind."""
        written = 0
        for each in JOB_LINKS:
            link = each.leads_to(value)
            if link and link != self._links.get(each.name, each.leads_to(stored)):
                self._links[each.name] = link
                written += 1
                with suppress(UnansweredError):  # a link is not worth a job
                    await self._task.set_xcom(each.xcom_key, link, is_stopped=is_stopped)
        return written
