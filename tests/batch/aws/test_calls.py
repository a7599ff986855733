"""Service: every call is guarded, whatever answers it, and its errors name what IAM calls it."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.aws import ClientFactory, KeptClients, Patience, Trouble, explain, service, trouble
from airflow_batch_jobs.batch.aws.trouble import is_doubtful
from airflow_batch_jobs.batch.definition_files import register_folder
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.logs.page import fetch_page
from airflow_batch_jobs.batch.operations import describe_jobs, find_by_name, send, terminate
from airflow_batch_jobs.batch.orphans import OrphanSweep, detach
from airflow_batch_jobs.batch.preflight import check_queue, check_request, check_revision
from airflow_batch_jobs.batch.watch.aws_time import AwsTime
from airflow_batch_jobs.batch.watch.status_poll import Descriptions
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    BatchJobsError,
    ClockError,
    CredentialsError,
    EndpointError,
    RequestRefusedError,
)
from tests.batch.aws.answers import SameAnswer
from tests.batch.conftest import request_for
from tests.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from botocore.config import Config

    from airflow_batch_jobs.local.server import LocalAws

JOB = JobDetail.from_response({"jobId": "1", "jobArn": "arn", "jobName": "n", "status": "RUNNING"}, "us-east-1")


def stopping(clients: ClientFactory) -> None:
    """Call TerminateJob, which is tried again while AWS is busy or away."""
    terminate(clients, "1", "enough", ManualClock())


def cancelling(clients: ClientFactory) -> None:
    """Call CancelJob."""
    BatchJob.from_id("1", clients=clients).cancel("enough")


def tagging(clients: ClientFactory) -> None:
    """Call TagResource."""
    detach(clients, JOB)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of one definition that AWS would take."""
    definition = {"jobDefinitionName": "a", "type": "container", "containerProperties": {"image": "i"}}
    (tmp_path / "a.1.json").write_text(json.dumps(definition))
    return tmp_path


@pytest.mark.parametrize(
    ("change", "operation", "is_repeated"),
    [(stopping, "TerminateJob", True), (cancelling, "CancelJob", False), (tagging, "TagResource", False)],
)
def test_a_web_page_is_no_answer_to_what_changes_a_job(
    aws: LocalAws, change: Callable[[ClientFactory], None], operation: str, *, is_repeated: bool
) -> None:
    """A proxy's page says nothing about the job, under a status of 200."""
    aws.fault(operation, "not_json")
    with pytest.raises(EndpointError, match=f"batch:{operation} failed: .*a web page"):
        change(aws.clients())
    assert (aws.counts()[operation] > 1) is is_repeated


def test_a_web_page_registers_no_definition(aws: LocalAws, folder: Path) -> None:
    """It has no revision."""
    aws.fault("RegisterJobDefinition", "not_json")
    with pytest.raises(EndpointError, match="batch:RegisterJobDefinition"):
        register_folder(aws.clients(), folder)


@pytest.mark.parametrize("kind", ["throttle", "server_error", "drop", "not_json", "expired"])
def test_what_passes_does_not_keep_a_job_from_being_terminated(aws: LocalAws, kind: str) -> None:
    """Two failures are waited out, each a little longer than the one before."""
    aws.script(definition="long", running=600)
    [job_id] = aws.submit(aws.register("long", ["long"]))
    aws.fault("TerminateJob", kind, times=2)
    clock = ManualClock()
    terminate(KeptClients.of(aws.clients()).with_patience(Patience.ONCE), job_id, "enough", clock)
    assert aws.wait_for_status(job_id)["statusReason"] == "enough"
    assert aws.counts()["TerminateJob"] == 3
    assert 0.75 <= clock.slept <= 1.5


def test_a_command_without_credentials_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task's connection waits for those of its host when it makes a client."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    clock = ManualClock()

    def clients(service: str, **_: Any) -> Any:
        raise NoCredentialsError(service=service)

    with pytest.raises(CredentialsError):
        terminate(clients, "some-id", "enough", clock)
    assert clock.slept == 0


def test_a_full_rate_does_not_keep_a_job_from_being_terminated(aws: LocalAws) -> None:
    """It may take as long as a thousand others are terminated."""
    aws.script(definition="long", running=600)
    [job_id] = aws.submit(aws.register("long", ["long"]))
    aws.fault("TerminateJob", "throttle", times=15)
    clock = ManualClock()
    terminate(KeptClients.of(aws.clients()).with_patience(Patience.ONCE), job_id, "enough", clock)
    assert aws.wait_for_status(job_id)["statusReason"] == "enough"
    assert 10 <= clock.slept <= 45


def test_a_termination_keeps_to_the_callers_timeouts_and_retries(aws: LocalAws) -> None:
    """Only those who are about to be killed are in a hurry."""
    asked: list[Config | None] = []
    make = aws.clients()

    def clients(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        asked.append(config)
        return make(service, region_name=region_name, config=config)

    [job_id] = aws.submit(aws.register("long", ["long"]))
    terminate(clients, job_id, "enough")
    assert asked == [None]


@pytest.mark.parametrize("error", [ReadTimeoutError(endpoint_url="x"), ClientError({"Error": {"Code": "500"}}, "x")])
def test_a_client_that_cannot_be_made_leaves_no_doubt_about_a_submit(error: Exception) -> None:
    """No request has left, so no job is looked for."""

    def clients(*_: Any, **_named: Any) -> Any:
        raise error

    clock = ManualClock()
    with pytest.raises(AwsError, match="batch:SubmitJob failed"):
        send(clients, request_for("a:1"), clock=clock)
    assert clock.slept == 0


def test_what_lasts_is_told_at_once(aws: LocalAws) -> None:
    """A permission does not come by asking again."""
    aws.fault("TerminateJob", "denied")
    with pytest.raises(AccessDeniedError, match="Allow the role of the AWS connection batch:TerminateJob"):
        stopping(aws.clients())
    assert aws.counts()["TerminateJob"] == 1


def test_an_error_tells_its_trouble(aws: LocalAws) -> None:
    """Who paces calls need not know botocore."""
    aws.fault("DescribeJobs", "throttle")
    batch = service(aws.clients(), "batch", patience=Patience.PACED)
    with pytest.raises(AwsError) as caught:
        batch.call("describe_jobs", dict, jobs=["x"])
    assert trouble(caught.value) is Trouble.THROTTLED
    assert str(explain(caught.value, "batch:DescribeJobs")) == str(caught.value)
    passing = {Trouble.THROTTLED, Trouble.TRANSIENT, Trouble.EXHAUSTED, Trouble.SKEWED, Trouble.EXPIRED}
    assert {kind for kind in Trouble if kind.retry} == passing
    assert {kind for kind in Trouble if kind.renew} == {Trouble.EXPIRED, Trouble.REJECTED, Trouble.NO_CREDENTIALS}
    assert {kind for kind in Trouble if kind.give_up} == set(Trouble) - passing - {Trouble.REFUSED}


def test_a_request_that_botocore_refuses_is_ours(aws: LocalAws) -> None:
    """It never leaves."""
    with pytest.raises(RequestRefusedError, match="batch:DescribeJobs failed: Parameter validation failed"):
        service(aws.clients(), "batch").call("describe_jobs", dict, jobs=7)
    assert not aws.requests()


def test_a_bug_travels_on_as_itself(aws: LocalAws) -> None:
    """What does not come from AWS, nor from what reads its answer, is not explained away."""

    def broken(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        del service, region_name, config
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stopping(broken)
    with pytest.raises(AttributeError, match="describe_job_s"):
        service(aws.clients(), "batch").call("describe_job_s", dict)


def fetching(clients: ClientFactory) -> None:
    """Call FilterLogEvents."""
    fetch_page(service(clients, "logs", patience=Patience.PACED), {"logGroupName": "g"})


def describing(clients: ClientFactory) -> None:
    """Call DescribeJobs as a watcher does."""
    Descriptions(AwsTime(ManualClock())).ask(service(clients, "batch", patience=Patience.PACED), ["1"])


ANSWER_TO_ALL = SameAnswer()
KEPT = KeptClients(lambda: ANSWER_TO_ALL)
CALLS: dict[str, Callable[[ClientFactory], object]] = {
    "TerminateJob": stopping,
    "CancelJob": cancelling,
    "TagResource": tagging,
    "FilterLogEvents": fetching,
    "DescribeJobs": lambda clients: describe_jobs(clients, ["1"]),
    "DescribeJobs, as JSON": describing,
    "ListJobs": lambda clients: find_by_name(clients, "default", "x"),
    "SubmitJob": lambda clients: send(clients, request_for("a:1"), clock=ManualClock()),
    "DescribeJobQueues": lambda clients: check_queue(clients, "default"),
    "DescribeJobDefinitions": lambda clients: check_revision(clients, "a:1"),
    "checks": lambda clients: check_request(clients, request_for("a:1")),
    "definition": lambda clients: BatchJob.from_id("1", clients=clients, clock=ManualClock()).definition,
    "sweep": lambda clients: OrphanSweep(clients=clients, deployment="d", job_queues=["q"]).find(),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
ENTRY = st.dictionaries(
    st.sampled_from(["jobId", "jobQueueName", "state", "revision", "status", "eventId", "timestamp", "createdAt"]), JSON
)
ANSWER = st.dictionaries(
    st.sampled_from(
        ["jobs", "jobId", "jobSummaryList", "jobQueues", "jobDefinitions", "events", "revision", "nextToken"]
    ),
    JSON | st.lists(JSON | ENTRY, max_size=2),
)
BODY = st.binary(max_size=20) | (JSON | ANSWER).map(lambda answer: json.dumps(answer).encode())


@pytest.mark.long
@settings(deadline=None, database=None, max_examples=300)
@given(status=st.sampled_from([200, 200, 200, 204, 302, 400, 403, 404, 429]), body=BODY, data=st.data())
def test_whatever_answers_a_call_is_read_or_is_an_error_of_ours(status: int, body: bytes, data: st.DataObject) -> None:
    """Any status, any bytes: a proxy, a captive portal, another program on the port."""
    ANSWER_TO_ALL.status, ANSWER_TO_ALL.body = status, body
    with suppress(BatchJobsError):
        CALLS[data.draw(st.sampled_from(sorted(CALLS)))](KEPT)


#: What stands between here and AWS answers with: pages, and JSON whose fields are not those of AWS's protocols.
OTHERS_JSON = st.dictionaries(st.sampled_from(["message", "error", "status", "title", "detail"]), JSON, max_size=3) | (
    st.fixed_dictionaries({"code": st.integers() | st.sampled_from(["access_denied", "Blocked", "POLICY-7"])})
)
OTHERS_BODY = st.sampled_from([b"", b"<html><body>403 Forbidden</body></html>", b"RBAC: access denied"]) | (
    OTHERS_JSON.map(lambda answer: json.dumps(answer).encode())
)
ANY_REFUSAL = st.sampled_from([400, 401, 403, 404, 405, 407, 408, 409, 413, 421, 429, 451, 499])


def submitting(clients: ClientFactory) -> None:
    """Call SubmitJob once."""
    service(clients, "batch").call("submit_job", dict, **request_for("a:1").to_api())


@cache
def through(proxy: SameAnswer) -> KeptClients:
    """Return clients whose calls something else answers."""
    return KeptClients.of(proxy)


PROXY, AWS = SameAnswer(), SameAnswer()


@pytest.mark.long
@settings(deadline=None, database=None, max_examples=100)
@given(status=ANY_REFUSAL, body=OTHERS_BODY, type_=st.sampled_from(["text/html", "text/plain", "application/json"]))
def test_what_is_not_awss_own_word_refuses_nothing(status: int, body: bytes, type_: str) -> None:
    """A wait goes on whatever the status, and a submit looks for its job before anything else."""
    PROXY.status, PROXY.body, PROXY.headers = status, body, {"content-type": type_}
    for ask in (submitting, fetching, lambda clients: describe_jobs(clients, ["1"])):
        with pytest.raises(AwsError) as caught:
            ask(through(PROXY))
        assert trouble(caught.value).retry
        assert is_doubtful(caught.value)


@settings(deadline=None, database=None, max_examples=100)
@given(
    status=ANY_REFUSAL.filter(lambda status: status != 429),
    code=st.sampled_from(["AccessDeniedException", "ClientException", "SomethingNew", "OptInRequired"]),
    written=st.sampled_from(["header", "__type", "code"]),
    has_id=st.booleans(),
)
def test_awss_own_word_counts_however_it_is_written(status: int, code: str, written: str, *, has_id: bool) -> None:
    """In the header, or in the body beside the request's id; a code that AWS is known for needs neither."""
    body = {"message": "No.", **({} if written == "header" else {written: f"com.amazon.batch#{code}"})}
    AWS.status, AWS.body, AWS.headers = status, json.dumps(body).encode(), {"content-type": "application/json"}
    AWS.headers |= {"x-amzn-errortype": f"{code}:http://x"} if written == "header" else {}
    AWS.headers |= {"x-amzn-requestid": "1"} if has_id else {}
    is_told = has_id or written == "header" or code in {"AccessDeniedException", "ClientException"}
    with pytest.raises(AwsError) as caught:
        describe_jobs(through(AWS), ["1"])
    assert trouble(caught.value).retry is not is_told
    assert caught.value.code == (code if is_told else "")


@pytest.mark.parametrize(
    "message", ["Signature expired: 20261126T071500Z is now earlier than …", "Signature not yet current: …"]
)
def test_a_clock_that_is_off_is_told_as_that(message: str) -> None:
    """The credentials are right, and a new session would not help."""
    aws = SameAnswer(403, json.dumps({"__type": "InvalidSignatureException", "message": message}).encode())
    opened: list[ClientFactory] = []

    def open_session() -> ClientFactory:
        opened.append(aws)
        return aws

    clients = KeptClients(open_session)
    with pytest.raises(ClockError, match=r"Set this machine.s clock: it differs from AWS.s") as caught:
        describe_jobs(clients, ["1"])
    assert trouble(caught.value).retry
    with pytest.raises(ClockError):
        describe_jobs(clients, ["1"])
    assert len(opened) == 1
