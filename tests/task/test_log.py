"""How a job's lines look in the task log."""

from __future__ import annotations

import pytest

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
