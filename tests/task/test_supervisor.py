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
from airflow_batch_jobs.batch.orphans import GONE, UNFINISHED
from airflow_batch_jobs.task.states_question import StatesQuestion, questions
from airflow_batch_jobs.task.supervisor import (
    ANSWER_SECONDS,
    LoopRegion,
    TaskInstance,
    UnansweredError,
    states_of,
    states_on_worker,
)
from tests.batch.virtual import run
from tests.task.api_server import final_pass

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


PASSES = [TaskKey("d", "r", "t", loop_index=number) for number in range(3)]
MAPPED_PASS = TaskKey("d", "r", "m", 0, 1)
PLAIN = TaskKey("d", "r", "plain")


def test_a_worker_tells_the_final_passes_of_a_loop_from_the_others(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Airflow says of the task is the latest pass's; which pass a mapped instance is of, it does not say."""
    api_server.states = {"t": "deferred", "m_0": "running", "plain": "success"}
    api_server.final = [
        final_pass("t", 0, "success"),
        final_pass("t", 1, "failed"),
        final_pass("m", 0, "success", "region-2", 0),
    ]
    monkeypatch.setattr(task_runner.RuntimeTaskInstance, "get_task_states", _asked_of(api_server))
    states = states_on_worker([*PASSES, MAPPED_PASS, PLAIN])
    assert states == {**dict(zip(PASSES, ("success", "failed", UNFINISHED), strict=True)), PLAIN: "success"}


def test_a_triggerer_tells_of_a_loop_only_that_it_is_gone(api_server: ApiServer) -> None:
    """With its run or its DAG; it has no question about one pass."""
    api_server.states = {"t": "success", "plain": "success"}
    assert asyncio.run(states_of([*PASSES, PLAIN])) == {PLAIN: "success"}
    api_server.states = {"plain": "success"}
    assert asyncio.run(states_of(PASSES)) == dict.fromkeys(PASSES, GONE)


@pytest.mark.parametrize("status", [400, 409])
def test_a_state_that_airflow_cannot_tell_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, api_server: ApiServer, status: int
) -> None:
    """They are asked for one by one then; any other error is no answer."""
    bad = TaskKey("d", "r", "bad")
    api_server.states = {"plain": "success", "t": "failed"}
    keys = [PLAIN, bad, TaskKey("d", "r", "t")]
    answer = api_server._answer

    def refuse(message: Any) -> Any:
        if isinstance(message, GetTaskStates) and "bad" in (message.task_ids or ()):
            return ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": status})
        return answer(message)

    monkeypatch.setattr(api_server, "_answer", refuse)
    monkeypatch.setattr(task_runner.RuntimeTaskInstance, "get_task_states", _asked_of(api_server))
    expected = {PLAIN: "success", keys[2]: "failed"}
    assert asyncio.run(states_of(keys)) == states_on_worker(keys) == expected
    with pytest.raises(UnansweredError):
        asyncio.run(TaskInstance(bad).state())
    status = 500
    with pytest.raises(AirflowRuntimeError):
        asyncio.run(states_of(keys))


def _asked_of(api_server: ApiServer) -> Any:
    """Return how a worker asks for states, as Airflow does."""

    def get_task_states(**arguments: Any) -> Any:
        answer = api_server.send(GetTaskStates(**arguments))
        if isinstance(answer, ErrorResponse):
            raise AirflowRuntimeError(answer)
        return answer.task_states

    return staticmethod(get_task_states)


@pytest.mark.parametrize("map_index", [-1, 3])
def test_a_worker_in_a_loop_knows_its_own_pass(api_server: ApiServer, map_index: int) -> None:
    """By the region that it has from Airflow; one that is not final is at work."""
    index = max(map_index, 1)
    task = TaskInstance(TaskKey("d", "r", "t", map_index, 1), LoopRegion("region-1", index))
    api_server.states = {"t": "success", f"t_{map_index}": "success"}
    api_server.final = [final_pass("t", index, "success", "region-2"), final_pass("u", index, "success")]
    assert asyncio.run(task.state()) == "running"
    api_server.final.append(final_pass("t", index, "failed"))
    assert asyncio.run(task.state()) == "failed"


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
