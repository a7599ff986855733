"""Take the README's picture: the log of a running job in the Airflow UI, in headless Chromium.

`uv run poe picture` writes `docs/running-job.png`. Needs Chromium at `/usr/bin/chromium`.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from airflow_batch_jobs.batch.definition_files import register_folder
from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
from airflow_batch_jobs.local import start_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")
#: Chromium connects to nothing outside this machine.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PICTURE = ROOT / "docs" / "running-job.png"


@contextmanager
def browser_page(width: int = 1280, height: int = 800) -> Iterator[Page]:
    """Open a page in headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=1.5)
        finally:
            browser.close()


def wait_for_line(api: RestApi, dag_id: str, run_id: str, task_id: str, text: str, map_index: int = -1) -> None:
    """Wait until a line of the job is in the task log."""
    until = time.monotonic() + 120
    while not any(text in str(line["event"]) for line in api.log(dag_id, run_id, task_id, map_index=map_index)):
        if time.monotonic() > until:
            raise TimeoutError(f"{task_id} of {dag_id} did not write {text!r}")
        time.sleep(0.5)


def take_picture() -> None:
    """Run the long example job and take the picture while it writes."""
    with tempfile.TemporaryDirectory() as home, start_process(slots=4) as aws:
        register_folder(aws.clients(), ROOT / "dags" / "definitions")
        environment = {"AIRFLOW_CONN_AWS_DEFAULT": aws.airflow_connection()}
        with StandaloneAirflow(Path(home), ROOT / "dags", environment) as airflow, browser_page() as page:
            api, dag_id, task_id = airflow.api, "long_job", "count"
            run_id = api.trigger(dag_id)
            wait_for_line(api, dag_id, run_id, task_id, "second 10 of")
            page.goto(f"{airflow.url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
            page.get_by_text("second 10 of").first.wait_for()
            page.screenshot(path=PICTURE)


if __name__ == "__main__":
    take_picture()
