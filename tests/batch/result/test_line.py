"""A result's line: what is one, and what a log driver may have made of it."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.result.line import MARK, PIECE_BYTES, NoJsonError, after_mark, is_cut, json_of

#: Any JSON but numbers that JSON does not have.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_result_is_what_follows_the_mark_at_the_beginning_of_a_line() -> None:
    """With or without blanks; a line that has the mark elsewhere is another program's, or a shell's `set -x`."""
    assert after_mark(f'  {MARK}{{"bam": 1}}') == '{"bam": 1}'
    assert after_mark(f"{MARK} ") == " "
    assert after_mark(f"+ echo {MARK} {{}}") is None
    assert after_mark("") is None


@given(
    st.lists(st.sampled_from(["\ufeff", "\x1b[1;32m", "\x1b[0m", "\x1b[K", " ", "\r"]), max_size=4).map("".join), VALUES
)
def test_what_is_not_seen_around_a_result_is_no_part_of_it(unseen: str, value: Any) -> None:
    """A byte-order mark, which some shells write first, and the colours of a logger."""
    text = after_mark(f"{unseen}{MARK}{unseen}{json.dumps(value)}{unseen}")
    assert text is not None
    assert json.loads(json_of([text])) == value
    assert after_mark(f"{unseen}INFO {MARK}{{}}") is None


@given(VALUES, st.lists(st.integers(0, 200), max_size=5), st.text(alphabet=" \t\r\n", max_size=3))
def test_a_result_is_put_together_from_whatever_pieces_it_was_cut_into(value: Any, cuts: list[int], end: str) -> None:
    """And what follows in another line is not a part of it."""
    text = json.dumps(value)
    places = sorted({0, *(min(cut, len(text)) for cut in cuts), len(text)})
    pieces = [text[begin:stop] for begin, stop in pairwise(places)]
    assert json.loads(json_of([*pieces[:-1], pieces[-1] + end])) == value
    if not text[0].isdigit() and text[0] != "-":
        assert json.loads(json_of([*pieces, "another line"])) == value


@given(st.text() | st.lists(st.text(), max_size=4).map("".join))
def test_any_text_is_json_or_a_reason_why_not(text: str) -> None:
    """No text does more."""
    with suppress(NoJsonError):
        json.loads(json_of([text]))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it ends too early"),
        ('{"bam": "s3://', "it ends too early"),
        ('{"bam": ', "it ends too early"),
        ("{bam: 1}", "at character 1"),
        ('{"bam": 1} {"bam": 2}', "more follows its end"),
        ('{"bam": NaN}', "NaN is not a number in JSON"),
        ('{"bam": 1e400}', "1e400 is too large for a number"),
        ('{"bam": [-1e999]}', "-1e999 is too large for a number"),
        ("1" * 5000 + ".5", "1 … 1*.5 is too large for a number"),
        ('{"bam": "\ufffd"}', "not written as UTF-8"),
        ("[" * 100_000, "nested too deep"),
        ("9" * 10_000, r"^9* … 9* is too large for a number \(10,000 digits\)$"),
    ],
)
def test_the_reason_names_what_is_wrong(text: str, why: str) -> None:
    """Half a line, a Python literal, two objects, bytes that are no UTF-8."""
    with pytest.raises(NoJsonError, match=why):
        json_of([text])


def test_a_character_that_is_meant_may_be_escaped() -> None:
    """What stands for bytes that are no UTF-8 is a character itself."""
    assert json.loads(json_of(['"\\ufffd"'])) == "\ufffd"


def test_only_a_long_line_may_be_cut() -> None:
    """Docker cuts at 16 KiB; another driver leaves out what would split a character."""
    assert is_cut("x" * 16 * 1024)
    assert is_cut("é" * (PIECE_BYTES // 2 + 1))
    assert not is_cut("x" * 16_000)
