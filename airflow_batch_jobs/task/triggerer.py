"""Triggerer: what the triggers of one event loop share: watchers, a line budget, and a bound on what they ask."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_batch_jobs.batch.watch import JobWatcher
from airflow_batch_jobs.batch.watch.apart import start_apart
from airflow_batch_jobs.batch.watch.line_budget import LineBudget
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import NoDeploymentError
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.handover import UNREAD_BYTES
from airflow_batch_jobs.task.heap import freeze_after
from airflow_batch_jobs.task.metrics import triggerer_meter
from airflow_batch_jobs.task.orphan_watch import OrphanWatch
from airflow_batch_jobs.task.saved_job import Turns
from airflow_batch_jobs.task.task_states import TaskStates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from airflow_batch_jobs.task.connection import AwsConnection

    #: Asks the API server a question.
    Question = Callable[[], Awaitable[None]]

#: A supervisor answers some 50 questions per second, one after the other. Of each kind, at most this many are open at a
#: time, so that one that cannot wait, above all whether a user stopped a task, comes next.
QUESTIONS_AT_ONCE = 4
#: How long a trigger that ends waits for the place in its log to be saved or forgotten. In a triggerer that is shutting
#: down no answer arrives, but what is asked is done as long as the process is there, which Airflow ends after 20 s. So
#: each trigger waits for its turn after all that ask at the same time, at a rate that a supervisor bears.
GOODBYE_SECONDS = 1.0
LONGEST_GOODBYE_SECONDS = 17.0
GOODBYES_PER_SECOND = 40.0
#: Cursors, and what is known of jobs, are a convenience, and the API server has other things to do.
WRITES_PER_SECOND = 4.0
#: Each time the number of followed jobs and log streams first reaches another multiple of this, what exists is left out
#: of garbage collections.
_FREEZE_EVERY = 1000


class Triggerer:
    """One event loop of triggers.

    Attributes:
        name: Tells it from every other one.
        questions: Held while the API server is asked something that can wait.
        states: Asks it for the states of tasks that are stopped, or whose time is up.
        urgent_questions: Held while it is asked what else decides about the jobs of such tasks.
        cursor_writes: Bounds how often cursors are saved.
        job_turns: Bounds how often what is known of jobs is saved, with the links to their logs.
        meter: What its watchers measure with; None if Airflow keeps no metrics.
        last_words: Held while a trigger that ends saves that; by one at a time, which leaves room for what decides.
    """

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        self.questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self.states = TaskStates(QUESTIONS_AT_ONCE)
        self.urgent_questions = asyncio.Semaphore(QUESTIONS_AT_ONCE)
        self.cursor_writes = WriteRate(WRITES_PER_SECOND)
        self.job_turns = Turns(WRITES_PER_SECOND)
        self.meter = triggerer_meter()
        self.last_words = asyncio.Semaphore(1)
        self._goodbyes = 0
        self._watchers: dict[str, JobWatcher] = {}
        self._budgets: dict[float, LineBudget] = {}
        self._ahead: deque[Question] = deque()
        self._askers: set[asyncio.Task[None]] = set()
        self._sweeps: set[asyncio.Task[None]] = set()  # a loop alone does not keep its tasks alive

    @classmethod
    def here(cls) -> Triggerer:
        """Return the running event loop's own."""
        for closed in [loop for loop in _TRIGGERERS if loop.is_closed()]:  # its own watchers would keep it alive
            del _TRIGGERERS[closed]
        loop = asyncio.get_running_loop()
        if loop not in _TRIGGERERS:
            _TRIGGERERS[loop] = cls()
        return _TRIGGERERS[loop]

    @asynccontextmanager
    async def goodbye(self) -> AsyncIterator[None]:
        """Let a trigger that ends ask or tell its last.

        Raises:
            TimeoutError: It took too long.
        """
        self._goodbyes += 1
        try:
            turn = GOODBYE_SECONDS + self._goodbyes / GOODBYES_PER_SECOND
            async with asyncio.timeout(min(turn, LONGEST_GOODBYE_SECONDS)):
                yield
        finally:
            self._goodbyes -= 1

    def ask_ahead(self, question: Question) -> None:
        """Ask what will be needed later, while nothing more urgent is being asked.

        The very first question must come early: Airflow's supervisor loads its API for it, and for those seconds takes
        no log lines, which block the event loop once a socket's buffer is full.
        """
        self._ahead.append(question)
        if len(self._askers) < QUESTIONS_AT_ONCE // 2:
            asker = start_apart(self._ask_ahead())
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)

    def watcher(self, connection: AwsConnection) -> JobWatcher:
        """Return the watcher for a set of AWS settings; a new one if the old one has ended with its last follower."""
        found = self._watchers.get(connection.key)
        if found is None or found.has_ended:
            self._watchers = {key: each for key, each in self._watchers.items() if not each.has_ended}
            found = self._watchers[connection.key] = self._new_watcher(connection)
        return found

    def _new_watcher(self, connection: AwsConnection) -> JobWatcher:
        freeze_after("Airflow")
        settings = Settings.read()
        rate = settings.log_lines_per_second
        watcher = JobWatcher(
            connection.clients(freeze_after),
            replace(settings.watch_options(), unread_bytes=UNREAD_BYTES),
            budget=self._budgets.setdefault(rate, LineBudget(rate)),
            on_size=_freeze_at,
            meter=self.meter,
        )
        if settings.sweep_orphans:
            self._sweep_beside(watcher, settings.deployment)
        return watcher

    async def _ask_ahead(self) -> None:
        while self._ahead:
            await self._ahead.popleft()()

    def _sweep_beside(self, watcher: JobWatcher, deployment: str) -> None:
        """Sweep for orphans as long as the watcher works; if that is impossible, say why."""
        if not deployment:
            log.problem(str(NoDeploymentError()))
            return
        task = OrphanWatch(watcher, deployment, self.questions).start()
        self._sweeps.add(task)
        task.add_done_callback(self._sweeps.discard)


class WriteRate:
    """A limit on the writes per second of all triggers of one event loop together."""

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
