"""Trouble: what it means for its caller that a client could not be made, or a call failed."""

from __future__ import annotations

import errno
import json
import os
import re
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    CallAbortedError,
    ClockError,
    ConfigurationError,
    ConnectionUnansweredError,
    CredentialsError,
    EndpointError,
    ExhaustedError,
    RequestRefusedError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.exceptions import BotoCoreError, ClientError

#: AWS is eventually consistent: an id that is unknown for less than this many seconds after the submit means "not yet"
#: (metaflow#543, airflow#37552, nextflow#7301).
UNKNOWN_GRACE_SECONDS = 60.0


class Trouble(Enum):
    """What a failed AWS call means for its caller."""

    #: The request rate is used up: slow down and ask again.
    THROTTLED = "throttled"
    #: The network, AWS, or what gives the credentials is out of order: ask again later.
    TRANSIENT = "transient"
    #: This machine is out of threads, file descriptors or memory: ask again later.
    EXHAUSTED = "exhausted"
    #: The clocks of AWS and this machine differ too much for a signature: ask again later.
    SKEWED = "skewed"
    #: The credentials have expired: build a new client.
    EXPIRED = "expired"
    #: AWS does not accept the credentials: they may have been replaced since the client was made, or never have held.
    REJECTED = "rejected"
    #: A permission is missing: asking again does not help.
    DENIED = "denied"
    #: There are no credentials at all.
    NO_CREDENTIALS = "no credentials"
    #: A connection, a profile, a region or a file that cannot work: asking again does not help.
    MISCONFIGURED = "misconfigured"
    #: AWS refused the request itself: asking again does not help.
    REFUSED = "refused"

    @property
    def error(self) -> type[AwsError]:
        """The class of the error that tells it."""
        return _MEANINGS[self].error

    @property
    def retry(self) -> bool:
        """Whether the same request may succeed later."""
        return _MEANINGS[self].retry

    @property
    def renew(self) -> bool:
        """Whether a client with new credentials is needed."""
        return _MEANINGS[self].renew

    @property
    def give_up(self) -> bool:
        """Whether other requests of the same kind would fail as well."""
        return _MEANINGS[self].give_up


class _Meaning(NamedTuple):
    """What follows from a trouble."""

    error: type[AwsError]
    retry: bool = False
    renew: bool = False
    give_up: bool = False


_MEANINGS: Mapping[Trouble, _Meaning] = {
    Trouble.THROTTLED: _Meaning(ThrottledError, retry=True),
    Trouble.TRANSIENT: _Meaning(EndpointError, retry=True),
    Trouble.EXHAUSTED: _Meaning(ExhaustedError, retry=True),
    Trouble.SKEWED: _Meaning(ClockError, retry=True),
    Trouble.EXPIRED: _Meaning(CredentialsError, retry=True, renew=True),
    Trouble.REJECTED: _Meaning(CredentialsError, renew=True, give_up=True),
    Trouble.DENIED: _Meaning(AccessDeniedError, give_up=True),
    Trouble.NO_CREDENTIALS: _Meaning(CredentialsError, renew=True, give_up=True),
    Trouble.MISCONFIGURED: _Meaning(ConfigurationError, give_up=True),
    Trouble.REFUSED: _Meaning(RequestRefusedError),
}
#: What an error of ours means, by its class. Of `CredentialsError`, its code decides.
_OURS: tuple[tuple[type[AwsError], Trouble], ...] = (
    (ConnectionUnansweredError, Trouble.TRANSIENT),
    (CallAbortedError, Trouble.TRANSIENT),
    *((each.error, each) for each in Trouble if each.error is not CredentialsError),
)
#: The calls that credentials are got with, by the service.
_CREDENTIAL_CALLS: Mapping[str, frozenset[str]] = {
    "sts": frozenset({"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetSessionToken"}),
    "sso": frozenset({"GetRoleCredentials"}),
}
#: Those that botocore knows as such.
_THROTTLING = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_SKEWED = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
#: What AWS says of a signature that is right, under codes that look like wrong credentials.
_SIGNED_AT_ANOTHER_TIME = re.compile("signature expired|not yet current", re.IGNORECASE)
#: What AWS says of a request that was mangled, or came in too slowly, on its way: botocore signs every request.
_MANGLED = frozenset(
    {"IncompleteSignature", "IncompleteSignatureException"}
    | {"MissingAuthenticationToken", "MissingAuthenticationTokenException"}
    | {"RequestTimeout", "RequestTimeoutException"}
)
_BAD_CREDENTIALS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_KNOWN = _THROTTLING | _EXPIRED | _SKEWED | _MANGLED | _BAD_CREDENTIALS | _DENIED
#: STS's words for an identity provider that it cannot reach, under codes that look like a refusal.
_PROVIDER_IS_AWAY = re.compile("IDPCommunicationError|retrieve verification key", re.IGNORECASE)
_NO_MORE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS, errno.ENOSPC})
#: What requests and OpenSSL say of a CA file that is not there, or is none.
_CA_FILE = re.compile("suitable TLS CA certificate bundle|NO_CERTIFICATE_OR_CRL_FOUND")
_FILE_ERRORS = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
#: The libraries that identity providers, and Airflow, are asked with.
_LIBRARIES = frozenset(
    {
        "aiohttp",
        "airflow",
        "azure",
        "google",
        "gssapi",
        "http",
        "httpcore",
        "httpx",
        "kerberos",
        "lxml",
        "msal",
        "requests",
    }
    | {"requests_gssapi", "spnego", "urllib3"}
)


def error_code(error: BaseException) -> str:
    """Return AWS's error code, or an empty string if the error has none.

    Where the body of an answer has none, botocore writes the HTTP status.

    Args:
        error: What a call has raised, or an `AwsError` made of it.
    """
    if isinstance(error, AwsError):
        return error.code
    code = str(_said(error).get("Code") or "")
    if code.isdecimal() and (type_ := _headers(error).get("x-amzn-errortype")):
        return type_.partition(":")[0].rpartition("#")[2]
    return code


def error_message(error: BaseException) -> str:
    """Return AWS's own message, or the error's text.

    Args:
        error: What a call has raised, or an `AwsError` made of it.
    """
    return str(_said(_origin(error)).get("Message") or "") or str(_origin(error))


def http_status(error: BaseException) -> int:
    """Return the HTTP status of AWS's answer; 0 if there was none.

    Args:
        error: What a call has raised, or an `AwsError` made of it.
    """
    return int(_metadata(_origin(error)).get("HTTPStatusCode", 0))


def is_of_aws(error: ClientError) -> bool:
    """Tell whether an answer is AWS's own: that of a proxy, a gateway or a captive portal may have any status.

    AWS always gives an error code, and one that its models do not know still comes with the id of the request or as the
    header of AWS's protocol.
    """
    from botocore.exceptions import ClientError

    code, headers = error_code(error), _headers(error)
    if not code or code.isdecimal():
        return False
    if not headers or code in _KNOWN or type(error) is not ClientError:  # it was not read from the network, or is known
        return True
    return "RequestId" in _metadata(error) or "x-amzn-errortype" in headers


def trouble(error: BaseException) -> Trouble:
    """Tell what it means that a client could not be made, or a call failed.

    Whatever may pass counts as passing: what botocore and the libraries of identity providers raise when something is
    away, and what the system raises when something has run out.

    Args:
        error: What was raised, or the `AwsError` that explains it.

    Raises:
        BaseException: The error itself, if it is a bug.
    """
    from botocore import exceptions as boto

    if isinstance(error, AwsError):
        return _of_ours(error)
    if isinstance(error, boto.ClientError):
        return _of_answer(error)
    if isinstance(error, boto.BotoCoreError):
        return _of_botocore(error)
    if is_bug(error):
        raise error
    return _of_library(error)


def is_bug(error: BaseException) -> bool:
    """Tell whether an error is raised neither by AWS, nor by the system, nor by a library that asks for credentials."""
    from botocore import exceptions as boto

    if isinstance(error, (AwsError, boto.ClientError, boto.BotoCoreError)):
        return False
    if isinstance(error, (OSError, MemoryError, EOFError, ValueError)) or type(error) is RuntimeError:
        return False
    modules = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return not modules & _LIBRARIES


def may_find_credentials(error: BaseException) -> bool:
    """Tell whether an error says that botocore finds no credentials, and the host may have some all the same.

    While the instance's metadata does not answer, botocore finds none either, and says no more. Where it is not asked,
    by `AWS_EC2_METADATA_DISABLED`, none will come.

    Args:
        error: What was raised, or the `AwsError` that explains it.
    """
    from botocore.exceptions import NoCredentialsError

    is_asked = os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true"
    return is_asked and isinstance(_origin(error), NoCredentialsError)


def may_pass(error: BaseException) -> bool:
    """Tell whether the same may succeed later: for whoever asks again.

    To what passes by itself, as `Trouble.retry` tells, this adds credentials that the host has lost for a moment. A
    first question, as of a command, is better answered with them at once: there may never have been any.

    Args:
        error: What was raised, or the `AwsError` that explains it.

    Raises:
        BaseException: The error itself, if it is a bug.
    """
    return trouble(error).retry or may_find_credentials(error)


def is_doubtful(error: AwsError) -> bool:
    """Tell whether AWS may have accepted a request although it ended in this error."""
    from botocore import exceptions as boto

    origin = _origin(error)
    if isinstance(origin, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return False  # it never left
    if isinstance(origin, boto.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(origin)
    if isinstance(origin, boto.ClientError):
        is_clear = is_of_aws(origin) and http_status(origin) < HTTPStatus.INTERNAL_SERVER_ERROR
        return not credential_action(origin) and (not is_clear or trouble(origin) is Trouble.TRANSIENT)
    return isinstance(origin, (boto.HTTPClientError, MemoryError))


def _of_ours(error: AwsError) -> Trouble:
    if isinstance(error, CredentialsError):
        if error.code in _EXPIRED:
            return Trouble.EXPIRED
        return Trouble.REJECTED if error.code in _BAD_CREDENTIALS else Trouble.NO_CREDENTIALS
    return next((kind for class_, kind in _OURS if isinstance(error, class_)), Trouble.REFUSED)


def _of_answer(error: ClientError) -> Trouble:
    """Tell what an answer means that botocore takes for an error of AWS's; one that is not AWS's own passes."""
    code, status, for_credentials = error_code(error), http_status(error), bool(credential_action(error))
    if code in _THROTTLING or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Trouble.THROTTLED
    is_clear = is_of_aws(error) and status < HTTPStatus.INTERNAL_SERVER_ERROR
    if not is_clear or code in _MANGLED or _PROVIDER_IS_AWAY.search(str(error)):
        return Trouble.TRANSIENT
    if code in _SKEWED or (code in _BAD_CREDENTIALS and _SIGNED_AT_ANOTHER_TIME.search(error_message(error))):
        return Trouble.SKEWED
    if code in _EXPIRED:
        return Trouble.EXPIRED
    if code in _BAD_CREDENTIALS:
        return Trouble.REJECTED
    if code in _DENIED or (status == HTTPStatus.FORBIDDEN and not for_credentials):
        return Trouble.DENIED
    return Trouble.MISCONFIGURED if for_credentials else Trouble.REFUSED


def _of_botocore(error: BotoCoreError) -> Trouble:
    """Tell what an error means that botocore makes itself: one that is not of the network is of the configuration."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ParamValidationError):
        return Trouble.REFUSED
    no_credentials = (
        boto.NoCredentialsError,
        boto.PartialCredentialsError,
        boto.NoAuthTokenError,
        boto.TokenRetrievalError,
        boto.RefreshWithMFAUnsupportedError,
        boto.SSOError,
        boto.LoginError,
    )
    if isinstance(error, no_credentials):
        return Trouble.NO_CREDENTIALS
    passing = (
        boto.HTTPClientError,
        boto.ConnectionError,
        boto.ChecksumError,
        boto.CredentialRetrievalError,
        boto.IncompleteReadError,
        boto.MetadataRetrievalError,
    )
    return Trouble.TRANSIENT if isinstance(error, passing) and not _cannot_be_sent(error) else Trouble.MISCONFIGURED


def _cannot_be_sent(error: BotoCoreError) -> bool:
    """Tell whether urllib3 found no CA file, or a proxy whose address is none."""
    from botocore.exceptions import SSLError

    reason = error.kwargs.get("error")  # what urllib3 raised
    if isinstance(error, SSLError):
        return any(isinstance(each, _FILE_ERRORS) for each in getattr(reason, "args", ())) or _is_of_ca_file(error)
    return isinstance(reason, ValueError)


def _of_library(error: BaseException) -> Trouble:
    """Tell what an error of the system, or of another library than botocore, means."""
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):
        return Trouble.EXHAUSTED
    if isinstance(error, OSError) and error.errno in _NO_MORE:
        return Trouble.EXHAUSTED
    names_a_file = isinstance(error, _FILE_ERRORS) and error.filename is not None
    is_bad_value = isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError)
    return Trouble.MISCONFIGURED if names_a_file or is_bad_value or _is_of_ca_file(error) else Trouble.TRANSIENT


def _is_of_ca_file(error: BaseException) -> bool:
    return _CA_FILE.search(str(error)) is not None


def credential_action(error: BaseException) -> str:
    """Return the permission of the call for credentials that an error of AWS is about; empty for any other call."""
    name = getattr(error, "operation_name", "")
    return next((f"{service}:{name}" for service, calls in _CREDENTIAL_CALLS.items() if name in calls), "")


def _origin(error: BaseException) -> BaseException:
    """Return what an `AwsError` explains; any other error is its own origin."""
    return error.__cause__ if isinstance(error, AwsError) and error.__cause__ is not None else error


def _said(error: BaseException) -> Mapping[str, Any]:
    """Return what an answer says, as botocore read it; nothing if there was none."""
    return _part(getattr(error, "response", None), "Error")


def _metadata(error: BaseException) -> Mapping[str, Any]:
    """Return what botocore tells about an answer; nothing if there was none."""
    return _part(getattr(error, "response", None), "ResponseMetadata")


def _headers(error: BaseException) -> Mapping[str, str]:
    """Return an answer's headers, in lower case; none if it was not read from the network."""
    return _part(_metadata(error), "HTTPHeaders")


def _part(whole: Any, name: str) -> Mapping[str, Any]:
    part = whole.get(name) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}
