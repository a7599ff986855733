"""Pages of a list, whose tokens name a place in its order: what leaves the list meanwhile takes nothing with it."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import dropwhile, islice
from operator import ge, le
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_T = TypeVar("_T")

#: An item's place in a list: lists are in the order of their items' places, and a place never changes.
Place = tuple[str | int, ...]


def list_id(operation: str, selection: Mapping[str, Any]) -> str:
    """Return what tells a list from others: it stands in the list's tokens.

    Args:
        operation: The operation that lists.
        selection: The parameters that say what is in the list.
    """
    text = json.dumps([operation, selection], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def page_of(
    items: Iterable[_T],
    place_of: Callable[[_T], Place],
    *,
    of: str,
    size: int,
    token: str = "",
    is_descending: bool = False,
) -> tuple[list[_T], dict[str, str]]:
    """Return one page of a list, and the `nextToken` if there is more.

    Args:
        items: The whole list.
        place_of: Returns an item's place.
        of: The list's `list_id`.
        size: How many items a page has at most.
        token: Where the page before ended; empty for the first one.
        is_descending: Whether the list begins with the last place.

    Raises:
        ValueError: The token is not one of this list.
    """
    rest = iter(items)
    if token:
        last = place_in(token, of)
        is_before = ge if is_descending else le
        rest = dropwhile(lambda item: is_before(place_of(item), last), rest)
    try:
        shown = list(islice(rest, size + 1))
    except TypeError as error:
        raise ValueError("The token is not one of this list") from error
    if len(shown) <= size:
        return shown, {}
    return shown[:size], {"nextToken": _write(place_of(shown[size - 1]), of)}


def _write(place: Place, of: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([of, *place]).encode()).decode()


def place_in(token: str, of: str) -> Place:
    """Return the place that a token names.

    Args:
        token: The token.
        of: The list's `list_id`.

    Raises:
        ValueError: It is no token, or one of another list.
    """
    try:
        found = json.loads(base64.urlsafe_b64decode(token))
    except RecursionError as error:
        raise ValueError("The token is no place") from error
    if not isinstance(found, list) or found[:1] != [of]:
        raise ValueError("The token is not one of this list")
    place = found[1:]
    if not place or not all(isinstance(part, (str, int)) for part in place):
        raise ValueError("The token is no place")
    return tuple(place)
