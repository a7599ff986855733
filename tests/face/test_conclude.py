"""How a task ends on a worker when its job has ended and its log is long."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTerminated, AirflowTaskTimeout
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.timeout import timeout
from structlog.testing import capture_logs

from airflow_batch_jobs import BatchJobOperator, BatchJobSensor
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import JobFailedError
from airflow_batch_jobs.task.handover import Outcome
from airflow_batch_jobs.task.log_rest import RestCopy
from tests.face.attempts import Attempts
from tests.task.api_server import ApiServer

if TYPE_CHECKING:
    from airflow_batch_jobs.job_task import JobTask
    from airflow_batch_jobs.local.server import LocalAws

#: The task's `execution_timeout`.
SECONDS = 60.0


@pytest.fixture
def event(airflow_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The event of a trigger whose job has ended; its log takes two seconds to read, in which the task's time ends."""
    copy = RestCopy.run

    def run(self: RestCopy) -> None:
        if signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        copy(self)

    monkeypatch.setattr(RestCopy, "run", run)
    monkeypatch.setattr(Settings, "read", lambda: Settings(log_settle_seconds=2))
    airflow_aws.script(definition="talk", lines=3)
    [job_id] = airflow_aws.submit(airflow_aws.register("talk"))
    name = airflow_aws.wait_for_status(job_id)["container"]["logStreamName"]
    entry = {"label": "", "group": "/aws/batch/job", "region": "us-east-1", "stream": name, "cursor": {}}
    return Outcome(job={"job_id": job_id, "status": "SUCCEEDED"}, summary="SUCCEEDED", unread=[entry]).to_event()


def end(task: JobTask, event: dict[str, Any]) -> list[str]:
    """Resume a task as Airflow does; return the lines of the task log."""
    ti = SimpleNamespace(
        dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, max_tries=0, xcom_push=lambda *_, **__: None
    )
    with capture_logs() as entries, timeout(SECONDS):  # type: ignore[no-untyped-call]  # Airflow's is untyped
        task.execute_complete({"ti": ti}, event)  # type: ignore[typeddict-item]  # of a context, only what is used
    return [str(entry["event"]) for entry in entries]


def operator() -> BatchJobOperator:
    """The operator of a task with a timeout."""
    with DAG("d", schedule=None):
        return BatchJobOperator(
            task_id="t", job_queue="default", definition="talk:1", execution_timeout=timedelta(seconds=SECONDS)
        )


def sensor(**arguments: Any) -> BatchJobSensor:
    """The same of a sensor."""
    with DAG("d", schedule=None):
        return BatchJobSensor(task_id="t", job_id="j", execution_timeout=timedelta(seconds=SECONDS), **arguments)


@pytest.mark.long
@pytest.mark.parametrize("make", [operator, sensor])
def test_a_job_that_succeeded_in_time_is_a_success_however_long_its_log_is(event: dict[str, Any], make: Any) -> None:
    """`execution_timeout` is for the job; the copy of its log has an end of its own."""
    assert end(make(), event)[-4:] == ["line 1", "line 2", "line 3", "SUCCEEDED"]


@pytest.mark.long
def test_a_job_that_failed_in_time_is_a_failure_with_its_reason(event: dict[str, Any]) -> None:
    """Not a timeout; a sensor may skip it."""
    event["job"]["status"] = "FAILED"
    with pytest.raises(JobFailedError):
        end(operator(), event)
    with pytest.raises(AirflowSkipException):
        end(sensor(soft_fail=True), event)


@pytest.mark.long
def test_a_job_whose_time_ran_out_is_a_timeout_when_its_log_is_copied(event: dict[str, Any]) -> None:
    """The error is the one that says which job ran for too long."""
    event |= {"job": {**event["job"], "status": "FAILED"}, "timed_out": True}
    with pytest.raises(AirflowTaskTimeout, match="ran longer than the task's execution_timeout"):
        end(operator(), event)


def test_a_users_stop_ends_the_copy(event: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow calls `on_kill` in the handler of SIGTERM, and goes on."""
    server = ApiServer()
    server.states = {"t": "failed"}
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", server, raising=False)
    task = operator()
    before = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        with pytest.raises(AirflowTaskTerminated):
            end(task, event)
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, before)


def ended(stored: Any, **job: Any) -> Any:
    """Resume a task whose job has ended, with an XCom that is there; return the XCom afterwards."""
    attempts = Attempts()
    attempts.xcoms["batch_job"] = stored
    outcome = Outcome(job={"job_id": "j", "status": "SUCCEEDED", **job}, summary="SUCCEEDED")
    operator().execute_complete(attempts.context(), outcome.to_event())
    return attempts.xcoms["batch_job"]


def test_the_xcom_at_the_end_has_what_was_known_before() -> None:
    """The trigger that saw the end may not have seen the beginning."""
    waited, ran = (
        {"status": status, "reason": "", "at": f"2026-11-23T06:00:0{number}.000+00:00"}
        for number, status in enumerate(("RUNNABLE", "RUNNING"))
    )
    stored = {"job_id": "j", "status": "RUNNING", "history": [waited], "changes": ["more memory"], "try_number": 1}
    value = ended(stored, history=[ran])
    assert value["history"] == [waited, ran]
    assert (value["status"], value["changes"], value["try_number"]) == ("SUCCEEDED", ["more memory"], 1)


@pytest.mark.parametrize("stored", [None, "s3://bucket/key", {"job_id": "j", "attempts": 1}])
def test_the_xcom_at_the_end_does_not_depend_on_what_is_there(stored: Any) -> None:
    """An earlier version, a custom backend, or nobody has written it."""
    assert ended(stored)["status"] == "SUCCEEDED"


def test_a_worker_that_was_replaced_leaves_the_newer_attempts_xcom() -> None:
    """XComs are not fenced by Airflow."""
    newer = {"job_id": "j2", "try_number": 2}
    assert ended(newer) == newer
