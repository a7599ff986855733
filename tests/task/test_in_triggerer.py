"""The wait in a triggerer: what a cancellation means, when it may end the task itself, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import DeleteXCom, GetXCom, SetXCom
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.xcoms import CURSOR_XCOM, JOB_XCOM
from airflow_batch_jobs.task import saved_log
from airflow_batch_jobs.task.connection import AwsConnection
from airflow_batch_jobs.task.handover import Outcome, WaitPlan
from airflow_batch_jobs.task.in_triggerer import (
    LINES_READ_SECONDS,
    SCHEDULER_SECONDS,
    UNDECIDED_SECONDS,
    TriggererWait,
    undisturbed,
)
from airflow_batch_jobs.task.triggerer import Triggerer
from airflow_batch_jobs.triggers import BatchJobTrigger
from tests.batch.virtual import VirtualAws, run
from tests.task.api_server import ASKS_AS

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws
    from tests.task.api_server import ApiServer

KEY = TaskKey("d", "r", "t")


@pytest.fixture
def aws(frozen_aws: LocalAws) -> LocalAws:
    """The frozen local AWS with a definition of a job that writes a line a second for an hour."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=3600, stopping=5, lines={"count": 3600, "rate": 1.0})
    return frozen_aws


@pytest.fixture(autouse=True)
def _deferred(api_server: ApiServer) -> None:
    api_server.states = {"t": "deferred"}


def new_wait(aws: LocalAws, job_id: str, key: TaskKey | None = KEY, **how: Any) -> TriggererWait:
    """Return a wait for a job, in virtual time."""
    connection = AwsConnection()
    Triggerer.here()._watchers.setdefault(connection.key, VirtualAws(aws).watcher())
    arguments = {"try_number": 1, "max_tries": 0, "may_finish": False, **how}
    return TriggererWait(WaitPlan(job_id=job_id), connection, key, **arguments)


def cancelled(
    aws: LocalAws, *reason: str, happen: Callable[[], object] = lambda: None, **how: Any
) -> tuple[str, list[str], float]:
    """Wait for a job and cancel the wait a minute later, again and again as Airflow does.

    Args:
        aws: The local AWS.
        reason: What Airflow gives for what it calls a user action.
        happen: What happens just before.
        how: More arguments of the wait.

    Returns:
        The job, the lines of the task log, and how long it took since then.
    """
    [job_id] = aws.submit("job:1")

    async def main() -> float:
        wait = new_wait(aws, job_id, **how)
        waiting = asyncio.create_task(wait.run())
        await asyncio.sleep(60)
        happen()
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not waiting.done():
            waiting.cancel(*reason)
            await asyncio.wait({waiting}, timeout=1)
        await wait.leave()
        return loop.time() - began

    with capture_logs() as entries:
        took = run(main())
    return job_id, [str(entry["event"]) for entry in entries], took


def test_a_users_stop_terminates_the_job_and_copies_its_last_lines(aws: LocalAws, api_server: ApiServer) -> None:
    """The job says who stopped it, and the place in its log is forgotten."""
    job_id, lines, _ = cancelled(aws, "user", happen=lambda: api_server.states.update(t="failed"))
    assert aws.job(job_id)["statusReason"] == "Airflow task stopped by a user: now failed"
    assert "FAILED: Airflow task stopped by a user: now failed" in lines
    assert CURSOR_XCOM not in api_server.xcoms


def test_the_xcom_follows_the_job_and_says_how_a_stop_ended_it(aws: LocalAws, api_server: ApiServer) -> None:
    """Nobody else will: no worker resumes."""
    seen: list[dict[str, Any]] = []

    def happen() -> None:
        seen.append(api_server.xcoms[JOB_XCOM])
        api_server.states = {"t": "failed"}

    cancelled(aws, "user", happen=happen)
    assert seen[0]["status"] == "RUNNING"
    assert [each["stream"] for each in seen[0]["log_streams"]]
    told = api_server.xcoms[JOB_XCOM]
    assert (told["status"], told["is_terminated"], told["try_number"]) == ("FAILED", True, 1)
    assert told["stop_reason"] == "Airflow task stopped by a user: now failed"
    assert [each["status"] for each in told["history"]][-2:] == ["RUNNING", "FAILED"]


def test_a_stop_whose_job_takes_long_to_end_is_told_all_the_same(aws: LocalAws, api_server: ApiServer) -> None:
    """A job may have longer than AWS's 30 s."""
    aws.script(definition="job", running=3600, stopping=100)
    cancelled(aws, "user", happen=lambda: api_server.states.update(t="failed"))
    told = api_server.xcoms[JOB_XCOM]
    assert (told["status"], told["is_terminated"]) == ("RUNNING", True)
    assert told["diagnosis"]["cause"] == "terminated"


def test_a_stale_trigger_leaves_the_xcom_of_a_newer_attempt(aws: LocalAws, api_server: ApiServer) -> None:
    """Neither when its job changes nor when it ends it."""
    newer = {"job_id": "another", "try_number": 2}
    cancelled(aws, "user", happen=lambda: api_server.xcoms.update({JOB_XCOM: newer}))
    assert api_server.xcoms[JOB_XCOM] == newer


def test_a_triggerer_that_shuts_down_leaves_the_job_and_its_place_in_the_log(
    aws: LocalAws, api_server: ApiServer
) -> None:
    """At once, whatever the task's state."""
    job_id, lines, took = cancelled(aws, happen=lambda: api_server.states.update(t="failed"))
    assert not aws.job(job_id)["isTerminated"]
    assert took < 2
    saved = api_server.xcoms[CURSOR_XCOM]
    assert (saved["job_id"], saved["left"]) == (job_id, True)
    assert "line 50" in lines


@pytest.mark.parametrize(
    ("states", "stored", "says"),
    [
        pytest.param({"t": "deferred"}, None, "The task is deferred", id="another triggerer took over"),
        pytest.param({"t": "up_for_retry"}, None, "The task is up_for_retry", id="a retry will adopt the job"),
        pytest.param({"t": None}, None, "The task is cleared", id="no state for as long as it is asked"),
    ],
)
def test_a_job_that_somebody_else_watches_is_left(
    aws: LocalAws, api_server: ApiServer, states: dict[str, str | None], stored: Any, says: str
) -> None:
    """So is its place in the log, which belongs to another triggerer now."""

    def happen() -> None:
        api_server.states = states
        api_server.xcoms |= {JOB_XCOM: stored}

    job_id, lines, took = cancelled(aws, "user", happen=happen)
    assert not aws.job(job_id)["isTerminated"]
    assert f"{says}; its job is left alone." in lines
    assert took <= UNDECIDED_SECONDS + LINES_READ_SECONDS + 2
    assert not api_server.xcoms[CURSOR_XCOM]["left"]


def test_the_job_of_an_attempt_that_was_replaced_is_terminated(aws: LocalAws, api_server: ApiServer) -> None:
    """A clear has begun another generation."""
    newer = {"job_id": "another", "try_number": 2}
    job_id, _, _ = cancelled(aws, "user", happen=lambda: api_server.xcoms.update({JOB_XCOM: newer}))
    assert aws.job(job_id)["statusReason"] == "Airflow task stopped by a user: now deferred"


@pytest.mark.long
@pytest.mark.parametrize(("another", "ends"), [("another", True), (None, False)])
def test_a_trigger_of_a_replaced_attempt_learns_of_it(
    aws: LocalAws, api_server: ApiServer, *, another: str | None, ends: bool
) -> None:
    """Airflow 3.4 refuses what it asks as itself, and the new attempt may wait for the same job."""

    def happen() -> None:
        api_server.is_replaced = True
        newer = another or aws.jobs()[0]["jobId"]
        api_server.xcoms[JOB_XCOM] = {"job_id": newer, "try_number": 2}

    as_trigger = copy_context()
    as_trigger.run(ASKS_AS.set, "attempt 1")
    job_id, lines, _ = as_trigger.run(cancelled, aws, "user", happen=happen)
    assert bool(aws.job(job_id)["isTerminated"]) is ends
    assert not [line for line in lines if "does not say" in line]


PASS = TaskKey("d", "r", "t", loop_index=1)


@pytest.mark.parametrize(
    ("state", "is_replaced", "says"),
    [("deferred", True, "now replaced"), ("success", True, "now replaced"), ("failed", False, "now failed")],
)
def test_a_stopped_pass_of_a_loop_takes_its_job_with_it(
    aws: LocalAws, api_server: ApiServer, state: str, says: str, *, is_replaced: bool
) -> None:
    """Only its own trigger may ask for its XComs, and learns so that its attempt is replaced, or made anew."""

    def happen() -> None:
        api_server.is_replaced = is_replaced
        api_server.states = {"t": state}

    as_trigger = copy_context()
    as_trigger.run(ASKS_AS.set, "attempt 1")
    job_id, _, _ = as_trigger.run(cancelled, aws, "user", happen=happen, key=PASS)
    assert aws.job(job_id)["statusReason"] == f"Airflow task stopped by a user: {says}"


@pytest.mark.parametrize(("key", "last"), [(KEY, [JOB_XCOM]), (PASS, [])])
def test_a_stopped_trigger_saves_no_place_in_its_log(
    monkeypatch: pytest.MonkeyPatch, aws: LocalAws, api_server: ApiServer, key: TaskKey, last: list[str]
) -> None:
    """Airflow 3.4 refuses it, and tells so as an error in the triggerer's log; lines still come meanwhile.

    What became of the job is told as nobody, which is not refused, but of a pass of a loop.
    """
    monkeypatch.setattr(saved_log, "CURSOR_SECONDS", 0.0)
    aws.script(definition="job", running=600, stopping=15, lines=600)
    written: list[int] = []

    def happen() -> None:
        api_server.states = {"t": "failed"}
        written.append(len(api_server.told(SetXCom)))

    _, lines, _ = cancelled(aws, "user", happen=happen, key=key)
    assert written[0] > 0
    assert [each.key for each in api_server.told(SetXCom)[written[0] :]] == last
    assert len(lines) > 60


def test_what_a_trigger_of_a_loop_asks_is_asked_as_its_own(aws: LocalAws, api_server: ApiServer) -> None:
    """As nobody's, it would be refused; and all is asked before the task goes on, after which it is refused as well."""
    who: list[str | None] = []
    answer = api_server._answer

    def noting(message: Any) -> Any:
        if isinstance(message, (GetXCom, SetXCom, DeleteXCom)):
            who.append(ASKS_AS.get())
        return answer(message)

    api_server._answer = noting  # type: ignore[method-assign]
    aws.script(definition="job", running=60, lines=5)
    [job_id] = aws.submit("job:1")

    async def main() -> int:
        wait = new_wait(aws, job_id, PASS)
        await wait.run()
        asked = len(who)
        await wait.linger()
        await wait.leave()
        return asked

    as_trigger = copy_context()
    as_trigger.run(ASKS_AS.set, "attempt 1")
    assert as_trigger.run(run, main()) == len(who)
    assert set(who) == {"attempt 1"}
    assert CURSOR_XCOM not in api_server.xcoms


@pytest.mark.parametrize("key", [KEY, PASS])
def test_a_trigger_that_another_triggerer_has_now_asks_nothing(
    monkeypatch: pytest.MonkeyPatch, aws: LocalAws, api_server: ApiServer, key: TaskKey
) -> None:
    """Airflow 3.4 says so in the cancellation; its job and its place in the log are the other's."""
    runner = SimpleNamespace(_REASSIGNED_CANCEL_MSG="__airflow_reassigned__")
    monkeypatch.setitem(sys.modules, "airflow.jobs.triggerer_job_runner", runner)
    asked: list[int] = []

    def happen() -> None:
        api_server.states = {"t": "failed"}
        asked.append(len(api_server.asked))

    job_id, lines, took = cancelled(aws, "__airflow_reassigned__", happen=happen, key=key)
    assert not aws.job(job_id)["isTerminated"]
    assert "The task is deferred; its job is left alone." in lines
    assert len(api_server.asked) == asked[0]
    assert took < 2


def test_without_an_answer_the_job_is_left_and_the_log_says_so(aws: LocalAws, api_server: ApiServer) -> None:
    """The job must not suffer from what is wrong with the API server."""
    job_id, lines, _ = cancelled(aws, "user", happen=lambda: setattr(api_server, "failures", float("inf")))
    assert not aws.job(job_id)["isTerminated"]
    assert (
        "The job is left running: it is not known whether a user stopped this task. Terminate it by hand if it is not "
        "wanted. (OSError('the API server is down'))"
    ) in lines


def test_under_dag_test_a_cancellation_is_the_users(aws: LocalAws, api_server: ApiServer) -> None:
    """There is no API server to ask."""
    job_id, _, _ = cancelled(aws, "user", key=None)
    assert aws.job(job_id)["isTerminated"]
    assert not api_server.asked


@pytest.mark.long
@pytest.mark.parametrize("is_one_run", [True, False])
def test_the_jobs_of_many_stopped_tasks_are_terminated_in_time(
    aws: LocalAws, api_server: ApiServer, *, is_one_run: bool
) -> None:
    """An eighth of a thousand, with an eighth of the rates: also where each needs a question of its own."""
    aws.script(definition="job", running=3600, stopping=1)
    ids = aws.submit("job:1", count=125)

    async def main() -> float:
        waiting = set()
        for number, job_id in enumerate(ids):
            key = TaskKey("d" if is_one_run else f"d{number}", "r", f"t{number}")
            waiting.add(asyncio.create_task(new_wait(aws, job_id, key).run()))
        await asyncio.sleep(20)
        api_server.seconds, api_server.is_serial = 8 / 50, True
        api_server.states = {f"t{number}": "failed" for number in range(125)}
        aws.fault("TerminateJob*", "throttle", rate=25 / 8)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while any(not job.get("isTerminated") for job in aws.jobs()) and loop.time() - began < 60:
            for task in waiting:
                task.cancel("user")
            _, waiting = await asyncio.wait(waiting, timeout=1)
        return loop.time() - began

    assert run(main()) < 45
    assert {job["statusReason"] for job in aws.jobs()} == {"Airflow task stopped by a user: now failed"}


def test_a_job_whose_wait_has_not_begun_is_stopped_all_the_same(aws: LocalAws, api_server: ApiServer) -> None:
    """Airflow may cancel a trigger before its first step."""
    [job_id] = aws.submit("job:1")
    api_server.states = {"t": "failed"}
    run(_killed(aws, job_id))
    assert aws.job(job_id)["isTerminated"]
    assert api_server.xcoms[JOB_XCOM]["is_terminated"]


async def _killed(aws: LocalAws, job_id: str) -> None:
    await new_wait(aws, job_id).kill()


def finished(aws: LocalAws, **how: Any) -> tuple[Outcome, bool, list[str], float]:
    """Wait for a short job; return the outcome, whether the triggerer ends the task, the log, and how long it took."""
    aws.script(definition="job", submitted=0, pending=0, runnable=0, starting=0, running=1, lines=["done"])
    [job_id] = aws.submit("job:1")

    async def main() -> tuple[Outcome, bool, float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        wait = new_wait(aws, job_id, **how)
        outcome = await wait.run()
        took = loop.time() - began
        return outcome, await wait.has_finished(outcome), took

    with capture_logs() as entries:
        outcome, is_finished, took = run(main())
    return outcome, is_finished, [str(entry["event"]) for entry in entries], took


def test_a_success_can_be_ended_here(aws: LocalAws, api_server: ApiServer) -> None:
    """With the XComs that a worker would push."""
    outcome, is_finished, lines, _ = finished(aws, may_finish=True)
    assert is_finished
    assert api_server.xcoms["return_value"] == outcome.job_id
    assert api_server.xcoms[JOB_XCOM] == {**outcome.job, "try_number": 1, "max_tries": 0}
    assert lines[-1] == outcome.summary


def test_a_success_of_an_attempt_that_was_replaced_is_not_ended_here(aws: LocalAws, api_server: ApiServer) -> None:
    """Its XComs are the newer attempt's."""
    newer = {"job_id": "another", "try_number": 2}
    api_server.xcoms = {JOB_XCOM: newer}
    _, is_finished, _, _ = finished(aws, may_finish=True)
    assert not is_finished
    assert api_server.xcoms[JOB_XCOM] == newer
    assert "return_value" not in api_server.xcoms


def test_a_success_whose_xcoms_cannot_be_written_is_ended_by_a_worker(aws: LocalAws, api_server: ApiServer) -> None:
    """The log says why."""
    api_server.failures = float("inf")
    _, is_finished, lines, _ = finished(aws, may_finish=True)
    assert not is_finished
    why = "its XComs could not be written: OSError('the API server is down')"
    assert lines[-1] == f"The task is ended by a worker, since {why}"


def test_a_task_that_a_worker_ends_stays_deferred_for_a_while(aws: LocalAws, api_server: ApiServer) -> None:
    """The scheduler first has to learn that the process that deferred has ended."""
    _, is_finished, _, took = finished(aws)
    assert not is_finished
    assert took >= 5 + SCHEDULER_SECONDS
    told = [each for each in api_server.told(SetXCom) if each.key in {JOB_XCOM, "return_value"}]
    assert [(each.key, each.value["status"]) for each in told] == [(JOB_XCOM, "RUNNING")]


@pytest.mark.long
def test_a_wait_goes_without_a_garbage_collection(aws: LocalAws) -> None:
    """A triggerer leaves waits out of its collections, so a reference cycle would stay."""
    aws.script(definition="job", running=60, lines=5)
    [job_id] = aws.submit("job:1")

    async def main() -> weakref.ref[TriggererWait]:
        wait = new_wait(aws, job_id)
        await wait.has_finished(await wait.run())
        await wait.leave()
        return weakref.ref(wait)

    gc.collect()
    gc.disable()
    try:
        assert run(main())() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("reason", "stays"), [(("user",), LINES_READ_SECONDS), ((), 0.0)])
def test_a_trigger_stays_until_its_last_lines_are_read(
    aws: LocalAws, api_server: ApiServer, reason: tuple[str, ...], stays: float
) -> None:
    """Airflow closes the log of one that has ended; it cancels one whose event it has, which then stops nothing.

    A triggerer that shuts down is not held up.
    """
    aws.script(definition="job", running=60, lines=5)
    [job_id] = aws.submit("job:1")

    async def main() -> float:
        loop = asyncio.get_running_loop()
        wait = new_wait(aws, job_id)
        await wait.run()
        api_server.states = {"t": "failed"}
        lingering = asyncio.create_task(wait.linger())
        began = loop.time()
        while not lingering.done():
            await asyncio.wait({lingering}, timeout=0.5)
            lingering.cancel(*reason)
        api_server.asked.clear()
        await wait.kill()
        await wait.leave()
        return loop.time() - began

    took = run(main())
    assert stays <= took <= stays + 1
    assert not api_server.asked
    assert CURSOR_XCOM not in api_server.xcoms


def test_a_triggers_event_does_not_wait_for_that(aws: LocalAws) -> None:
    """The task goes on while the trigger's last lines are read."""
    aws.script(definition="job", running=60, lines=5)
    [job_id] = aws.submit("job:1")

    async def main() -> tuple[int, float]:
        Triggerer.here()._watchers.setdefault(AwsConnection().key, VirtualAws(aws).watcher())
        trigger, loop = BatchJobTrigger(job_id), asyncio.get_running_loop()
        task: Any = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=-1)
        trigger.task_instance = task
        fired = [loop.time() async for _ in trigger.run()]
        return len(fired), loop.time() - fired[0]

    events, stayed = run(main())
    assert events == 1
    assert stayed >= LINES_READ_SECONDS


def test_work_goes_on_under_repeated_cancellations() -> None:
    """Airflow repeats a user's cancellation at every sync, which would interrupt the termination."""

    async def main() -> list[str]:
        done: list[str] = []

        async def work() -> None:
            await asyncio.sleep(0.05)
            done.append("work")

        async def run() -> None:
            await undisturbed(work())
            done.append("run")

        task = asyncio.create_task(run())
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel("user-action")
        await task
        return done

    assert asyncio.run(main()) == ["work", "run"]


def test_a_shutdown_ends_the_work_at_once() -> None:
    """A cancellation without a reason is not a user's: the triggerer must not wait."""

    async def main() -> bool:
        ended = asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        task = asyncio.create_task(undisturbed(work()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 1)
        return ended.is_set()

    assert asyncio.run(main())
