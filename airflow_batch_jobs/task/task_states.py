"""TaskStates: the states of many task instances of one event loop, asked for together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.watch.apart import start_apart
from airflow_batch_jobs.task.states_question import questions, state_in
from airflow_batch_jobs.task.supervisor import UnansweredError, answered, states_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.identity import TaskKey
    from airflow_batch_jobs.task.states_question import StatesQuestion


class TaskStates:
    """Asks for the states of task instances, with one question for many where Airflow's API allows it.

    A thousand tasks that are stopped at once are a thousand triggers that want to know their task's state, and a
    supervisor answers some 50 questions per second. What is wanted while as many questions as allowed are open goes
    into the next one. Every state is asked for after it was wanted, never before.

    Args:
        most_at_once: The most questions open at the same time.
    """

    def __init__(self, most_at_once: int) -> None:
        self._most_at_once = most_at_once
        self._wanted: dict[TaskKey, list[asyncio.Future[str | None]]] = {}
        self._askers: set[asyncio.Task[None]] = set()

    async def of(self, key: TaskKey) -> str | None:
        """Ask for a state, as Airflow writes it; None for none at the moment, `GONE` for no such task instance.

        Raises:
            UnansweredError: No answer within `ANSWER_SECONDS` after the question was asked, or an error.
        """
        state: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(key, []).append(state)
        if len(self._askers) < self._most_at_once:
            asker = start_apart(self._ask())
            self._askers.add(asker)
            asker.add_done_callback(self._askers.discard)
        return await state

    async def _ask(self) -> None:
        while question := self._next():
            wanted = [(key, state) for key in question.keys for state in self._wanted.pop(key)]
            try:
                states = await answered(states_of(question.keys))
            except UnansweredError as error:  # it is the answer to who asked, and to nobody else
                for _, state in wanted:
                    if not state.done():
                        state.set_exception(error)
            else:
                for key, state in wanted:
                    if state.done():
                        continue
                    try:
                        state.set_result(state_in(states, key))
                    except LookupError as error:
                        state.set_exception(error)

    def _next(self) -> StatesQuestion | None:
        """Return the next question; None if nobody wants to know anything any more."""
        for key in [key for key, states in self._wanted.items() if all(state.done() for state in states)]:
            del self._wanted[key]
        return next(questions(self._wanted), None)
