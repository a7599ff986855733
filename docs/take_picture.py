"""Take the pictures of the docs: the log of a running job, and the tab Batch, in the Airflow UI in headless Chromium.

`uv run poe picture` writes them to `docs/`. Needs Chromium at `/usr/bin/chromium`. The jobs of the tab's pictures
follow a script of the local AWS: nothing runs out of memory here.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from playwright.sync_api import sync_playwright

from airflow_batch_jobs.batch.definition_files import register_folder
from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
from airflow_batch_jobs.local import start_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

    from airflow_batch_jobs.local import LocalControl

ROOT = Path(__file__).parents[1]
CHROMIUM = Path("/usr/bin/chromium")
#: Chromium connects to nothing outside this machine.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
#: In milliseconds: pages take long on a machine that does much else.
PATIENCE = 180_000
PICTURE = ROOT / "docs" / "running-job.png"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
#: The tab's pictures: of which task, and what is to be seen before it is taken.
TABS = {
    "failure": ("align", "137"),
    "waiting": ("assemble", "RUNNABLE"),
    "attempt": ("load", "load:1"),
    "array": ("survey", "survey:1"),
}
#: What the jobs do.
OUT_OF_MEMORY = {"exit_code": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}
SCRIPTS: tuple[dict[str, Any], ...] = (
    {"definition": "align", "running": 8, "attempts": [OUT_OF_MEMORY]},
    {
        "definition": "assemble",
        "runnable": 3600,
        "runnable_reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) "
        "is higher than that can be met by the CE(s) attached to the job queue.",
    },
    {"definition": "load", "attempts": [{"exit_code": 75, "running": 6}, {"running": 3600}]},
    {"definition": "survey", "running": 5},
    {"definition": "survey", "array_index": 1, "running": 3, "attempts": [3]},
    {"definition": "survey", "array_index": 4, "running": 4, "attempts": [OUT_OF_MEMORY]},
    {"definition": "call", "running": 4},
)
RESOURCES = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "16384"}]
DEFINITIONS = ("align", "assemble", "load", "survey", "call")


@contextmanager
def browser_page(width: int = 1280, height: int = 800) -> Iterator[Page]:
    """Open a page in headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=1.5, locale="en-US"
            )
            page.set_default_timeout(PATIENCE)
            yield page
        finally:
            browser.close()


def until(what: Callable[[], bool], missing: str, seconds: float = 180) -> None:
    """Ask until it is so."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError(missing)
        time.sleep(0.5)


def wait_for_line(api: RestApi, dag_id: str, run_id: str, task_id: str, text: str, map_index: int = -1) -> None:
    """Wait until a line of the job is in the task log."""
    until(
        lambda: any(text in str(line["event"]) for line in api.log(dag_id, run_id, task_id, map_index=map_index)),
        f"{task_id} of {dag_id} did not write {text!r}",
    )


def take_picture_of_a_log(airflow: StandaloneAirflow, page: Page) -> None:
    """Run the long example job and take the picture while it writes."""
    dag_id, task_id = "long_job", "count"
    run_id = airflow.api.trigger(dag_id)
    wait_for_line(airflow.api, dag_id, run_id, task_id, "second 10 of")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.emulate_media(color_scheme="light")
    page.goto(f"{airflow.url}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}")
    page.get_by_text("second 10 of").first.wait_for()
    page.screenshot(path=PICTURE)


def prepare_jobs(aws: LocalControl) -> None:
    """Register the definitions of the tab's pictures, and say what their jobs do."""
    for name in DEFINITIONS:
        aws.register(name, ["run"], container={"image": "python:3.12-slim", "resourceRequirements": RESOURCES})
    for script in SCRIPTS:
        aws.script(**script)


def take_pictures_of_the_tab(airflow: StandaloneAirflow, page: Page) -> None:
    """Run the jobs of the pictures, and take one of each kind when it has come so far, light and dark."""
    dag_id, api = "nightly", airflow.api
    run_id = api.trigger(dag_id)

    def states() -> set[tuple[str, str | None]]:
        return {(each["task_id"], each["state"]) for each in api.task_instances(dag_id, run_id)}

    ended = {"align": "failed", "survey": "failed", "call": "success", "assemble": "deferred", "load": "deferred"}
    until(lambda: states() == set(ended.items()), f"{dag_id} did not come so far")
    address = f"{airflow.url}/dags/{dag_id}/runs/{run_id}"
    page.set_viewport_size({"width": 1280, "height": 1200})
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{address}/plugin/batch-jobs")
        page.get_by_text("exit code 137").first.wait_for()
        picture(page, f"tab-run-{scheme}")
        for name, (task_id, text) in TABS.items():
            page.goto(f"{address}/tasks/{task_id}/plugin/batch-job")
            page.get_by_text(text).first.wait_for()
            picture(page, f"tab-{name}-{scheme}")
    for task_id in ("assemble", "load"):
        api.set_state(dag_id, run_id, task_id, "success")


def picture(page: Page, name: str) -> None:
    """Take a picture of what is below the tabs."""
    page.get_by_role("link", name="Batch", exact=True).blur()
    page.screenshot(path=ROOT / "docs" / f"{name}.png", clip=below_the_tabs(page), scale="css")


def below_the_tabs(page: Page) -> Any:
    """Return the part of the page with the tabs and what is in them."""
    tab = page.get_by_role("link", name="Batch", exact=True).bounding_box()
    last = page.locator("dl, table").last.bounding_box()
    assert tab is not None  # noqa: S101 - it was waited for
    assert last is not None  # noqa: S101 - as above
    top = tab["y"] - 6
    return {"x": last["x"] - 8, "y": top, "width": last["width"] + 16, "height": last["y"] + last["height"] + 16 - top}


def take_pictures() -> None:
    """Take all of them."""
    with tempfile.TemporaryDirectory() as home, start_process(slots=4) as aws:
        register_folder(aws.clients(), ROOT / "dags" / "definitions")
        prepare_jobs(aws)
        dags = Path(home, "dags")
        dags.mkdir()
        for folder in (ROOT / "dags", ROOT / "docs" / "picture_dags"):
            (dags / folder.name).symlink_to(folder)
        environment = {"AIRFLOW_CONN_AWS_DEFAULT": aws.airflow_connection(), "AIRFLOW__CORE__PARALLELISM": "8"}
        with StandaloneAirflow(Path(home), dags, environment) as airflow, browser_page() as page:
            until(lambda: {"long_job", "nightly"} <= airflow.api.dag_ids(), "the DAGs were not read")
            take_pictures_of_the_tab(airflow, page)
            take_picture_of_a_log(airflow, page)


if __name__ == "__main__":
    take_pictures()
