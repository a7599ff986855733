"""A trigger that crashes, and the one that takes its wait up again: when they begin, and what a stop means to them."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.xcoms import CURSOR_XCOM
from airflow_batch_jobs.task.in_triggerer import SCHEDULER_SECONDS, TriggererWait
from airflow_batch_jobs.task.saved_log import SavedLog
from airflow_batch_jobs.task.triggerer import Triggerer
from airflow_batch_jobs.triggers import BatchJobTrigger
from tests.batch.virtual import VirtualAws, run
from tests.task.api_server import ApiServer

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    """What the triggerer asks through its supervisor; the task is deferred."""
    from airflow.sdk.execution_time import task_runner

    server = ApiServer()
    server.states = {"t": "deferred"}
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", server, raising=False)
    return server


@pytest.fixture
def aws(frozen_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The frozen local AWS, watched in virtual time, with a definition of a job that writes a line a second."""
    monkeypatch.setattr(Triggerer, "_new_watcher", lambda *_: VirtualAws(frozen_aws).watcher())
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=3600, stopping=5, lines={"count": 3600, "rate": 1.0})
    return frozen_aws


def trigger(job_id: str, **plan: Any) -> BatchJobTrigger:
    """Return a job's trigger, as a triggerer makes it."""
    made = BatchJobTrigger(job_id, poll_interval=5, **plan)
    key: Any = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
    made.task_instance = key
    return made


def in_a_minute() -> str:
    """Return the time in a minute, as a trigger stores it."""
    return (datetime.now(tz=UTC) + timedelta(seconds=60)).isoformat()


async def cancel(each: BatchJobTrigger, waiting: asyncio.Future[Any], *reason: str) -> None:
    """Cancel a trigger as Airflow does: again each second; after a user's action there is a second for `on_kill`."""
    while not waiting.done():
        waiting.cancel(*reason)
        await asyncio.wait({waiting}, timeout=1)
    if reason:
        with suppress(TimeoutError):
            await asyncio.wait_for(each.on_kill(), 1)
    await each.cleanup()


@pytest.mark.parametrize("argument", [{"poll_interval": -1}, {"poll_interval": "soon"}, {"begins_at": "later"}])
def test_an_argument_that_cannot_be_read_fails_its_trigger_alone(argument: dict[str, Any]) -> None:
    """Of all that a trigger may raise when it is made, only this does not end Airflow's triggerer."""
    with pytest.raises(TypeError):
        BatchJobTrigger("1a2b", **argument)


def test_a_wait_that_is_taken_up_again_begins_later(aws: LocalAws, api_server: ApiServer) -> None:
    """Until then it asks neither AWS nor Airflow anything."""
    del api_server
    [job_id] = aws.submit("job:1")

    async def main() -> tuple[int, int]:
        waiting = asyncio.ensure_future(anext(trigger(job_id, begins_at=in_a_minute()).run()))
        await asyncio.sleep(50)
        before = aws.counts().get("DescribeJobs", 0)
        await asyncio.sleep(20)
        waiting.cancel()
        return before, aws.counts()["DescribeJobs"]

    before, after = run(main())
    assert before == 0 < after


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_user_can_stop_a_task_whose_wait_is_to_begin_later(aws: LocalAws, api_server: ApiServer, state: str) -> None:
    """At once, though no wait is there to hear of it."""
    [job_id] = aws.submit("job:1")

    async def main() -> float:
        each = trigger(job_id, begins_at=in_a_minute())
        waiting = asyncio.ensure_future(anext(each.run()))
        await asyncio.sleep(30)
        api_server.states = {"t": state}
        await cancel(each, waiting, "user-action")
        return asyncio.get_running_loop().time()

    assert run(main()) < 35
    assert aws.job(job_id)["statusReason"] == f"Airflow task stopped by a user: now {state}"


def test_a_triggerer_that_ends_leaves_the_job_of_a_wait_that_is_to_begin_later(
    aws: LocalAws, api_server: ApiServer
) -> None:
    """Another triggerer takes the trigger over, with the moment at which it begins."""
    [job_id] = aws.submit("job:1")

    async def main() -> float:
        each = trigger(job_id, begins_at=in_a_minute())
        waiting = asyncio.ensure_future(anext(each.run()))
        await asyncio.sleep(30)
        await cancel(each, waiting)
        return asyncio.get_running_loop().time()

    assert run(main()) < 31
    assert not aws.job(job_id).get("isTerminated")
    assert not api_server.asked


def crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the next lines that are written crash their trigger."""

    async def on_lines(_: SavedLog, __: Any) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(SavedLog, "on_lines", on_lines)


def test_a_trigger_that_crashes_leaves_its_place_in_the_log(
    aws: LocalAws, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps its task deferred for as long as any task has to be: Airflow fails one that resumes too soon."""
    crash(monkeypatch)
    aws.script(definition="job", submitted=0, pending=0, runnable=0, starting=0, running=60, lines=["at once"])
    [job_id] = aws.submit("job:1")

    async def main() -> float:
        with pytest.raises(KeyError, match="ours"):
            await anext(trigger(job_id).run())
        return asyncio.get_running_loop().time()

    assert run(main()) >= 5 + SCHEDULER_SECONDS
    saved = api_server.xcoms[CURSOR_XCOM]
    assert (saved["job_id"], saved["left"]) == (job_id, True)
    assert not aws.job(job_id).get("isTerminated")


def test_a_user_can_stop_a_task_whose_trigger_has_just_crashed(
    aws: LocalAws, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the trigger keeps its task deferred."""
    crash(monkeypatch)
    aws.script(definition="job", submitted=0, pending=0, runnable=0, starting=0, running=60, lines=["at once"])
    [job_id] = aws.submit("job:1")

    async def main() -> None:
        each = trigger(job_id)
        waiting = asyncio.ensure_future(anext(each.run()))
        await asyncio.sleep(3)
        assert CURSOR_XCOM in api_server.xcoms
        api_server.states = {"t": "failed"}
        await cancel(each, waiting, "user-action")

    run(main())
    assert aws.job(job_id)["statusReason"] == "Airflow task stopped by a user: now failed"


def test_a_crash_whose_text_airflow_could_not_hand_on_fails_its_trigger_alone(
    aws: LocalAws, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is told all of it but half a character; the triggerer would end with the text as it is."""
    del api_server
    [job_id] = aws.submit("job:1")

    async def crash(*_: Any) -> None:
        raise ValueError("no such name: \ud83d")

    monkeypatch.setattr(TriggererWait, "run", crash)

    async def main() -> None:
        await anext(trigger(job_id).run())

    with pytest.raises(RuntimeError, match=r"^ValueError: no such name: \ufffd$") as raised:
        run(main())
    "".join(traceback.format_exception(raised.value)).encode()
    assert "crash" in {frame.name for frame in traceback.extract_tb(raised.value.__traceback__)}
