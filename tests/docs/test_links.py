"""Links between the pages lead somewhere."""

from __future__ import annotations

import re

from tests.docs.source import ROOT


def test_links_lead_somewhere() -> None:
    """In every page, to a heading of any page or to a file."""
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))):
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            assert file.exists(), target
            if anchor:
                assert anchor in anchors(file.read_text(encoding="utf-8")), target


def test_quoted_files_are_there() -> None:
    """Paths in backticks of what is shown by tests, examples and policies."""
    for page in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))):
        for path in re.findall(r"`((?:tests|benchmarks|docs|ui)/[\w./-]*)`", page.read_text(encoding="utf-8")):
            assert (ROOT / path).exists(), (page, path)


def test_the_readme_is_a_first_look() -> None:
    """What is longer has a page."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
