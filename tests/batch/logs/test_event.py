"""Log events: their text as it is printed, and their times, which no two lines of a stream share."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.logs.event import LONGEST_TEXT, LogEvent, Numbering

#: What erases a part of the line.
ERASES = ("\x1b[K", "\x1b[1K", "\x1b[2K")
#: What moves the cursor within the line.
MOVES = ("\r", "\b", "\x1b[2D", "\x1b[3C", "\x1b[G", "\x1b[4G")
#: What begins an escape sequence, in one of its forms.
INTRODUCERS = ("\x1b", "\x1b[", "\x1b]", "\x90", "\x98", "\x9b", "\x9c", "\x9d", "\x9e", "\x9f")


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
    assert time.thread_time() - began < 1  # what looks at all pairs of 64 Ki characters takes longer on any machine


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
