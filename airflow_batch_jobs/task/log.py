"""The task log: a line for each change of a job's state, and the job's own lines with their own times.

What is written goes into the log of the Airflow task that writes it. In a triggerer the current asyncio task decides
which log that is: a line must be written from the asyncio task of its own trigger.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import structlog

from airflow_batch_jobs.batch.storable import storable_text
from airflow_batch_jobs.batch.summary import further_attempt, telling

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.diagnosis import Diagnosis
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogEvent

    Span = tuple[datetime, datetime]

#: The loggers, so that the UI can filter by source: a job's own lines, and everything that is said about it.
_JOB, _OWN = "batch.job", "airflow_batch_jobs"
#: That of Airflow's own groups, *Pre Execute* and *Post Execute*: whoever filters them out needs no end of them.
_AIRFLOWS = "task"
_END_OF_GROUP = "::endgroup::"
#: How a line names its level, and how it is shown: none is hidden as debug output.
_LEVELS = {
    "EMERGENCY": "critical",
    "EMERG": "critical",
    "ALERT": "critical",
    "PANIC": "critical",
    "CRITICAL": "critical",
    "CRIT": "critical",
    "FATAL": "critical",
    "FATA": "critical",  # four letters: logrus'
    "FTL": "critical",  # three: Serilog's and zerolog's
    "ERROR": "error",
    "ERRO": "error",
    "ERR": "error",
    "EROR": "error",  # log15's
    "SEVERE": "error",
    "WARNING": "warning",
    "WARN": "warning",
    "WRN": "warning",
    "NOTICE": "info",
    "INFO": "info",
    "INF": "info",
    "DEBUG": "info",
    "DEBU": "info",
    "DBG": "info",
    "TRACE": "info",
}
#: How glog, klog, absl and TensorFlow name it, and tornado and Optuna; and how .NET does.
_SHORT = {"F": "critical", "C": "critical", "E": "error", "W": "warning", "I": "info", "FAIL": "error"}
#: How pino and bunyan do.
_NUMBERS = {60: "critical", 50: "error", 40: "warning"}
#: The level is one of a line's first words, or a member among the first characters of a JSON object.
_FIRST_WORDS = 5
_FIRST_CHARACTERS = 4_096
_WORD = re.compile(r"\S+")
_WORDS = "|".join(_LEVELS)
_INITIALS = "".join(sorted({word[0] for word in _LEVELS}))
_LEVEL = re.compile(
    rf"(?=[{_INITIALS}\[ls]|\A)(?:"  # what any of these begins with: most of a line is passed over fast
    r"(?<![\w.$/=-])(?<!(?i:level) )(?<!(?i:level): )(?<!(?i:level) to )"  # not what a level is set to
    r"(?<![=:][\"'])(?<!: [\"'])"  # as above, in a dump of settings
    rf"({_WORDS})(?!-?\w|[.=]\w)"  # a word of its own
    rf"|\[((?i:{_WORDS}))(?=[\]\s])"  # in brackets, where structlog, nginx and Apache have it, in any case
    rf"|\A(?:┌ |\[?[0-9][0-9:.,TZ/ +-]{{7,40}}\]? )?((?i:{_WORDS}))(?=: +[^\W\d])"  # git, R, Julia, winston; no figure
    r"|\A(Error)(?= in [^\n]{1,200}? :(?! *[0-9]))|\A(Warning)(?= messages?:)"  # R
    rf"|\A\[[^\]\n]{{1,40}}\] [\w-]{{1,40}}\.({_WORDS})(?=: )"  # Monolog: [time] channel.ERROR
    r"|\A\S{1,200}?:[0-9]{1,6}:(?:[0-9]{1,4}:)? (?:fatal |[A-Z]\w{0,40})?((?i:error|warning))(?=: +[^\W\d])"  # GCC
    r"|\A(fail)(?=: \S{1,200}\[[0-9]{1,9}\])|\Anpm (error|warn)(?= )|\A\[([CFEWI])(?= [0-9])"  # .NET, npm, tornado
    rf"|(?<![\w.-])(?:level|lvl|severity)(?:=\"?|\": ?\")((?i:{_WORDS}))\b"  # logfmt, or JSON behind something else
    r"|(?<!\w)([FEWI])(?=[0-9]{4} [0-9]{2}:[0-9]{2}:[0-9])"  # glog: E1126 10:00:00.123456
    r"|(?<=[0-9]: )([FEWI])(?= \S{1,99}:[0-9]{1,6}\])"  # TensorFlow: 10:00:00.123456: E a/b.cc:12]
    r")"
)
_MEMBERS = (
    *("level", "levelname", "severity", "log.level", "loglevel", "log_level", "lvl"),
    *("severitytext", "severity_text", "@l"),  # OpenTelemetry's and Serilog's
)
_JSON_LEVEL = re.compile(
    rf'"(?:{"|".join(map(re.escape, _MEMBERS))})"\s*:\s*(?:\{{[^{{}}]{{0,200}}"name"\s*:\s*)?"(\w+)"', re.IGNORECASE
)
#: What opens and closes a collapsed group, wherever it stands in a line.
_GROUP = re.compile(r"::(group|endgroup)::")


def note(text: str) -> None:
    """Write a line about the job."""
    _logger(_OWN).info(_shown(text))


def problem(text: str) -> None:
    """Write a line that deserves attention."""
    _logger(_OWN).warning(_shown(text))


def failure(diagnosis: Diagnosis) -> None:
    """Write why the job has failed, and what to do."""
    _logger(_OWN).error(_shown(str(diagnosis)))


def status(detail: JobDetail, why: str = "", after: str = "") -> None:
    """Write which state the job is in, and why.

    Args:
        detail: The job.
        why: AWS's reason in better words; empty for AWS's own.
        after: How the attempt before ended, if that is to be told.
    """
    counts = _counts(detail)
    reason = why or telling(detail.status_reason)
    told = "; ".join(filter(None, (counts, "" if reason in after else reason)))
    state = f"{detail.status} ({after})" if after else detail.status
    _logger(_OWN).info(_shown(f"{_attempt(detail)}{state}" + (f": {told}" if told else "")))


def children(detail: JobDetail) -> None:
    """Write how many children of an array are in which state; of another job, nothing."""
    if detail.children:
        note(f"Children: {_counts(detail)}")


def waiting(detail: JobDetail, worry: Diagnosis) -> None:
    """Write why the job does not start, and what to do."""
    _logger(_OWN).warning(_shown(f"{_attempt(detail)}{detail.status}: {worry}"))


def lines(stream: LogStream, events: Iterable[LogEvent], collapsed: Span | None = None) -> None:
    """Write lines of the job under their own CloudWatch timestamps, labelled if there are several streams.

    A group that the job opens is not collapsed: `::group::install` becomes `[group] install`.

    Args:
        stream: The job's.
        events: The lines.
        collapsed: When a process of the task may have had a group open. The UI sorts by time, so a line of the job may
            come to stand in it, and closes it then: a group that is not open is none to close.
    """
    job, airflows, prefix = _logger(_JOB), _logger(_AIRFLOWS), f"[{stream.label}] " if stream.label else ""
    closed_at = -1
    for event in events:
        text = event.text()
        time = event.time.isoformat(timespec="microseconds").replace("+00:00", "Z")
        if collapsed and event.timestamp != closed_at and collapsed[0] <= event.time <= collapsed[1]:
            airflows.info(_END_OF_GROUP, timestamp=time)
            closed_at = event.timestamp
        write = getattr(job, level_of(text))
        write(prefix + _ungrouped(text), timestamp=time)


def level_of(text: str) -> str:
    """Return the level under which a job's line is shown: the first one that it names, never below `info`.

    A level is a word in capitals among the first five, as Python, Java, Go and most shells write it; one in brackets,
    or at the very beginning, or after a time there, with a colon; logfmt's `level=`, `lvl=` or `severity=`; the letter
    of glog's header or tornado's; what else GCC, Python's warnings, R, Monolog, .NET and npm begin with; or a member of
    a JSON object that is called `level`, `severity` or the like, which is a number where pino or bunyan wrote it.
    """
    if text.lstrip(" ").startswith("{"):
        return _of_json(text[:_FIRST_CHARACTERS])
    named = _LEVEL.search(text, 0, _end_of_first_words(text))
    word = named[named.lastindex or 0].upper() if named else ""
    return _SHORT.get(word) or _LEVELS.get(word, "info")


def _end_of_first_words(text: str) -> int:
    """Return where a line's first words end, not counting dashes and the like between them."""
    count = 0
    for word in _WORD.finditer(text, 0, 200):
        count += any(map(str.isalnum, word[0]))
        if count == _FIRST_WORDS:
            return word.end()
    return 200


def _of_json(beginning: str) -> str:
    """Return the level of a JSON object: its own, or else the first inside of it, as where the object is cut.

    A number is one where there is a time beside it, as pino and bunyan have it; elsewhere it may count anything.
    """
    try:
        members = {key.lower(): value for key, value in json.loads(beginning).items()}
    except (ValueError, RecursionError):
        members = {}
    if type(members.get("level")) is int and "time" in members:
        return _NUMBERS.get(members["level"], "info")
    own = next((members[key] for key in _MEMBERS if isinstance(members.get(key), str)), "")
    inside = None if own else _JSON_LEVEL.search(beginning)
    return _LEVELS.get((inside[1] if inside else own).upper(), "info")


def _attempt(detail: JobDetail) -> str:
    """Say which of AWS's attempts a job is in, if it is not the first."""
    attempt = further_attempt(detail)
    return f"{attempt}: " if attempt else ""


def _counts(detail: JobDetail) -> str:
    return ", ".join(f"{count} {status}" for status, count in detail.children.items())


def _shown(text: str) -> str:
    """Return a line of ours, which may quote anybody."""
    return _ungrouped(storable_text(text))


def _ungrouped(text: str) -> str:
    """Return a text that opens no group in the UI: in one that stays open, all that follows would be hidden."""
    return _GROUP.sub(r"[\1] ", text) if "group::" in text else text


def _logger(name: str) -> Any:
    """Return a logger as structlog is configured now: a kept one would go on writing to where it first did."""
    return structlog.get_logger(name)
