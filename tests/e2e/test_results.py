"""Results in a real Airflow: what a job prints feeds mapped jobs, and what is no result fails its task for good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalControl
    from tests.e2e.runs import Run


def test_a_result_feeds_mapped_jobs_whose_results_feed_a_task(unmeasured: dict[str, Run]) -> None:
    """Also without a copy of the log, and where the triggerer would end a task without a result."""
    run = unmeasured["results"]
    end = replace(run, task_id="report")
    assert end.wait_for_end(seconds=300) == "success"
    assert run.xcom("return_value") == {"bam": "s3://b", "parts": ["x", "y"]}
    assert run.xcom("bam") == "s3://b"
    assert run.job()["status"] == "SUCCEEDED"
    assert run.lines() == []
    assert end.xcom("return_value") == "s3://b: x, y"


def test_a_job_without_a_result_fails_its_task_once(unmeasured: dict[str, Run], cloud: LocalControl) -> None:
    """With three retries left: the job has succeeded, and is neither terminated nor run again."""
    run = unmeasured["without_a_result"]
    assert run.wait_for_end(seconds=300) == "failed"
    assert run.about()["try_number"] == 1
    assert "The result is not JSON: it ends too early" in str(run.log())
    [job] = [job for job in cloud.jobs() if job.get("tags", {}).get("airflow-run-id") == run.run_id]
    assert (job["status"], job["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")
