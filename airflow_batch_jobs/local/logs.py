"""The reading operations of CloudWatch Logs."""

from __future__ import annotations

import base64
import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.filter_pattern import FilterPattern
from airflow_batch_jobs.local.pages import list_id, page_of, place_in
from airflow_batch_jobs.local.streams import EVENT_OVERHEAD_BYTES, Event, Position, Stream, Window, merged
from airflow_batch_jobs.local.wire import ServiceError, invalid_parameter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.local.account import Account
    from airflow_batch_jobs.local.call import Call, Operations
    from airflow_batch_jobs.local.clock import Timeline
    from airflow_batch_jobs.local.pages import Place
    from airflow_batch_jobs.local.streams import Streams

_MOST_EVENTS = 10_000
_MOST_PAGE_BYTES = 1024 * 1024
_MOST_STREAMS = 50
#: Later than any timestamp, in milliseconds.
_FOREVER = 1 << 62
#: What `_page_token` writes.
_PAGE_TOKEN = re.compile("[fb]/(?:0/[0-9]{1,19}|[0-9]{1,19}(?:/[0-9]{1,19}){3})")
#: The parameters that say nothing of whose events are listed.
_OF_A_PAGE = frozenset({"endTime", "interleaved", "limit", "nextToken", "startFromHead", "startTime", "unmask"})
#: 2024-01-01: events before this cannot be read newest first.
_NEWEST_FIRST_SINCE = 1_704_067_200_000


class Logs:
    """CloudWatch Logs."""

    def __init__(self, account: Account, timeline: Timeline, streams: Streams) -> None:
        self._account = account
        self._timeline = timeline
        self._streams = streams
        self.operations: Operations = {
            "FilterLogEvents": self.filter_log_events,
            "GetLogEvents": self.get_log_events,
            "DescribeLogStreams": self.describe_log_streams,
        }

    def filter_log_events(self, call: Call) -> dict[str, Any]:
        """Return the events of up to 100 streams that match a pattern, ordered by (timestamp, ingestion)."""
        request = call.parameters
        _check_filter(request)
        pattern = _pattern(request)
        streams = self._named_streams(request)
        newest_first = request.get("startFromHead") is False
        after: Position | None = None
        of = _list_id("FilterLogEvents", request)
        if request.get("nextToken"):
            newest_first, after = _read_filter_token(request["nextToken"], of)
        window = Window(
            start=request.get("startTime", 0),
            end=request.get("endTime", _FOREVER),
            readable_until=self._readable_until(call),
            newest_first=newest_first,
        )
        if call.changes.empty_page:
            return {"events": [], "searchedLogStreams": [], "nextToken": _filter_token(newest_first, after, of)}
        found = (event for event in merged(streams, _from(window, after), after) if pattern.matches(event.text))
        events, is_full = _page(found, request.get("limit", _MOST_EVENTS))
        names = {stream.number: stream.name for stream in streams}
        shown: dict[str, Any] = {
            "events": [_filtered_event(event, names[event.position.stream_number]) for event in events],
            "searchedLogStreams": [],
        }
        if is_full:
            shown["nextToken"] = _filter_token(newest_first, events[-1].position, of)
        return shown

    def get_log_events(self, call: Call) -> dict[str, Any]:
        """Return a page of one stream; without a token, from its end."""
        request = call.parameters
        stream = self._stream(self._group(request), request["logStreamName"])
        forward = bool(request.get("startFromHead", False))
        after: Position | None = None
        if request.get("nextToken"):
            forward, after = _read_page_token(request["nextToken"], stream.number)
        window = Window(
            start=request.get("startTime", 0),
            end=request.get("endTime", _FOREVER) - 1,
            readable_until=self._readable_until(call),
            newest_first=not forward,
        )
        events, _ = _page(merged([stream], _from(window, after), after), request.get("limit", _MOST_EVENTS))
        if not forward:
            events.reverse()
        return {
            "events": [_plain_event(event) for event in events],
            "nextForwardToken": _page_token("f", events[-1].position if events else after, stream.number),
            "nextBackwardToken": _page_token("b", events[0].position if events else after, stream.number),
        }

    def describe_log_streams(self, call: Call) -> dict[str, Any]:
        """Describe a group's streams, by name or by their last event."""
        request = call.parameters
        if request.get("orderBy") == "LastEventTime" and "logStreamNamePrefix" in request:
            raise invalid_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.")
        try:
            return self._page_of_streams(request, self._readable_until(call))
        except ValueError as error:
            raise invalid_parameter("The specified nextToken is invalid.") from error

    def _page_of_streams(self, request: Mapping[str, Any], now: int) -> dict[str, Any]:
        by_time, token = request.get("orderBy") == "LastEventTime", request.get("nextToken", "")
        of = _list_id("DescribeLogStreams", request)
        if by_time and token:
            # All pages show the streams as they were at the first one: by time, those that are written to move on.
            now = _number(next(iter(place_in(token, of)), None))

        def place_of(described: dict[str, Any]) -> Place:
            name = described["logStreamName"]
            return (now, described.get("lastEventTimestamp", 0), name) if by_time else (name,)

        prefix, is_descending = request.get("logStreamNamePrefix", ""), request.get("descending", False)
        found = [
            self._describe(stream, now) for name, stream in self._group(request).items() if name.startswith(prefix)
        ]
        found.sort(key=place_of, reverse=is_descending)
        size = request.get("limit", _MOST_STREAMS)
        shown, more = page_of(found, place_of, of=of, size=size, token=token, is_descending=is_descending)
        return {"logStreams": shown, **more}

    def _describe(self, stream: Stream, now: int) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "logStreamName": stream.name,
            "creationTime": stream.created_at,
            "arn": self._account.arn(f"log-group:{stream.group}:log-stream:{stream.name}", "logs"),
            "storedBytes": 0,
        }
        first = next(stream.read(Window(0, _FOREVER, now)), None)
        last = next(stream.read(Window(0, _FOREVER, now, newest_first=True)), None)
        if first and last:
            shown["firstEventTimestamp"] = first.position.timestamp
            shown["lastEventTimestamp"] = last.position.timestamp
            shown["lastIngestionTime"] = last.position.ingestion_time
        return shown

    def _readable_until(self, call: Call) -> int:
        return self._timeline.now_ms() - round(call.changes.late_seconds * 1000)

    def _group(self, request: Mapping[str, Any]) -> dict[str, Stream]:
        if ("logGroupName" in request) == ("logGroupIdentifier" in request):
            raise invalid_parameter("Exactly one of logGroupName and logGroupIdentifier must be given.")
        name = request.get("logGroupName") or request["logGroupIdentifier"].removeprefix(
            self._account.arn("log-group:", "logs")
        )
        group = self._streams.group(name)
        if group is None:
            raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
        return group

    def _stream(self, group: Mapping[str, Stream], name: str) -> Stream:
        if name not in group:
            raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
        return group[name]

    def _named_streams(self, request: Mapping[str, Any]) -> list[Stream]:
        group = self._group(request)
        if "logStreamNames" in request:
            return [self._stream(group, name) for name in dict.fromkeys(request["logStreamNames"])]
        prefix = request.get("logStreamNamePrefix", "")
        return [stream for name, stream in group.items() if name.startswith(prefix)]


def _check_filter(request: Mapping[str, Any]) -> None:
    if "logStreamNames" in request and "logStreamNamePrefix" in request:
        raise invalid_parameter("logStreamNames and logStreamNamePrefix cannot be given together.")
    if request.get("startFromHead") is False and request.get("startTime", 0) < _NEWEST_FIRST_SINCE:
        raise invalid_parameter("startFromHead=false needs a startTime on or after 2024-01-01.")


def _pattern(request: Mapping[str, Any]) -> FilterPattern:
    try:
        return FilterPattern.parse(request.get("filterPattern", ""))
    except ValueError as error:
        raise invalid_parameter(f"Invalid filter pattern: {error}") from error


def _page(events: Iterator[Event], limit: int) -> tuple[list[Event], bool]:
    """Return as many events as fit on a page, and whether there are more."""
    page: list[Event] = []
    size_bytes = 0
    for event in islice(events, limit + 1):
        size_bytes += len(event.text.encode("utf-8", "replace")) + EVENT_OVERHEAD_BYTES
        if page and (len(page) == limit or size_bytes > _MOST_PAGE_BYTES):
            return page, True
        page.append(event)
    return page, False


def _from(window: Window, after: Position | None) -> Window:
    """Return the part of a window that has not been read yet."""
    if after is None:
        return window
    start = window.start if window.newest_first else max(window.start, after.timestamp)
    end = min(window.end, after.timestamp) if window.newest_first else window.end
    return Window(start, end, window.readable_until, window.newest_first)


def _filtered_event(event: Event, stream_name: str) -> dict[str, Any]:
    position = event.position
    return {
        "logStreamName": stream_name,
        "timestamp": position.timestamp,
        "message": event.text,
        "ingestionTime": position.ingestion_time,
        "eventId": f"{position.timestamp:014d}{position.stream_number:020d}{position.line_number:022d}",
    }


def _plain_event(event: Event) -> dict[str, Any]:
    return {
        "timestamp": event.position.timestamp,
        "message": event.text,
        "ingestionTime": event.position.ingestion_time,
    }


def _list_id(operation: str, request: Mapping[str, Any]) -> str:
    return list_id(operation, {name: value for name, value in request.items() if name not in _OF_A_PAGE})


def _filter_token(newest_first: bool, position: Position | None, of: str) -> str:  # noqa: FBT001 - a part of the token
    return base64.urlsafe_b64encode(json.dumps([of, newest_first, position]).encode()).decode()


def _read_filter_token(token: str, of: str) -> tuple[bool, Position | None]:
    try:
        found, newest_first, position = json.loads(base64.urlsafe_b64decode(token))
        if found != of:
            raise invalid_parameter("The specified nextToken is invalid.")
        return bool(newest_first), Position(*map(_number, position)) if position else None
    except (ValueError, TypeError, RecursionError) as error:
        raise invalid_parameter("The specified nextToken is invalid.") from error


def _number(part: Any) -> int:
    if not isinstance(part, int):
        raise ValueError(f"{part!r} is no number")  # noqa: TRY004 - it is the token that is wrong
    return part


def _page_token(direction: str, position: Position | None, stream_number: int) -> str:
    return f"{direction}/" + "/".join(map(str, position or (0, stream_number)))


def _read_page_token(token: str, stream_number: int) -> tuple[bool, Position | None]:
    if _PAGE_TOKEN.fullmatch(token):
        direction, *parts = token.split("/")
        numbers = tuple(map(int, parts))
        position = Position(*numbers) if len(numbers) == len(Position._fields) else None
        if stream_number == (position.stream_number if position else numbers[-1]):
            return direction == "f", position
    raise invalid_parameter("The specified nextToken is invalid.")
