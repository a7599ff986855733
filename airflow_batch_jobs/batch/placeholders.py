"""`Ref::x` in a command: AWS documents that it fills those that are a whole item, from parameters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: What a placeholder begins with.
REF = "Ref::"
#: AWS says nowhere what a parameter's name may consist of; these are the usual ones.
_WHOLE = re.compile(rf"{REF}[\w.-]+")
_INSIDE = re.compile(rf"{REF}([\w-]*)")
_MORE = re.compile(r"[\w-]")


def unfilled_placeholders(
    command: Iterable[str], defaults: Mapping[str, str], parameters: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names of a command's `Ref::name` items that nothing fills: they would reach the program as they are.

    Args:
        command: The container's command, after overrides.
        defaults: The job definition's own parameters.
        parameters: The request's parameters.
    """
    known = {*defaults, *parameters}
    names = (item.removeprefix(REF) for item in command if _WHOLE.fullmatch(item))
    return tuple(dict.fromkeys(name for name in names if name not in known and not _known_at(name, 0, known)))


def placeholders_of(item: str, known: Collection[str]) -> list[str]:
    """Return the names of the placeholders of an item of a command, filled or not."""
    if item.startswith(REF) and ((rest := item.removeprefix(REF)) in known or _WHOLE.fullmatch(item)):
        return [rest, *_names_inside(item, known)]
    return list(_names_inside(item, known))


def placeholders_inside(item: str, known: Collection[str]) -> list[str]:
    """Return the names of the placeholders that an item of a command has beside other text; AWS does not fill these.

    Args:
        item: The item.
        known: The parameters that have a value.
    """
    rest = item.removeprefix(REF)
    if item.startswith(REF) and (rest in known or (_WHOLE.fullmatch(item) and not _known_at(rest, 0, known))):
        return []
    return list(dict.fromkeys(_names_inside(item, known)))


def _names_inside(item: str, known: Collection[str]) -> Iterator[str]:
    for match in _INSIDE.finditer(item):
        if name := _known_at(item, match.start(1), known) or match[1]:
            yield name


def _known_at(text: str, start: int, known: Collection[str]) -> str:
    """Return the longest known name that stands at a place of a text and ends as a word; empty if there is none."""
    found = (name for name in known if text.startswith(name, start) and not _MORE.match(text, start + len(name)))
    return max(found, key=len, default="")
