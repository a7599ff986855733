"""Reading one log stream in the calling thread."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs import read_all, read_last, read_on, start_of
from airflow_batch_jobs.batch.logs.cursor import LogCursor, event_key
from airflow_batch_jobs.errors import AccessDeniedError, EndpointError, RequestRefusedError
from tests.clocks import FrozenClock
from tests.local.documented import needs

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


def scripted(aws: LocalAws, *, seconds: float, **script: Any) -> LogStream:
    """Run a scripted job for some seconds and return its log stream."""
    aws.script(definition="talk", **script)
    aws.register("talk")
    [job_id] = aws.submit("talk:1")
    aws.advance(seconds)
    container = aws.job(job_id)["container"]
    return LogStream("", "/aws/batch/job", "us-east-1", container["logStreamName"])


def test_a_stream_begins_a_minute_before_its_attempt() -> None:
    """A host's clock may be behind; without a start the whole stream is read."""
    stream = LogStream("", "g", "r", "s", started_at=datetime(2026, 11, 23, tzinfo=UTC))
    assert start_of(stream) == int(datetime(2026, 11, 22, 23, 59, tzinfo=UTC).timestamp() * 1000)
    assert start_of(LogStream("", "g", "r", "s")) == 0


def test_read_all_reads_every_page(frozen_aws: LocalAws) -> None:
    """25,000 lines come complete and in order, whatever the size of CloudWatch's pages."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 25_000, "rate": 5_000.0})
    frozen_aws.fault("FilterLogEvents", "empty_page", times=1)
    lines = [event.text() for event in read_all(frozen_aws.clients(), stream, clock=FrozenClock(frozen_aws))]
    assert lines == [f"line {number}" for number in range(1, 25_001)]
    assert len(frozen_aws.requests("FilterLogEvents")) >= 3


def test_read_all_begins_at_its_start(frozen_aws: LocalAws) -> None:
    """`start_ms` leaves older lines out."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 40, "rate": 1.0})
    events = list(islice(read_all(frozen_aws.clients(), stream, clock=FrozenClock(frozen_aws)), 10))
    rest = read_all(frozen_aws.clients(), stream, start_ms=events[-1].timestamp + 1, clock=FrozenClock(frozen_aws))
    assert len(list(rest)) == 30


def test_a_stream_that_does_not_exist_has_no_lines(frozen_aws: LocalAws) -> None:
    """Before the first line there may be no stream, and that is not an error."""
    stream = LogStream("", "/aws/batch/job", "us-east-1", "nothing/default/1")
    assert list(read_all(frozen_aws.clients(), stream, clock=FrozenClock(frozen_aws))) == []


def test_texts_that_are_no_texts_survive(aws: LocalAws) -> None:
    """Invalid UTF-8, control characters and long lines of a real process are read and can be printed."""
    script = (
        "import sys; sys.stdout.buffer.write(b'bad \\xff byte\\n\\x1b[31mred\\x1b[0m\\n' + b'x' * 100_000 + b'\\n')"
    )
    ref = aws.register("odd", ["python3", "-c", script])
    [job_id] = aws.submit(ref)
    job = aws.wait_for_status(job_id)
    stream = LogStream("", "/aws/batch/job", "us-east-1", job["container"]["logStreamName"])
    lines = [event.text() for event in read_all(aws.clients(), stream)]
    assert lines[-3] == "bad � byte"
    assert lines[-2] == "red"
    assert lines[-1].startswith("x" * 1_000)


def test_read_on_goes_on_behind_a_cursor(frozen_aws: LocalAws) -> None:
    """What a cursor has is not read again, and what it lacks is."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 200, "rate": 10.0})
    clock = FrozenClock(frozen_aws)
    events = list(read_all(frozen_aws.clients(), stream, clock=clock))
    seen = events[:50]
    cursor = LogCursor(seen[10].timestamp, seen[-1].timestamp, tuple(event_key(e.event_id) for e in seen[10:]))
    rest = list(read_on(frozen_aws.clients(), stream, cursor, clock=clock))
    assert [event.text() for event in rest] == [event.text() for event in events[50:]]


def test_read_on_waits_for_late_lines(frozen_aws: LocalAws) -> None:
    """Lines that CloudWatch shows only after the job's end are read, since it looks again."""
    stream = scripted(frozen_aws, seconds=14.5, running=10, lines={"count": 100, "rate": 10.0}, delivery=4)
    clock = FrozenClock(frozen_aws)
    rest = list(read_on(frozen_aws.clients(), stream, LogCursor(0, 0), settle_seconds=6, clock=clock))
    assert len(rest) == 100
    assert len({event.event_id for event in rest}) == 100


def test_read_on_looks_once_when_the_end_is_long_ago(frozen_aws: LocalAws) -> None:
    """A job that ended a minute ago has no late lines to wait for."""
    stream = scripted(frozen_aws, seconds=100, running=10, lines=10)
    clock = FrozenClock(frozen_aws)
    ended_at = clock.now() - timedelta(seconds=60)
    assert len(list(read_on(frozen_aws.clients(), stream, LogCursor(0, 0), ended_at=ended_at, clock=clock))) == 10
    assert len(frozen_aws.requests("FilterLogEvents")) == 1


def test_of_a_log_that_is_too_long_the_last_lines_follow_a_note(frozen_aws: LocalAws) -> None:
    """Up to the bound, then one line about how many are left out and where they are, then the last thousand."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 8_000, "rate": 400.0})
    clock = FrozenClock(frozen_aws)
    lines = [e.text() for e in read_on(frozen_aws.clients(), stream, LogCursor(0, 0), max_lines=5_000, clock=clock)]
    assert lines[:5_000] == [f"line {number}" for number in range(1, 5_001)]
    assert lines[5_000].startswith("… 2,000 lines are left out here.")
    assert stream.stream in lines[5_000]
    assert lines[5_001:] == [f"line {number}" for number in range(7_001, 8_001)]


@needs("logs", "FilterLogEvents", "startFromHead")
def test_a_log_without_measure_is_not_read_to_be_counted(frozen_aws: LocalAws) -> None:
    """When counting would take longer than reading did, the last lines are read from the log's end."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 30_000, "rate": 1_000.0})
    clock = FrozenClock(frozen_aws)
    lines = [e.text() for e in read_on(frozen_aws.clients(), stream, LogCursor(0, 0), max_lines=5_000, clock=clock)]
    assert lines[5_000].startswith("… More than 4,000 lines are left out here.")
    assert lines[5_001:] == [f"line {number}" for number in range(29_001, 30_001)]


def test_a_botocore_that_cannot_begin_at_the_end_counts_on(frozen_aws: LocalAws) -> None:
    """Before 1.43.33 it does not know FilterLogEvents' startFromHead, so the last lines are found by reading all."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 30_000, "rate": 1_000.0})
    make, clock = frozen_aws.clients(), FrozenClock(frozen_aws)

    def older(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = make(service, region_name=region_name, config=config)
        client.meta.service_model.operation_model("FilterLogEvents").input_shape.members.pop("startFromHead", None)
        return client

    lines = [e.text() for e in read_on(older, stream, LogCursor(0, 0), max_lines=5_000, clock=clock)]
    assert lines[5_000].startswith("… 24,000 lines are left out here.")
    assert lines[5_001:] == [f"line {number}" for number in range(29_001, 30_001)]


@pytest.mark.parametrize("lines", [1, 40, 12_000, 40_000])
@pytest.mark.parametrize("knows", [pytest.param(True, marks=needs("logs", "FilterLogEvents", "startFromHead")), False])
def test_the_last_lines_are_read_alone(frozen_aws: LocalAws, lines: int, *, knows: bool) -> None:
    """From the end where botocore can; as many as there are, in order, whatever AWS takes as a limit."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 15_000, "rate": 1_000.0})
    make, clock = frozen_aws.clients(), FrozenClock(frozen_aws)

    def clients(service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        client = make(service, region_name=region_name, config=config)
        if not knows:
            client.meta.service_model.operation_model("FilterLogEvents").input_shape.members.pop("startFromHead", None)
        return client

    found = [event.text() for event in read_last(clients, stream, lines, clock=clock)]
    assert found == [f"line {number}" for number in range(1, 15_001)][-lines:]
    assert not knows or lines > 40 or len(frozen_aws.requests("FilterLogEvents")) == 1


def test_last_lines_are_read_on_after_a_forgotten_page_token(frozen_aws: LocalAws) -> None:
    """From the end again, since what was read is known."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 15_000, "rate": 1_000.0})
    refused = {"code": "InvalidParameterException", "status": 400, "parameter": "nextToken"}
    frozen_aws.fault("FilterLogEvents", "error", times=2, **refused)
    found = [event.text() for event in read_last(frozen_aws.clients(), stream, 12_000, clock=FrozenClock(frozen_aws))]
    assert found == [f"line {number}" for number in range(3_001, 15_001)]


def test_last_lines_of_one_millisecond_keep_their_order(frozen_aws: LocalAws) -> None:
    """Read from the end, they come the other way round."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 30, "rate": 1_000_000.0})
    clock = FrozenClock(frozen_aws)
    found = list(read_last(frozen_aws.clients(), stream, 20, clock=clock))
    assert len({event.timestamp for event in found}) < 3
    assert [event.text() for event in found] == [f"line {number}" for number in range(11, 31)]


def test_a_log_just_over_the_bound_is_read_whole(frozen_aws: LocalAws) -> None:
    """Where the last lines are all that is left, nothing is left out."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 150, "rate": 10.0})
    events = read_on(frozen_aws.clients(), stream, LogCursor(0, 0), max_lines=100, clock=FrozenClock(frozen_aws))
    assert [event.text() for event in events] == [f"line {number}" for number in range(1, 151)]


def test_reading_waits_out_what_passes(frozen_aws: LocalAws) -> None:
    """Throttling, dropped connections, 5xx, expired credentials and a forgotten page token cost time and no line."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 25_000, "rate": 1_000.0})
    for kind in ("throttle", "drop", "server_error", "expired", "not_json"):
        frozen_aws.fault("FilterLogEvents", kind, times=1)
    refused = {"code": "InvalidParameterException", "status": 400, "parameter": "nextToken"}
    frozen_aws.fault("FilterLogEvents", "error", times=1, **refused)
    lines = [event.text() for event in read_all(frozen_aws.clients(), stream, clock=FrozenClock(frozen_aws))]
    assert lines == [f"line {number}" for number in range(1, 25_001)]


def test_reading_gives_up_after_minutes_and_at_once_when_asking_is_of_no_use(frozen_aws: LocalAws) -> None:
    """An endpoint that does not come back, a missing permission and a refused request end in this package's errors."""
    stream = scripted(frozen_aws, seconds=20, running=10, lines=10)
    clients, clock = frozen_aws.clients(), FrozenClock(frozen_aws)
    frozen_aws.fault("FilterLogEvents", "denied", times=1)
    with pytest.raises(AccessDeniedError, match="logs:FilterLogEvents"):
        list(read_all(clients, stream, clock=clock))
    frozen_aws.fault("FilterLogEvents", "error", code="InvalidParameterException", status=400, times=1)
    with pytest.raises(RequestRefusedError):
        list(read_all(clients, stream, clock=clock))
    frozen_aws.fault("FilterLogEvents", "server_error")
    with pytest.raises(EndpointError):
        list(islice(read_all(clients, stream, clock=clock), 1))
