"""A message says what happened and what to do, and then to which job: of a long line the beginning is what one sees."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.docs.source import nodes
from tests.docs.test_troubleshooting import ALL_CLASSES, produced, sweep_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What an id is called in the source.
ID = re.compile(r"\b(job_id|job_name)\b")
#: What writes a line, or makes a message of its argument.
WRITERS = {"note", "problem", "__init__", *ALL_CLASSES}
#: What other lines need not say again.
SUBMITTED = re.compile(r"Submitted job \{.*\}: \{.*\} to \{.*\}, as \{.*\}")


def messages() -> Iterator[tuple[str, ast.JoinedStr]]:
    """Yield where messages with values are written, but those of the command line, whose results are ids."""
    for place, node in nodes():
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in WRITERS and isinstance(node.args[0], ast.JoinedStr) and not place.module.startswith("cli/"):
                yield str(place), node.args[0]


def text_behind_id(message: ast.JoinedStr) -> str:
    """Return the words of a message behind the first id in it."""
    parts = iter(message.values)
    for part in parts:
        if isinstance(part, ast.FormattedValue) and ID.search(ast.unparse(part.value)):
            break
    return "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))


def test_no_message_has_words_behind_an_id() -> None:
    """In the log and in errors; the id's own line is the one of the submit."""
    found = list(messages())
    assert len([message for _, message in found if ID.search(ast.unparse(message))]) > 10
    for place, message in found:
        if not SUBMITTED.search(ast.unparse(message)):
            assert not re.search(r"[a-z]{2}", text_behind_id(message)), (place, ast.unparse(message))


def test_errors_end_with_the_id() -> None:
    """As they occur."""
    for error in produced():
        if "0f5e" in str(error):
            assert re.search(r": 0f5e[-\w]*(?: \(d-t-0\))?$", str(error)), error


def test_a_line_of_the_sweep_begins_with_what_was_done() -> None:
    """And with why."""
    for line in sweep_lines():
        assert re.match(r"(Terminated|Would be terminated|Not terminated|Cannot tell): .*\. Job: ", line), line
