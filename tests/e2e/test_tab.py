"""The tab Batch in Airflow's UI, in headless Chromium: an Airflow with users, below a path, with names of all kinds."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect, sync_playwright

from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
from docs.take_picture import CHROMIUM, FLAGS, PATIENCE
from tests.e2e import stores
from tests.e2e.runs import Run, until
from tests.e2e.tab_dags.tab import LABELS, SAMPLES
from tests.e2e.versions import SCOPES_TABS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.local import LocalControl

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and "REQUIRE_CHROMIUM" not in os.environ,
    reason=f"no Chromium at {CHROMIUM}; CI installs one",
)

#: Where Airflow is served, below its address.
PREFIX = "/team/airflow"
#: By their roles; the last one has none, and may see nothing.
USERS = {"ada": "admin", "vic": "viewer", "nora": ""}
RUN_ID = "by hand 100% a+b 2026-01-15T00:00:00+00:00"


@dataclass(frozen=True)
class Tab:
    """The pages of an Airflow, for a browser.

    Attributes:
        browser: The browser.
        airflow: The Airflow.
        url: Its address.
    """

    browser: Browser
    airflow: StandaloneAirflow
    url: str
    _contexts: dict[tuple[str | None, str], BrowserContext] = field(default_factory=dict)

    def page(self, user: str | None = "vic", scheme: Literal["light", "dark"] = "light") -> Page:
        """Open a page of a user who has logged in; None for one who has not."""
        if (context := self._contexts.get((user, scheme))) is None:
            viewport: ViewportSize = {"width": 1280, "height": 800}
            context = self.browser.new_context(viewport=viewport, color_scheme=scheme, locale="en-US")
            context.set_default_timeout(PATIENCE)
            if user is not None:
                context.add_cookies([{"name": "_token", "value": self.token(user), "url": self.url}])
            self._contexts[user, scheme] = context
        for page in context.pages:
            page.close()
        return context.new_page()

    def token(self, user: str) -> str:
        """Return what a user's session is known by."""
        answer = httpx.post(f"{self.url}/auth/token", json={"username": user, "password": user}, timeout=60)
        return str(answer.raise_for_status().json()["access_token"])

    def task(self, page: Page, sample: str) -> None:
        """Go to the tab of a mapped task."""
        index = [*SAMPLES, "reference", "garbage"].index(sample)
        page.goto(f"{self.run_address()}/tasks/shown/mapped/{index}/plugin/batch-job")

    def run_address(self, dag_id: str = "tab", run_id: str = RUN_ID) -> str:
        """Return the address of a DAG run."""
        return f"{self.url}/dags/{dag_id}/runs/{quote(run_id, safe='')}"


@pytest.fixture(scope="module")
def served(cloud: LocalControl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneAirflow]:
    """An Airflow with users, below a path, that takes any name of a run."""
    home: Path = tmp_path_factory.mktemp("tab")
    (home / "passwords.json").write_text(json.dumps({name: name for name in USERS}), encoding="utf-8")
    with stores.airflow_database() as database:
        settings = {
            "AIRFLOW_CONN_AWS_DEFAULT": cloud.airflow_connection(),
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN": ".*",
            **database.settings,
        }
        airflow = StandaloneAirflow(home, Path(__file__).parent / "tab_dags", settings)
        url = f"{airflow.url}{PREFIX}"
        airflow.environment["AIRFLOW__API__BASE_URL"] = url
        airflow.environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{url}/execution/"
        airflow.api.close()
        airflow.api = RestApi(url, ("ada", "ada"))
        with airflow:
            yield airflow


@pytest.fixture(scope="module")
def tab(served: StandaloneAirflow) -> Iterator[Tab]:
    """The tab in a browser, with a run whose tasks have jobs of all kinds."""
    api = served.api
    until(lambda: {"tab", "tab_live"} <= api.dag_ids())
    for dag_id in ("tab", "tab_live"):
        api.request("PATCH", f"dags/{dag_id}", json={"is_paused": False})
    api.request("POST", "dags/tab/dagRuns", json={"logical_date": None, "dag_run_id": RUN_ID})
    until(lambda: api.run_state("tab", quote(RUN_ID)) == "failed", 180)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield Tab(browser, served, f"{served.url}{PREFIX}")
        browser.close()


def test_a_failure_is_the_first_thing_to_be_read(tab: Tab) -> None:
    """The diagnosis, what to do, the times, the attempts, and links that are those of Airflow; text stays text."""
    page = tab.page()
    tab.task(page, "failed")
    expect(page.get_by_role("heading", name="The container ran out of memory (exit code 137)")).to_be_visible()
    expect(page.get_by_text("Give it more than 16,384 MiB")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("waited 1 s.*ran 8 s"))).to_be_visible()
    attempts = page.get_by_role("table", name="Attempts").get_by_role("row")
    assert "137" in attempts.nth(1).inner_text()
    expect(page.get_by_text("markup=<img src=x onerror=alert(1)>")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0
    index = [*SAMPLES].index("failed")
    path = f"dags/tab/dagRuns/{quote(RUN_ID, safe='')}/taskInstances/shown/links"
    links = tab.airflow.api.request("GET", path, params={"map_index": index})["extra_links"]
    shown = {str(link.get_attribute("href")) for link in page.locator("a[target=_blank]").all()}
    assert set(links.values()) <= shown


@pytest.mark.parametrize(
    ("sample", "texts"),
    [
        ("waiting", ["RUNNABLE", "the task has ended (success) and watches it no more"]),
        ("second attempt", ["1 of 3", "2 of 3", "watches it no more"]),
        (
            "array",
            [
                "33 of 1,000 children failed",
                "took 10 min",
                "33 FAILED · 967 SUCCEEDED",
                "CannotPullContainerError",
                "and 31 more",
            ],
        ),
        ("succeeded", ["after 5 min", "report:1"]),
        ("stopped", ["Stopped by a user: task marked failed"]),
        ("reference", ["an XCom backend of its own", "s3://bucket/xcoms/batch_job/0f5e.json"]),
        ("garbage", ["UNKNOWN", "0f5e"]),
    ],
)
def test_every_kind_of_job_has_its_own_words(tab: Tab, sample: str, texts: list[str]) -> None:
    """Also one of an older version, one that this page cannot read, and one that makes no sense."""
    page = tab.page()
    tab.task(page, sample)
    page.get_by_role("link", name="Batch", exact=True).wait_for()
    for text in texts:
        expect(page.get_by_text(text).first).to_be_visible()


@pytest.mark.skipif(SCOPES_TABS, reason="from Airflow 3.4 on, such a task has no tab")
def test_a_task_without_a_job_says_so(tab: Tab) -> None:
    """Airflow 3.3 has the tab at every task."""
    page = tab.page()
    page.goto(f"{tab.run_address()}/tasks/plain/plugin/batch-job")
    expect(page.get_by_text("This task has submitted no AWS Batch job.")).to_be_visible()


@pytest.mark.skipif(not SCOPES_TABS, reason="Airflow 3.3 has each tab at every task")
def test_a_task_without_a_job_has_no_tab(tab: Tab) -> None:
    """Airflow 3.4 shows it where `applies_to` says so, and at none besides."""
    page = tab.page()
    ours = page.get_by_role("link", name="Batch", exact=True)
    tab.task(page, "failed")
    expect(ours).to_be_visible()
    page.goto(f"{tab.run_address()}/tasks/plain")
    page.get_by_role("link", name="Details", exact=True).wait_for()
    expect(ours).to_have_count(0)


def test_the_tab_of_a_deferred_task_follows_its_job(tab: Tab, cloud: LocalControl, tmp_path: Path) -> None:
    """From a job that is young to its end, without a reload: what it is at, and since when no more is known."""
    api, is_seen = tab.airflow.api, tmp_path / "seen"
    run = Run(api, "tab_live", api.trigger("tab_live", {"script": f"until [ -e {is_seen} ]; do sleep 0.2; done"}))
    run.wait_for("deferred")
    page = tab.page()
    page.goto(f"{tab.run_address('tab_live', run.run_id)}/tasks/job/plugin/batch-job")
    expect(page.get_by_text(re.compile(r"last change .*, kept current"))).to_be_visible()
    expect(page.get_by_text("RUNNING", exact=True)).to_be_visible()
    job_id = run.job()["job_id"]
    expect(page.get_by_text(job_id)).to_be_visible()
    is_seen.touch()
    cloud.wait_for_status(job_id, "SUCCEEDED", seconds=240)
    expect(page.get_by_text("SUCCEEDED", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(r"^as of "))).to_be_visible()
    expect(page.get_by_text("kept current")).to_have_count(0)


def test_the_run_lists_its_jobs_with_the_keyboard_leading_to_each(tab: Tab) -> None:
    """What failed comes first; a mapped task has the name that it was given."""
    page = tab.page()
    page.goto(f"{tab.run_address()}/plugin/batch-jobs")
    table = page.get_by_role("table", name="Jobs of this run")
    expect(table.get_by_text("The container ran out of memory (exit code 137)")).to_be_visible()
    expect(page.get_by_text("8 tasks with a job: 3 failed · 5 success")).to_be_visible()
    rows = [row.inner_text().replace("\n", " ") for row in table.get_by_role("row").all()[1:]]
    assert LABELS["failed"] in rows[0]
    assert [("FAILED" in row) for row in rows] == [True] * 3 + [False] * 5
    table.get_by_role("link").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The container ran out of memory (exit code 137)")).to_be_visible()


def test_a_thousand_jobs_are_paged_through(tab: Tab) -> None:
    """Of which only as many are asked for as are seen."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        path, query = httpx.URL(route.request.url).path, httpx.URL(route.request.url).params
        asked.append(path)
        first = int(query.get("offset", "0"))
        named = [{"task_id": "many", "map_index": index} for index in range(first, min(first + 100, 1_000))]
        if path.endswith("/xcomEntries"):
            entries = [{**each, "timestamp": "2026-01-15T00:00:00Z"} for each in named]
            route.fulfill(json={"xcom_entries": entries, "total_entries": 1_000})
        elif path.endswith("/batch_job"):
            route.fulfill(json={"value": SAMPLES["succeeded"], "timestamp": "2026-01-15T00:00:00Z"})
        else:
            labels = [{**each, "state": "success", "rendered_map_index": f"no {each['map_index']}"} for each in named]
            route.fulfill(json={"task_instances": labels, "total_entries": 1_000})

    page = tab.page()
    page.route(re.compile(r"/taskInstances\?limit=100&offset|/xcomEntries"), answer)
    page.goto(f"{tab.run_address()}/plugin/batch-jobs")
    expect(page.get_by_text(re.compile("1 . 25 of 1,000"))).to_be_visible()
    following = page.get_by_role("button", name="Next")
    following.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("many [no 49]")).to_be_visible()
    expect(page.get_by_role("table", name="Jobs of this run").get_by_text("5 min")).to_have_count(25)
    assert len([path for path in asked if path.endswith("/batch_job")]) == 50


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"status": 403, "json": {"detail": "Forbidden"}}, "You may not read the XComs of this DAG"),
        ({"status": 401, "json": {"detail": "No"}}, "Log in again"),
        ({"status": 500, "body": "<h1>oops</h1>"}, "Airflow's API answered 500. Trying again."),
        ({"status": 200, "body": "<h1>a proxy</h1>"}, "answered something else than JSON. Trying again."),
    ],
    ids=["403", "401", "500", "garbage"],
)
def test_an_api_that_refuses_is_a_sentence(tab: Tab, answer: dict[str, Any], sentence: str) -> None:
    """And is asked again where that makes sense: the job is there when it has recovered."""
    page = tab.page()
    pattern = re.compile(r"/xcomEntries/batch_job")
    page.route(pattern, lambda route: route.fulfill(**answer))
    tab.task(page, "failed")
    expect(page.get_by_role("alert").get_by_text(sentence)).to_be_visible()
    page.unroute(pattern)
    if "Trying again" in sentence:
        expect(page.get_by_role("heading", name="The container ran out of memory (exit code 137)")).to_be_visible()
        expect(page.get_by_role("alert").get_by_text(sentence)).to_have_count(0)


def test_light_and_dark_are_airflows_own(tab: Tab) -> None:
    """The tab's text has the colour of the scheme, and is not the background's."""
    colours = set()
    for scheme in ("light", "dark"):
        page = tab.page(scheme=scheme)
        tab.task(page, "failed")
        heading = page.get_by_role("heading", name="The container ran out of memory (exit code 137)")
        heading.wait_for()
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        colour = heading.evaluate("each => getComputedStyle(each).color")
        assert colour != background
        colours.add(colour)
    assert len(colours) == 2


def test_who_may_not_see_the_dag_sees_nothing_of_its_jobs(tab: Tab) -> None:
    """A user without a role; whoever has not logged in is sent to do so."""
    page = tab.page("nora")
    with page.expect_response(re.compile(r"/api/v2/dags/tab")) as answer:
        tab.task(page, "failed")
    assert answer.value.status == 403
    headers = {"Authorization": f"Bearer {tab.token('nora')}"}
    path = f"{tab.url}/api/v2/dags/tab/dagRuns/{quote(RUN_ID, safe='')}/taskInstances/shown/xcomEntries/batch_job"
    assert httpx.get(path, params={"map_index": 0}, headers=headers, timeout=60).status_code == 403
    anonymous = tab.page(None)
    tab.task(anonymous, "failed")
    anonymous.wait_for_url(re.compile("/auth/login"))
    for each in (page, anonymous):
        assert SAMPLES["failed"]["job_id"] not in each.content()


def test_without_a_login_there_is_the_bundle_and_nothing_else(tab: Tab) -> None:
    """Each route that the plugin has, or that a web framework might have added."""
    plugins = tab.airflow.api.request("GET", "plugins")["plugins"]
    [ours] = [plugin for plugin in plugins if plugin["name"] == "batch_jobs"]
    [bundle] = {app["bundle_url"] for app in ours["react_apps"]}
    [prefix] = [app["url_prefix"] for app in ours["fastapi_apps"]]
    with httpx.Client(base_url=tab.url, timeout=60) as anybody:
        assert anybody.get(bundle).status_code == 200
        for path in ("/", "/docs", "/openapi.json", "/redoc", "/jobs", "/static", "/plugin.py", "/..%2fplugin.py"):
            assert anybody.get(f"{prefix}{path}").status_code in {401, 403, 404}, path
        assert anybody.post(bundle).status_code == 405


def test_a_name_with_a_slash_is_a_sentence(tab: Tab) -> None:
    """Airflow's API takes it for two parts of a path, and so does its UI."""
    page = tab.page()
    page.goto(f"{tab.run_address(run_id='a/b')}/plugin/batch-jobs")
    expect(page.get_by_text(re.compile("because of the slash|Not Found", re.IGNORECASE)).first).to_be_visible()
