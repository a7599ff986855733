"""The states of many task instances, asked for together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.orphans import GONE
from airflow_batch_jobs.task.supervisor import UnansweredError
from airflow_batch_jobs.task.task_states import TaskStates
from tests.batch.virtual import run

if TYPE_CHECKING:
    import pytest
    from airflow.sdk.execution_time.comms import GetTaskStates

    from tests.task.api_server import ApiServer

MOST = 4
ERRORS = {"bad": OSError("down"), "odd": asyncio.CancelledError("by a library")}


def key(number: int, dag_id: str = "d") -> TaskKey:
    """Return the name of one of many task instances of a run."""
    return TaskKey(dag_id, "r", f"t{number}")


def test_what_is_wanted_at_the_same_time_is_asked_with_few_questions(api_server: ApiServer) -> None:
    """At most a few are open at a time, and each who asked gets the state of its own task instance."""
    api_server.seconds = 0.1
    api_server.states = {f"t{number}": f"state {number}" for number in range(199)}

    async def main() -> list[str | None]:
        states = TaskStates(MOST)
        return await asyncio.gather(*(states.of(key(number)) for number in range(200)))

    assert run(main()) == [*(f"state {number}" for number in range(199)), GONE]
    assert len(api_server.asked) == 10
    assert api_server.most_at_once == MOST


def test_a_state_is_asked_for_after_it_was_wanted(api_server: ApiServer) -> None:
    """An answer on its way may be older than the question."""
    api_server.seconds = 1

    async def main() -> list[str | None]:
        states = TaskStates(1)
        api_server.states = {"t1": "deferred"}
        first = asyncio.create_task(states.of(key(1)))
        await asyncio.sleep(0.9)
        second = asyncio.create_task(states.of(key(1)))
        await first
        api_server.states = {"t1": "failed"}
        return [await first, await second]

    assert run(main()) == ["deferred", "failed"]


def test_what_goes_wrong_with_one_question_concerns_no_other(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked gets the error, also if it is one that looks like a cancellation."""

    class Comms:
        async def asend(self, message: GetTaskStates) -> Any:
            if message.dag_id != "d":
                raise ERRORS[message.dag_id]
            return await api_server.asend(message)

    api_server.states = {f"t{number}": "failed" for number in range(5)}
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Comms(), raising=False)

    async def main() -> list[Any]:
        states = TaskStates(1)
        wanted = [key(number, dag_id) for number in range(5) for dag_id in ("d", *ERRORS)]
        return await asyncio.gather(*map(states.of, wanted), return_exceptions=True)

    answers = run(main())
    assert answers[::3] == ["failed"] * 5
    for number, error in enumerate(ERRORS.values(), 1):
        assert all(isinstance(each, UnansweredError) and repr(error) in str(each) for each in answers[number::3])


def test_what_nobody_waits_for_any_more_is_not_asked(api_server: ApiServer) -> None:
    """An API server that is slow is not asked on for who has given up."""
    api_server.seconds = 10

    async def main() -> str | None:
        states = TaskStates(1)
        waiting = [asyncio.create_task(states.of(key(1, f"d{number}"))) for number in range(50)]
        await asyncio.wait(waiting, timeout=5)
        for task in waiting:
            task.cancel()
        return await states.of(key(1, "last"))

    api_server.states = {"t1": "failed"}
    assert run(main()) == "failed"
    assert [question.dag_id for question in api_server.asked] == ["d0", "last"]
