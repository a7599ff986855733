"""Log events, cursors, and reading one stream in the calling thread."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs import read_all, read_last, read_on, start_of
from airflow_batch_jobs.batch.logs.cursor import MOST_KEYS, EventKeys, LogCursor, event_key
from airflow_batch_jobs.batch.logs.event import LONGEST_TEXT, LogEvent, Numbering
from airflow_batch_jobs.errors import AccessDeniedError, EndpointError, RequestRefusedError
from tests.clocks import FrozenClock
from tests.local.documented import needs

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


#: What erases a part of the line.
ERASES = ("\x1b[K", "\x1b[1K", "\x1b[2K")
#: What moves the cursor within the line.
MOVES = ("\r", "\b", "\x1b[2D", "\x1b[3C", "\x1b[G", "\x1b[4G")
#: What begins an escape sequence, in one of its forms.
INTRODUCERS = ("\x1b", "\x1b[", "\x1b]", "\x90", "\x98", "\x9b", "\x9c", "\x9d", "\x9e", "\x9f")


def scripted(aws: LocalAws, *, seconds: float, **script: Any) -> LogStream:
    """Run a scripted job for some seconds and return its log stream."""
    aws.script(definition="talk", **script)
    aws.register("talk")
    [job_id] = aws.submit("talk:1")
    aws.advance(seconds)
    container = aws.job(job_id)["container"]
    return LogStream("", "/aws/batch/job", "us-east-1", container["logStreamName"])


def line(message: str) -> str:
    """Return a message as it is printed."""
    return LogEvent(0, message).text()


@pytest.mark.parametrize(
    ("message", "printed"),
    [
        ("plain text, ünïcode ✓ 👍", "plain text, ünïcode ✓ 👍"),
        ("\x1b[1;31mred\x1b[0m and \x1b[38;5;12mblue\x1b[m", "red and blue"),
        ("\x9b31mC1 introducer\x9b0m", "C1 introducer"),
        ("alpha “beta” gamma".encode().decode("latin-1"), "alpha âbetaâ gamma"),
        ("\x1b]0;a window title\x07text", "text"),
        ("\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\device string", "device string"),
        ("\x1b(Bcharset\x1b=keypad\x1b7saved", "charsetkeypadsaved"),
        ("cut short \x1b[3", "cut short "),
        ("unterminated \x1b]0;title", "unterminated ]0;title"),
        ("bell\x07 null\x00 delete\x7f", "bell null delete"),
        ("tab\tstays\nand so does a newline", "tab\tstays\nand so does a newline"),
        ("10 %\r20 %\r30 %\r\n", "30 %"),
        ("100 files\r9 left", "9 leftles"),
        ("\r  5 %\r\x1b[32m 10 %\x1b[0m\r", " 10 %"),
        ("downloading …\r\x1b[Kdone", "done"),
        ("downloading …\x1b[2K\rdone", "done"),
        ("abcdef\rxy\x1b[Kz", "xyz"),
        ("abcdef\rxy\x1b[1Kz", "  zdef"),
        ("abcdef\rxy\x1b[1K", "   def"),
        ("\x1b[2K\x1b[1G10 %\x1b[2K\x1b[1G20 %", "20 %"),
        ("10 %\x1b[4D20 %\x1b[100D30", "30 %"),
        ("10 %\b\b\b\b20 %", "20 %"),
        ("N\bNA\bAM\bME\bE", "NAME"),
        ("\x1b[5Cindented", "     indented"),
        ("a\x1b[999999999Cb", "a" + " " * 13 + "b"),
        ("Û5m".encode().decode("latin-1"), "Ã5m"),
        ("\x1b]0;no title\nbut lines\x07", "]0;no title\nbut lines"),
        ("before\n10 %\r20 %\nafter", "before\n20 %\nafter"),
        ("windows\r\nlines\r\n", "windows\nlines"),
        ("lone \ud800 surrogate", "lone � surrogate"),
        ("replaced by CloudWatch: \ufffd", "replaced by CloudWatch: �"),
        ("", ""),
    ],
)
def test_text_is_safe_to_print(message: str, printed: str) -> None:
    """Escape sequences and control characters go, text, tabs and newlines stay, and every encoder takes the rest."""
    assert line(message) == printed
    line(message).encode()


def test_a_line_of_a_megabyte_keeps_its_beginning_and_its_end() -> None:
    """What is between them is counted."""
    text = line("begin " + "x" * 1_000_000 + " end")
    assert text.startswith("begin xxx")
    assert text.endswith("xxx end")
    assert f" … [{1_000_010 - LONGEST_TEXT:,} characters are left out here] … " in text
    assert line("x" * LONGEST_TEXT) == "x" * LONGEST_TEXT


def test_a_progress_bar_of_any_length_shows_its_last_state() -> None:
    """It is one event, whose redraws overwrite one another, as far as they reach."""
    bar = "\r".join(f"{percent / 10:5.1f} % {'#' * (percent // 25)}" for percent in range(1_000))
    assert line(f"{bar}\r\x1b[Kdone: 3 files failed") == "done: 3 files failed"
    assert line(f"{bar}\rdone: 3 files failed") == "done: 3 files failed" + "#" * 27


@given(st.lists(st.sampled_from([*"ab ", *MOVES, *ERASES]), max_size=40))
def test_of_redraws_stays_what_a_terminal_would_leave(written: list[str]) -> None:
    """Which writes each character where the cursor is; no terminal is wider than the text is long."""
    cells: dict[int, str] = {}
    cursor, width = 0, len("".join(written))
    for each in written:
        match each, each[2:-1], each[-1]:
            case "\r", *_:
                cursor = 0
            case "\b", *_:
                cursor = max(0, cursor - 1)
            case _, count, "C":
                cursor = min(width, cursor + int(count))
            case _, count, "D":
                cursor = max(0, cursor - int(count))
            case _, count, "G":
                cursor = min(width, int(count or 1) - 1)
            case _, part, "K":
                cells = {
                    at: it for at, it in cells.items() if (at < cursor and part == "") or (at > cursor and part == "1")
                }
            case _:
                cells[cursor] = each
                cursor += 1
    left = "".join(cells.get(column, " ") for column in range(max(cells, default=-1) + 1))
    assert line("".join(written)).rstrip(" ") == left.rstrip(" ")


@pytest.mark.long
@given(
    st.lists(
        st.sampled_from([*INTRODUCERS, *ERASES, *MOVES, *"[]P^_;0m?@~ \\/(\r\n\x07x\ud800"]), min_size=1, max_size=6
    )
)
@settings(max_examples=150, deadline=None)
def test_cleaning_takes_time_in_proportion_to_the_text(unit: list[str]) -> None:
    """Whatever 64 KiB are made of, again and again; what is measured includes the tests' own tracing."""
    message = "".join(unit) * (LONGEST_TEXT // len("".join(unit)))
    began = time.thread_time()
    line(message)
    assert time.thread_time() - began < 0.3


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b\x9b\r\n\b"), max_size=200))
def test_what_is_no_escape_sequence_is_shown(message: str) -> None:
    """Only control characters go."""
    assert line(message) == re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", message)


def test_a_long_line_of_escapes_is_cleaned_in_time() -> None:
    """Unfinished escape sequences do not make cleaning slow."""
    began = time.thread_time()
    line("\x1b]0;" * 250_000)
    line("\x1b[" + "0;" * 500_000)
    assert time.thread_time() - began < 0.5


def test_ordinary_lines_cost_next_to_nothing() -> None:
    """10,000 lines without anything to clean take a fraction of what it takes to write them."""
    events = [LogEvent(number, f"2026-11-23 06:00:00 INFO step {number} of 10000 done, ok") for number in range(10_000)]
    began = time.thread_time()
    assert all(event.text() is event.message for event in events)
    assert time.thread_time() - began < 0.1


def test_lines_of_one_millisecond_are_kept_apart_by_their_number() -> None:
    """The time has the line's number in its microseconds, and begins anew with each millisecond."""
    number = Numbering().number
    events = [number(LogEvent(1_000, "same")) for _ in range(3)] + [number(LogEvent(1_001, "next"))]
    assert [event.microsecond for event in events] == [0, 1, 2, 0]
    assert events[2].time == datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 1_500)), max_size=8), st.integers(0, 3_000))
@settings(deadline=None)
def test_no_two_lines_of_a_stream_have_the_same_time(runs: list[tuple[int, int]], handed_over_at: int) -> None:
    """However many there are of a millisecond, and also where another reader goes on.

    They keep their order, and a reader that goes on never adds to a millisecond that another has run into.
    """
    timestamps, now = [], 1_700_000_000_000
    for step, count in runs:
        now += step
        timestamps += [now] * count
    first = Numbering()
    times = [first.number(LogEvent(timestamp, "same")).time for timestamp in timestamps[:handed_over_at]]
    last, number = first.last
    second = Numbering((last, number))
    rest = [second.number(LogEvent(timestamp, "same")).time for timestamp in timestamps[handed_over_at:]]
    assert sorted({*times, *rest}) == [*times, *rest]
    if number >= 1_000 and rest:
        assert rest[0].replace(microsecond=rest[0].microsecond // 1_000 * 1_000) > times[-1]
    shown = [int(time.timestamp() * 1_000) for time in times]
    assert all(place - timestamp <= len(times) / 1_000 for place, timestamp in zip(shown, timestamps, strict=False))


@pytest.mark.parametrize("before", [1, 3, 400])
def test_late_lines_are_kept_apart_from_those_of_their_millisecond(before: int) -> None:
    """They come after newer ones, and are sorted to where they belong."""
    number = Numbering().number
    events = [number(LogEvent(1_000, "same")) for _ in range(before)]
    events.append(number(LogEvent(1_001, "same")))
    events += [number(LogEvent(1_000, "same")) for _ in range(before)]
    events.append(number(LogEvent(1_001, "same")))
    assert len({event.time for event in events}) == len(events)


def test_lines_of_the_last_millisecond_of_all_have_a_time() -> None:
    """A thousand and one of them run into a year that there is not."""
    numbering, event = Numbering(), LogEvent(253_402_300_799_999, "x")
    times = [numbering.number(event).time for _ in range(1_001)]
    assert times == sorted(times)
    assert times[-1] == datetime.max.replace(tzinfo=UTC)


def test_a_stored_cursor_stays_readable() -> None:
    """As version 0.1.0 stores it in an XCom."""
    stored = {"floor": 1_000, "newest": 2_000, "keys": [10, 255], "numbered": [2_000, 3]}
    assert LogCursor.from_dict(stored).to_dict().items() >= stored.items()


def test_a_cursor_survives_json() -> None:
    """The stored form is JSON whose numbers every reader keeps exact, and what it lacks reads as the beginning."""
    cursor = LogCursor(1_000, 2_000, tuple(event_key(f"event {number}") for number in range(100)), (2_000, 7))
    stored = json.loads(json.dumps(cursor.to_dict()))
    assert LogCursor.from_dict(stored) == cursor
    assert all(key < 2**53 for key in stored["keys"])
    assert LogCursor.from_dict({}) == LogCursor(0, 0)
    assert LogCursor.from_dict({"floor": 5, "new": "field"}) == LogCursor(5, 5)


def test_keys_know_an_event_again_and_forget_by_the_second() -> None:
    """An event is new once; what is below the floor is forgotten."""
    keys = EventKeys()
    assert keys.add(1_500, 7)
    assert not keys.add(1_500, 7)
    assert keys.add(2_500, 8)
    keys.forget_below(2_000)
    assert len(keys) == 1
    assert keys.newest(10, without=()) == (0, [8])


def test_packed_keys_are_the_same_keys() -> None:
    """They know an event again, take new ones, are forgotten by the second, and go into a cursor."""
    keys = EventKeys()
    for number in range(1_000):
        keys.add(number * 10, number)
    keys.pack()
    assert not any(keys.add(number * 10, number) for number in range(1_000))
    assert keys.add(5_005, 10_000)
    keys.remove(5_005, 10_000)
    keys.forget_below(5_000)
    assert len(keys) == 500
    assert sorted(keys.newest(MOST_KEYS, without={999})[1]) == list(range(500, 999))


def test_a_cursors_keys_are_the_newest_whole_seconds() -> None:
    """Of too many keys those of the newest seconds are kept, and the floor rises to them."""
    keys = EventKeys()
    for number in range(10_000):
        keys.add(number * 10, number)
    complete_from, newest = keys.newest(MOST_KEYS, without={9_999})
    assert len(newest) <= MOST_KEYS
    assert complete_from == 60_000
    assert sorted(newest) == list(range(6_000, 9_999))


def test_keys_of_a_cursor_are_kept_until_their_events_are_met_again() -> None:
    """A restored key is not a new event, and stays in the next cursor."""
    keys = EventKeys(restored=[1, 2])
    assert not keys.add(500, 1)
    assert sorted(keys.newest(10, without=())[1]) == [1, 2]
    keys.forget_restored()
    assert keys.newest(10, without=()) == (0, [1])


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


def test_read_all_stops_at_its_limit_and_begins_at_its_start(frozen_aws: LocalAws) -> None:
    """`limit` bounds the lines, `start_ms` leaves older ones out."""
    stream = scripted(frozen_aws, seconds=100, running=50, lines={"count": 40, "rate": 1.0})
    events = list(read_all(frozen_aws.clients(), stream, limit=10, clock=FrozenClock(frozen_aws)))
    assert len(events) == 10
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
