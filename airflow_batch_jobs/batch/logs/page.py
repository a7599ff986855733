"""LogPage: one answer of FilterLogEvents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import error_message
from airflow_batch_jobs.batch.logs.cursor import event_key
from airflow_batch_jobs.batch.logs.event import LogEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.errors import AwsError


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
    return LogPage(events=tuple(map(_read, answer["events"])), token=answer.get("nextToken") or None)


def _read(event: Mapping[str, Any]) -> tuple[str, LogEvent, int]:
    event_id, timestamp = str(event.get("eventId", "")), int(event["timestamp"])
    read = LogEvent(timestamp, event.get("message", ""), event_id, event.get("ingestionTime"))
    # AWS's answers always have ids; those of an endpoint that leaves them out still have times and texts.
    return event.get("logStreamName", ""), read, event_key(event_id or f"{timestamp} {read.message!r}")
