"""The site as a reader has it, in headless Chromium: on a phone, without the Internet, with a search that finds."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from docs.take_picture import CHROMIUM, browser_page
from tests.docs.source import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

pytest.importorskip("mkdocs", reason="the matrix has no generator of sites")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not CHROMIUM.exists() and "REQUIRE_CHROMIUM" not in os.environ,
        reason=f"no Chromium at {CHROMIUM}; CI installs one",
    ),
]
WIDTHS = {"wide": 1440, "narrow": 390}
#: One page of each kind.
PAGES = (
    "index",
    "first-dag",
    "stops",
    "troubleshooting",
    "reference/index",
    "reference/tasks",
    "reference/command-line",
)

#: As they are in a log or on a terminal, of each kind one.
MESSAGES = (
    "SubmitJob align-reads: is not taken for Fargate; give resourceRequirements: 7",
    'Job definition align-reads has no revision. Pin one: write "align-reads:7".',
    "The container ran out of memory (exit code 137). Give it more memory.",
    'No line of the log begins with `batch-job-result:`. Print one line `batch-job-result: {"bam": 1}` at the end',
    "The job may still be running: batch:TerminateJob failed: AccessDeniedException: No.",
    "The task was stopped by a user. Job: 0f5e8a3c-9d6b-4c1e-8a4e-5b1f0c6a7d2e",
    "Replaced by a newer run of the same Airflow task",
    "dags/nightly.py: invalid syntax; the file is left as it is",
)
_PASTE = """text => {
    const clipboardData = new DataTransfer()
    clipboardData.setData("text", text)
    const paste = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true })
    document.activeElement.dispatchEvent(paste)
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name for it
        """Write no line."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, built strictly from this checkout."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "SITE_PAGES": str(tmp_path_factory.mktemp("pages"))}
    build = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    for command in (["docs/generate.py"], ["-m", *build]):
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, env=environment)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_page_fits_the_screen_and_loads_nothing_from_elsewhere(site: str, kind: str) -> None:
    """Only code and tables scroll sideways. SITE_PICTURES names a folder for pictures of the pages."""
    asked: list[str] = []
    with browser_page(WIDTHS[kind], 900) as page:
        page.on("request", lambda request: asked.append(request.url))
        for name in PAGES:
            page.goto(f"{site}/{name}.html")
            page.locator("h1").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
            if folder := os.environ.get("SITE_PICTURES"):
                page.screenshot(path=Path(folder, f"{kind}-{name.replace('/', '-')}.png"))
    assert len(asked) > len(PAGES)
    assert [url for url in asked if not url.startswith(f"{site}/")] == []


def test_a_page_has_the_colours_of_the_system(site: str) -> None:
    """Light and dark, with the picture that fits."""
    with browser_page() as page:
        for scheme, other in (("light", "dark"), ("dark", "light")):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.goto(f"{site}/in-the-ui.html")
            page.locator(f"img[src$='only-{scheme}']").first.wait_for()
            assert page.locator(f"img[src$='only-{other}']").first.is_hidden()


def open_search(page: Page, site: str) -> Locator:
    """Return the field that is searched from, once its index is loaded: what is typed before may be lost."""
    page.goto(f"{site}/index.html")
    page.locator(".md-search-result__meta", has_text="Type to start searching").wait_for(state="attached")
    return page.get_by_placeholder("Search")


def test_the_search_finds_words_of_an_error(site: str) -> None:
    """Without a server behind it."""
    with browser_page() as page:
        open_search(page, site).press_sequentially("deregistered revision")
        page.locator(".md-search-result__link[href*='troubleshooting']").first.wait_for()


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_that_is_pasted_is_found_first(site: str, message: str) -> None:
    """Where it is quoted, whatever values and punctuation it has."""
    with browser_page() as page:
        open_search(page, site).focus()
        page.evaluate(_PASTE, message)
        first = page.locator(".md-search-result__link").first
        first.wait_for()
        assert "/troubleshooting.html" in str(first.get_attribute("href"))
        places = page.locator(".md-search-result__link[href*='troubleshooting.html'][href*='#message-']")
        page.goto(str(places.first.evaluate("link => link.href")))
        assert page.locator(":target").count() == 1
