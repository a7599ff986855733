"""LogPage: one answer of FilterLogEvents."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import Trouble, error_message, trouble
from airflow_batch_jobs.batch.logs.cursor import event_key
from airflow_batch_jobs.batch.logs.event import LogEvent
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.aws.pacing import Pace

#: FilterLogEvents takes at most this many stream names, and this many events as a limit.
MOST_STREAMS = 100
MOST_EVENTS = 10_000
#: The last millisecond that Python can write as a date.
_LATEST_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class LogPage:
    """One answer of FilterLogEvents.

    Attributes:
        events: The stream's name, the event, and its key, in CloudWatch's order.
        token: Asks for the next page; None at the end.
    """

    events: tuple[tuple[str, LogEvent, int], ...] = ()
    token: str | None = None

    @property
    def last_timestamp(self) -> int | None:
        """The timestamp of the page's last event; None for an empty page, which need not be the last one."""
        return self.events[-1][1].timestamp if self.events else None


def fetch_page(logs: Service, request: Mapping[str, Any]) -> LogPage:
    """Call FilterLogEvents once, in the calling thread.

    Args:
        logs: CloudWatch Logs in the streams' region.
        request: The request's fields, as AWS names them.

    Raises:
        AwsError: The call failed.
    """
    return logs.call("filter_log_events", _read_page, **request)


def fetch_at_pace(logs: Service, request: Mapping[str, Any], pace: Pace, clock: Clock) -> LogPage:
    """Call FilterLogEvents once, when a pace allows it, and tell the pace what came of it.

    Args:
        logs: CloudWatch Logs in the streams' region.
        request: The request's fields, as AWS names them.
        pace: How fast it may be called.
        clock: Time and sleep.

    Raises:
        AwsError: The call failed.
    """
    clock.sleep(pace.delay(clock.monotonic()))
    pace.spend(clock.monotonic())
    try:
        page = fetch_page(logs, request)
    except AwsError as error:
        if trouble(error) is Trouble.THROTTLED:
            pace.throttled(clock.monotonic())
        raise
    pace.succeeded()
    return page


def knows_start_from_head(logs: Service) -> bool:
    """Tell whether botocore can ask for the newest events first, as it can since 1.43.33. Makes the client, if need be.

    Raises:
        AwsError: No client can be made.
    """
    model = logs.prepare("filter_log_events").meta.service_model.operation_model("FilterLogEvents")
    return "startFromHead" in model.input_shape.members


def is_missing(error: AwsError) -> bool:
    """Tell whether CloudWatch does not know the group or the stream, which means that nothing was written yet."""
    return error.code == "ResourceNotFoundException"


def is_group_missing(error: AwsError) -> bool:
    """Tell whether CloudWatch does not know the whole group."""
    return is_missing(error) and "log group" in error_message(error).lower()


def is_stale_token(error: AwsError) -> bool:
    """Tell whether CloudWatch may be refusing the page's token; tokens expire after 24 h."""
    return error.code == "InvalidParameterException"


def _read_page(answer: Mapping[str, Any]) -> LogPage:
    entries = [event for event in answer["events"] if isinstance(event, dict)]
    return LogPage(events=tuple(map(_read, entries)), token=answer.get("nextToken") or None)


def _read(event: Mapping[str, Any]) -> tuple[str, LogEvent, int]:
    """Read an event; what AWS always sends may be missing from it, or be something else.

    A page is shared by the streams of many jobs, so no event may spoil it. One without a time has that of its arrival;
    one without an id is known by its time and text.
    """
    arrived = _milliseconds(event.get("ingestionTime"))
    written = _milliseconds(event.get("timestamp"))
    timestamp = next((each for each in (written, arrived) if each is not None), 0)
    event_id, message = str(event.get("eventId") or ""), event.get("message")
    text = message if isinstance(message, str) else "" if message is None else str(message)
    key = event_key(event_id or f"{timestamp} {text!r}")
    return str(event.get("logStreamName") or ""), LogEvent(timestamp, text, event_id, arrived), key


def _milliseconds(value: Any) -> int | None:
    """Return a time between 1970 and 9999 in ms, whatever it is written as; None for anything else."""
    with suppress(TypeError, ValueError, OverflowError):
        if 0 <= (milliseconds := int(value)) <= _LATEST_MS:
            return milliseconds
    return None
