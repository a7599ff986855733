"""The code blocks of README and the pages."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from tests.docs.source import ROOT

#: A fence, what stands behind it, and the lines up to the next one; a block in a list is indented.
_BLOCK = re.compile(r"^( *)```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A code block of a page.

    Attributes:
        page: The page, from the root of the repository.
        line: The line of its first line of code, from 1.
        language: What it is written in.
        title: The file that it stands for; empty for none.
        code: What is in it.
    """

    page: str
    line: int
    language: str
    title: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str) -> list[Block]:
    """Return all blocks in a language, page by page."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]
    found = []
    for path in (*pages, *sorted((ROOT / "docs").rglob("*.md"))):
        text = path.read_text(encoding="utf-8")
        for each in _BLOCK.finditer(text):
            line = text.count("\n", 0, each.start(4)) + 1
            code = textwrap.dedent(each[4])
            found.append(Block(path.relative_to(ROOT).as_posix(), line, each[2], each[3] or "", code))
    return [block for block in found if block.language == language]
