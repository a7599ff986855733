"""A job is submitted with one request, found when the answer is lost, described and terminated."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError, SSLError

from airflow_batch_jobs.batch.aws import session_clients
from airflow_batch_jobs.batch.operations import describe_jobs, find_by_name, send, terminate
from airflow_batch_jobs.batch.preflight import check_queue, check_request
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    ClockError,
    CredentialsError,
    EndpointError,
    QueueNotFoundError,
    RequestError,
    SubmitUnansweredError,
    ThrottledError,
)
from tests.batch.conftest import request_for
from tests.clocks import FrozenClock, ManualClock

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


def test_a_job_is_submitted_with_one_request(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """The id comes back, and what reached AWS is the request."""
    job_id = send(aws.clients(), request_for(align, parameters={"sample": "s1"}), clock=clock)
    [sent] = aws.requests("SubmitJob")
    assert sent.parameters["jobDefinition"] == "align:1"
    assert sent.parameters["parameters"] == {"sample": "s1"}
    assert [job["jobId"] for job in aws.jobs()] == [job_id]
    assert clock.slept == 0


def test_a_submit_with_rejected_keys_is_sent_once_more(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """The record is written again before, since the look-up of other keys may have taken long."""
    aws.fault("SubmitJob", "error", code="UnrecognizedClientException", status=403, message="no", times=1)
    repeats: list[int] = []
    job_id = send(aws.clients(), request_for(align), clock=clock, before_repeat=lambda: repeats.append(1))
    assert [job["jobId"] for job in aws.jobs()] == [job_id]
    assert (aws.counts()["SubmitJob"], repeats) == (2, [1])


def test_a_submit_with_keys_that_are_rejected_again_is_an_error(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """And no job is looked for."""
    aws.fault("SubmitJob", "error", code="UnrecognizedClientException", status=403, message="no")
    with pytest.raises(CredentialsError, match="batch:SubmitJob"):
        send(aws.clients(), request_for(align), clock=clock)
    assert (aws.counts()["SubmitJob"], aws.requests("ListJobs")) == (2, [])


@pytest.mark.parametrize("kind", ["drop", "server_error", "not_json"])
def test_a_job_whose_answer_was_lost_is_found(aws: LocalAws, align: str, clock: ManualClock, kind: str) -> None:
    """AWS took the request but its answer got lost: the job is found, without a second request."""
    aws.fault("SubmitJob", kind, after=True)
    job_id = send(aws.clients(), request_for(align), clock=clock)
    assert [job["jobId"] for job in aws.jobs()] == [job_id]
    assert aws.counts()["SubmitJob"] == 1


def answering(aws: LocalAws, status: int, headers: dict[str, str], body: bytes) -> Any:
    """Return a factory of clients whose first SubmitJob AWS accepts, and that get another answer to it."""
    left = [{"status_code": status, "headers": headers, "body": body}]

    def replace(response_dict: dict[str, Any], **_: Any) -> None:
        response_dict.update(left.pop() if left else {})

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = aws.clients()(service, region_name=region_name, config=config)
        client.meta.events.register("before-parse.batch.SubmitJob", replace)
        return client

    return clients


PAGE = {"content-type": "text/html"}, b"<html>proxy</html>"
OF_AWS = {"x-amzn-requestid": "1"}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        *((status, *PAGE) for status in (400, 401, 403, 404, 407, 413, 429)),
        (403, {}, b'{"message": "Forbidden"}'),
        (429, {**OF_AWS, "x-amzn-errortype": "TooManyRequestsException"}, b"{}"),
        (503, {**OF_AWS, "x-amzn-errortype": "ThrottlingException"}, b"{}"),
        (500, {**OF_AWS, "x-amzn-errortype": "AccessDeniedException"}, b"{}"),
        *((200, OF_AWS, body) for body in (b'{"jobId": ""}', b'{"jobId": " "}', b'{"jobId": 5}', b'{"jobId": null}')),
        *((200, OF_AWS, body) for body in (rb'{"jobId": "1a\ud83d"}', rb'{"jobId": "1a\u0000"}')),
    ],
)
def test_a_job_that_aws_accepted_is_the_only_one(
    aws: LocalAws, align: str, clock: ManualClock, status: int, headers: dict[str, str], body: bytes
) -> None:
    """Whatever the answer was: it is found by its name before the request is sent again or given up."""
    job_id = send(answering(aws, status, headers, body), request_for(align), clock=clock)
    assert [job["jobId"] for job in aws.jobs()] == [job_id]
    assert aws.counts()["SubmitJob"] == 1


def test_a_submit_by_a_clock_that_is_off_is_sent_again(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """AWS did not accept it, and the clock may be set by now; after a minute the clock is named."""
    aws.fault("SubmitJob", "error", code="RequestTimeTooSkewed", status=403, times=2)
    assert send(aws.clients(), request_for(align), clock=clock) == aws.jobs()[0]["jobId"]
    aws.fault("SubmitJob", "error", code="RequestTimeTooSkewed", status=403)
    with pytest.raises(ClockError, match="Set this machine's clock"):
        send(aws.clients(), request_for(align), clock=clock)
    assert len(aws.jobs()) == 1


def test_a_job_that_is_not_listed_at_once_is_looked_for(frozen_aws: LocalAws) -> None:
    """A listing that lags the submit by 40 s is waited for."""
    frozen_aws.register("align", ["align"])
    frozen_aws.fault("SubmitJob", "drop", after=True)
    frozen_aws.fault("*", "lag", seconds=40)
    clock = FrozenClock(frozen_aws)
    job_id = send(frozen_aws.clients(), request_for("align:1"), clock=clock)
    assert [job["jobId"] for job in frozen_aws.jobs()] == [job_id]
    assert frozen_aws.counts()["SubmitJob"] == 1
    assert 40 <= clock.slept < 60


def test_an_outage_while_looking_is_waited_out(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """Whatever lost the answer may lose more of them."""
    aws.fault("SubmitJob", "drop", after=True)
    aws.fault("ListJobs", "drop", times=12)
    assert send(aws.clients(), request_for(align), clock=clock) == aws.jobs()[0]["jobId"]


@pytest.mark.parametrize("kind", ["drop", "server_error"])
def test_a_request_that_vanished_is_not_sent_again(aws: LocalAws, align: str, clock: ManualClock, kind: str) -> None:
    """If no job with the name shows up for 60 s, it stays unknown whether there is one: the error says so."""
    aws.fault("SubmitJob", kind)
    with pytest.raises(SubmitUnansweredError, match=r"got no clear answer .*: align-1$") as caught:
        send(aws.clients(), request_for(align), clock=clock)
    assert caught.value.job_name == "align-1"
    assert aws.counts()["SubmitJob"] == 1
    assert 60 <= clock.slept < 65


def test_a_role_that_may_not_list_learns_what_it_lacks(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """Without ListJobs a lost answer stays lost."""
    aws.fault("SubmitJob", "drop", after=True)
    aws.fault("ListJobs", "denied")
    with pytest.raises(SubmitUnansweredError, match="batch:ListJobs"):
        send(aws.clients(), request_for(align), clock=clock)


def test_a_throttled_request_is_sent_again(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """AWS says that it did not take the request, so sending it again starts no second job."""
    aws.fault("SubmitJob", "throttle", times=3)
    job_id = send(aws.clients(), request_for(align), clock=clock)
    assert [job["jobId"] for job in aws.jobs()] == [job_id]
    assert aws.counts()["SubmitJob"] == 4
    assert clock.slept > 1


def test_throttling_without_end_is_an_error(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """After a minute the account's rate is reported."""
    aws.fault("SubmitJob", "throttle")
    with pytest.raises(ThrottledError, match="batch:SubmitJob"):
        send(aws.clients(), request_for(align), clock=clock)
    assert 60 <= clock.slept < 80
    assert aws.jobs() == []


def test_a_refusal_is_final(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """A role without the permission is told its name, at once and without a look at the queue."""
    aws.fault("SubmitJob", "denied")
    with pytest.raises(AccessDeniedError, match="batch:SubmitJob"):
        send(aws.clients(), request_for(align), clock=clock)
    assert "ListJobs" not in aws.counts()


def test_an_endpoint_that_is_down_is_reported_at_once(clock: ManualClock) -> None:
    """A request that never left started no job, so there is nothing to look for."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        session = boto3.Session("x", "x", region_name="us-east-1")
        with pytest.raises(EndpointError, match="batch:SubmitJob"):
            send(
                lambda service, **more: session.client(service, endpoint_url=url, **more),
                request_for("align:1"),
                clock=clock,
            )
    assert clock.slept == 0


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (
            SSLError(
                endpoint_url="https://aws", error=OSError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")
            ),
            0,
        ),
        (SSLError(endpoint_url="https://aws", error=OSError("EOF occurred in violation of protocol")), 60),
        (ConnectTimeoutError(endpoint_url="https://aws"), 0),
        (ReadTimeoutError(endpoint_url="https://aws"), 60),
    ],
)
def test_only_a_request_that_may_have_arrived_is_looked_for(
    aws: LocalAws, clock: ManualClock, error: Exception, seconds: float
) -> None:
    """A certificate that is refused, or a connection that was never established, leaves nothing in doubt."""

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = aws.clients()(service, region_name=region_name, config=config)
        client.meta.events.register("before-send.batch.SubmitJob", fail)
        return client

    def fail(**_: Any) -> None:
        raise error

    with pytest.raises(SubmitUnansweredError if seconds else EndpointError):
        send(clients, request_for("align:1"), clock=clock)
    assert seconds <= clock.slept < seconds + 5


def test_an_illegal_request_is_not_sent(aws: LocalAws, align: str, clock: ManualClock) -> None:
    """AWS's limits are checked here."""
    with pytest.raises(RequestError, match="timeout"):
        send(aws.clients(), request_for(align, options={"timeout": {"attemptDurationSeconds": 1}}), clock=clock)
    assert aws.requests() == []


def test_jobs_are_found_by_name_and_by_prefix(aws: LocalAws, align: str) -> None:
    """The newest comes first, and the state does not matter."""
    first, second = (aws.submit(align, jobName=name)[0] for name in ("align-1", "align-2"))
    aws.wait_for_status(first)
    assert find_by_name(aws.clients(), "default", "align-1") == [first]
    assert find_by_name(aws.clients(), "default", "align-*") == [second, first]
    assert find_by_name(aws.clients(), "default", "other") == []


def test_any_number_of_jobs_is_described_a_hundred_a_call(aws: LocalAws, align: str) -> None:
    """The answer keeps the order of the ids and leaves out what AWS does not know."""
    ids = aws.submit(align, count=250)
    wanted = [*reversed(ids), "unknown", ids[0]]
    found = describe_jobs(aws.clients(), wanted)
    assert [detail.job_id for detail in found] == wanted[:250]
    assert aws.counts()["DescribeJobs"] == 3


def test_a_job_is_terminated_with_a_reason(aws: LocalAws) -> None:
    """The reason becomes the job's status reason."""
    aws.script(definition="long", running=600)
    [job_id] = aws.submit(aws.register("long", ["long"]))
    terminate(aws.clients(), job_id, "not needed")
    entry = aws.wait_for_status(job_id)
    assert (entry["status"], entry["statusReason"]) == ("FAILED", "not needed")


@pytest.mark.long
def test_what_is_called_is_also_understood_elsewhere() -> None:
    """moto, as a second opinion, knows the queue, the revision and the job's name in the same way."""
    from moto import mock_aws

    with mock_aws(config={"batch": {"use_docker": False}}):
        session = boto3.Session("x", "x", region_name="us-east-1")
        clients, batch = session_clients(session), session.client("batch")
        role = session.client("iam").create_role(RoleName="batch", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        environment = batch.create_compute_environment(
            computeEnvironmentName="hosts", type="UNMANAGED", state="ENABLED", serviceRole=role
        )["computeEnvironmentArn"]
        order: Any = [{"order": 1, "computeEnvironment": environment}]
        batch.create_job_queue(jobQueueName="default", state="ENABLED", priority=1, computeEnvironmentOrder=order)
        batch.create_job_queue(jobQueueName="closed", state="DISABLED", priority=1, computeEnvironmentOrder=order)
        container: Any = {"image": "i", "vcpus": 1, "memory": 128, "command": ["align", "Ref::sample"]}
        arn = batch.register_job_definition(jobDefinitionName="align", type="container", containerProperties=container)[
            "jobDefinitionArn"
        ]
        request = request_for(arn, parameters={"sample": "s1"})  # moto finds no `name:revision`, only names and ARNs
        assert check_request(clients, request) == arn
        with pytest.raises(QueueNotFoundError, match="Existing queues: closed, default"):
            check_queue(clients, "other")
        with pytest.raises(QueueNotFoundError, match="'closed' is disabled"):
            check_queue(clients, "closed")
        job_id = send(clients, request)
        assert find_by_name(clients, "default", "align-1") == [job_id]
        [detail] = describe_jobs(clients, [job_id])
        assert (detail.definition_reference, detail.region) == ("align:1", "us-east-1")
        assert [stream.stream for stream in detail.log_streams()] == [f"align/default/{job_id}"]
