"""The states of many task instances, asked for through the supervisor of a worker or of a triggerer.

Airflow answers with what it finds: it says nothing of a DAG, a run or a task instance that does not exist, and None of
one that has no state. It names the instances of a mapped task `<task>_<index>`, so each question is about one task.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.orphans import GONE
from airflow_batch_jobs.task.supervisor import ANSWER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from airflow_batch_jobs.batch.identity import Owner

#: The runs that are asked about at a time. They are written into the question's URL.
_RUNS_A_QUESTION = 20


@dataclass(frozen=True, slots=True)
class StatesQuestion:
    """A question about instances of one task.

    Attributes:
        dag_id: The DAG.
        task_id: The task.
        owners: The task instances.
    """

    dag_id: str
    task_id: str
    owners: tuple[Owner, ...]

    def arguments(self) -> dict[str, Any]:
        """Return what identifies them to Airflow."""
        runs = list(dict.fromkeys(owner.run_id for owner in self.owners))
        arguments: dict[str, Any] = {"dag_id": self.dag_id, "task_ids": [self.task_id], "run_ids": runs}
        if len(self.owners) == 1 and self.owners[0].map_index >= 0:
            arguments["map_index"] = self.owners[0].map_index
        return arguments

    def read(self, answer: Mapping[str, Mapping[str, Any]]) -> dict[Owner, str | None]:
        """Read Airflow's answer.

        Args:
            answer: By run id and by the name of the task instance, its state.
        """
        return {owner: _state(answer.get(owner.run_id, {}), owner) for owner in self.owners}


def questions(owners: Iterable[Owner]) -> Iterator[StatesQuestion]:
    """Yield the questions that together are about all of some task instances.

    The answer to one about a mapped task tells of all of its instances, so it is about one run alone.
    """
    by_task: dict[tuple[str, str, str], list[Owner]] = {}
    for owner in owners:
        run = owner.run_id if owner.map_index >= 0 else ""
        by_task.setdefault((owner.dag_id, owner.task_id, run), []).append(owner)
    for (dag_id, task_id, run), each in by_task.items():
        size = len(each) if run else _RUNS_A_QUESTION
        for start in range(0, len(each), size):
            yield StatesQuestion(dag_id, task_id, tuple(each[start : start + size]))


def ask_on_worker(owners: Iterable[Owner]) -> dict[Owner, str | None]:
    """Ask in a task's own process.

    Raises:
        AirflowRuntimeError: The API server answered with an error.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states: dict[Owner, str | None] = {}
    for question in questions(owners):
        states |= question.read(RuntimeTaskInstance.get_task_states(**question.arguments()))
    return states


async def ask(owners: Iterable[Owner], gate: AbstractAsyncContextManager[Any] | None = None) -> dict[Owner, str | None]:
    """Ask in an event loop, of a triggerer or of a task that waits, without holding it.

    Args:
        owners: The task instances.
        gate: To be held while a question is open.

    Raises:
        TimeoutError: No answer within `ANSWER_SECONDS`.
        AirflowRuntimeError: The API server answered with an error.
    """
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import ErrorResponse, GetTaskStates, TaskStatesResult

    states: dict[Owner, str | None] = {}
    for question in questions(owners):
        async with gate or nullcontext():
            asked = task_runner.SUPERVISOR_COMMS.asend(GetTaskStates(**question.arguments()))
            answer = await asyncio.wait_for(asked, ANSWER_SECONDS)
        if isinstance(answer, ErrorResponse):
            raise AirflowRuntimeError(answer)
        if not isinstance(answer, TaskStatesResult):
            raise TypeError(f"Expected the states of tasks, received {answer!r}")
        states |= question.read(answer.task_states)
    return states


def _state(of_run: Mapping[str, Any], owner: Owner) -> str | None:
    name = owner.task_id if owner.map_index < 0 else f"{owner.task_id}_{owner.map_index}"
    state = of_run.get(name, GONE)
    return None if state is None else str(getattr(state, "value", state))
