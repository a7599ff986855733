"""How a job's lines look in the task log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

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
from airflow_batch_jobs.task.wait import GROUPS_AFTER, GROUPS_BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping


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
        ('{"level": 50, "message": "of what is not said"}', "info"),
        ('{"level":50,"time":1764064800000,"pid":1,"hostname":"h","msg":"no such sample"}', "error"),
        ('{"name":"align","level":40,"msg":"slow","time":"2026-11-25T10:00:00Z","v":0}', "warning"),
        ('{"level":30,"time":1764064800000,"msg":"no ERROR"}', "info"),
        ('{"level":true,"time":1764064800000,"severity":"ERROR"}', "error"),
        ('{"message": "ERROR"}', "info"),
        ("2026-01-01 10:00:00,123 - align.reads - ERROR - no such sample", "error"),
        ("2026-01-01 10:00:00.000 | INFO     | align:run:1 - no ERROR", "info"),
        ("[2026-01-01 10:00:00,123: ERROR/MainProcess] no such sample", "error"),
        ("<3>ERROR: no such sample", "error"),
        ('"ERROR!" it said', "error"),
        ("SEVERE: no such sample", "error"),
        ("/data/ERROR/reads.bam is read", "info"),
        ("NON-ERROR reads: 12", "info"),
        ("ERROR_RATE=0", "info"),
        ("ERROR=0", "info"),
        ("2026-01-01T10:00:00Z [error    ] no such sample", "error"),
        ("2026-01-01T10:00:00Z [info     ] no ERROR", "info"),
        ("2026/01/01 10:00:00 [warn] 12#12: slow", "warning"),
        ("[errors] section", "info"),
        ('time="2026-01-01T10:00:00Z" level=error msg="no such sample"', "error"),
        ('level=info msg="ERROR"', "info"),
        ("loglevel=error is set", "info"),
        ('{"context": {"severity": "ERROR"}, "severity": "INFO"}', "info"),
        ('{"log": {"level": "error"}, "message": "no such sample"}', "error"),
        ('{"log.level": "error", "message": "no such sample"}', "error"),
        ('{"message": "' + "x" * 5_000 + '", "level": "error"}', "info"),
        ('{"level": "error", "message": "' + "x" * 5_000 + '"}', "error"),
        ('{"a":' * 2_000, "info"),
        ('{"text": "no such sample", "record": {"level": {"icon": "x", "name": "ERROR", "no": 40}}}', "error"),
        ('{"EventId": 0, "LogLevel": "Error", "Message": "no such sample"}', "error"),
        ('{"@t": "10:00", "@l": "Warning", "@mt": "slow"}', "warning"),
        ('{"severityText": "ERROR", "body": "no such sample"}', "error"),
        ('{"severity": "EMERGENCY"}', "critical"),
        ("E1126 10:00:00.123456       1 align.go:12] no such sample", "error"),
        ("[rank0]:[W1126 10:00:00.123456 align.cpp:12] slow", "warning"),
        ("2026-11-26 10:00:00.123456: E xla/align.cc:12] no such sample", "error"),
        ("I1126 10:00:00.123456 1 align.go:12] no ERROR", "info"),
        ("[10:00:00 ERR] no such sample", "error"),
        ("10:00AM WRN slow", "warning"),
        ("ERRO[0001] no such sample", "error"),
        ("npm ERR! no such sample", "error"),
        ("error: no such sample", "error"),
        ("Error: object 'sample' not found", "error"),
        ("Warning: deprecated", "warning"),
        ("info: no ERROR", "info"),
        ("error: 0.023", "info"),
        ("2026-11-26T10:00:00.000Z error: no such sample", "error"),
        ("[2026-11-26 10:00:00] warn: slow", "warning"),
        ("10:00:00.123 error: 0.023", "info"),
        ("[2026-11-26T10:00:00.000000+00:00] align.ERROR: no such sample [] []", "error"),
        ("fail: Align.Run[0]", "error"),
        ("fail: 3 of 4", "info"),
        ("[E 2026-11-26 10:00:00,123] no such sample", "error"),
        ("[C 10:00:00.123 AlignApp] no such sample", "critical"),
        ("[I 2026-11-26 10:00:00,123] no ERROR", "info"),
        ("npm error code E404", "error"),
        ("EROR[11-26|10:00:00] no such sample", "error"),
        ("┌ Warning: slow", "warning"),
        ("Error in align(x) : no such sample", "error"),
        ("Error in length : 0.023", "info"),
        ("Warning message:", "warning"),
        ("align.py:12: UserWarning: slow", "warning"),
        ("src/align.c:12:5: error: no such sample", "error"),
        ("step:12: error: 0.023", "info"),
        ('10:00:00 {"level": "error", "message": "no such sample"}', "error"),
        ("Namespace(log_level='ERROR', threads=4)", "info"),
        ('log_level: "ERROR"', "info"),
        ("LOG_LEVEL=ERROR", "info"),
        ("LOG_LEVEL: ERROR", "info"),
        ("align --log-level ERROR", "info"),
        ("Setting log level to WARN", "info"),
        ("a E sample", "info"),
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


def as_file(entries: Iterable[MutableMapping[str, Any]]) -> list[str]:
    """Return lines as Airflow keeps them."""
    return [json.dumps({"level": entry.pop("log_level"), **entry}) for entry in entries]


def outside_groups(*files: list[str]) -> list[str]:
    """Return what Airflow's UI shows of some files without a click: it counts the groups that are open."""
    shown, depth = [], 0
    for message in _interleave_logs(*((line for line in lines) for lines in files)):
        text = str(message.event)
        if "::group::" in text:
            depth += 1
        elif "::endgroup::" in text:
            depth = max(0, depth - 1)
        elif not depth:
            shown.append(text)
    return shown


@given(st.lists(st.integers(0, 6_000), min_size=1, max_size=30).map(sorted))
def test_no_line_of_the_job_is_hidden_in_a_group_of_airflows(times: list[int]) -> None:
    """A job that an earlier attempt has left writes while the next attempt begins, and defers."""
    began = 1_700_000_000_000
    marks = (
        (0, "::group::Pre Execute"),
        (900, "::endgroup::"),
        (1_500, "::group::Post Execute"),
        (4_100, "::endgroup::"),
    )
    worker = [{"log_level": "info", "event": text, "timestamp": _iso(began + at)} for at, text in marks]
    numbering = Numbering()
    events = [numbering.number(LogEvent(began + at, f"line {number}")) for number, at in enumerate(times)]
    wait_began = datetime.fromtimestamp(began / 1000, UTC) + timedelta(seconds=4)
    with capture_logs() as entries:
        log.lines(LogStream("", "g", "r", "s"), events, (wait_began - GROUPS_BEFORE, wait_began + GROUPS_AFTER))
    assert outside_groups(as_file(worker), as_file(entries)) == [event.message for event in events]


def test_a_group_is_closed_only_while_one_may_be_open() -> None:
    """Once a millisecond, and neither before nor after."""
    until = datetime.fromtimestamp(1, UTC)
    events = [LogEvent(at, f"at {at}") for at in (0, 500, 500, 2_000)]
    with capture_logs() as entries:
        log.lines(LogStream("", "g", "r", "s"), events, (datetime.fromtimestamp(0.4, UTC), until))
    assert [entry["event"] for entry in entries] == ["at 0", "::endgroup::", "at 500", "at 500", "at 2000"]


def _iso(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp / 1000, UTC).isoformat()


def test_airflows_reader_shows_thousands_of_equal_lines_of_one_millisecond_in_two_files() -> None:
    """It folds equal neighbours; and it sorts by the millisecond, and then by the place in the file."""
    triggerer = Numbering()
    texts = ["still waiting"] * 5_000 + ["done"] * 2

    def file(numbering: Numbering, texts: list[str]) -> list[str]:
        events = [numbering.number(LogEvent(1_700_000_000_000, text)) for text in texts]
        with capture_logs() as entries:
            log.lines(LogStream("", "g", "r", "s"), events)
        return as_file(entries)

    written = [file(triggerer, texts[:3_500]), file(Numbering(triggerer.last), texts[3_500:])]
    files = ((line for line in lines) for lines in written)
    assert [message.event for message in _interleave_logs(*files)] == texts
