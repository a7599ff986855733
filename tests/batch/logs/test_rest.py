"""What is left of an ended job's log: its streams side by side, and whatever goes wrong for one of them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs import LogCursor, LogRest, read_all, read_last
from airflow_batch_jobs.batch.logs.rest import END_SECONDS, LEAST_QUIET_SECONDS, QUIET_SECONDS, WHOLE_SECONDS
from airflow_batch_jobs.errors import EndpointError
from tests.clocks import FrozenClock, ManualClock
from tests.local.documented import needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_batch_jobs.batch.logs.event import LogEvent
    from airflow_batch_jobs.local import LocalAws

#: How long the slowest call takes: until it is given up.
CALL_SECONDS = 25.0
START = 1_700_000_000_000


def error_of(code: str) -> ClientError:
    """What botocore makes of an error of CloudWatch's."""
    answer: Any = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(answer, "FilterLogEvents")


class Logs:
    """CloudWatch in virtual time: each stream has so many lines, and a way to answer.

    Attributes:
        made: How many clients were made.
        calls: When each call was made, and for which stream.
    """

    def __init__(self, clock: ManualClock, streams: dict[str, tuple[int, str]], page: int = 10_000) -> None:
        self.made = 0
        self._page = page
        self.calls: list[tuple[float, str]] = []
        self.meta = SimpleNamespace(region_name="us-east-1", events=SimpleNamespace(register=lambda *_: None))
        self._clock = clock
        self._streams = streams
        self._asked: Counter[str] = Counter()

    def __call__(self, service: str, **_: Any) -> Logs:
        """Make a client."""
        assert service == "logs"
        self.made += 1
        return self

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        """Answer as the stream does."""
        [name] = request["logStreamNames"]
        self.calls.append((self._clock.monotonic(), name))
        self._asked[name] += 1
        self._clock.sleep(0.1)
        count, way = self._streams[name]
        if way == "hangs" or (way == "hangs once" and self._asked[name] == 1):
            self._clock.sleep(CALL_SECONDS)
            raise ReadTimeoutError(endpoint_url="https://logs")
        if way == "finds credentials" and self._asked[name] <= 6:
            raise NoCredentialsError
        if way in RAISED:
            raise RAISED[way]
        if way == "is no AWS":
            return {"events": None}
        if way == "forgets" and "nextToken" in request and self._asked[name] == 2:
            raise error_of("InvalidParameterException")
        first = int(request.get("nextToken", max(0, request["startTime"] - START)))
        after = min(first + self._page, count)
        events = [event(number) for number in range(first, after)]
        return {"events": events, **({"nextToken": str(after)} if after < count or way == "has no end" else {})}


#: Ways to answer that are an error each time.
RAISED = {
    "throttled": error_of("ThrottlingException"),
    "denied": error_of("AccessDeniedException"),
    "refused": error_of("InvalidParameterException"),
    "is missing": error_of("ResourceNotFoundException"),
    "breaks": MemoryError(),
    "fails": RuntimeError("a bug"),
}


def event(number: int) -> dict[str, Any]:
    """A line, as CloudWatch has it."""
    return {"eventId": str(number), "timestamp": START + number, "message": f"line {number}"}


def read(rest: LogRest) -> dict[str, list[str]]:
    """Read to the end; return the lines by the stream's name."""
    lines: dict[str, list[str]] = {}
    for stream, events in rest:
        lines.setdefault(stream.stream, []).extend(each.message for each in events)
    return lines


def unread(names: Iterable[str]) -> list[tuple[LogStream, LogCursor]]:
    """Streams of which nothing was read."""
    return [(LogStream("", "g", "us-east-1", name), LogCursor(START, START)) for name in names]


#: Ways to answer in which all lines come, and in which they do not.
WHOLE = ("well", "hangs once", "forgets")
BROKEN = ("hangs", "throttled", "denied", "refused", "is no AWS", "breaks", "fails", "has no end")


@pytest.mark.long
@given(
    st.lists(st.tuples(st.integers(0, 35), st.sampled_from([*WHOLE, *BROKEN, "is missing"])), max_size=8),
    st.integers(-600, 600),
)
@settings(max_examples=200, deadline=None)
def test_what_goes_wrong_for_one_stream_costs_only_the_rest_of_that_one(
    ways: list[tuple[int, str]], clock_is_ahead: int
) -> None:
    """One client, one call a second, an end within minutes, and a reason for each stream that is not complete.

    Whatever CloudWatch does, and however far the clock is from AWS's.
    """
    clock = ManualClock()
    streams = {str(number): way for number, way in enumerate(ways)}
    logs = Logs(clock, streams, page=10)
    rest = LogRest(
        logs, unread(streams), ended_at=clock.now() - timedelta(seconds=clock_is_ahead), settle_seconds=5, clock=clock
    )
    lines = read(rest)
    whole = {name: count for name, (count, way) in streams.items() if way in WHOLE}
    # Each stream has two turns within the shortest time without news, whatever hangs and however slow the pace is.
    ways_alone = [way for _, way in ways]
    turn_seconds = 4 if "throttled" in ways_alone else 1
    hanging = 2 * ways_alone.count("hangs") + ways_alone.count("hangs once")
    if hanging * CALL_SECONDS + 2 * len(ways) * turn_seconds < LEAST_QUIET_SECONDS:
        assert {stream.stream for stream in rest.missing} == {
            name for name, (_, way) in streams.items() if way in BROKEN
        }
        for name, count in whole.items():
            assert lines.get(name, []) == [f"line {number}" for number in range(count)]
    for found in lines.values():
        assert found == [f"line {number}" for number in range(len(found))]
    assert logs.made <= 1
    assert all(late - early >= 0.99 for (early, _), (late, _) in zip(logs.calls, logs.calls[1:], strict=False))
    with_news = sum(count // 10 + 2 for count, _ in ways)
    assert clock.slept <= with_news * (1.1 + CALL_SECONDS) + QUIET_SECONDS + CALL_SECONDS + 5
    assert not rest.left()


@pytest.mark.parametrize("way", ["hangs", "throttled", "has no end"])
@pytest.mark.parametrize("ago", [0, 100, 200])
def test_a_cloudwatch_that_gives_no_lines_is_left_within_five_minutes_of_the_jobs_end(way: str, ago: int) -> None:
    """With what a triggerer has waited before; and the reason is CloudWatch's own where it gives one."""
    clock = ManualClock()
    names = [str(number) for number in range(50)]
    rest = LogRest(
        Logs(clock, dict.fromkeys(names, (0, way))),
        unread(names),
        ended_at=clock.now() - timedelta(seconds=ago),
        clock=clock,
    )
    assert read(rest) == {}
    assert clock.slept <= max(LEAST_QUIET_SECONDS, min(QUIET_SECONDS, END_SECONDS - ago)) + CALL_SECONDS + 1
    assert ago + clock.slept <= 300
    assert len(rest.missing) == 50
    expected = {"hangs": "Read timeout", "throttled": "ThrottlingException", "has no end": "page after page"}[way]
    assert {expected in str(why) for why in rest.missing.values()} == {True}


def test_a_log_is_read_as_long_as_it_has_news() -> None:
    """A million lines take the minutes that they take, and what counts those beyond the most counts as well."""
    clock = ManualClock()
    rest = LogRest(Logs(clock, {"0": (6_000, "well")}, page=10), unread("0"), max_lines=3_000, clock=clock)
    lines = read(rest)["0"]
    assert clock.slept > 2 * QUIET_SECONDS
    assert lines[2_999:3_002] == [
        "line 2999",
        "… 2,000 lines are left out here. The whole log is in CloudWatch: log group g, stream 0, region us-east-1",
        "line 5000",
    ]
    assert lines[-1] == "line 5999"
    assert not rest.missing


def test_a_log_that_takes_for_ever_is_left_in_the_end() -> None:
    """However many streams there are, and however many lines."""
    clock = ManualClock()
    names = [str(number) for number in range(30)]
    rest = LogRest(Logs(clock, dict.fromkeys(names, (200, "well")), page=2), unread(names), clock=clock)
    lines = read(rest)
    assert WHOLE_SECONDS <= clock.slept <= WHOLE_SECONDS + CALL_SECONDS
    whole = {name for name, found in lines.items() if len(found) == 200}
    assert len(whole) > 5
    assert {stream.stream for stream in rest.missing} == set(names) - whole
    assert {str(why) for why in rest.missing.values()} == {"30 minutes were not enough to read it."}


def test_lines_that_cannot_be_used_cost_only_their_own_stream() -> None:
    """Who reads may drop a stream in the middle."""
    clock = ManualClock()
    rest = LogRest(Logs(clock, {"0": (50, "well"), "1": (20, "well")}, page=10), unread("01"), clock=clock)
    lines: Counter[str] = Counter()
    for stream, events in rest:
        lines[stream.stream] += len(events)
        if stream.stream == "0":
            rest.drop(stream, OSError("disk full"))
    assert lines == {"0": 10, "1": 20}
    assert {stream.stream: str(why) for stream, why in rest.missing.items()} == {"0": "disk full"}


def test_a_clock_that_is_behind_costs_no_minutes() -> None:
    """A job that ended minutes from now, by this machine's clock, has ended now."""
    clock = ManualClock()
    rest = LogRest(
        Logs(clock, {"0": (10, "well")}), unread("0"), ended_at=clock.now() + timedelta(minutes=10), clock=clock
    )
    assert len(read(rest)["0"]) == 10
    assert clock.slept < 10


def test_a_whole_log_without_an_end_is_an_error_after_minutes() -> None:
    """Of a stream that is read alone too."""
    clock = ManualClock()
    stream = LogStream("", "group", "us-east-1", "0")

    def lines() -> Iterator[LogEvent]:
        yield from read_all(Logs(clock, {"0": (5, "has no end")}), stream, start_ms=START, clock=clock)

    found: list[LogEvent] = []
    with pytest.raises(EndpointError, match="page after page"):
        found.extend(lines())
    assert clock.slept < 310


@pytest.mark.long
@needs("logs", "FilterLogEvents", "startFromHead")
def test_a_page_that_comes_again_and_again_is_read_once(frozen_aws: LocalAws) -> None:
    """Of the last lines, too: none is shown twice, and the read ends with an error after minutes."""
    frozen_aws.script(definition="talk", running=3, lines=5)
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"))
    frozen_aws.advance(10)
    name = frozen_aws.job(job_id)["container"]["logStreamName"]

    def clients(service: str, **how: Any) -> Any:
        client = frozen_aws.clients()(service, **how)
        ask = client.filter_log_events

        def ask_again(**request: Any) -> dict[str, Any]:
            request.pop("nextToken", None)
            return {**ask(**request), "nextToken": str(frozen_aws.now())}

        client.filter_log_events = ask_again
        return client

    clock = FrozenClock(frozen_aws)
    stream = LogStream("", "/aws/batch/job", "us-east-1", name)
    assert [event.message for event in read_last(clients, stream, 5, clock=clock)] == [f"line {n}" for n in range(1, 6)]
    with pytest.raises(EndpointError, match="page after page"):
        list(read_last(clients, stream, 6, clock=clock))
    assert clock.slept < 310


def test_credentials_that_the_host_has_lost_for_a_moment_cost_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the metadata of its host does not answer, a worker asks on."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    clock = ManualClock()
    rest = LogRest(Logs(clock, {"a": (5, "finds credentials")}), unread("a"), ended_at=clock.now(), clock=clock)
    assert len(read(rest)["a"]) == 5
    assert rest.missing == {}
