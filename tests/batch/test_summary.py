"""A job that has ended is summed up in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.summary import in_words, summarize
from tests.batch.conftest import milliseconds

if TYPE_CHECKING:
    from tests.batch.conftest import Entries


def retried(entries: Entries) -> dict[str, Any]:
    """A job that succeeded in its second attempt."""
    return entries.single(
        attempts=[entries.attempt(1, exitCode=1), entries.attempt(2)], stoppedAt=entries.attempt(2)["stoppedAt"]
    )


def test_a_success_is_summed_up_in_one_line(entries: Entries) -> None:
    """State, total time, waiting time, running time of all attempts, number of attempts."""
    assert summarize(entries.read(entries.single())) == (
        "SUCCEEDED in 3 min 20 s: waited 12 s, ran 3 min 8 s, 1 attempt"
    )
    assert summarize(entries.read(retried(entries))) == (
        "SUCCEEDED in 8 min 20 s: waited 2 min 4 s, ran 6 min 16 s, 2 attempts"
    )


def test_a_summary_leaves_out_what_is_unknown(entries: Entries) -> None:
    """Without times only the state is left; an array counts children, a multi-node job nodes."""
    bare = entries.single(createdAt=None, attempts=[])
    assert summarize(entries.read(bare)) == "SUCCEEDED"
    ends = {"status": "SUCCEEDED", "stoppedAt": entries.single()["stoppedAt"]}
    assert summarize(entries.read(entries.array({"SUCCEEDED": 10}, **ends))) == "SUCCEEDED in 3 min 20 s: 10 children"
    children = [entries.read(entries.child(index)) for index in range(10)]
    assert summarize(entries.read(entries.array({"SUCCEEDED": 10}, **ends)), children) == (
        "SUCCEEDED in 3 min 20 s: waited 12 s, ran 3 min 8 s, 10 children"
    )
    assert summarize(entries.read(entries.multi_node(2, **ends))) == (
        "SUCCEEDED in 3 min 20 s: waited 12 s, ran 3 min 8 s, 2 nodes"
    )


@pytest.mark.parametrize(
    ("times", "summary"),
    [
        ({"startedAt": milliseconds(60), "stoppedAt": milliseconds(55)}, "SUCCEEDED in 55 s: 1 attempt"),
        ({"createdAt": milliseconds(300)}, "SUCCEEDED: 1 attempt"),
        ({"createdAt": 1_000}, "SUCCEEDED: 1 attempt"),
        ({"stoppedAt": milliseconds(20 * 365 * 86_400)}, "SUCCEEDED: 1 attempt"),
    ],
)
def test_a_summary_leaves_out_spans_that_cannot_be(entries: Entries, times: dict[str, Any], summary: str) -> None:
    """An end before the start, or decades later, is not taken at its word."""
    ran = {key: value for key, value in times.items() if key != "createdAt"}
    attempt = {**entries.attempt(), **ran}
    assert summarize(entries.read(entries.single(**times, attempts=[attempt]))) == summary


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.4, "0 s"), (12, "12 s"), (60, "1 min"), (3 * 3600 + 125, "3 h 2 min"), (90_000, "1 d 1 h")],
)
def test_a_span_is_written_in_its_two_largest_units(seconds: float, words: str) -> None:
    """A span of days needs no seconds."""
    assert in_words(seconds) == words
