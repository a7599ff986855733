"""Trouble: what botocore's errors mean, for the code that called AWS and for the people who read about it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    CredentialsError,
    EndpointError,
    RequestRefusedError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: AWS is eventually consistent: an id that is unknown for less than this many seconds after the submit means "not yet"
#: (metaflow#543, airflow#37552, nextflow#7301).
UNKNOWN_GRACE_SECONDS = 60.0


class Trouble(Enum):
    """What a failed AWS call means for its caller."""

    #: The request rate is used up: slow down and ask again.
    THROTTLED = "throttled"
    #: The network or AWS is out of order: ask again later.
    TRANSIENT = "transient"
    #: The credentials have expired: build a new client.
    EXPIRED = "expired"
    #: AWS does not accept the credentials: they may have been replaced since the client was made, or never have held.
    REJECTED = "rejected"
    #: A permission is missing: asking again does not help.
    DENIED = "denied"
    #: There are no credentials at all.
    NO_CREDENTIALS = "no credentials"
    #: AWS refused the request itself: asking again does not help.
    REFUSED = "refused"

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
    """What follows from a trouble; `cure` may name the `{action}`."""

    error: type[AwsError]
    cure: str
    retry: bool = False
    renew: bool = False
    give_up: bool = False


_MEANINGS: Mapping[Trouble, _Meaning] = {
    Trouble.THROTTLED: _Meaning(ThrottledError, "The account's request rate is used up; try again later.", retry=True),
    Trouble.TRANSIENT: _Meaning(EndpointError, "Check the network and the endpoint of the AWS connection.", retry=True),
    Trouble.EXPIRED: _Meaning(CredentialsError, "The credentials have expired; renew them.", retry=True, renew=True),
    Trouble.REJECTED: _Meaning(
        CredentialsError, "Give the AWS connection valid credentials and a region.", renew=True, give_up=True
    ),
    Trouble.DENIED: _Meaning(AccessDeniedError, "Allow the role of the AWS connection {action}.", give_up=True),
    Trouble.NO_CREDENTIALS: _Meaning(
        CredentialsError, "Give the AWS connection valid credentials and a region.", give_up=True
    ),
    Trouble.REFUSED: _Meaning(RequestRefusedError, "Fix the request."),
}
_THROTTLING = frozenset(
    {
        "TooManyRequestsException",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "LimitExceededException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_BAD_CREDENTIALS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def error_code(error: BaseException) -> str:
    """Return AWS's error code, or an empty string if the error has none."""
    if isinstance(error, AwsError):
        return error.code
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_message(error: BaseException) -> str:
    """Return AWS's own message, or the error's text."""
    response = getattr(_origin(error), "response", None)
    message = response.get("Error", {}).get("Message", "") if isinstance(response, dict) else ""
    return str(message) or str(_origin(error))


def http_status(error: BaseException) -> int:
    """Return the HTTP status of AWS's answer; 0 if there was none."""
    response = getattr(_origin(error), "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(response, dict) else 0


def trouble(error: BaseException) -> Trouble:
    """Tell what a botocore exception means, or an `AwsError` that explains one.

    Raises:
        BaseException: The error itself, if it does not come from botocore: that is a bug, not AWS.
    """
    from botocore import exceptions as boto

    origin = _origin(error)
    if isinstance(origin, boto.ClientError):
        code, status = error_code(origin), http_status(origin)
        if code in _THROTTLING or status == 429:  # noqa: PLR2004 - HTTP's Too Many Requests
            return Trouble.THROTTLED
        if code in _EXPIRED:
            return Trouble.EXPIRED
        if code in _BAD_CREDENTIALS:
            return Trouble.REJECTED
        if code in _DENIED or status == 403:  # noqa: PLR2004 - HTTP's Forbidden
            return Trouble.DENIED
        return Trouble.TRANSIENT if status >= 500 or not code else Trouble.REFUSED  # noqa: PLR2004 - HTTP's 5xx
    if isinstance(origin, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.NoRegionError)):
        return Trouble.NO_CREDENTIALS
    if isinstance(origin, boto.ParamValidationError):
        return Trouble.REFUSED
    if isinstance(origin, (boto.BotoCoreError, boto.HTTPClientError)):
        return Trouble.TRANSIENT
    raise error


def explain(error: BaseException, action: str) -> AwsError:
    """Turn a botocore exception into an `AwsError`, with one sentence on what to do.

    Args:
        error: What botocore raised.
        action: The permission the call needs: `batch:DescribeJobs`.

    Raises:
        BaseException: The error itself, if it does not come from botocore.
    """
    meaning, code, message = _MEANINGS[trouble(error)], error_code(error), error_message(error)
    said = f"{code}: {message}" if code else message
    cure = meaning.cure.format(action=action)
    return meaning.error(f"{action} failed: {said.rstrip('.')}. {cure}", action=action, code=code)


def is_doubtful(error: AwsError) -> bool:
    """Tell whether AWS may have accepted a request although it ended in this error."""
    from botocore import exceptions as boto

    origin = _origin(error)
    if isinstance(origin, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return False  # it never left
    if isinstance(origin, boto.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(origin)
    if isinstance(origin, boto.ClientError):
        return trouble(origin) is Trouble.TRANSIENT
    return isinstance(origin, boto.HTTPClientError)


def _origin(error: BaseException) -> BaseException:
    """Return what an `AwsError` explains; any other error is its own origin."""
    return error.__cause__ if isinstance(error, AwsError) and error.__cause__ is not None else error
