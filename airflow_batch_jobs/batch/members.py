"""The members of an entry of AWS's answers, each read as what it ought to be.

AWS's JSON can hold anything in any place. What is of another kind counts as left out, and no text or number is read
that could not be stored, see `storable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.storable import storable_text, whole_number

#: An absent structure, to look members up in.
NOTHING: Mapping[str, Any] = MappingProxyType({})
#: The most characters of a text; a reason has some hundred.
_LONGEST_TEXT = 16_384
#: The most of a name: CloudWatch takes 512 for groups and streams, an ARN has fewer than 2,048.
_LONGEST_NAME = 2_048


def text(entry: Mapping[str, Any], member: str) -> str:
    """Read a text; empty if there is none. Of one without measure the two ends are kept."""
    value = entry.get(member)
    if isinstance(value, str):
        return excerpt(storable_text(value), _LONGEST_TEXT)
    number = whole_number(value)
    return "" if number is None else str(number)


def name(entry: Mapping[str, Any], member: str) -> str:
    """Read the name of something, its id or ARN; empty if there is none."""
    return excerpt(text(entry, member), _LONGEST_NAME)


def number(entry: Mapping[str, Any], member: str, most: int | None = None) -> int | None:
    """Read a whole number from 0; None if there is none.

    Args:
        entry: The entry.
        member: The number's name.
        most: What AWS has at most; more is read as that many.
    """
    value = whole_number(entry.get(member))
    if value is None or value < 0:
        return None
    return value if most is None else min(value, most)


def structure(entry: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    """Read a structure; one without members if there is none."""
    value = entry.get(member)
    return value if isinstance(value, Mapping) else NOTHING


def structures(entry: Mapping[str, Any], member: str) -> tuple[Mapping[str, Any], ...]:
    """Read a list of structures, without what else is in it."""
    value = entry.get(member)
    return tuple(each for each in value if isinstance(each, Mapping)) if isinstance(value, (list, tuple)) else ()


def texts(entry: Mapping[str, Any], member: str) -> dict[str, str]:
    """Read a map of text to text."""
    found = structure(entry, member)
    return {storable_text(key): text(found, key) for key in found}
