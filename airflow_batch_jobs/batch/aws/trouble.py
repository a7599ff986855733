"""Clients and errors of AWS: the one place that knows botocore's exceptions."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    CredentialsError,
    EndpointError,
    RequestRefusedError,
    ThrottledError,
)

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config

#: AWS forgets nothing so fast as its own eventual consistency: an id unknown for less than this many seconds after
#: the submit means "not yet" (metaflow#543, airflow#37552, nextflow#7301).
UNKNOWN_GRACE_SECONDS = 60.0


class ClientFactory(Protocol):
    """Makes boto3 clients with one set of credentials; passed in by whoever knows where those come from."""

    def __call__(self, service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        """Make a client.

        Args:
            service: `batch`, `logs` or `sts`.
            region_name: The region; None for the credentials' own.
            config: Merged over the factory's own botocore configuration.
        """


class Trouble(Enum):
    """What a failed AWS call means for who made it."""

    #: The request rate is used up: slow down and ask again.
    THROTTLED = "throttled"
    #: The network or AWS is out of order: ask again later.
    TRANSIENT = "transient"
    #: The credentials have run out: build the client anew.
    EXPIRED = "expired"
    #: A permission is missing: asking again does not help.
    DENIED = "denied"
    #: There are no credentials at all.
    NO_CREDENTIALS = "no credentials"
    #: AWS refused the request itself: asking again does not help.
    REFUSED = "refused"


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
_EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "TokenRefreshRequired",
    }
)
_BAD_CREDENTIALS = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch"}
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})


def session_clients(
    session: boto3.Session | None = None, region_name: str | None = None, endpoint_url: str | None = None
) -> ClientFactory:
    """Return a factory over a boto3 session.

    Args:
        session: A new default session when None.
        region_name: The region; the session's own when None.
        endpoint_url: Where all services are, in place of AWS's own addresses.
    """

    def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        return made().client(  # type: ignore[call-overload]
            service, region_name=region_name or own_region, endpoint_url=endpoint_url, config=config
        )

    def made() -> boto3.Session:
        nonlocal session
        if session is None:
            import boto3

            session = boto3.Session()
        return session

    own_region = region_name
    return make


def error_code(error: BaseException) -> str:
    """Return AWS's error code, or an empty text where the error carries none."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_message(error: BaseException) -> str:
    """Return AWS's own message, or the error's text."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "") if isinstance(response, dict) else "") or str(error)


def http_status(error: BaseException) -> int:
    """Return the HTTP status of AWS's answer, 0 where there was none."""
    response = getattr(error, "response", None)
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) if isinstance(response, dict) else 0


def trouble(error: Exception) -> Trouble:
    """Tell what a botocore exception means.

    Raises:
        Exception: The error itself, when it does not come from botocore: that is a bug, not AWS.
    """
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        code, status = error_code(error), http_status(error)
        if code in _THROTTLING or status == 429:  # noqa: PLR2004 - HTTP's Too Many Requests
            return Trouble.THROTTLED
        if code in _EXPIRED:
            return Trouble.EXPIRED
        if code in _BAD_CREDENTIALS:
            return Trouble.NO_CREDENTIALS
        if code in _DENIED or status == 403:  # noqa: PLR2004 - HTTP's Forbidden
            return Trouble.DENIED
        return Trouble.TRANSIENT if status >= 500 or not code else Trouble.REFUSED  # noqa: PLR2004 - HTTP's 5xx
    if isinstance(error, (boto.NoCredentialsError, boto.PartialCredentialsError, boto.NoRegionError)):
        return Trouble.NO_CREDENTIALS
    if isinstance(error, boto.ParamValidationError):
        return Trouble.REFUSED
    if isinstance(error, (boto.BotoCoreError, boto.HTTPClientError)):
        return Trouble.TRANSIENT
    raise error


def explain(error: Exception, action: str) -> AwsError:
    """Turn a botocore exception into ours, with one sentence of what to do.

    Args:
        error: What botocore raised.
        action: The permission the call needs: `batch:DescribeJobs`.

    Raises:
        Exception: The error itself, when it does not come from botocore.
    """
    code, message = error_code(error), error_message(error)
    kinds: dict[Trouble, tuple[type[AwsError], str]] = {
        Trouble.THROTTLED: (ThrottledError, "The account's request rate is used up; try again later."),
        Trouble.TRANSIENT: (EndpointError, "Check the network and the endpoint of the AWS connection."),
        Trouble.EXPIRED: (CredentialsError, "The credentials have expired; renew them."),
        Trouble.DENIED: (AccessDeniedError, f"Allow the role of the AWS connection {action}."),
        Trouble.NO_CREDENTIALS: (CredentialsError, "Give the AWS connection credentials that hold, and a region."),
        Trouble.REFUSED: (RequestRefusedError, "Mend the request."),
    }
    kind, cure = kinds[trouble(error)]
    said = f"{code}: {message}" if code else message
    return kind(f"{action} failed: {said.rstrip('.')}. {cure}", action=action, code=code)
