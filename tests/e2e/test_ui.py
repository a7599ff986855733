"""What a user sees in Airflow's UI, in headless Chromium."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from docs.take_picture import CHROMIUM, browser_page
from tests.e2e.runs import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.demo.standalone import StandaloneAirflow
    from tests.e2e.runs import Run

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and "REQUIRE_CHROMIUM" not in os.environ,
    reason=f"no Chromium at {CHROMIUM}; CI installs one",
)


def test_a_running_jobs_lines_and_links_are_in_the_ui(start: Callable[..., Run], airflow: StandaloneAirflow) -> None:
    """While the task is deferred, its log shows the job's lines, and its details lead to job and log in AWS."""
    run = start("deferred", "echo seen in the browser; sleep 120")
    until(lambda: "seen in the browser" in run.lines(), 60)
    job_id = run.job()["job_id"]
    address = f"{airflow.url}/dags/{run.dag_id}/runs/{run.run_id}/tasks/{run.task_id}"
    with browser_page() as page:
        page.goto(address)
        page.get_by_text("seen in the browser").first.wait_for()
        assert run.state == "deferred"
        page.goto(f"{address}/details")
        for name in ("Batch job", "Batch job definition", "Batch job queue", "Batch job log"):
            link = page.get_by_role("link", name=name, exact=True)
            link.wait_for()
            assert "aws.amazon.com" in str(link.get_attribute("href"))
        target = page.get_by_role("link", name="Batch job", exact=True).get_attribute("href")
        assert str(target).endswith(job_id)
    run.mark("success")
