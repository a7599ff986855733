"""How a job's lines look in the task log."""

from __future__ import annotations

import json

import pytest
from airflow.utils.log.file_task_handler import _interleave_logs
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs import LogEvent
from airflow_batch_jobs.batch.logs.event import Numbering
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.log import level_of


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-11-23 10:00:00,123 ERROR app: no such sample", "error"),
        ("ERROR: no such sample", "error"),
        ("[WARN] slow disk", "warning"),
        ("2026-11-23T10:00:00Z  WARNING  retrying", "warning"),
        ("FATAL out of memory", "critical"),
        ("aligned 12 reads, 0 ERRORS", "info"),
        ("the word error in a sentence", "info"),
        ("one two three four five ERROR", "info"),
        ("DEBUG details", "info"),
        ("INFO: ERROR rate is 0.0%", "info"),
        ("2026-01-01 10:00:00 INFO No ERROR found", "info"),
        ("DEBUG a WARNING follows", "info"),
        ("|ERROR| boxed", "error"),
        ("ERROR:root:no such sample", "error"),
        ('{"time": "10:00", "level": "error", "message": "no such sample"}', "error"),
        ('{"severity": "WARNING", "message": "ERROR in the text"}', "warning"),
        ('{"levelname":"CRITICAL"}', "critical"),
        ('{"level": "info", "message": "level: ERROR"}', "info"),
        ('{"level": 50, "message": "a number is nobody\'s standard"}', "info"),
        ('{"message": "ERROR"}', "info"),
        ("", "info"),
    ],
)
def test_a_line_has_the_level_that_it_names_itself(line: str, level: str) -> None:
    """A line that says ERROR is shown as an error, and none is hidden as debug output."""
    assert level_of(line) == level


def written(*texts: str) -> list[str]:
    """Return what becomes of a job's lines in the task log."""
    with capture_logs() as entries:
        log.lines(LogStream("", "g", "r", "s"), [LogEvent(0, text) for text in texts])
    return [str(entry["event"]) for entry in entries]


def test_a_group_that_a_job_opens_hides_nothing() -> None:
    """Airflow's UI collapses groups, wherever in a line their mark is, and shows no line that closes one."""
    lines = ["::group::install", "2026-11-26 ::group::x", "::endgroup::", "::notice::", "a::group", "::GROUP::"]
    shown = ["[group] install", "2026-11-26 [group] x", "[endgroup] ", "::notice::", "a::group", "::GROUP::"]
    assert written(*lines) == shown


@given(st.lists(st.sampled_from([*"x: ", "::group::", "::endgroup::", ":group::", "\0"])).map("".join))
def test_no_text_opens_or_closes_a_group(text: str) -> None:
    """Neither a job's nor one that a line of ours quotes."""
    with capture_logs() as entries:
        log.note(text)
        log.problem(text)
    said = [*written(text), *(str(entry["event"]) for entry in entries)]
    assert not any("::group::" in line or "::endgroup::" in line for line in said)


def test_airflows_reader_shows_thousands_of_equal_lines_of_one_millisecond_in_two_files() -> None:
    """It folds equal neighbours; and it sorts by the millisecond, and then by the place in the file."""
    triggerer = Numbering()
    texts = ["still waiting"] * 5_000 + ["done"] * 2

    def file(numbering: Numbering, texts: list[str]) -> list[str]:
        events = [numbering.number(LogEvent(1_700_000_000_000, text)) for text in texts]
        with capture_logs() as entries:
            log.lines(LogStream("", "g", "r", "s"), events)
        return [json.dumps({"level": entry.pop("log_level"), **entry}) for entry in entries]

    written = [file(triggerer, texts[:3_500]), file(Numbering(triggerer.last), texts[3_500:])]
    files = ((line for line in lines) for lines in written)
    assert [message.event for message in _interleave_logs(*files)] == texts
