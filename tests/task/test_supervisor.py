"""What the API server is asked about task instances, and what its silence means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse, GetTaskStates, TaskStatesResult
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.orphans import GONE
from airflow_batch_jobs.task.supervisor import (
    ANSWER_SECONDS,
    StatesQuestion,
    TaskInstance,
    UnansweredError,
    questions,
    states_of,
)
from tests.batch.virtual import run

if TYPE_CHECKING:
    from tests.task.api_server import ApiServer

TASK = TaskInstance(TaskKey("d", "r", "t"))


def test_runs_of_one_task_are_one_question_and_mapped_ones_one_a_run() -> None:
    """Airflow's answer about a mapped task covers all of its instances."""
    plain = [TaskKey("d", f"r{number}", "t") for number in range(25)]
    mapped = [TaskKey("d", run, "m", index) for run in ("r1", "r2") for index in range(30)]
    asked = [(*named(each), len(each.keys)) for each in questions([*plain, *mapped])]
    runs = [f"r{number}" for number in range(25)]
    assert asked == [(["t"], runs[:20], 20), (["t"], runs[20:], 5), (["m"], ["r1"], 30), (["m"], ["r2"], 30)]


def test_tasks_of_one_run_are_one_question_unless_one_could_be_anothers_instance() -> None:
    """Airflow names the instances of a mapped task `a` as `a_0`, `a_1`, which may be tasks of their own as well."""
    tasks = [*(f"t{number}" for number in range(25)), "a", "a_1", "a_b", "a_1_2"]
    keys = [TaskKey("d", "r", task) for task in tasks]
    asked = [named(each) for each in questions([*keys, TaskKey("other", "r", "t0")])]
    assert asked == [
        (tasks[:20], ["r"]),
        ([*tasks[20:25], "a", "a_b"], ["r"]),
        (["a_1"], ["r"]),
        (["a_1_2"], ["r"]),
        (["t0"], ["r"]),
    ]


def named(question: StatesQuestion) -> tuple[list[str], list[str]]:
    """Return the tasks and the runs that a question names."""
    arguments = question.arguments()
    return arguments["task_ids"], arguments["run_ids"]


@pytest.mark.parametrize("is_gated", [True, False])
def test_a_triggerer_asks_through_its_supervisor(monkeypatch: pytest.MonkeyPatch, *, is_gated: bool) -> None:
    """One question after the other, each while holding the gate."""
    gate = asyncio.Semaphore(1)

    class Comms:
        async def asend(self, question: GetTaskStates) -> TaskStatesResult:
            assert gate.locked() is is_gated
            assert question.run_ids
            return TaskStatesResult(task_states={run: {"t": "success", "t_1": None} for run in question.run_ids})

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
    keys = [TaskKey("d", "r", "t"), TaskKey("d", "r", "t", 1), TaskKey("d", "r", "t", 2)]
    states = asyncio.run(states_of(keys, gate if is_gated else None))
    assert states == dict(zip(keys, ("success", None, GONE), strict=True))


def test_an_error_of_the_api_server_is_no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any answer other than states ends the sweep."""

    class Comms:
        async def asend(self, _question: Any) -> Any:
            return answers.pop()

    answers: list[Any] = [None, ErrorResponse(error=ErrorType.GENERIC_ERROR)]
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)
    for kind in (AirflowRuntimeError, TypeError):
        with pytest.raises(kind):
            asyncio.run(states_of([TaskKey("d", "r", "t")]))


NAMES = st.sampled_from(["a", "b", "a_1", "a_1_2"])
KEYS = st.builds(TaskKey, NAMES, NAMES, NAMES, st.integers(-1, 3))


@given(keys=st.lists(KEYS, max_size=60, unique=True), states=st.dictionaries(NAMES, st.none() | st.text()))
def test_every_task_instance_is_asked_about_once_whatever_the_answer(
    keys: list[TaskKey], states: dict[str, str | None]
) -> None:
    """Its state is the one under its own name; without one it is gone."""
    found: dict[TaskKey, str | None] = {}
    for question in questions(keys):
        answer = question.read(dict.fromkeys(question.arguments()["run_ids"], states))
        assert not answer.keys() & found.keys()
        found |= answer
    assert found == {key: states.get(_name(key), GONE) for key in keys}


def _name(key: TaskKey) -> str:
    return key.task_id if key.map_index < 0 else f"{key.task_id}_{key.map_index}"


@pytest.mark.parametrize(("states", "state"), [({"t": "running"}, "running"), ({"t": None}, None), ({}, GONE)])
def test_a_task_instance_is_asked_for_its_state(
    api_server: ApiServer, states: dict[str, str | None], state: str | None
) -> None:
    """One that does not exist is gone."""
    api_server.states = states
    assert asyncio.run(TASK.state()) == state


def test_an_xcom_is_read_as_it_was_written(api_server: ApiServer) -> None:
    """Until it is deleted, under its own task instance's name."""
    value = {"job_id": "1a2b", "streams": [1, None, "x"]}

    async def main() -> list[Any]:
        found = [await TASK.get_xcom("k")]
        await TASK.set_xcom("k", value)
        found.append(await TASK.get_xcom("k"))
        await TASK.delete_xcom("k")
        return [*found, await TASK.get_xcom("k")]

    assert asyncio.run(main()) == [None, value, None]
    assert {(each.dag_id, each.run_id, each.task_id, each.map_index) for each in api_server.asked} == {
        ("d", "r", "t", -1)
    }


@pytest.mark.parametrize(
    ("seconds", "failures", "reads"),
    [(60.0, 0, "TimeoutError()"), (0.0, 1, "OSError('the API server is down')")],
)
def test_whatever_is_wrong_with_the_api_server_is_no_answer(
    api_server: ApiServer, seconds: float, failures: int, reads: str
) -> None:
    """Callers get one error, whose text is the cause, in time."""

    async def main() -> list[float]:
        loop, took = asyncio.get_running_loop(), []
        for question in (TASK.state, lambda: TASK.get_xcom("k"), lambda: TASK.set_xcom("k", 1)):
            api_server.seconds, api_server.failures, began = seconds, failures, loop.time()
            with pytest.raises(UnansweredError) as raised:
                await question()
            assert str(raised.value) == reads
            took.append(loop.time() - began)
        return took

    assert max(run(main())) <= min(seconds, ANSWER_SECONDS) + 0.1


def test_only_a_cancellation_of_the_task_is_one(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library raises below a question is no answer."""

    async def cancelled(message: Any) -> Any:
        raise asyncio.CancelledError(message)

    async def main() -> None:
        asking = asyncio.create_task(TASK.get_xcom("k"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        monkeypatch.setattr(api_server, "asend", cancelled)
        with pytest.raises(UnansweredError, match="CancelledError"):
            await TASK.get_xcom("k")

    run(main())
