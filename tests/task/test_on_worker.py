"""What SIGTERM on a worker means, where the attempt may have been replaced, or its time may be up."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from airflow.sdk.exceptions import AirflowTaskTerminated

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.xcoms import JOB_XCOM
from airflow_batch_jobs.task.connection import AwsConnection
from airflow_batch_jobs.task.handover import WaitPlan
from airflow_batch_jobs.task.on_worker import STATE_SECONDS, WorkerWait, verdict_on_worker
from airflow_batch_jobs.task.stop import TIME_IS_UP, Verdict
from airflow_batch_jobs.task.supervisor import UNANSWERED, LoopRegion, TaskInstance, UnansweredError
from tests.batch.virtual import run
from tests.e2e.runs import until
from tests.task.api_server import final_pass

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws
    from tests.task.api_server import ApiServer

TASK = TaskInstance(TaskKey("d", "r", "t"))
ATTEMPT = uuid.uuid4()


@pytest.mark.parametrize(
    ("states", "is_replaced", "verdict"),
    [
        ({"t": "running"}, False, Verdict.TERMINATE),
        ({"t": "running"}, True, Verdict.LEAVE),
        ({"t": "queued"}, True, Verdict.LEAVE),
        ({"t": None}, True, Verdict.LEAVE),
        ({}, True, Verdict.TERMINATE),
        ({"t": "failed"}, True, Verdict.TERMINATE),
        ({"t": "restarting"}, False, Verdict.TERMINATE),
    ],
)
def test_an_attempt_that_was_replaced_leaves_the_job_to_the_next(
    api_server: ApiServer, states: dict[str, str | None], verdict: Verdict, *, is_replaced: bool
) -> None:
    """Even without a retry left; but a task that a user has stopped or deleted takes its job with it."""
    api_server.states, api_server.is_replaced = states, is_replaced
    _, found = asyncio.run(verdict_on_worker(TASK, retry_left=False, recorded_as=ATTEMPT))
    assert found is verdict


@pytest.mark.parametrize(("retry_left", "verdict"), [(True, Verdict.LEAVE), (False, Verdict.TERMINATE)])
@pytest.mark.parametrize(("seconds", "failures"), [(60.0, 0), (0.0, 1)])
def test_a_worker_that_gets_no_answer_is_lost(
    api_server: ApiServer, seconds: float, failures: int, verdict: Verdict, *, retry_left: bool
) -> None:
    """This is not a user's stop; Airflow sends SIGKILL 5 s after SIGTERM, so the answer is not waited for."""
    api_server.states, api_server.seconds, api_server.failures = {"t": "failed"}, seconds, failures

    async def main() -> tuple[tuple[str | None, Verdict], float]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        return await verdict_on_worker(TASK, retry_left=retry_left, recorded_as=ATTEMPT), loop.time() - began

    found, took = run(main())
    assert found == (UNANSWERED, verdict)
    assert took <= STATE_SECONDS + 0.1


SECOND_PASS = TaskInstance(TaskKey("d", "r", "t", loop_index=1), LoopRegion("region", 1))
FIRST_PASS = TaskInstance(TaskKey("d", "r", "t", loop_index=0), LoopRegion("region", 0))
MAPPED = TaskInstance(TaskKey("d", "r", "t", 1, 1), LoopRegion("mapped", 1))


@pytest.mark.parametrize(
    ("task", "latest", "final", "is_replaced", "verdict"),
    [
        (SECOND_PASS, "running", [0], False, Verdict.TERMINATE),
        (SECOND_PASS, "running", [0], True, Verdict.LEAVE),
        (SECOND_PASS, "running", [], True, Verdict.TERMINATE),
        (SECOND_PASS, "running", [], False, Verdict.TERMINATE),
        (SECOND_PASS, "restarting", [0], True, Verdict.TERMINATE),
        (SECOND_PASS, "success", [0, 1], True, Verdict.TERMINATE),
        (FIRST_PASS, "running", [], True, Verdict.LEAVE),
        (FIRST_PASS, "restarting", [], True, Verdict.TERMINATE),
        (MAPPED, "running", [], True, Verdict.LEAVE),
    ],
)
@pytest.mark.parametrize("retry_left", [True, False])
def test_a_pass_of_a_loop_that_a_clear_makes_anew_takes_its_job_with_it(
    api_server: ApiServer,
    task: TaskInstance,
    latest: str,
    final: list[int],
    verdict: Verdict,
    *,
    is_replaced: bool,
    retry_left: bool,
) -> None:
    """Either it begins again, or a pass before it does; any other attempt that was replaced leaves its job."""
    api_server.states = {"t": latest, "t_1": latest}
    api_server.final = [final_pass("t", number, "success", "region") for number in final]
    api_server.is_replaced = is_replaced
    _, found = asyncio.run(verdict_on_worker(task, retry_left=retry_left, recorded_as=ATTEMPT))
    assert found is (Verdict.LEAVE if not is_replaced and retry_left else verdict)


class Unsure(TaskInstance):
    """A task instance whose state the API server may not know how to tell."""

    def __init__(self, key: TaskKey, *, knows: bool) -> None:
        super().__init__(key)
        self._knows = knows

    async def state(self, seconds: float = STATE_SECONDS) -> str | None:
        """Ask for the state."""
        if not self._knows:
            raise UnansweredError(TimeoutError())
        return await super().state(seconds)


@pytest.mark.long
@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize("retry_left", [True, False])
def test_sigterm_after_the_deadline_is_the_deadlines_end(
    monkeypatch: pytest.MonkeyPatch, aws: LocalAws, api_server: ApiServer, *, retry_left: bool, knows: bool
) -> None:
    """Airflow 3.4 sends it to a task that outlives its time; what the API server does not say is not waited for."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    aws.register("job")
    aws.script(definition="job", running=600, stopping=600)
    [job_id] = aws.submit("job:1")
    aws.wait_for_status(job_id, "RUNNING")
    api_server.states = {"t": "running"}
    plan = WaitPlan(job_id=job_id, deadline=datetime.now(tz=UTC), poll_interval=0.2)
    numbers = {"try_number": 1, "max_tries": 1}
    wait = WorkerWait(
        plan, AwsConnection().clients(), TASK.key, attempt=numbers, retry_left=retry_left, recorded_as=ATTEMPT
    )
    monkeypatch.setattr(wait, "_task", Unsure(TASK.key, knows=knows))
    monkeypatch.setattr("airflow_batch_jobs.task.wait.ASK_AGAIN_SECONDS", 0.001)  # so also while the wait is closed
    threading.Timer(2, wait.kill).start()
    began = time.monotonic()
    outcome = wait.run()
    assert time.monotonic() - began < 300  # the job takes ten minutes to stop
    assert outcome.timed_out
    assert not outcome.succeeded
    assert aws.job(job_id)["statusReason"] == TIME_IS_UP
    assert len([*aws.requests("TerminateJob"), *aws.requests("TerminateJobs")]) == 1


@pytest.mark.long
def test_the_xcom_follows_a_job_that_is_waited_for_here(
    aws: LocalAws, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says, before Airflow kills this process, that the job was terminated."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    aws.register("job")
    aws.script(definition="job", running=600, stopping=600)
    [job_id] = aws.submit("job:1")
    api_server.states = {"t": "running"}
    api_server.xcoms = {JOB_XCOM: {"job_id": job_id, "status": "SUBMITTED", "try_number": 1}}
    plan = WaitPlan(job_id=job_id, poll_interval=0.2, copy_logs=False)
    attempt = {"try_number": 1, "max_tries": 0}
    wait = WorkerWait(plan, AwsConnection().clients(), TASK.key, attempt=attempt, retry_left=False)

    def stop() -> None:
        until(lambda: api_server.xcoms[JOB_XCOM]["status"] == "RUNNING")
        api_server.states = {"t": "failed"}
        wait.kill()

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(AirflowTaskTerminated):
        wait.run()
    stopping.join()
    told = api_server.xcoms[JOB_XCOM]
    assert (told["status"], told["is_terminated"], told["max_tries"]) == ("RUNNING", True, 0)
    assert told["stop_reason"] == "Airflow task stopped by a user: now failed"
