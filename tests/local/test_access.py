"""Who may use the endpoint, and what it says to everyone else."""

from __future__ import annotations

import http.client
import json
import re
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.local import Access, LocalAws
from airflow_batch_jobs.local.model import load_service
from airflow_batch_jobs.local.session_policy import check_policies
from airflow_batch_jobs.local.wire import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local import Control


def code_of(call: Callable[[], Any]) -> str:
    """Return the error code that a call ends with."""
    with pytest.raises(ClientError) as raised:
        call()
    return str(raised.value.response["Error"]["Code"])


def send(aws: Control, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send a plain HTTP request."""
    return send_bytes(aws, method, path, json.dumps(body).encode(), **headers)


def send_bytes(aws: Control, method: str, path: str, body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Send a plain HTTP request with any body."""
    connection = http.client.HTTPConnection(urlsplit(aws.endpoint_url).netloc, timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def signed(aws: Control, service: str = "batch") -> str:
    """Return an Authorization header, as SigV4 makes them."""
    return f"AWS4-HMAC-SHA256 Credential={aws.access_key}/20260101/us-east-1/{service}/aws4_request, Signature=0"


def test_a_wrong_access_key_is_not_recognized(aws: LocalAws) -> None:
    """Each service has its own name for that."""
    clients = Access(aws.endpoint_url, "AKIAWRONG", "x", aws.region, aws.account).clients()
    batch, logs, sts = clients("batch"), clients("logs"), clients("sts")
    assert code_of(lambda: batch.describe_jobs(jobs=["x"])) == "UnrecognizedClientException"
    assert code_of(lambda: logs.filter_log_events(logGroupName="x")) == "UnrecognizedClientException"
    assert code_of(sts.get_caller_identity) == "InvalidClientTokenId"
    assert [one.outcome for one in aws.requests("DescribeJobs")] == ["UnrecognizedClientException"]


def test_the_access_key_is_another_each_time() -> None:
    """And long enough not to be guessed."""
    with LocalAws() as one, LocalAws() as other:
        assert one.access_key != other.access_key
        assert len(one.access_key) >= 32


def test_a_request_without_a_signature_is_refused(aws: LocalAws) -> None:
    """As AWS refuses it."""
    status, headers, _ = send(aws, "POST", "/v1/describejobs", {"jobs": ["x"]})
    assert (status, headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/describejobs"), ("POST", "/_local/jobs")])
def test_a_web_page_is_refused_even_with_the_key(aws: LocalAws, method: str, path: str) -> None:
    """And gets no CORS headers, asked for or not."""
    status, headers, _ = send(
        aws,
        method,
        path,
        {"jobs": ["x"]},
        authorization=signed(aws),
        x_local_key=aws.access_key,
        origin="http://evil.example",
    )
    assert status == 403
    preflight, more_headers, _ = send(aws, "OPTIONS", path, origin="http://evil.example")
    assert preflight == 405
    assert not [name for name in headers | more_headers if name.startswith("access-control")]


def test_the_control_surface_needs_the_key(aws: LocalAws) -> None:
    """In its own header."""
    assert send(aws, "POST", "/_local/jobs", {})[0] == 403
    assert send(aws, "POST", "/_local/jobs", {}, x_local_key="LOCALWRONG")[0] == 403
    assert send(aws, "POST", "/_local/jobs", {}, x_local_key=aws.access_key)[0] == 200


def test_only_this_machine_reaches_it(aws: LocalAws) -> None:
    """It listens on 127.0.0.1 unless told otherwise."""
    assert urlsplit(aws.endpoint_url).hostname == "127.0.0.1"


def test_an_operation_that_is_not_served_is_named(batch: Any, logs: Any, aws: LocalAws) -> None:
    """Whether AWS has it or not."""
    with pytest.raises(ClientError, match="does not serve batch:ListSchedulingPolicies") as raised:
        batch.list_scheduling_policies()
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"
    with pytest.raises(ClientError, match="does not serve logs:PutLogEvents"):
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 0, "message": "m"}])
    with pytest.raises(ClientError, match="does not serve sts:GetSessionToken"):
        aws.clients()("sts").get_session_token()
    with pytest.raises(ClientError, match="does not serve sts:AssumeRoleWithWebIdentity"):  # it takes no access key
        aws.clients()("sts").assume_role_with_web_identity(
            RoleArn="arn:aws:iam::123456789012:role/r", RoleSessionName="s1", WebIdentityToken="t123"
        )
    assert b"no operation s3 GET /bucket" in send(aws, "GET", "/bucket", authorization=signed(aws, "s3"))[2]
    with pytest.raises(ClientError, match="DynamoDB_20120810"):
        aws.clients()("dynamodb").list_tables()


def test_malformed_requests_are_refused(aws: LocalAws) -> None:
    """What boto3 would not even send."""
    headers = {"authorization": signed(aws)}
    for body, problem in [
        ({"jobs": "x"}, b"jobs must be a list"),
        ({"jobs": [1]}, b"jobs.1.member must be a string"),
        (
            {},
            b"1 validation error detected: Value null at 'jobs' failed to satisfy constraint: Member must not be null",
        ),
        ([], b"not a JSON object"),
    ]:
        status, _, answer = send(aws, "POST", "/v1/describejobs", body, **headers)
        assert status == 400
        assert problem in answer
    logs = {**headers, "x_amz_target": "Logs_20140328.GetLogEvents"}
    assert b"Value null at 'logStreamName'" in send(aws, "POST", "/", {"logGroupName": "g"}, **logs)[2]
    assert (
        b"must satisfy regular expression"
        in send(aws, "POST", "/", {"logGroupName": "?", "logStreamName": "s"}, **logs)[2]
    )


@pytest.mark.parametrize(
    "call",
    [
        {"create_log_group": {"logGroupName": "g", "tags": {"a": "b"}}},
        {"tag_log_group": {"logGroupName": "g", "tags": {"a": "b"}}},
        {"put_retention_policy": {"logGroupName": "?", "retentionInDays": 1}},
    ],
)
def test_an_operation_that_is_not_served_is_unknown_whatever_it_is_called_with(
    logs: Any, call: dict[str, dict[str, Any]]
) -> None:
    """Its parameters are not looked at: its model may have patterns that are not Python's."""
    for name, parameters in call.items():
        with pytest.raises(ClientError, match="does not serve logs:") as raised:
            getattr(logs, name)(**parameters)
        assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


@pytest.mark.parametrize(
    "member",
    [
        b'"jobName": "\\ud800"',
        b'"timeout": {"attemptDurationSeconds": NaN}',
        b'"timeout": {"attemptDurationSeconds": 1e400}',
        b'"retryStrategy": {"attempts": ' + b"9" * 99 + b"}",
        b'"x": ' + b"[" * 50_000,
        b'"tags": ' + b'{"a":' * 900 + b"1" + b"}" * 900,
        b"\xff\xfe",
    ],
)
def test_what_nobody_could_read_again_is_refused(aws: LocalAws, batch: Any, member: bytes) -> None:
    """Half a surrogate pair, NaN, and numbers or depth without end get 400; other jobs can still be described."""
    [job_id] = aws.submit(aws.register("align"))
    body = b'{"jobName": "j", "jobQueue": "default", "jobDefinition": "align", %s}' % member
    status, _, _ = send_bytes(aws, "POST", "/v1/submitjob", body, authorization=signed(aws))
    assert status == 400
    assert batch.describe_jobs(jobs=[job_id])["jobs"][0]["jobId"] == job_id


def test_null_and_unknown_members_are_as_if_not_sent(aws: LocalAws, batch: Any) -> None:
    """AWS takes no notice of either."""
    container = {"image": "i", "vcpus": 1, "memory": 4, "command": None, "invented": 1}
    request = {"jobDefinitionName": "d", "type": "container", "containerProperties": container, "tags": None, "x": {}}
    assert send(aws, "POST", "/v1/registerjobdefinition", request, authorization=signed(aws))[0] == 200
    [described] = batch.describe_job_definitions(jobDefinitionName="d")["jobDefinitions"]
    assert "invented" not in described["containerProperties"]
    assert described["tags"] == {}


def test_little_is_read_of_a_request_without_the_key(aws: LocalAws) -> None:
    """A body of a gigabyte is refused after its first bytes; with the key, after a megabyte."""
    for key, status in (("AKIAWRONG", b"403"), (aws.access_key, b"413")):
        host, port = urlsplit(aws.endpoint_url).netloc.split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            head = (
                f"POST /v1/submitjob HTTP/1.1\r\nhost: x\r\ncontent-length: {1 << 30}\r\n"
                f"authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/batch/aws4_request\r\n\r\n"
            )
            connection.sendall(head.encode() + b" " * (2 * 1024 * 1024 if status == b"413" else 70_000))
            assert connection.recv(1024).split(b" ")[1] == status


def test_sts_tells_who_calls(aws: LocalAws, client_of: Callable[..., Any]) -> None:
    """A user of the account, with an id of its own that is no key."""
    identity = client_of(aws, "sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (aws.account, f"arn:aws:iam::{aws.account}:user/local")
    assert re.fullmatch("AIDA[A-Z0-9]{17}", identity["UserId"])


def assumed(aws: LocalAws, sts: Any, arn: str, **more: Any) -> tuple[Any, dict[str, Any]]:
    """Assume a role and return a factory of its clients, and the whole answer."""
    answer = sts.assume_role(RoleArn=arn, RoleSessionName="worker", **more)
    given = answer["Credentials"]
    keys = (given["AccessKeyId"], given["SecretAccessKey"])
    return Access(aws.endpoint_url, *keys, aws.region, aws.account).clients(), answer


def test_an_assumed_role_has_a_key_that_ends(frozen_aws: LocalAws, client_of: Callable[..., Any]) -> None:
    """Until then it is as good as the first."""
    arn = "arn:aws:iam::123456789012:role/airflow"
    clients, answer = assumed(frozen_aws, client_of(frozen_aws, "sts"), arn, DurationSeconds=900)
    given = answer["Credentials"]
    assert given["Expiration"].timestamp() == frozen_aws.now() + 900
    assert re.fullmatch("ASIA[A-Z2-7]{16}", given["AccessKeyId"])
    assert len(given["SecretAccessKey"]) == 40
    assert clients("batch").describe_jobs(jobs=["x"])["jobs"] == []
    frozen_aws.advance(900)
    assert code_of(lambda: clients("batch").describe_jobs(jobs=["x"])) == "ExpiredTokenException"
    assert code_of(lambda: clients("sts").get_caller_identity()) == "ExpiredToken"


@pytest.mark.parametrize("account", ["123456789012", "111111111111"])
def test_who_has_assumed_a_role_is_its_session(aws: LocalAws, client_of: Callable[..., Any], account: str) -> None:
    """In the role's own account, without the role's path; the role's id stays the same from session to session."""
    arn = f"arn:aws:iam::{account}:role/teams/genomics/airflow"
    clients, answer = assumed(aws, client_of(aws, "sts"), arn, ExternalId="xy", Tags=[{"Key": "a", "Value": "b"}])
    user = answer["AssumedRoleUser"]
    assert user["Arn"] == f"arn:aws:sts::{account}:assumed-role/airflow/worker"
    assert re.fullmatch("AROA[A-Z0-9]{17}:worker", user["AssumedRoleId"])
    identity = clients("sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"], identity["UserId"]) == (account, user["Arn"], user["AssumedRoleId"])
    _, again = assumed(aws, clients("sts"), arn, SourceIdentity="someone")
    assert again["AssumedRoleUser"] == user
    assert again["SourceIdentity"] == "someone"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:user/x"}, "Request ARN is invalid"),
        ({"RoleSessionName": "s" * 65}, f"Value '{'s' * 65}' at 'roleSessionName' failed .* less than or equal to 64"),
        ({"RoleSessionName": "a b"}, "regular expression pattern"),
        ({"DurationSeconds": 43201}, "less than or equal to 43200"),
        ({"Tags": [{"Key": f"k{number}", "Value": ""} for number in range(51)]}, "less than or equal to 50"),
        ({"Tags": [{"Key": "k", "Value": "\x00"}]}, "'tags.1.member.value' failed"),
    ],
)
def test_a_role_is_asked_for_within_bounds(aws: LocalAws, given: dict[str, Any], problem: str) -> None:
    """What is not is a ValidationError that repeats it."""
    request = {"RoleArn": "arn:aws:iam::123456789012:role/airflow", "RoleSessionName": "worker", **given}
    with pytest.raises(ClientError, match=problem) as raised:
        aws.clients()("sts").assume_role(**request)
    assert raised.value.response["Error"]["Code"] == "ValidationError"


def test_a_role_assumed_from_a_role_lasts_an_hour(aws: LocalAws, client_of: Callable[..., Any]) -> None:
    """More is refused in AWS's words."""
    arn = "arn:aws:iam::123456789012:role/airflow"
    clients, _ = assumed(aws, client_of(aws, "sts"), arn, DurationSeconds=7200)
    with pytest.raises(ClientError, match="1 hour session limit for roles assumed by role chaining"):
        assumed(aws, clients("sts"), arn, DurationSeconds=3601)


STATEMENT = {"Effect": "Allow", "Action": ["batch:*", "*"], "Resource": "arn:aws:batch:*:*:job/*"}


def policy(*statements: Any, **more: Any) -> str:
    """Return a session policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **more})


@pytest.mark.parametrize(
    ("policies", "percent"),
    [
        ({}, None),
        ({"Policy": policy(STATEMENT).ljust(2048)}, 100),
        ({"Policy": policy(STATEMENT, Statement=STATEMENT, Id="x").ljust(1024)}, 50),
        ({"Policy": policy({"Effect": "Deny", "NotAction": "s3:*", "NotResource": ["*"], "Condition": {}})}, 6),
        ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/x"}] * 10}, 13),
    ],
)
def test_a_session_policy_is_taken_and_measured(aws: LocalAws, policies: dict[str, Any], percent: int | None) -> None:
    """As part of the space that AWS has for them."""
    role = "arn:aws:iam::123456789012:role/airflow"
    answer = aws.clients()("sts").assume_role(RoleArn=role, RoleSessionName="worker", **policies)
    assert answer.get("PackedPolicySize") == percent


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "invalid Json"),
        ("policy.json", "invalid Json"),
        ("[" * 2000, "invalid Json"),
        ("[]", "Syntax errors"),
        ("{}", "Syntax errors"),
        (policy(), "Syntax errors"),
        (policy(STATEMENT, Statements=[]), "Syntax errors"),
        (policy(STATEMENT, Version="2026-01-01"), "version"),
        (policy(STATEMENT, Version=["2012-10-17"]), "version"),
        (policy("x"), "Syntax errors"),
        (policy({**STATEMENT, "Principal": "*"}), "principal"),
        (policy({**STATEMENT, "Actions": "*"}), "Syntax errors"),
        (policy({**STATEMENT, "Condition": []}), "Syntax errors"),
        (policy({"Action": "*", "Resource": "*"}), "Missing required field Effect"),
        (policy({**STATEMENT, "Effect": "allow"}), "Invalid effect: allow"),
        (policy({**STATEMENT, "Effect": ["Allow"]}), "Invalid effect"),
        (policy({"Effect": "Allow", "Resource": "*"}), "Missing required field Action"),
        (policy({"Effect": "Allow", "Action": "*"}), "Missing required field Resource"),
        (policy({**STATEMENT, "NotAction": "*"}), "both Action and NotAction"),
        (policy({**STATEMENT, "Action": []}), "Syntax errors"),
        (policy({**STATEMENT, "Action": [1]}), "Syntax errors"),
        (policy({**STATEMENT, "Action": "SubmitJob"}), "prefaced by a vendor"),
        (policy({**STATEMENT, "Resource": "job/x"}), 'Resource job/x must be in ARN format or "\\*"'),
    ],
)
def test_a_session_policy_that_is_none_is_malformed(aws: LocalAws, text: str, problem: str) -> None:
    """With what is wrong with it."""
    role = "arn:aws:iam::123456789012:role/airflow"
    with pytest.raises(ClientError, match=problem) as raised:
        aws.clients()("sts").assume_role(RoleArn=role, RoleSessionName="worker", Policy=text)
    assert raised.value.response["Error"]["Code"] == "MalformedPolicyDocument"


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.sampled_from(["Allow", "*", "2012-10-17"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(STATEMENT)), inner, max_size=3),
)


@given(
    text=st.text(min_size=1, max_size=50)
    | st.builds(policy, ANYTHING)
    | st.builds(lambda given: policy(STATEMENT | given), st.dictionaries(st.sampled_from(sorted(STATEMENT)), ANYTHING))
    | st.builds(lambda version: policy(STATEMENT, Version=version), ANYTHING)
)
def test_any_session_policy_is_taken_or_refused(text: str) -> None:
    """With one of AWS's codes."""
    try:
        assert check_policies({"Policy": text}) in range(1, 101)
    except ServiceError as error:
        assert error.code in {"MalformedPolicyDocument", "PackedPolicyTooLarge"}  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("policies", "code"),
    [
        ({"Policy": policy(STATEMENT).ljust(2049)}, "PackedPolicyTooLarge"),
        ({"Policy": policy(STATEMENT).ljust(2040), "PolicyArns": [{"arn": "a" * 20}]}, "PackedPolicyTooLarge"),
        ({"PolicyArns": [{"arn": "a" * 20}] * 11}, "ValidationError"),
    ],
)
def test_session_policies_have_a_limit(aws: LocalAws, policies: dict[str, Any], code: str) -> None:
    """Inline and managed ones together."""
    role = "arn:aws:iam::123456789012:role/airflow"
    sts = aws.clients()("sts")
    assert code_of(lambda: sts.assume_role(RoleArn=role, RoleSessionName="worker", **policies)) == code


def test_a_role_needs_a_name(aws: LocalAws) -> None:
    """What is missing, or no number, is a validation error; so is a form that is not UTF-8."""
    headers = {"authorization": signed(aws, "sts"), "content_type": "application/x-www-form-urlencoded"}
    for form in (b"Action=AssumeRole&DurationSeconds=soon", b"Action=AssumeRole&RoleArn=%ff\xff&RoleSessionName=xy"):
        status, _, answer = send_bytes(aws, "POST", "/", form, **headers)
        assert status == 400
        assert b"<Code>ValidationError</Code>" in answer


def test_an_airflow_connection_names_all_services(aws: LocalAws) -> None:
    """With the endpoint for STS as well, and the region."""
    connection = json.loads(aws.airflow_connection())
    assert (connection["conn_type"], connection["login"]) == ("aws", aws.access_key)
    assert connection["extra"] == {
        "region_name": "us-east-1",
        "endpoint_url": aws.endpoint_url,
        "service_config": {"sts": {"endpoint_url": aws.endpoint_url}},
    }


def test_clients_take_nothing_from_the_environment(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a profile nor keys nor an endpoint nor a proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    client = aws.clients()("batch")
    assert client.describe_jobs(jobs=["x"])["jobs"] == []
    assert client.meta.region_name == "us-east-1"


def test_the_protocols_are_those_that_botocore_speaks() -> None:
    """The day it speaks another one, this says so."""
    from botocore.session import Session

    protocols = {name: Session().get_service_model(name).resolved_protocol for name in ("batch", "logs", "sts")}
    assert protocols == {"batch": "rest-json", "logs": "json", "sts": "query"}
    assert load_service("logs").target_prefix == "Logs_20140328"
