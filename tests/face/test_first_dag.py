"""docs/first-dag.md: its files, as they stand there, run on the local AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.definition_files import register_folder
from tests.docs.blocks import blocks
from tests.docs.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws

FILES = [block for language in ("python", "json") for block in blocks(language) if block.title]


@pytest.mark.long
def test_the_first_dag_does_what_its_page_says(
    airflow_aws: LocalAws, run_dag: Callable[..., Any], tmp_path: Path
) -> None:
    """Its job counts, the tasks behind it take the result, and a text without a long word fails."""
    from airflow.dag_processing.dagbag import DagBag

    for block in FILES:
        path = tmp_path / block.title
        path.parent.mkdir(exist_ok=True)
        path.write_text(block.code, encoding="utf-8")
    register_folder(airflow_aws.clients(), tmp_path / "definitions")
    bag = DagBag(tmp_path / "dags" / "first.py", bundle_name="dags-folder")
    assert not bag.import_errors

    finished = run_dag(bag.dags["first"])
    said = finished.xcom("report")
    assert said == "5 words, the longest is batch"
    assert f"*{said}*" in (ROOT / FILES[0].page).read_text(encoding="utf-8")

    failed = run_dag(bag.dags["first"], {"text": "a"})
    assert failed.state("count") == "failed"
    assert "exit code 1" in failed.output
