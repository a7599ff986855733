"""Questions about the states of task instances, and what Airflow's answers to them say.

Airflow answers a question about states with what it finds: it leaves out a DAG, a run or a task instance that does not
exist, and answers None for one that has no state. It names the instances of a mapped task `<task>_<index>`, so no
question is about two tasks whose instances could have the same name.

Of a task in a loop it tells the latest pass alone, and not which one that is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError

from airflow_batch_jobs.batch.orphans import CANNOT_TELL, GONE, untold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from airflow_batch_jobs.batch.identity import TaskKey

#: The most runs, or tasks, in one question. They are written into the question's URL.
_NAMES_A_QUESTION = 20


@dataclass(frozen=True, slots=True)
class StatesQuestion:
    """A question about instances of one task, or of one run.

    Attributes:
        dag_id: The DAG.
        keys: The task instances.
    """

    dag_id: str
    keys: tuple[TaskKey, ...]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that identify the task instances to Airflow."""
        tasks = list(dict.fromkeys(key.task_id for key in self.keys))
        runs = list(dict.fromkeys(key.run_id for key in self.keys))
        arguments: dict[str, Any] = {"dag_id": self.dag_id, "task_ids": tasks, "run_ids": runs}
        if len(self.keys) == 1 and self.keys[0].map_index >= 0:
            arguments["map_index"] = self.keys[0].map_index
        return arguments

    def read(self, answer: Mapping[str, Mapping[str, Any]]) -> dict[TaskKey, str | None]:
        """Read Airflow's answer.

        Args:
            answer: The states, by run id and then by the name of the task instance.
        """
        return {key: _state(answer.get(key.run_id, {}), key) for key in self.keys}

    def parts(self, error: AirflowRuntimeError) -> Iterator[StatesQuestion]:
        """Yield the questions to ask instead, since this one was answered with an error; none if there are no smaller.

        Raises:
            AirflowRuntimeError: The error says something else than that Airflow cannot tell one of the states.
        """
        if status_of(error) not in CANNOT_TELL:
            raise error
        if len(self.keys) > 1:
            yield from (StatesQuestion(self.dag_id, (key,)) for key in self.keys)


def questions(keys: Iterable[TaskKey]) -> Iterator[StatesQuestion]:
    """Yield questions that together cover all of the given task instances.

    A question is about many runs of a task, or about many tasks of a run, whichever makes fewer. An answer about a
    mapped task covers all of its instances, so such a question is about one run only.
    """
    by_dag: dict[str, list[TaskKey]] = {}
    for key in keys:
        by_dag.setdefault(key.dag_id, []).append(key)
    for dag_id, of_dag in by_dag.items():
        for group in _groups(of_dag):
            size = len(group) if group[0].map_index >= 0 else _NAMES_A_QUESTION
            for start in range(0, len(group), size):
                yield StatesQuestion(dag_id, tuple(group[start : start + size]))


def _groups(of_dag: list[TaskKey]) -> Iterable[list[TaskKey]]:
    """Group the task instances of a DAG by what a question can be about."""
    tasks = {key.task_id for key in of_dag}
    by_run = len(tasks) > len({key.run_id for key in of_dag})
    groups: dict[tuple[str, str], list[TaskKey]] = {}
    for key in of_dag:
        if key.map_index >= 0:
            group = key.task_id, key.run_id
        elif by_run and not _may_be_mapped(key.task_id, tasks):
            group = "", key.run_id
        else:
            group = key.task_id, ""
        groups.setdefault(group, []).append(key)
    return groups.values()


def _may_be_mapped(task_id: str, tasks: set[str]) -> bool:
    """Tell whether a task has the name of an instance of another one, if that is mapped."""
    name, _, index = task_id.rpartition("_")
    return index.isdecimal() and name in tasks


def without_pass(key: TaskKey) -> TaskKey:
    """Return what Airflow is asked for."""
    return replace(key, loop_index=None)


def told(keys: Iterable[TaskKey], latest: Mapping[TaskKey, str | None]) -> dict[TaskKey, str | None]:
    """Return what is known of task instances by the states of their latest passes: where none is, all are gone."""
    return {
        key: latest[name]
        for key in keys
        if (name := without_pass(key)) in latest and (key.loop_index is None or latest[name] == GONE)
    }


def state_in(states: Mapping[TaskKey, str | None], key: TaskKey) -> str | None:
    """Return a task instance's state from an answer.

    Raises:
        LookupError: The answer does not have it.
    """
    if key not in states:
        raise LookupError(untold(key))
    return states[key]


def status_of(error: Any) -> Any:
    """Return the HTTP status in an error that a supervisor reports; None for none."""
    detail = error.error.detail if isinstance(error, AirflowRuntimeError) else None
    return (detail or {}).get("status_code")


def _state(of_run: Mapping[str, Any], key: TaskKey) -> str | None:
    name = key.task_id if key.map_index < 0 else f"{key.task_id}_{key.map_index}"
    state = of_run.get(name, GONE)
    return None if state is None else text_of(state)


def text_of(state: Any) -> str:
    """Return a state as Airflow writes it."""
    return str(getattr(state, "value", state))
