"""Reference: the texts that name a job definition, and names that AWS accepts."""

from __future__ import annotations

import pytest

from airflow_batch_jobs.batch.definition import Reference, legal_name, parse_reference
from airflow_batch_jobs.errors import DefinitionError

ARN = "arn:aws:batch:eu-central-1:123456789012:job-definition/align-reads"


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("a", Reference("a")),
        ("a:07", Reference("a", 7)),
        (ARN, Reference("align-reads", None, ARN)),
        (f"{ARN}:12", Reference("align-reads", 12, f"{ARN}:12")),
        (
            "arn:aws-us-gov:batch:us-gov-west-1:123456789012:job-definition/x:1",
            Reference("x", 1, "arn:aws-us-gov:batch:us-gov-west-1:123456789012:job-definition/x:1"),
        ),
    ],
)
def test_a_reference_is_read(text: str, reference: Reference) -> None:
    """Name, name:revision and both forms of ARN."""
    assert parse_reference(text) == reference
    assert reference.base == (text.rpartition(":")[0] if reference.revision else text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        ":7",
        "a:",
        "a:latest",
        "a:0",
        "a:1:2",
        "a:7\n",
        "arn:aws:batch:x:1:job-definition/a:1",
        f"{ARN}:x",
        "a:" + "1" * 5_000,
    ],
)
def test_a_malformed_reference_is_refused(text: str) -> None:
    """With the text in the error."""
    with pytest.raises(DefinitionError, match=r"does not name a job definition|is not a revision"):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "limit", "name"),
    [
        ("my.dag/täsk [1]", 128, "my-dag-t-sk--1-"),
        ("__-_a_b", 128, "a_b"),
        ("x" * 200, 128, "x" * 128),
        ("abc", 2, "ab"),
        ("", 128, "job"),
        ("///", 128, "job"),
    ],
)
def test_any_text_makes_a_legal_name(text: str, limit: int, name: str) -> None:
    """Illegal characters become hyphens; the start is a letter or digit."""
    assert legal_name(text, limit) == name
