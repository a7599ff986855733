"""Injected faults, as boto3 sees them, and what they leave behind."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from airflow_batch_jobs.local import LocalAws

if TYPE_CHECKING:
    from collections.abc import Callable


CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "batch": ("describe_job_queues", {}),
    "logs": ("describe_log_streams", {"logGroupName": "x"}),
    "sts": ("get_caller_identity", {}),
}


def submit(aws: LocalAws, batch: Any) -> str:
    """Submit a job."""
    aws.register("align")
    job_id: str = batch.submit_job(jobName="j", jobQueue="default", jobDefinition="align")["jobId"]
    return job_id


@pytest.mark.parametrize(
    ("kind", "service", "code", "status"),
    [
        ("throttle", "batch", "TooManyRequestsException", 429),
        ("throttle", "logs", "ThrottlingException", 400),
        ("throttle", "sts", "Throttling", 400),
        ("server_error", "batch", "ServerException", 500),
        ("server_error", "logs", "ServiceUnavailableException", 503),
        ("server_error", "sts", "InternalFailure", 500),
        ("expired", "batch", "ExpiredTokenException", 403),
        ("expired", "logs", "ExpiredTokenException", 400),
        ("expired", "sts", "ExpiredToken", 403),
        ("denied", "batch", "AccessDeniedException", 403),
        ("denied", "logs", "AccessDeniedException", 400),
        ("denied", "sts", "AccessDenied", 403),
    ],
)
def test_an_error_is_the_services_own(
    aws: LocalAws, client_of: Callable[..., Any], kind: str, service: str, code: str, status: int
) -> None:
    """boto3 parses its code and its HTTP status."""
    client = client_of(aws, service)
    operation, given = CALLS[service]
    call = getattr(client, operation)
    aws.fault(f"{service}.*", kind, times=1)
    with pytest.raises(ClientError) as raised:
        call(**given)
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert aws.requests()[-1].outcome == code


def test_a_denial_names_the_action(aws: LocalAws, batch: Any) -> None:
    """So that a message can say what to allow."""
    aws.fault("SubmitJob", "denied")
    with pytest.raises(ClientError, match="batch:SubmitJob"):
        submit(aws, batch)


def test_a_dropped_connection_leaves_no_effect(aws: LocalAws, batch: Any) -> None:
    """Before its effect, the call never happened."""
    aws.fault("SubmitJob", "drop", times=1)
    with pytest.raises(ConnectionClosedError):
        submit(aws, batch)
    assert aws.jobs() == []
    [seen] = aws.requests("SubmitJob")
    assert (seen.outcome, seen.took_effect) == ("dropped", False)


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"kind": "drop"}, BotoCoreError), ({"kind": "server_error"}, ClientError), ({"kind": "throttle"}, ClientError)],
)
def test_an_answer_can_be_lost_after_the_effect(
    aws: LocalAws, batch: Any, fault: dict[str, Any], error: type[Exception]
) -> None:
    """The caller sees a failure, and the job is there."""
    aws.fault("SubmitJob", **fault, times=1, after=True)
    with pytest.raises(error):
        submit(aws, batch)
    assert len(aws.jobs()) == 1
    assert [one.took_effect for one in aws.requests("SubmitJob")] == [True]


def test_an_answer_may_not_be_awss_at_all(aws: LocalAws) -> None:
    """A proxy's page, of which boto3 makes an answer without its members."""
    aws.fault("DescribeJobs", "not_json", times=1)
    assert "jobs" not in aws.clients()("batch").describe_jobs(jobs=["x"])
    assert [one.outcome for one in aws.requests("DescribeJobs")] == ["not AWS"]


def test_latency_delays_the_answer(aws: LocalAws, batch: Any) -> None:
    """In real time, of this operation alone."""
    aws.fault("DescribeJobs", "latency", seconds=0.2)
    began = time.monotonic()
    batch.describe_job_queues()
    quick = time.monotonic() - began
    batch.describe_jobs(jobs=["x"])
    assert time.monotonic() - began - quick >= 0.2


def test_a_slow_answer_does_not_hold_up_the_end() -> None:
    """The endpoint ends while a call waits for its answer, and the caller's connection with it."""
    failures: list[Exception] = []

    def call(batch: Any) -> None:
        try:
            submit(aws, batch)
        except BotoCoreError as error:
            failures.append(error)

    with LocalAws() as aws:
        aws.fault("SubmitJob", "latency", seconds=60, after=True)
        batch = aws.clients()("batch", config=Config(retries={"total_max_attempts": 1}))
        thread = threading.Thread(target=call, args=(batch,))
        thread.start()
        deadline = time.monotonic() + 60
        while not aws.jobs():
            assert time.monotonic() < deadline
    thread.join(60)
    assert [type(failure) for failure in failures] == [ConnectionClosedError]


def test_a_rate_is_a_limit_of_the_account(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Five calls pass, then one for each fifth of a second, whichever operations they are of."""
    frozen_aws.fault("batch.*", "throttle", rate=5)

    def passed(calls: int) -> int:
        count = 0
        for number in range(calls):
            try:
                frozen_batch.describe_jobs(jobs=["x"]) if number % 2 else frozen_batch.describe_job_queues()
                count += 1
            except frozen_batch.exceptions.ClientError:
                pass
        return count

    assert passed(10) == 5
    assert passed(3) == 0
    frozen_aws.advance(0.41)
    assert passed(10) == 2


def test_a_share_of_the_calls_is_hit(aws: LocalAws, batch: Any) -> None:
    """By chance, the same each time for one seed."""
    aws.fault("DescribeJobQueues", "throttle", share=0.5)
    outcomes = []
    for _ in range(20):
        try:
            batch.describe_job_queues()
            outcomes.append("ok")
        except ClientError:
            outcomes.append("throttled")
    assert 4 < outcomes.count("ok") < 16
    assert [one.outcome == "ok" for one in aws.requests()] == [outcome == "ok" for outcome in outcomes]


def test_describe_jobs_can_leave_out_ids(aws: LocalAws, batch: Any) -> None:
    """A share of those that exist."""
    ids = aws.submit(aws.register("align"), count=50)
    aws.fault("DescribeJobs", "omit", share=0.3, times=1)
    assert 20 < len(batch.describe_jobs(jobs=ids)["jobs"]) < 48
    assert len(batch.describe_jobs(jobs=ids)["jobs"]) == 50


def test_a_job_can_be_unknown_for_a_while_after_its_submit(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """To DescribeJobs and to ListJobs, each as long as told."""
    frozen_aws.fault("DescribeJobs", "lag", seconds=5)
    frozen_aws.fault("ListJobs", "lag", seconds=10)
    [job_id] = frozen_aws.submit(frozen_aws.register("align"))
    every = [{"name": "JOB_NAME", "values": ["*"]}]

    def known() -> tuple[int, int]:
        listed = frozen_batch.list_jobs(jobQueue="default", filters=every)["jobSummaryList"]
        return len(frozen_batch.describe_jobs(jobs=[job_id])["jobs"]), len(listed)

    seen = [known()]
    for _ in range(2):
        frozen_aws.advance(5)
        seen.append(known())
    assert seen == [(0, 0), (1, 0), (1, 1)]


def test_log_events_can_come_late(frozen_aws: LocalAws, frozen_logs: Any) -> None:
    """On top of what a script says, and until the fault is cleared."""
    frozen_aws.register("align")
    frozen_aws.script(running=100, lines=100)
    frozen_aws.submit("align:1")
    frozen_aws.advance(13)
    frozen_aws.fault("logs.*", "late_logs", seconds=6)
    assert len(frozen_logs.filter_log_events(logGroupName="/aws/batch/job")["events"]) == 5
    frozen_aws.clear_faults()
    assert len(frozen_logs.filter_log_events(logGroupName="/aws/batch/job")["events"]) == 11


def test_a_page_can_be_empty_before_the_end(frozen_aws: LocalAws, frozen_logs: Any) -> None:
    """Its token leads to the events."""
    frozen_aws.register("align")
    frozen_aws.script(running=10, lines=10)
    frozen_aws.submit("align:1")
    frozen_aws.advance(100)
    frozen_aws.fault("FilterLogEvents", "empty_page")
    found = list(frozen_logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/batch/job"))
    assert [len(page["events"]) for page in found] == [0, 10]


def test_a_page_token_can_expire(frozen_aws: LocalAws, frozen_logs: Any) -> None:
    """A custom error, only for calls with a parameter."""
    frozen_aws.register("align")
    frozen_aws.script(running=10, lines=10)
    frozen_aws.submit("align:1")
    frozen_aws.advance(100)
    frozen_aws.fault(
        "FilterLogEvents",
        "error",
        code="InvalidParameterException",
        message="The specified nextToken is expired.",
        status=400,
        parameter="nextToken",
    )
    where = {"logGroupName": "/aws/batch/job", "limit": 5}
    token = frozen_logs.filter_log_events(**where)["nextToken"]
    with pytest.raises(frozen_logs.exceptions.InvalidParameterException, match="expired"):
        frozen_logs.filter_log_events(**where, nextToken=token)


def test_a_fault_that_is_none_is_refused(aws: LocalAws) -> None:
    """So that a misspelt one does not make a test pass."""
    with pytest.raises(ValueError, match="thottle"):
        aws.fault("*", "thottle")
    with pytest.raises(TypeError, match="tines"):
        aws.fault("*", "throttle", tines=1)
