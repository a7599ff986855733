"""Values that every log, database and encoder takes, whatever they were made of.

JSON may hold half a character, a NUL and numbers of any size. Airflow hands values on as UTF-8 and as msgpack, and
PostgreSQL keeps them as `jsonb`: none of them takes all of that, and one value that a triggerer cannot hand on ends it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Halves of a surrogate pair, and NUL.
_NO_CHARACTERS = re.compile(r"[\x00\ud800-\udfff]")
#: Whole numbers from and below these are kept.
_LEAST, _MOST = -(2**63), 2**63
#: Deeper than this, a structure is left out.
_DEPTH = 20
#: What texts are cut to, in characters, and lists and mappings, in items, until all is small enough.
_LENGTHS = (4_096, 2_048, 1_024, 512, 256, 128, 64)


def storable_text(text: str) -> str:
    """Return a text with U+FFFD in place of whatever is not a character."""
    return text if text.isascii() and "\0" not in text else _NO_CHARACTERS.sub("\ufffd", text)


def whole_number(value: Any) -> int | None:
    """Return a whole number of 64 bits; None for anything else, such as True."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return int(value) if is_number and _LEAST <= value < _MOST else None


def time_of(text: Any) -> datetime | None:
    """Read a stored time; None for what is none, or has no time zone."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def storable(value: Any) -> Any:
    """Return the JSON form of a value without what cannot be stored.

    A number that is none, or has more than 64 bits, becomes None, and so does what is nested too deep; an object
    becomes its text.
    """
    return _storable(value, _DEPTH)


def not_storable(data: Any) -> Iterator[tuple[tuple[str | int, ...], Any, str]]:
    """Yield what of JSON data `storable` changes: the way to it, what is there, and why it cannot be stored."""
    yield from _not_storable(data, _DEPTH, ())


def _not_storable(
    data: Any, depth: int, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any, str]]:
    if isinstance(data, str) and storable_text(data) != data:
        yield path, data, "no text with a NUL in it"
    elif isinstance(data, int) and not isinstance(data, bool) and whole_number(data) is None:
        yield path, data, "no whole number of more than 64 bits"
    elif isinstance(data, (dict, list)) and depth == 0:
        yield path, data, f"no more than {_DEPTH} levels"
    elif isinstance(data, dict):
        for name, item in data.items():
            yield from _not_storable(name, depth, (*path, name))
            yield from _not_storable(item, depth - 1, (*path, name))
    elif isinstance(data, list):
        for index, item in enumerate(data):
            yield from _not_storable(item, depth - 1, (*path, index))


def within(value: Any, most_bytes: int) -> Any:
    """Return the storable form of a value, its texts and lists cut until its JSON has at most so many bytes.

    Of a text that is cut both ends are kept, of a list and a mapping the newest items. None if all that is not enough.
    """
    kept = storable(value)
    for length in _LENGTHS:
        if len(json.dumps(kept)) <= most_bytes:
            return kept
        kept = _cut(kept, length)
    return kept if len(json.dumps(kept)) <= most_bytes else None


def _storable(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, int):
        return whole_number(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth == 0:
        return None
    if isinstance(value, Mapping):
        return {_text_of(key): _storable(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_storable(item, depth - 1) for item in value]
    return _text_of(value)


def _text_of(value: Any) -> str:
    try:
        return storable_text(str(value))
    except Exception:  # noqa: BLE001 - an object's text may be anybody's code
        return type(value).__name__


def _cut(value: Any, length: int) -> Any:
    if isinstance(value, str):
        return excerpt(value, length)
    if isinstance(value, list):
        return [_cut(item, length) for item in value[-length:]]
    if isinstance(value, dict):
        return {excerpt(key, length): _cut(item, length) for key, item in list(value.items())[-length:]}
    return value
