"""Docstrings as the site shows them; an extension of Griffe, which reads the source for mkdocstrings."""

from __future__ import annotations

import re
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Turns what is written for people who read the source into Markdown."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite an object's docstring; that of an attribute is the `#:` comment above it."""
        del kwargs
        if obj.is_attribute and not obj.docstring and (text := comment_above(obj)):
            obj.docstring = griffe.Docstring(text, parent=obj)
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def comment_above(attribute: griffe.Object) -> str:
    """Return the `#:` comment above an attribute."""
    if attribute.lineno is None or isinstance(attribute.filepath, list):
        return ""
    above = attribute.lines_collection[attribute.filepath][: attribute.lineno - 1]
    found: list[str] = []
    while above and (line := re.fullmatch(r"\s*#: ?(.*)", above.pop())):
        found.insert(0, line[1])
    return " ".join(found)


def as_markdown(text: str) -> str:
    """Return a docstring without the colons before a literal block, and with one before what is said of a term."""
    text = re.sub(r"^ *::\n\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=\w)::\n\n", ":\n\n", text)
    return re.sub(r"^(\w[\w ]*)\n {4}(?=\w)", r"\n\1\n:   ", text, flags=re.MULTILINE)
