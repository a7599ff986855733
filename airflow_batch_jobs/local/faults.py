"""Faults that can be injected into operations: what AWS and the network do on a bad day."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.wire import Answer, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.model import Operation


class FaultKind(StrEnum):
    """What goes wrong."""

    #: The request rate is used up; with `rate`, only for the calls beyond that rate.
    THROTTLE = "throttle"
    #: 5xx.
    SERVER_ERROR = "server_error"
    #: A custom error: `code`, `status`, `message`.
    ERROR = "error"
    #: The answer takes `seconds` longer.
    LATENCY = "latency"
    #: The connection ends without an answer.
    DROP = "drop"
    #: The credentials have expired.
    EXPIRED = "expired"
    #: The permission is missing.
    DENIED = "denied"
    #: The answer is not AWS's at all.
    NOT_JSON = "not_json"
    #: DescribeJobs leaves out a `share` of the ids asked for.
    OMIT = "omit"
    #: DescribeJobs and ListJobs do not know a job before it is `seconds` old.
    LAG = "lag"
    #: Log events can be read only `seconds` later than otherwise.
    LATE_LOGS = "late_logs"
    #: FilterLogEvents returns an empty page with a token first.
    EMPTY_PAGE = "empty_page"


#: These change what an operation answers; all others replace it.
_CHANGES = frozenset({FaultKind.OMIT, FaultKind.LAG, FaultKind.LATE_LOGS, FaultKind.EMPTY_PAGE})


class ConnectionDropped(Exception):  # noqa: N818 - not an error of the endpoint: an order to it
    """The connection is to end without an answer."""


@dataclass(slots=True, eq=False)
class Fault:
    """One injected fault.

    Attributes:
        operation: Which calls it hits: `SubmitJob`, `batch.*`, `*`.
        kind: What goes wrong.
        times: How many calls it hits; None for all.
        share: The share of the calls that it hits at random, 0 to 1; for `omit`, of the ids.
        after: Whether the operation takes effect first, and only its answer is lost.
        seconds: For `latency`, `lag` and `late_logs`.
        rate: For `throttle`: calls per second that go through, over all operations it hits.
        code: For `error`.
        message: For `error`, and in place of AWS's own sentence.
        status: For `error`: the HTTP status.
        parameter: Only calls that have this parameter.
    """

    operation: str
    kind: FaultKind
    times: int | None = None
    share: float = 1.0
    after: bool = False
    seconds: float = 0.0
    rate: float | None = None
    code: str = "ServerException"
    message: str = ""
    status: int = 500
    parameter: str = ""
    _tokens: float = 0.0
    _filled_at: float | None = None

    def takes(self, operation: Operation, parameters: Mapping[str, Any]) -> bool:
        """Tell whether the fault applies to a call of this kind."""
        return (
            self.times != 0
            and (not self.parameter or self.parameter in parameters)
            and (
                fnmatchcase(operation.name, self.operation)
                or fnmatchcase(f"{operation.service}.{operation.name}", self.operation)
            )
        )

    def has_token(self, now: float) -> bool:
        """Take one of the calls that the rate allows; return False if there is none left."""
        rate = self.rate or 0.0
        burst = max(1.0, rate)
        passed = 0.0 if self._filled_at is None else now - self._filled_at
        self._tokens = burst if self._filled_at is None else min(burst, self._tokens + passed * rate)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Changes:
    """What the faults that hit one call change in its answer."""

    omit_share: float = 0.0
    lag_seconds: float = 0.0
    late_seconds: float = 0.0
    empty_page: bool = False


class Faults:
    """The faults that are in force."""

    def __init__(self, timeline: Timeline, seed: int = 0) -> None:
        self._timeline = timeline
        self.chance = random.Random(seed)  # noqa: S311 - not a secret
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault in force, besides those already in force."""
        self._faults.append(fault)

    def clear(self) -> None:
        """End all faults."""
        self._faults.clear()

    def changes(self, operation: Operation, parameters: Mapping[str, Any]) -> Changes:
        """Return what the faults change in the answer of this call."""
        changes = Changes()
        for fault in self._hitting(operation, parameters):
            if fault.kind is FaultKind.OMIT and self._strikes(fault):
                changes = replace(changes, omit_share=fault.share)
            elif fault.kind is FaultKind.LAG and self._strikes(fault):
                changes = replace(changes, lag_seconds=fault.seconds)
            elif fault.kind is FaultKind.LATE_LOGS and self._strikes(fault):
                changes = replace(changes, late_seconds=fault.seconds)
            elif fault.kind is FaultKind.EMPTY_PAGE and "nextToken" not in parameters and self._strikes(fault):
                changes = replace(changes, empty_page=True)
        return changes

    async def strike(self, operation: Operation, parameters: Mapping[str, Any], *, after: bool) -> Answer | None:
        """Let the faults that hit this call before, or after, its effect happen.

        Returns:
            An answer to give instead; None to continue.

        Raises:
            ServiceError: What to answer.
            ConnectionDropped: No answer is to be given.
        """
        for fault in list(self._hitting(operation, parameters)):
            if fault.kind in _CHANGES or fault.after != after or not self._strikes(fault):
                continue
            if fault.kind is FaultKind.LATENCY:
                await asyncio.sleep(fault.seconds)
            elif fault.kind is FaultKind.DROP:
                raise ConnectionDropped
            elif fault.kind is FaultKind.NOT_JSON:
                return Answer(200, b"<html><body>This is a proxy's page.</body></html>", "text/html")
            else:
                raise _failure(fault, operation)
        return None

    def _hitting(self, operation: Operation, parameters: Mapping[str, Any]) -> Iterator[Fault]:
        return (fault for fault in self._faults if fault.takes(operation, parameters))

    def _strikes(self, fault: Fault) -> bool:
        if fault.kind is FaultKind.THROTTLE and fault.rate is not None:
            return not fault.has_token(self._timeline.now())
        if fault.kind is not FaultKind.OMIT and fault.share < 1 and self.chance.random() >= fault.share:
            return False
        if fault.times is not None:
            fault.times -= 1
        return True


#: Each service's code, HTTP status and sentence for the faults that AWS has a name for.
_FAILURES: dict[FaultKind, dict[str, tuple[str, int, str]]] = {
    FaultKind.THROTTLE: {
        "batch": ("TooManyRequestsException", 429, "Too Many Requests"),
        "logs": ("ThrottlingException", 400, "Rate exceeded"),
        "sts": ("Throttling", 400, "Rate exceeded"),
    },
    FaultKind.SERVER_ERROR: {
        "batch": ("ServerException", 500, "Internal server error"),
        "logs": ("ServiceUnavailableException", 503, "Service unavailable"),
        "sts": ("InternalFailure", 500, "Internal failure"),
    },
    FaultKind.EXPIRED: {
        "batch": ("ExpiredTokenException", 403, "The security token included in the request is expired"),
        "logs": ("ExpiredTokenException", 400, "The security token included in the request is expired"),
        "sts": ("ExpiredToken", 403, "The security token included in the request is expired"),
    },
    FaultKind.DENIED: {
        "batch": ("AccessDeniedException", 403, "User is not authorized to perform: {action}"),
        "logs": ("AccessDeniedException", 400, "User is not authorized to perform: {action}"),
        "sts": ("AccessDenied", 403, "User is not authorized to perform: {action}"),
    },
}


def failure(kind: FaultKind, service: str, operation: str = "") -> ServiceError:
    """Return what a service answers to a call with this fault."""
    code, status, message = _FAILURES[kind][service]
    return ServiceError(code, message.format(action=f"{service}:{operation}"), status)


def _failure(fault: Fault, operation: Operation) -> ServiceError:
    if fault.kind is FaultKind.ERROR:
        return ServiceError(fault.code, fault.message or fault.code, fault.status)
    usual = failure(fault.kind, operation.service, operation.name)
    return ServiceError(usual.code, fault.message or usual.message, usual.status)
