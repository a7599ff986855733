"""The plugin's tab: what Airflow is told of it, and the one file that is served for it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest
from airflow.api_fastapi.app import RESERVED_URL_PREFIXES
from airflow.sdk.exceptions import AirflowConfigException
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_batch_jobs import BatchJobOperator, BatchJobSensor, JobDefinition
from airflow_batch_jobs.decorators import batch_job_task
from airflow_batch_jobs.plugin import BUNDLE, OPERATORS, PREFIX, BatchJobsPlugin, serve, tabs

MOST_BUNDLE_BYTES = 60_000
ADDRESS = f"/{tabs()[0]['bundle_url']}"


def loaded() -> type[BatchJobsPlugin]:
    """Return a plugin of its own that Airflow has loaded, whatever it has made of the real one in this process."""

    class Plugin(BatchJobsPlugin):
        react_apps = []  # noqa: RUF012 - as the plugin's own are
        fastapi_apps = []  # noqa: RUF012 - likewise

    Plugin.on_load()
    return Plugin


def ask(path: str, method: str = "GET") -> httpx.Response:
    """Send a request to an application that has the plugin's where Airflow mounts it."""

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(Starlette(routes=[Mount(PREFIX, serve)]))
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
            return await client.request(method, path)

    return asyncio.run(answer())


def test_the_tab_is_at_task_instances_and_at_dag_runs() -> None:
    """Under one short name, by two routes, from one file."""
    apps = loaded().react_apps
    assert {(app["name"], app["destination"]) for app in apps} == {("Batch", "task_instance"), ("Batch", "dag_run")}
    assert len({app["url_route"] for app in apps}) == len(apps)
    assert len({app["bundle_url"] for app in apps}) == 1


def test_the_option_turns_the_tab_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The links stay."""
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__TAB", "False")
    plugin = loaded()
    assert (plugin.react_apps, plugin.fastapi_apps) == ([], [])
    assert len(plugin.operator_extra_links) == 4


def test_no_other_option_costs_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong with the tab's own is an error that Airflow shows among its plugins' errors."""
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__POLL_INTERVAL", "soon")
    assert loaded().react_apps
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__TAB", "perhaps")
    with pytest.raises(AirflowConfigException, match="tab"):
        loaded()


def test_the_bundle_may_be_kept_by_its_content() -> None:
    """Its address changes with it; whoever asks for another version gets this one, but is not to keep it."""
    answer = ask(ADDRESS)
    assert (answer.status_code, answer.content) == (200, BUNDLE.read_bytes())
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert ask(ADDRESS.replace("v=", "v=0")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/redoc", "/batch.jsx", "/../plugin.py", "/%2e%2e/plugin.py", "//batch.js"]
)
def test_nothing_else_is_served(path: str) -> None:
    """No documentation, no folder, no other file."""
    assert ask(f"{PREFIX}{path}").status_code == 404


def test_nothing_is_taken() -> None:
    """The file can be read, and that is all."""
    assert {ask(ADDRESS, method).status_code for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")} == {405}


def test_a_websocket_is_refused() -> None:
    """Without an error in the API server's log."""
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/batch.js", "root_path": "", "headers": [], "query_string": b""}
    asyncio.run(serve(scope, receive, send))
    assert sent == ["websocket.close"]


def test_airflow_keeps_the_prefix_for_nothing_else() -> None:
    """It refuses a prefix that begins like one of its own."""
    assert not [reserved for reserved in RESERVED_URL_PREFIXES if PREFIX.startswith(reserved)]


def test_airflow_3_4_shows_the_tab_at_the_tasks_that_have_a_job() -> None:
    """It knows them by what it calls their operators."""
    job: Any = {"job_queue": "q", "definition": "d:1"}

    @batch_job_task(job_queue="q")
    def decorated() -> JobDefinition:
        raise NotImplementedError

    made: list[Any] = [
        BatchJobOperator(task_id="job", **job),
        BatchJobSensor(task_id="sensor", job_id="0f5e"),
        decorated().operator,  # type: ignore[attr-defined]
    ]
    assert {task.operator_name for task in made} == set(OPERATORS)


@pytest.mark.long
def test_the_plugin_loads_no_web_framework() -> None:
    """Schedulers, workers and triggerers load it as well."""
    code = "import sys; from airflow_batch_jobs.plugin import BatchJobsPlugin as P; P.on_load(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"fastapi", "starlette", "uvicorn"} & set(modules)


def test_the_bundle_is_small_and_makes_no_markup_of_text() -> None:
    """Nor does it name an address on the internet, or keep what Airflow's UI brings."""
    text = BUNDLE.read_text(encoding="utf-8")
    assert len(text.encode()) <= MOST_BUNDLE_BYTES
    assert not re.findall(r"innerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not re.findall(r"https?://[\w.]+", text)
