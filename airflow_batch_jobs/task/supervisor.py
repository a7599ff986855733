"""What the API server is asked and told about task instances, alike on a worker and in a triggerer.

All of it goes through the supervisor of the process. Nothing here touches Airflow's database.

Of a task in a loop it tells the latest pass alone, and not which one that is. A worker may ask besides which task
instances of a run are final; a triggerer has no such question. What cannot be told is left out of the answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import nullcontext, suppress
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import comms, task_runner
from airflow.sdk.execution_time.comms import (
    DeleteXCom,
    ErrorResponse,
    GetTaskBreadcrumbs,
    GetTaskStates,
    TaskStatesResult,
)
from airflow.sdk.execution_time.xcom import XCom

from airflow_batch_jobs.batch.orphans import UNFINISHED
from airflow_batch_jobs.batch.storable import storable
from airflow_batch_jobs.task import execution_timeout
from airflow_batch_jobs.task.states_question import questions, state_in, status_of, text_of, told, without_pass

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable
    from contextlib import AbstractAsyncContextManager

    from airflow_batch_jobs.batch.identity import TaskKey

#: Whether this is Airflow 3.4 or newer. Told by a message that came with it, since a pre-release's number is lower.
IS_AIRFLOW_3_4 = hasattr(comms, "SetExecutionTimeout")
#: How long one question to the API server may take before it counts as unanswered. A triggerer's first question takes
#: some seconds, since its supervisor loads the API then.
ANSWER_SECONDS = 20.0
#: In place of a state: the API server was asked, and did not answer.
UNANSWERED = "unknown"
#: That by which it says that the trigger that asks is one of an attempt that is replaced, or gone.
_REPLACED = 403
Answer = TypeVar("Answer")


class UnansweredError(Exception):
    """The API server did not answer, or answered with an error. Its text is the repr of the cause.

    Attributes:
        is_replaced: Whether it answered that the attempt of the trigger that asks is replaced, or gone.
    """

    def __init__(self, cause: BaseException) -> None:
        super().__init__(repr(cause))
        self.is_replaced = status_of(cause) == _REPLACED


class LoopRegion(NamedTuple):
    """Where Airflow keeps a pass of a loop, or an instance of a mapped task.

    Attributes:
        region_id: The execution of the loop or of the mapping.
        region_index: The pass, or the map index.
    """

    region_id: str
    region_index: int


class TaskInstance:
    """A task instance that this process's supervisor can be asked and told about.

    From Airflow 3.4 on, what a trigger asks is asked as its own attempt, which is refused (403) once that attempt is
    replaced. What it has to know even then is asked by the task instance's name, as nobody's. A pass of a loop has no
    such name: of its XComs only its own trigger may ask, in the context in which this object is made.

    Args:
        key: Its name.
        loop_region: On a worker in a loop, where Airflow keeps the pass.
    """

    def __init__(self, key: TaskKey, loop_region: LoopRegion | None = None) -> None:
        self.key = key
        self._loop_region = loop_region
        self._own = copy_context()
        self._context = Context() if key.loop_index is None else self._own

    @property
    def is_looped(self) -> bool:
        """Whether it is a pass of a loop."""
        return self.key.loop_index is not None

    async def state(self, seconds: float = ANSWER_SECONDS) -> str | None:
        """Ask for the state, as Airflow writes it; None for none at the moment, `GONE` for no such task instance.

        Of a pass of a loop, on a worker, only final states are told; any other is "running".

        Raises:
            UnansweredError: No answer within this many seconds.
        """
        return await answered(self._pass_state() if self.is_looped else _state_of(self.key), seconds)

    async def is_made_anew(self, seconds: float = ANSWER_SECONDS) -> bool:
        """Ask whether a user's clear is why a pass of a loop, on its worker, has lost what it had stored.

        False outside of loops, and where that cannot be told.

        Raises:
            UnansweredError: No answer within this many seconds.
        """
        return self.is_looped and await answered(self._is_made_anew(), seconds)

    async def get_xcom(self, name: str) -> Any:
        """Return an XCom of the task instance; None if there is none.

        Raises:
            UnansweredError: No answer within `ANSWER_SECONDS`.
        """
        return await answered(_in_context(XCom.aget_one(key=name, **self._arguments()), self._context))

    async def set_xcom(self, name: str, value: Any, *, is_stopped: bool = False) -> None:
        """Write an XCom of the task instance, without what cannot be stored; a trigger of a replaced attempt may not.

        Args:
            name: Its key.
            value: What it has.
            is_stopped: Whether the task is not deferred any more, so that its trigger has to write as nobody; of a pass
                of a loop it may not even then.

        Raises:
            UnansweredError: No answer within `ANSWER_SECONDS`; the XCom may have been written nevertheless.
        """
        writing = XCom.aset(name, storable(value), **self._arguments())
        await answered(_in_context(writing, self._context if is_stopped else self._own))

    async def delete_xcom(self, name: str) -> None:
        """Delete an XCom of the task instance.

        Raises:
            UnansweredError: No answer within `ANSWER_SECONDS`; the XCom may have been deleted nevertheless.
        """
        await answered(_in_context(ask(DeleteXCom(key=name, **self._arguments())), self._context))

    async def _pass_state(self) -> str | None:
        states = _final_states(await ask(GetTaskBreadcrumbs(dag_id=self.key.dag_id, run_id=self.key.run_id)))
        return "running" if self._loop_region is None else states.get((self.key.task_id, self._loop_region), "running")

    async def _is_made_anew(self) -> bool:
        latest = without_pass(self.key)
        if (await states_of([latest])).get(latest) == "restarting":
            return True
        # A pass begins when the one before it has ended; of a mapped task, passes are not told.
        before = (self.key.loop_index or 0) - 1
        if before < 0 or self.key.map_index >= 0:
            return False
        final = _final_states(await ask(GetTaskBreadcrumbs(dag_id=self.key.dag_id, run_id=self.key.run_id)))
        return (self.key.task_id, before) not in {(task_id, loop_region.region_index) for task_id, loop_region in final}

    def _arguments(self) -> dict[str, Any]:
        key = self.key
        return {"dag_id": key.dag_id, "run_id": key.run_id, "task_id": key.task_id, "map_index": key.map_index}


async def _in_context(question: Coroutine[Any, Any, Answer], context: Context) -> Answer:
    """Ask a question in the context by which Airflow tells whose trigger asks."""
    return await asyncio.get_running_loop().create_task(question, context=context)


async def answered(question: Awaitable[Answer], seconds: float = ANSWER_SECONDS) -> Answer:
    """Wait for the answer to a question, whatever may be wrong with the API server.

    Raises:
        UnansweredError: No answer within this many seconds, or an error.
    """
    try:
        return await asyncio.wait_for(question, seconds)
    except UnansweredError:
        raise
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        raise UnansweredError(error) from error
    except Exception as error:
        raise UnansweredError(error) from error


def is_cancelled() -> bool:
    """Tell whether the running asyncio task is being cancelled: a `CancelledError` may also come from a library."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


async def ask(message: Any) -> Any:
    """Ask or tell the supervisor something, in an event loop.

    Raises:
        AirflowRuntimeError: It answered with an error.
    """
    return _read(await task_runner.SUPERVISOR_COMMS.asend(message))


def ask_blocking(message: Any) -> Any:
    """Ask or tell the supervisor something, in the calling thread; the alarm of `execution_timeout` waits meanwhile.

    Raises:
        AirflowRuntimeError: It answered with an error.
    """
    with execution_timeout.held():
        return _read(task_runner.SUPERVISOR_COMMS.send(message))


def is_here() -> bool:
    """Tell whether this process has a supervisor that an event loop can ask.

    There is none under `dag.test()`, and none at all where a test of one's own calls `execute`.
    """
    return hasattr(getattr(task_runner, "SUPERVISOR_COMMS", None), "asend")


def extend_execution_timeout(seconds: float) -> None:
    """Have the supervisor let this process live for so many seconds from now on.

    From Airflow 3.4 on, a supervisor ends a process that outlives its task's `execution_timeout` by
    `[core] killed_task_cleanup_time`, whatever the process is at. An older one has no such limit. Best effort: one that
    does not answer acts on what it was told at first.
    """
    limit = getattr(comms, "SetExecutionTimeout", None)
    if limit is not None and is_here():
        with suppress(Exception):
            ask_blocking(limit(timeout_seconds=seconds))


def states_on_worker(keys: Iterable[TaskKey]) -> dict[TaskKey, str | None]:
    """Ask for the states of task instances in a task's own process.

    Returns:
        The states, `UNFINISHED` for a pass of a loop that is not final; without those that Airflow cannot tell.

    Raises:
        AirflowRuntimeError: The API server answered with another error.
    """
    keys = tuple(keys)
    latest: dict[TaskKey, str | None] = {}
    waiting = deque(questions(map(without_pass, keys)))
    while waiting:
        question = waiting.popleft()
        try:
            with execution_timeout.held():
                answer = task_runner.RuntimeTaskInstance.get_task_states(**question.arguments())
        except AirflowRuntimeError as error:
            waiting.extend(question.parts(error))
        else:
            latest |= question.read(answer)
    states = told(keys, latest)
    # In a mapped task of a loop, the number that Airflow tells is the map index, and the pass is not told.
    passes = [key for key in keys if key not in states and key.loop_index is not None and key.map_index < 0]
    for dag_id, run_id in dict.fromkeys((key.dag_id, key.run_id) for key in passes):
        with suppress(AirflowRuntimeError):
            final = _final_states(ask_blocking(GetTaskBreadcrumbs(dag_id=dag_id, run_id=run_id)))
            by_pass = {(task_id, loop_region.region_index): state for (task_id, loop_region), state in final.items()}
            states |= {
                key: by_pass.get((key.task_id, key.loop_index or 0), UNFINISHED)
                for key in passes
                if (key.dag_id, key.run_id) == (dag_id, run_id)
            }
    return states


async def states_of(
    keys: Iterable[TaskKey], gate: AbstractAsyncContextManager[Any] | None = None
) -> dict[TaskKey, str | None]:
    """Ask for the states of task instances in an event loop, that of a triggerer or of a waiting task.

    Args:
        keys: The task instances.
        gate: Held while a question is open.

    Returns:
        The states, without those that Airflow cannot tell: of a pass of a loop, any but that it is gone.

    Raises:
        TimeoutError: No answer within `ANSWER_SECONDS`.
        AirflowRuntimeError: The API server answered with another error.
        TypeError: The API server answered with something else.
    """
    keys = tuple(keys)
    latest: dict[TaskKey, str | None] = {}
    waiting = deque(questions(map(without_pass, keys)))
    while waiting:
        question = waiting.popleft()
        try:
            async with gate or nullcontext():
                answer = await asyncio.wait_for(ask(GetTaskStates(**question.arguments())), ANSWER_SECONDS)
        except AirflowRuntimeError as error:
            waiting.extend(question.parts(error))
            continue
        if not isinstance(answer, TaskStatesResult):
            raise TypeError(f"Expected the states of tasks, received {answer!r}")
        latest |= question.read(answer.task_states)
    return told(keys, latest)


async def _state_of(key: TaskKey) -> str | None:
    return state_in(await states_of([key]), key)


def _final_states(answer: Any) -> dict[tuple[str, LoopRegion], str]:
    """Return the states of a run's final task instances that have a region, by task and region."""
    return {
        (row["task_id"], LoopRegion(str(row["region_id"]), row["region_index"])): text_of(row["state"])
        for row in getattr(answer, "breadcrumbs", ())
        if row.get("region_id") is not None
    }


def _read(answer: Any) -> Any:
    if isinstance(answer, ErrorResponse):
        raise AirflowRuntimeError(answer)
    return answer
