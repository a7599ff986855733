"""The Airflow plugin: registers the links with the components that show them, and the tab "Batch" with the UI.

The tab is a bundle of JavaScript, built from `ui/`, which asks Airflow's REST API with the session of whoever looks.
That one file is all that is served here.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from airflow_batch_jobs.config import shows_tab
from airflow_batch_jobs.links import JOB_LINKS

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import FileResponse
    from starlette.types import Receive, Scope, Send

BUNDLE = Path(__file__).parent / "static" / "batch.js"
#: Begins with none of the prefixes that Airflow keeps for itself.
PREFIX = "/batch-jobs"
#: The tab's name in the UI, and the name that the UI keeps its component under.
TAB = "Batch"
#: How Airflow calls the operators whose tasks have a job; from Airflow 3.4 other tasks do not have the tab.
OPERATORS = ("BatchJobOperator", "BatchJobSensor", "@task.batch_job")


def tabs() -> list[dict[str, Any]]:
    """Return the tabs as Airflow's `react_apps`; the address of the bundle changes with its content."""
    version = _version()
    app = {"name": TAB, "bundle_url": f"{PREFIX[1:]}/{BUNDLE.name}?v={version}"}
    return [
        {
            **app,
            "url_route": "batch-job",
            "destination": "task_instance",
            "applies_to": {"operator_name": list(OPERATORS)},
        },
        {**app, "url_route": "batch-jobs", "destination": "dag_run"},
    ]


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request for the bundle, and 404 to any other."""
    await _app()(scope, receive, send)


class BatchJobsPlugin(AirflowPlugin):
    """Loaded by every Airflow component, so it imports next to nothing."""

    name = "batch_jobs"
    operator_extra_links = list(JOB_LINKS)  # noqa: RUF012 - the form that AirflowPlugin prescribes

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Add the tab, unless `[batch_jobs] tab` turns it off.

        Raises:
            AirflowConfigException: The option is no boolean. Airflow lists that among its plugins' import errors.
        """
        del args, kwargs
        if shows_tab():
            cls.react_apps = tabs()
            cls.fastapi_apps = [{"name": "AWS Batch jobs", "app": serve, "url_prefix": PREFIX}]


@cache
def _app() -> Starlette:
    """Make the application with the first request: only the API server has a use for it."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    return Starlette(routes=[Route(f"/{BUNDLE.name}", _bundle)])


async def _bundle(request: Request) -> FileResponse:
    """Serve the bundle; a browser may keep it if it was asked for by its content."""
    from starlette.responses import FileResponse

    is_this = request.query_params.get("v") == _version()
    kept = "public, max-age=31536000, immutable" if is_this else "no-cache"
    return FileResponse(BUNDLE, media_type="text/javascript", headers={"Cache-Control": kept})


@cache
def _version() -> str:
    return sha256(BUNDLE.read_bytes()).hexdigest()[:12]
