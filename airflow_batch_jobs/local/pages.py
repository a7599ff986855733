"""Pages of a list, whose tokens name a place in its order: what leaves the list meanwhile takes nothing with it."""

from __future__ import annotations

import base64
import json
from itertools import dropwhile, islice
from operator import ge, le
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T = TypeVar("_T")

#: An item's place in a list: lists are in the order of their items' places, and a place never changes.
Place = tuple[str | int, ...]


def page_of(
    items: Iterable[_T], place_of: Callable[[_T], Place], *, size: int, token: str = "", is_descending: bool = False
) -> tuple[list[_T], dict[str, str]]:
    """Return one page of a list, and the `nextToken` if there is more.

    Args:
        items: The whole list.
        place_of: Returns an item's place.
        size: How many items a page has at most.
        token: Where the page before ended; empty for the first one.
        is_descending: Whether the list begins with the last place.

    Raises:
        ValueError: The token is not one of this list.
    """
    rest = iter(items)
    if token:
        last = place_in(token)
        is_before = ge if is_descending else le
        rest = dropwhile(lambda item: is_before(place_of(item), last), rest)
    try:
        shown = list(islice(rest, size + 1))
    except TypeError as error:
        raise ValueError("The token is not one of this list") from error
    if len(shown) <= size:
        return shown, {}
    return shown[:size], {"nextToken": _write(place_of(shown[size - 1]))}


def _write(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def place_in(token: str) -> Place:
    """Return the place that a token names.

    Raises:
        ValueError: It is no token.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(token))
    except RecursionError as error:
        raise ValueError("The token is no place") from error
    if not isinstance(place, list) or not place or not all(isinstance(part, (str, int)) for part in place):
        raise ValueError("The token is no place")
    return tuple(place)
