"""A crash of the trigger costs no healthy job: what the operator and the sensor do when they resume after one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule
from airflow.sdk.exceptions import (
    AirflowRuntimeError,
    AirflowSensorTimeout,
    AirflowSkipException,
    ErrorType,
    TaskDeferralError,
    TaskDeferralTimeout,
)
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.watch.followed_parts import FollowedParts
from airflow_batch_jobs.decorators import batch_job_task
from airflow_batch_jobs.errors import AccessDeniedError, BatchJobsError, JobNotFoundError, WaitCrashedError
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.retries import BatchRetryPolicy, Retry
from airflow_batch_jobs.sensors import BatchJobSensor
from airflow_batch_jobs.task.crash import FORGIVEN_SECONDS, PAUSE_SECONDS
from airflow_batch_jobs.task.handover import Outcome
from airflow_batch_jobs.task.record import WAIT_KEY
from tests.face.attempts import Attempts, crashed, deferred, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import RetryPolicy

    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture
def long(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS with a job that runs for a minute, as Airflow's connection `aws_default`."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    aws.register("long")
    aws.script(definition="long", running=60)
    return aws


def operator(**arguments: Any) -> BatchJobOperator:
    """Return an operator that runs the job."""
    with DAG("d", schedule=None):
        return BatchJobOperator(**{"task_id": "t", "job_queue": "default", "definition": "long:1", **arguments})


def sensor(aws: LocalAws, **arguments: Any) -> BatchJobSensor:
    """Return a sensor that waits for such a job."""
    [job_id] = aws.submit("long:1")
    with DAG("d", schedule=None):
        return BatchJobSensor(task_id="t", job_id=job_id, **arguments)


def is_terminated(aws: LocalAws) -> bool:
    """Tell whether the one job that was ever started has been terminated."""
    [job] = aws.jobs()
    return bool(job.get("isTerminated")) or job["status"] == "FAILED"


@pytest.mark.parametrize("retries", [0, 1])
def test_the_wait_goes_on_with_the_same_job_and_deadline(long: LocalAws, retries: int) -> None:
    """Whether or not a retry is left: no attempt is used up."""
    context = Attempts().context(retries=retries)
    task = operator(execution_timeout=timedelta(hours=1), poll_interval=7)
    first = deferred(task, context)
    with capture_logs() as entries:
        again = crashed(operator(execution_timeout=timedelta(hours=1)), context, ValueError("no such\nthing"))
    assert not is_terminated(long)
    assert first.deadline is not None
    assert replace(again, resumed=0, begins_at=None) == first
    assert again.begins_at is not None
    says = (
        f"The trigger crashed (ValueError: no such thing). The wait for the job goes on at "
        f"{again.begins_at:%H:%M:%S} UTC, resumption 1 of 3."
    )
    assert [entry["event"] for entry in entries if entry["log_level"] == "warning"] == [says]
    assert any("ValueError: no such\nthing" in entry["event"] for entry in entries)


@pytest.mark.parametrize(
    ("retries", "arguments", "terminated", "says"),
    [
        (0, {}, True, "No retry follows, so the job was terminated."),
        (1, {}, False, "The job keeps running for the next attempt."),
        (0, {"terminate_on_kill": False}, False, "The job keeps running: "),
    ],
)
def test_after_the_third_time_the_task_fails(
    long: LocalAws, retries: int, arguments: dict[str, Any], *, terminated: bool, says: str
) -> None:
    """Then nobody watches the job, so it is ended unless a retry will take it up."""
    attempts = Attempts()
    context = attempts.context(retries=retries)
    deferred(operator(**arguments), context)
    before = datetime.now(tz=UTC)
    plans = [crashed(operator(**arguments), context) for _ in range(3)]
    assert not is_terminated(long)
    pauses = [(each.begins_at - before).total_seconds() for each in plans if each.begins_at]
    assert pauses == pytest.approx(PAUSE_SECONDS, abs=5)
    with pytest.raises(TaskDeferralError) as raised:
        operator(**arguments).resume_execution("__fail__", told(), context)
    assert "The trigger has crashed 4 times, the last time with KeyError" in str(raised.value)
    assert says in str(raised.value)
    assert is_terminated(long) is terminated
    reasons = [request.parameters["reason"] for request in long.requests("TerminateJob")]
    assert reasons == ["The Airflow trigger that waited for it has crashed"] * terminated
    assert bool(attempts.xcoms["batch_job"]["is_terminated"]) is terminated


def test_a_wait_that_went_well_for_an_hour_has_all_its_times_again(long: LocalAws) -> None:
    """A job of many days may meet more than three deployments."""
    del long
    attempts = Attempts()
    context = attempts.context()
    deferred(operator(), context)
    for _ in range(3):
        crashed(operator(), context)
    begun = datetime.now(tz=UTC) - timedelta(seconds=FORGIVEN_SECONDS + 1)
    attempts.store[WAIT_KEY]["begins_at"] = begun.isoformat()
    assert crashed(operator(), context).resumed == 1


def test_a_retry_has_all_its_times_again(long: LocalAws) -> None:
    """And its own deadline; the job is the one that the first attempt left."""
    attempts = Attempts()
    first = deferred(operator(), attempts.context(retries=1))
    for _ in range(3):
        crashed(operator(), attempts.context(retries=1))
    retry = attempts.context(2, retries=1)
    attempts.xcoms.clear()
    assert deferred(operator(), retry) == replace(first, submitted_at=deferred(operator(), retry).submitted_at)
    assert crashed(operator(), retry).resumed == 1
    assert not is_terminated(long)


@pytest.mark.long
def test_a_clear_ends_the_job_of_a_wait_that_is_to_go_on(long: LocalAws) -> None:
    """As of any other deferred task."""
    attempts = Attempts()
    deferred(operator(), attempts.context())
    crashed(operator(), attempts.context())
    attempts.xcoms.clear()
    new = deferred(operator(), attempts.context(2, cleared=1))
    assert new.resumed == 0
    [request] = long.requests("TerminateJob")
    assert request.parameters["reason"] == "Replaced by a newer run of the same Airflow task"
    assert request.parameters["jobId"] != new.job_id


def test_a_wait_that_an_older_version_began_goes_on(long: LocalAws) -> None:
    """Its plan is not kept, so it begins anew, with the job of the XCom."""
    attempts = Attempts()
    first = deferred(operator(), attempts.context())
    del attempts.store[WAIT_KEY]
    again = crashed(operator(), attempts.context())
    assert (again.job_id, again.resumed) == (first.job_id, 1)
    assert not is_terminated(long)


def test_a_store_out_of_order_costs_the_deadline_and_not_the_job(long: LocalAws) -> None:
    """The log says so, at the deferral and afterwards."""
    attempts = Attempts()

    def fail(*_: Any) -> Any:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 500}))

    context = attempts.context()
    context["task_state_store"].set = context["task_state_store"].get = fail
    with capture_logs() as entries:
        sensor_task = sensor(long)
        first = deferred(sensor_task, context)
        again = crashed(sensor_task, context)
    assert again.job_id == first.job_id
    said = [entry["event"] for entry in entries]
    assert sum(line.endswith("Should the trigger crash, the wait starts over with its full time.") for line in said)
    assert sum(line.endswith("The wait starts over with its full time.") for line in said)
    assert not is_terminated(long)


def test_airflows_own_timeout_of_a_deferral_keeps_its_meaning(long: LocalAws) -> None:
    """It is no crash."""
    attempts = Attempts()
    deferred(operator(), attempts.context())
    with pytest.raises(TaskDeferralTimeout):
        operator().resume_execution("__fail__", {"error": "Trigger timeout"}, attempts.context())
    with pytest.raises(AirflowSensorTimeout):
        sensor(long).resume_execution("__fail__", {"error": "Trigger timeout"}, Attempts().context())


def test_a_crash_without_a_job_is_airflows_to_report(long: LocalAws) -> None:
    """There is nothing to wait for."""
    with pytest.raises(TaskDeferralError, match="Trigger failure"):
        operator().resume_execution("__fail__", told(), Attempts().context())
    assert not long.jobs()


@pytest.mark.parametrize(("soft_fail", "kind"), [(False, TaskDeferralError), (True, AirflowSkipException)])
def test_a_sensor_takes_its_wait_up_again_and_never_ends_the_job(
    long: LocalAws, kind: type[Exception], *, soft_fail: bool
) -> None:
    """With the deadline of its first wait; after the third time it ends as sensors do."""
    task = sensor(long, timeout=3600, soft_fail=soft_fail)
    context = Attempts().context()
    first = deferred(task, context)
    plans = [crashed(task, context) for _ in range(3)]
    assert {(each.job_id, each.deadline) for each in plans} == {(first.job_id, first.deadline)}
    with pytest.raises(kind):
        task.resume_execution("__fail__", told(), context)
    assert not is_terminated(long)


def test_a_task_that_is_no_longer_deferrable_goes_on_in_its_worker(long: LocalAws) -> None:
    """The DAG may have changed meanwhile."""
    context = Attempts().context()
    long.script(definition="long", running=0.1)
    first = deferred(operator(), context)
    task = operator(deferrable=False, poll_interval=0.1)
    assert task.resume_execution("__fail__", told(), context) == first.job_id


def test_a_decorated_task_shows_its_definition_again(long: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow takes down the rendered fields at each deferral; the function is not called again."""
    sent: list[Any] = []
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", type("Comms", (), {"send": sent.append}), raising=False)
    calls: list[None] = []

    class Long(JobDefinition, name="long", revision=1):
        """A definition without parameters."""

    def decorated() -> Any:
        with DAG("d", schedule=None):

            @batch_job_task(job_queue="default", task_id="t")
            def decide() -> JobDefinition:
                calls.append(None)
                return Long()

            task: Any = decide()
            return task.operator

    context = Attempts().context()
    first = deferred(decorated(), context)
    task = decorated()
    assert crashed(task, context).rendered == first.rendered
    assert task.definition == "long:1"
    assert len(calls) == 1
    assert not is_terminated(long)


def _wait_is_refused(context: Any, **arguments: Any) -> Exception:
    """AWS does not let the role describe the job any more, which the trigger reports."""
    plan = deferred(operator(), context)
    outcome = Outcome.of_error(plan.job_id, AccessDeniedError("no", action="batch:DescribeJobs", code="AccessDenied"))
    with pytest.raises(AccessDeniedError) as raised:
        operator(**arguments).execute_complete(context, outcome.to_event())
    return raised.value


def _submit_is_not_told(context: Any) -> Exception:
    """Airflow does not take the job's id after the submit."""

    def refuse(*_: Any) -> None:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 503}))

    context["ti"].xcom_push = refuse
    with pytest.raises(AirflowRuntimeError) as raised:
        operator().execute(context)
    return raised.value


def _wait_crashes_on_the_worker(context: Any, **arguments: Any) -> Exception:
    """An answer about the job is stumbled over, without a triggerer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FollowedParts, "look", lambda *_: 1 / 0)
        with pytest.raises(WaitCrashedError) as raised:
            operator(deferrable=False, poll_interval=0.2, **arguments).execute(context)
    return raised.value


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("fail", [_wait_is_refused, _submit_is_not_told, _wait_crashes_on_the_worker])
def test_no_job_runs_on_unwatched_because_its_task_failed(
    long: LocalAws, fail: Callable[[Any], Exception], retries: int
) -> None:
    """Whatever the task fails with after the submit: the job is ended, unless a retry will take it up."""
    context = Attempts().context(retries=retries)
    with capture_logs() as entries:
        fail(context)
    assert is_terminated(long) is (retries == 0)
    says = "The job keeps running for the next attempt." if retries else "No retry follows, so the job was terminated."
    assert says in [entry["event"] for entry in entries if entry["log_level"] == "warning"]


@pytest.mark.parametrize(
    "policy",
    [
        BatchRetryPolicy(errors={BatchJobsError: Retry.NEVER}),
        ExceptionRetryPolicy([RetryRule(BatchJobsError, RetryAction.FAIL)]),
    ],
    ids=["ours", "Airflow's"],
)
@pytest.mark.parametrize("fail", [_wait_is_refused, _wait_crashes_on_the_worker])
def test_no_job_runs_on_unwatched_because_a_policy_rules_its_retry_out(
    long: LocalAws, fail: Callable[..., Exception], policy: RetryPolicy
) -> None:
    """A retry that is left counts only if the policy lets it come."""
    context = Attempts().context(retries=3)
    with capture_logs() as entries:
        fail(context, retry_policy=policy)
    assert is_terminated(long)
    assert "No retry follows, so the job was terminated." in [entry["event"] for entry in entries]


def test_a_policy_that_raises_rules_no_retry_out(long: LocalAws) -> None:
    """Airflow goes on without it, and so the job waits for the retry."""

    class Broken(BatchRetryPolicy):
        def evaluate(self, *_: Any, **__: Any) -> RetryDecision:
            raise LookupError

    with capture_logs():
        _wait_is_refused(Attempts().context(retries=1), retry_policy=Broken())
    assert not is_terminated(long)


@pytest.mark.parametrize(
    ("retries", "terminated", "says"),
    [
        (0, True, "No retry follows, so the job was terminated."),
        (1, False, "The job keeps running for the next attempt."),
    ],
)
def test_a_job_that_the_triggerer_does_not_find_does_not_run_on_without_a_word(
    long: LocalAws, retries: int, *, terminated: bool, says: str
) -> None:
    """It was submitted, so it runs where the triggerer does not look: in another account, or another region."""
    context = Attempts().context(retries=retries)
    plan = deferred(operator(), context)
    event = Outcome.of_error(plan.job_id, JobNotFoundError(plan.job_id)).to_event()
    with capture_logs() as entries, pytest.raises(JobNotFoundError):
        operator().execute_complete(context, event)
    assert says in [entry["event"] for entry in entries]
    assert is_terminated(long) is terminated


def test_a_job_that_a_sensor_does_not_find_is_an_error_and_no_more(long: LocalAws) -> None:
    """There may be none."""
    task = sensor(long, terminate_on_kill=True)
    event = Outcome.of_error(task.job_id, JobNotFoundError(task.job_id)).to_event()
    with capture_logs() as entries, pytest.raises(JobNotFoundError):
        task.execute_complete(Attempts().context(), event)
    assert not entries
    assert not is_terminated(long)
