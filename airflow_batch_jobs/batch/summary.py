"""How a job went, and AWS's words on it, in a line each that a person reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.job_usage import LONGEST_SECONDS, began

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_batch_jobs.batch.containers import Attempt
    from airflow_batch_jobs.batch.detail import JobDetail

NO_WORDS = "AWS gives no reason"
#: Longer reasons are cut to this many characters, so that the line stays readable.
_REASON_LENGTH = 300
#: Of texts that are longer still, only the two ends are looked at.
_LONGEST_SHOWN = 4_096
#: What AWS says of every job that ends with its container, or with a child, in small letters.
_SAYS_NOTHING = frozenset({"essential container in task exited", "array child job failed"})


def telling(reason: str) -> str:
    """Return AWS's reason for a state, on one line; empty if it says only what every job's does."""
    shown = one_line(reason)
    return "" if shown.lower() in _SAYS_NOTHING else shown


def ending(attempt: Attempt) -> str:
    """Say in a few words how an attempt ended: its exit code, and AWS's reasons."""
    reasons = dict.fromkeys((one_line(attempt.reason), telling(attempt.status_reason)))
    code = "" if attempt.exit_code is None else f"exit code {attempt.exit_code}"
    return "; ".join(filter(None, (code, *reasons))) or NO_WORDS


def further_attempt(detail: JobDetail) -> str:
    """Say which of AWS's attempts a job is in: `attempt 2 of 3`; empty in the first one, and at the end."""
    number = len([attempt for attempt in detail.attempts if attempt.stopped_at]) + 1
    if detail.is_final or number == 1:
        return ""
    return f"attempt {number}{f' of {detail.max_attempts}' if detail.max_attempts else ''}"


def summarize(detail: JobDetail, parts: Sequence[JobDetail] = ()) -> str:
    """Say in one line how a job went: its state, how long it waited and ran, and its attempts.

    Args:
        detail: The job.
        parts: The children of an array, as far as they were described: it ran from the first one's start.
    """
    total, took, spans = _span(detail.created_at, detail.stopped_at), "", []
    if total is not None:
        ran = _seconds_run(detail, parts)
        took = f" in {in_words(total)}"
        spans = [] if ran is None else [f"waited {in_words(max(total - ran, 0))}", f"ran {in_words(ran)}"]
    if detail.array_size:
        spans.append(counted(detail.array_size, "child", "children"))
    elif detail.nodes:
        spans.append(counted(detail.nodes, "node", "nodes"))
    elif detail.attempts:
        spans.append(counted(len(detail.attempts), "attempt", "attempts"))
    return f"{detail.status.value}{took}{': ' if spans else ''}{', '.join(spans)}"


def in_words(seconds: float) -> str:
    """Write a span in its two largest units: `3 min 20 s`, `12 s`, `2 h 5 min`."""
    left = round(seconds)
    words = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        amount, left = divmod(left, size)
        if amount:
            words.append(f"{amount} {name}")
    return " ".join(words[:2]) or "0 s"


def status_reason(detail: JobDetail) -> str:
    """Return why the job ended, in the words of its last attempt where it has none of its own."""
    return detail.status_reason or (detail.attempts[-1].status_reason if detail.attempts else "")


def one_line(text: str) -> str:
    """Put a text on one line, without its full stop and what cannot be shown, and cut it to length."""
    shown = "".join(each if each.isprintable() else " " for each in excerpt(text, _LONGEST_SHOWN))
    return excerpt(" ".join(shown.split()).rstrip("."), _REASON_LENGTH)


def _seconds_run(detail: JobDetail, parts: Sequence[JobDetail]) -> float | None:
    """Return how long the attempts ran in total; None where AWS does not say."""
    attempts = [_span(attempt.started_at, attempt.stopped_at) for attempt in detail.attempts]
    known = [seconds for seconds in attempts or [_span(began(detail, parts), detail.stopped_at)] if seconds is not None]
    return sum(known) if known else None


def _span(start: datetime | None, end: datetime | None) -> float | None:
    """Return the seconds between two times; None where one is not known, or there is no such span."""
    seconds = (end - start).total_seconds() if start and end else -1.0
    return seconds if 0 <= seconds <= LONGEST_SECONDS else None


def counted(number: int, one: str, many: str) -> str:
    """Write a number of something."""
    return f"{number} {one if number == 1 else many}"
