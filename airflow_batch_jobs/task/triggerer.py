"""Triggerer: what the triggers of one event loop share: watchers, the lines these copy, a bound on what they ask."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_batch_jobs.batch.watch import JobWatcher
from airflow_batch_jobs.batch.watch.line_budget import LineBudget
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import NoDeploymentError
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.heap import freeze_after
from airflow_batch_jobs.task.orphan_watch import OrphanWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from airflow_batch_jobs.task.connection import AwsConnection

    #: Asks the API server something.
    Question = Callable[[], Awaitable[None]]

#: A supervisor answers some 50 questions a second, one after the other. What can wait is asked by so many at a time, so
#: that what cannot, whether a user stopped a task above all, comes next.
QUESTIONS_AT_ONCE = 4
#: Cursors and links are a convenience; the API server has other things to do.
WRITES_PER_SECOND = 4.0
#: Whenever so many more jobs and log streams are followed than ever, what exists is left out of garbage collections.
_FREEZE_EVERY = 1000


class Triggerer:
    """One event loop of triggers.

    Attributes:
        questions: To be held while the API server is asked for something that can wait.
        cursor_writes: Bounds how often cursors are saved.
        link_writes: Bounds how often links are.
    """

    def __init__(self) -> None:
        self.questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self.cursor_writes = WriteRate(WRITES_PER_SECOND)
        self.link_writes = WriteRate(WRITES_PER_SECOND)
        self._watchers: dict[str, JobWatcher] = {}
        self._budgets: dict[float, LineBudget] = {}
        self._ahead: deque[Question] = deque()
        self._askers: set[asyncio.Task[None]] = set()
        self._sweeps: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks alive

    @classmethod
    def here(cls) -> Triggerer:
        """Return the one of the running event loop."""
        for closed in [loop for loop in _TRIGGERERS if loop.is_closed()]:  # its own watchers would keep it alive
            del _TRIGGERERS[closed]
        loop = asyncio.get_running_loop()
        if loop not in _TRIGGERERS:
            _TRIGGERERS[loop] = cls()
        return _TRIGGERERS[loop]

    def ask_ahead(self, question: Question) -> None:
        """Ask what will be needed later, when nothing more urgent is asked.

        The first question of all must come early: Airflow's supervisor loads its API for it, some seconds in which it
        takes no log lines, and the event loop would be held by those as soon as a socket's buffer is full.
        """
        self._ahead.append(question)
        if len(self._askers) < QUESTIONS_AT_ONCE // 2:
            # The context of the trigger that happens to run is no asker's.
            asker = asyncio.get_running_loop().create_task(self._ask_ahead(), context=Context())
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)

    def watcher(self, connection: AwsConnection) -> JobWatcher:
        """Return the watcher for a set of AWS settings; a new one if the last has ended with its last follower."""
        found = self._watchers.get(connection.key)
        if found is None or found.has_ended:
            found = self._watchers[connection.key] = self._new_watcher(connection)
        return found

    def _new_watcher(self, connection: AwsConnection) -> JobWatcher:
        freeze_after("Airflow")
        settings = Settings.read()
        rate = settings.log_lines_per_second
        watcher = JobWatcher(
            connection.clients(freeze_after),
            settings.watch_options(),
            budget=self._budgets.setdefault(rate, LineBudget(rate)),
            on_size=_freeze_at,
        )
        if settings.sweep_orphans:
            self._sweep_beside(watcher, settings.deployment)
        return watcher

    async def _ask_ahead(self) -> None:
        while self._ahead:
            await self._ahead.popleft()()

    def _sweep_beside(self, watcher: JobWatcher, deployment: str) -> None:
        """Sweep for orphans as long as the watcher works; say why where that cannot be done."""
        if not deployment:
            log.problem(str(NoDeploymentError()))
            return
        task = OrphanWatch(watcher, deployment, self.questions).start()
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)


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


def _freeze_at(size: int) -> None:
    if size >= _FREEZE_EVERY:
        freeze_after(f"{size // _FREEZE_EVERY * _FREEZE_EVERY} jobs and streams")


_TRIGGERERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Triggerer] = WeakKeyDictionary()
