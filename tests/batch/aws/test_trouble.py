"""Trouble: what passes, what has to be mended and what is a bug, whoever raised it."""

from __future__ import annotations

import builtins
import errno
import http.client
import json
import pickle
import re
import socket
import ssl
import traceback
from copy import copy
from string import Formatter
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import requests
from botocore import exceptions as boto
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.retries.standard import ThrottledRetryableChecker

from airflow_batch_jobs.batch.aws import Caller, Trouble, explain, service, session_clients, trouble
from airflow_batch_jobs.batch.aws.trouble import is_doubtful
from airflow_batch_jobs.batch.operations import describe_jobs
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    ConfigurationError,
    CredentialsError,
    EndpointError,
    ExhaustedError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.local.server import LocalAws
ROLE = "arn:aws:iam::210987654321:role/batch"


#: google-auth's, which is not installed here.
TransportError = type("TransportError", (Exception,), {"__module__": "google.auth.exceptions"})


class OurOwnError(Exception):
    """A bug of a kind that Python does not know."""


def refused(operation: str, code: str, status: int = 400, message: str = "No.") -> ClientError:
    """Return what botocore raises for an error that AWS answered."""
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError("no route to the identity provider"), Trouble.TRANSIENT),
        (requests.HTTPError("503"), Trouble.TRANSIENT),
        (requests.JSONDecodeError("no JSON", "<html>", 0), Trouble.TRANSIENT),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Trouble.TRANSIENT),
        (PermissionError(errno.EPERM, "Operation not permitted"), Trouble.TRANSIENT),
        (TimeoutError(), Trouble.TRANSIENT),
        (EOFError(), Trouble.TRANSIENT),
        (RuntimeError("sts_response_http_status=503"), Trouble.TRANSIENT),
        (json.JSONDecodeError("no JSON", "<html>", 0), Trouble.TRANSIENT),
        (TransportError("no answer"), Trouble.TRANSIENT),
        (http.client.IncompleteRead(b""), Trouble.TRANSIENT),
        (boto.CredentialRetrievalError(provider="sso", error_msg="no answer"), Trouble.TRANSIENT),
        (boto.SSLError(endpoint_url="https://x", error=ssl.SSLError("CERTIFICATE_VERIFY_FAILED")), Trouble.TRANSIENT),
        (OSError(errno.EMFILE, "Too many open files"), Trouble.EXHAUSTED),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), Trouble.EXHAUSTED),
        (MemoryError(), Trouble.EXHAUSTED),
        (RuntimeError("can't start new thread"), Trouble.EXHAUSTED),
        (boto.NoCredentialsError(), Trouble.NO_CREDENTIALS),
        (boto.UnauthorizedSSOTokenError(), Trouble.NO_CREDENTIALS),
        (boto.ProfileNotFound(profile="etl"), Trouble.MISCONFIGURED),
        (boto.NoRegionError(), Trouble.MISCONFIGURED),
        (boto.InvalidRegionError(region_name="x y"), Trouble.MISCONFIGURED),
        (boto.ConfigParseError(path="/etc/aws", error="x"), Trouble.MISCONFIGURED),
        (boto.UnknownCredentialError(name="x"), Trouble.MISCONFIGURED),
        (boto.InvalidConfigError(error_msg="x"), Trouble.MISCONFIGURED),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/var/run/token"), Trouble.MISCONFIGURED),
        (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /x"), Trouble.MISCONFIGURED),
        (requests.exceptions.MissingSchema("Invalid URL"), Trouble.MISCONFIGURED),
        (ValueError("Invalid endpoint: nonsense"), Trouble.MISCONFIGURED),
        (refused("AssumeRole", "Throttling"), Trouble.THROTTLED),
        (refused("AssumeRole", "ServiceUnavailable", 503), Trouble.TRANSIENT),
        (refused("AssumeRoleWithSAML", "IDPCommunicationError"), Trouble.TRANSIENT),
        (
            refused("AssumeRoleWithWebIdentity", "InvalidIdentityToken", 400, "Couldn't retrieve verification key"),
            Trouble.TRANSIENT,
        ),
        (refused("AssumeRole", "AccessDenied", 403), Trouble.DENIED),
        (refused("AssumeRole", "RegionDisabledException", 403), Trouble.MISCONFIGURED),
        (refused("AssumeRole", "ValidationError"), Trouble.MISCONFIGURED),
        (refused("AssumeRole", "ExpiredToken", 403), Trouble.EXPIRED),
        (refused("AssumeRole", "InvalidClientTokenId", 403), Trouble.REJECTED),
        (refused("AssumeRole", "SignatureDoesNotMatch", 403, "Signature expired: x is now earlier"), Trouble.SKEWED),
        (refused("AssumeRole", "SignatureDoesNotMatch", 403, "It does not match."), Trouble.REJECTED),
        (refused("DescribeJobs", "InvalidSignatureException", 403, "Signature not yet current"), Trouble.SKEWED),
        (refused("DescribeJobs", "RequestTimeTooSkewed", 403), Trouble.SKEWED),
        (refused("DescribeJobs", "RequestExpired"), Trouble.SKEWED),
        (refused("DescribeJobs", "RequestInTheFuture", 403), Trouble.SKEWED),
        (refused("DescribeJobs", "MissingAuthenticationTokenException", 403), Trouble.TRANSIENT),
        (refused("DescribeJobs", "IncompleteSignatureException", 403), Trouble.TRANSIENT),
        (refused("DescribeJobs", "RequestTimeoutException", 408), Trouble.TRANSIENT),
        (refused("DescribeJobs", "AccessDeniedException", 500), Trouble.TRANSIENT),
        (refused("DescribeJobs", "OptInRequired", 403), Trouble.DENIED),
        (refused("DescribeJobs", "403", 403), Trouble.TRANSIENT),
        (refused("GetRoleCredentials", "403", 403), Trouble.TRANSIENT),
        (refused("DescribeJobs", "ClientException"), Trouble.REFUSED),
    ],
)
def test_an_error_means_the_same_whoever_raised_it(error: Exception, kind: Trouble) -> None:
    """While a client is made, and before and after it has been explained, copied and sent to another process."""
    assert trouble(error) is kind
    explained = explain(error, "batch:DescribeJobs")
    for each in (explained, copy(explained), pickle.loads(pickle.dumps(explained))):  # noqa: S301 - our own
        assert (trouble(each), type(each), str(each)) == (kind, type(explained), str(explained))


def test_every_error_of_botocores_is_told() -> None:
    """None of them is a bug of ours, and those that need neither network nor service end a wait at once."""
    told: dict[Trouble, set[str]] = {}
    for name, kind in vars(boto).items():
        if isinstance(kind, type) and issubclass(kind, boto.BotoCoreError) and kind is not boto.WaiterError:
            fields = {field: "x" for _, field, _, _ in Formatter().parse(kind.fmt) if field}
            told.setdefault(trouble(kind(**fields)), set()).add(name)
    assert set(told) == {Trouble.TRANSIENT, Trouble.NO_CREDENTIALS, Trouble.REFUSED, Trouble.MISCONFIGURED}
    away = re.compile("HTTP|Connect|Timeout|SSL|Streaming|Retrieval|IncompleteRead|Checksum")
    assert not {name for name in told[Trouble.TRANSIENT] if not away.search(name)}


_ARGUMENTS: dict[type[Exception], tuple[object, ...]] = {
    UnicodeDecodeError: ("utf-8", b"x", 0, 1, "no"),
    UnicodeEncodeError: ("utf-8", "x", 0, 1, "no"),
    UnicodeTranslateError: ("x", 0, 1, "no"),
}


def exceptions() -> Iterator[type[Exception]]:
    """Yield Python's own exceptions."""
    for kind in vars(builtins).values():
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, (Warning, ExceptionGroup)):
            yield kind


@pytest.mark.parametrize("kind", [*exceptions(), OurOwnError])
def test_an_error_of_pythons_is_told_or_is_a_bug(kind: type[Exception]) -> None:
    """A bug is raised as itself, and counts as nothing that passes."""
    error = kind(*_ARGUMENTS.get(kind, ("no",)))
    is_of_system = issubclass(kind, (OSError, MemoryError, EOFError)) or kind is RuntimeError
    if is_of_system:
        assert trouble(error).retry
    elif issubclass(kind, ValueError):
        assert trouble(error) is Trouble.MISCONFIGURED
    else:
        with pytest.raises(kind):
            trouble(error)


def test_a_role_that_may_not_be_assumed_is_named_with_the_call_for_it() -> None:
    """Not the call that was wanted: allowing that would change nothing."""
    caller = Caller("the AWS connection 'prod'", ROLE)
    error = explain(refused("AssumeRole", "AccessDenied", 403), "batch:DescribeJobs", caller)
    assert isinstance(error, AccessDeniedError)
    assert error.action == "sts:AssumeRole"
    assert str(error) == (
        "sts:AssumeRole failed: AccessDenied: No. Allow the credentials of the AWS connection 'prod' sts:AssumeRole on "
        f"{ROLE}, and let its trust policy name them."
    )
    unknown = explain(refused("AssumeRoleWithSAML", "AccessDenied", 403), "batch:DescribeJobs")
    assert "sts:AssumeRoleWithSAML on the role, and" in str(unknown)


def test_a_role_that_cannot_be_assumed_is_no_fault_of_the_request() -> None:
    """Fewer jobs in a call would not help."""
    error = explain(refused("AssumeRole", "ValidationError"), "batch:DescribeJobs", Caller("the AWS connection 'prod'"))
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith("sts:AssumeRole failed: ValidationError: No. Correct the AWS connection 'prod'")


def test_who_was_refused_is_named() -> None:
    """The connection, and the role if there is one."""
    caller = Caller("the AWS connection 'prod'", ROLE)
    for code, kind in (("ExpiredToken", CredentialsError), ("InvalidClientTokenId", CredentialsError)):
        error = explain(refused("DescribeJobs", code, 403), "batch:DescribeJobs", caller)
        assert isinstance(error, kind)
        assert f"the AWS connection 'prod' (role {ROLE})" in str(error)


def test_no_error_is_without_a_word_about_itself() -> None:
    """Some have no text."""
    assert str(explain(MemoryError(), "batch:DescribeJobs")).startswith(
        "batch:DescribeJobs failed: MemoryError(). This"
    )


def test_an_error_is_one_line_of_a_length_that_is_read() -> None:
    """Several are what botocore writes, and what is between AWS and here may write as much as it likes."""
    problem = boto.ParamValidationError(report="Missing parameter: a\nMissing parameter: b")
    assert "Parameter validation failed: Missing parameter: a Missing parameter: b. Fix" in str(explain(problem, "x"))
    wordy = ClientError({"Error": {"Code": "AccessDenied", "Message": "no\r\n" * 100_000}}, "DescribeJobs")
    told = str(explain(wordy, "batch:DescribeJobs"))
    assert len(told) < 5_000
    assert told.isprintable()


def test_an_error_that_is_explained_stays_as_it_is() -> None:
    """It passes several who could explain it."""
    error = ThrottledError("slow down", action="batch:ListJobs", code="SlowDown")
    assert explain(error, "batch:DescribeJobs") is error


@pytest.mark.parametrize(
    ("error", "doubtful"),
    [
        (refused("SubmitJob", "ServiceUnavailable", 503), True),
        (refused("AssumeRole", "ServiceUnavailable", 503), False),
        (refused("AssumeRole", "403", 403), False),
        (refused("SubmitJob", "429", 429), True),
        (refused("SubmitJob", "TooManyRequestsException", 429), False),
        (refused("SubmitJob", "ThrottlingException", 503), True),
        (refused("SubmitJob", "RequestTimeTooSkewed", 403), False),
        (refused("SubmitJob", "AccessDeniedException", 403), False),
        (MemoryError(), True),
        (boto.ReadTimeoutError(endpoint_url="x"), True),
        (boto.CredentialRetrievalError(provider="x", error_msg="x"), False),
        (requests.ConnectionError("no route to the identity provider"), False),
    ],
)
def test_only_what_may_have_reached_aws_is_in_doubt(error: Exception, *, doubtful: bool) -> None:
    """What failed before the request left cannot have started a job; what failed while the answer was read may have."""
    explained = explain(error, "batch:SubmitJob")
    explained.__cause__ = error
    assert is_doubtful(explained) is doubtful


def raising(error: BaseException) -> ClientFactory:
    """Return a factory whose clients cannot be made."""

    def clients(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        del service, region_name, config
        raise error

    return clients


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError("x"), EndpointError),
        (OSError(errno.EMFILE, "Too many open files"), ExhaustedError),
        (boto.ProfileNotFound(profile="etl"), ConfigurationError),
        (refused("AssumeRole", "AccessDenied", 403), AccessDeniedError),
    ],
)
def test_a_client_that_cannot_be_made_is_an_error_of_ours(error: Exception, kind: type[AwsError]) -> None:
    """With what was raised as its cause."""
    with pytest.raises(kind) as caught:
        service(raising(error), "batch").call("describe_jobs", dict, jobs=["x"])
    assert caught.value.__cause__ is error
    with pytest.raises(kind):
        service(raising(error), "batch").region_name()


def test_an_error_of_ours_that_a_factory_raises_travels_on() -> None:
    """Whoever makes clients may know better what went wrong."""
    error = ConfigurationError("no such connection")
    with pytest.raises(ConfigurationError) as caught:
        service(raising(error), "batch").call("describe_jobs", dict, jobs=["x"])
    assert caught.value is error
    assert caught.value.__cause__ is None


@pytest.fixture
def secured() -> Iterator[Callable[..., ClientFactory]]:
    """What makes factories of clients that speak TLS to a port; nobody answers there."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint_url = f"https://127.0.0.1:{listening.getsockname()[1]}"

        def factory(**how: Any) -> ClientFactory:
            def clients(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
                once = Config(retries={"total_max_attempts": 1}, **how)
                session: Any = boto3.Session("x", "x", region_name=region_name or "us-east-1")
                return session.client(service, endpoint_url=endpoint_url, config=once.merge(config) if config else once)

            return clients

        yield factory


@pytest.mark.parametrize("content", ["", "this is no certificate"])
def test_a_ca_file_that_is_none_ends_it_at_once(
    secured: Callable[..., ClientFactory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """There is nothing to wait for."""
    if content:
        (tmp_path / "ca.pem").write_text(content)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigurationError, match="batch:DescribeJobs failed: SSL validation failed"):
        service(secured(), "batch").call("describe_jobs", dict, jobs=["x"])


def test_an_address_of_a_proxy_that_is_none_ends_it_at_once(secured: Callable[..., ClientFactory]) -> None:
    """The same, in the words of whichever urllib3 there is."""
    with pytest.raises(ConfigurationError, match="::::"):
        service(secured(proxies={"https": "::::"}), "batch").call("describe_jobs", dict, jobs=["x"])


@pytest.mark.parametrize(
    ("said", "cure"),
    [
        ("", "Allow the role of the AWS connection batch:SubmitJob."),
        (
            " because no identity-based policy allows the x action",
            "Allow the role of the AWS connection batch:TagResource",
        ),
        (" with an explicit deny in a service control policy: arn:x", "The service control policy does not allow it, "),
        (" with an explicit deny in a permissions boundary", "The permissions boundary does not allow it, "),
        (" because no VPC endpoint policy allows the x action", "may do; allow batch:TagResource there."),
    ],
)
def test_a_denial_is_told_by_what_aws_names(said: str, cure: str) -> None:
    """A call may need more than its own action, and a role's policy is not the only one that counts."""
    message = f"User: x is not authorized to perform: batch:TagResource on resource: y{said}" if said else "No."
    error = explain(refused("SubmitJob", "AccessDeniedException", 403, message), "batch:SubmitJob")
    assert isinstance(error, AccessDeniedError)
    assert error.action == "batch:SubmitJob"
    assert cure in str(error)


_KNOWN_TO_BOTOCORE = ThrottledRetryableChecker._THROTTLED_ERROR_CODES  # type: ignore[attr-defined]  # it is private


@pytest.mark.parametrize("code", sorted(_KNOWN_TO_BOTOCORE))
def test_whatever_botocore_knows_as_throttling_is_throttling(code: str) -> None:
    """Each service of AWS has its own word for a rate that is used up."""
    assert trouble(refused("DescribeJobs", code, 400)) is Trouble.THROTTLED


@pytest.mark.parametrize("token", ["s3cr3t\n", "s3cr3t'\" x\r\n", "\ns3cr3t"])
def test_a_credential_that_cannot_be_sent_is_never_shown(aws: LocalAws, token: str) -> None:
    """Neither in what is said, nor in what a traceback shows below it."""
    session = boto3.Session("a", "b", token, region_name=aws.region)
    with pytest.raises(AwsError, match="Invalid header value: it has a character") as caught:
        describe_jobs(session_clients(session, endpoint_url=aws.endpoint_url), ["x"])
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
