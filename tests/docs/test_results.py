"""docs/results.md: its programs print a line that its class reads, and its limits are the code's."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from pydantic import BaseModel

from airflow_batch_jobs.batch.result.line import MOST_BYTES, after_mark, json_of
from airflow_batch_jobs.batch.result.model import read_result
from airflow_batch_jobs.batch.result.search import MOST_BYTES_TOGETHER
from tests.docs.source import ROOT

PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
#: Stands for the program that the shell's snippet calls.
SAMTOOLS = "samtools() { echo 812000000; }\n"


class Result(BaseModel):
    """The page's."""

    bam: str
    mapped_reads: int


def snippet(language: str) -> str:
    """Return the first block of a language that prints a result."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return next(str(block) for block in blocks if "batch-job-result:" in block)


@pytest.mark.parametrize(
    "command", [[sys.executable, "-c", snippet("python")], ["sh", "-c", SAMTOOLS + snippet("sh")]], ids=["python", "sh"]
)
def test_a_snippet_prints_what_the_class_reads(command: list[str]) -> None:
    """In three lines, without this package."""
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = read_result(Result, json_of([after_mark(line) or ""]), "j")
    assert found == Result(bam="s3://bucket/NA12878.bam", mapped_reads=812_000_000)


@pytest.mark.parametrize("language", ["python", "sh", "r"])
def test_no_snippet_imports_this_package(language: str) -> None:
    """Nothing has to be installed in the image."""
    assert "airflow" not in snippet(language)


def test_the_limits_are_the_codes() -> None:
    """In the page's units."""
    assert f"{MOST_BYTES // 1024} KiB" in PAGE
    assert f"{MOST_BYTES_TOGETHER // 1024**2} MiB" in PAGE
