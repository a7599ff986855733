"""Parameter values: to AWS's text, back from text, and those known only at run time."""

from __future__ import annotations

import ast
import dataclasses
import json
import os
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import is_
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, NewType, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Half of a character that takes two, as file names have them that are not UTF-8.
_HALF = re.compile(r"[\ud800-\udfff]")
#: What Airflow's own placeholders for run-time values derive from: XComArg, a mapped argument, a DAG's parameter.
_AIRFLOW_LATE = frozenset({"XComArg", "ResolveMixin"})


def to_text(value: Any) -> str | None:
    """Return a value as the text in AWS's map of parameters; None for None, which is left out of it.

    Text stays as it is, booleans are `true` and `false`, date and time are ISO 8601, an enum is its value, paths and
    URLs are their text; lists, sets (sorted), mappings and models are JSON.

    Args:
        value: The value of a parameter.

    Raises:
        ValueError: The value has no text that a job could read; the message says why.
    """
    data = to_data(value)
    if data is None:
        return None
    text = data if isinstance(data, str) else repr(data) if isinstance(data, float) else to_json(data)
    if not is_text(text):
        raise ValueError("holds half of a character (a lone surrogate), which is no text")
    return text


def is_text(text: str) -> bool:
    """Tell whether a text consists of whole characters, so that it can be sent."""
    return text.isascii() or _HALF.search(text) is None


def to_json(data: Any) -> str:
    """Return JSON data as compact text.

    Raises:
        ValueError: There is a NaN or an infinity in it, which JSON cannot carry.
    """
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise ValueError("holds a NaN or an infinity, which JSON cannot carry") from error


def to_data(value: Any) -> Any:
    """Return a value as JSON data: what has no JSON form of its own becomes text.

    Of a class derived from a number's or text's, as some of numpy's are, it is the plain number or text: such a class
    may write itself in another way.

    Raises:
        ValueError: The value has no text that a job could read; the message says why.
    """
    match value:
        case Enum():
            return to_data(value.value)
        case None | bool() | int() | float() | str():
            return _plain(value)
        case BaseModel():
            return to_data(value.model_dump(by_alias=True))
        case Mapping():
            return {_key(key): to_data(item) for key, item in value.items()}
        case AbstractSet():
            return sorted(map(to_data, value), key=to_json)
        case list() | tuple():
            return [to_data(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return _single(value)


def _plain(value: Any) -> Any:
    """Return a number or a text without what a class derived from it adds."""
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
    return str.__str__(value)


def _single(value: Any) -> Any:
    """Convert what is neither a JSON value nor made of several values."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case Decimal() | UUID() | os.PathLike():
            return str(value)
        case bytes() | bytearray() | memoryview():
            raise ValueError("is bytes, which have no text of their own; decode them first")
        case Secret() | SecretStr() | SecretBytes():
            raise ValueError(
                "is a secret, and anyone who may call DescribeJobs can read a job's parameters; "
                "give it to the container through the `secrets` of the job definition"
            )
    return _foreign(value)


def _key(key: Any) -> str:
    text = to_text(key)
    if text is None:
        raise ValueError("has None as a key")
    return text


def _foreign(value: Any) -> Any:
    """Convert what numpy and its like count with, URLs, and whatever else pydantic can write as JSON."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return to_data(value.tolist())
    try:
        return to_jsonable_python(value)
    except PydanticSerializationError as error:
        raise ValueError(f"is of type {type(value).__name__}, which has no text that a job could read") from error


def _duration(value: timedelta) -> str:
    """Return the duration in ISO 8601: `P1DT3723.5S`; a minus sign comes first."""
    if value < timedelta(0):
        return f"-{_duration(-value)}"
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    days = f"{value.days}D" if value.days else ""
    rest = f"T{value.seconds}{fraction}S" if value.seconds or value.microseconds or not days else ""
    return f"P{days}{rest}"


def readings(text: str, types: Iterable[Any]) -> Iterator[Any]:
    """Yield what a rendered template's text may mean in a field that is not text, the likeliest first.

    A date in digits only (`20260131`) is read as a date: pydantic would take it for seconds since 1970.

    Args:
        text: What the template was rendered to.
        types: The types that the field is declared with.
    """
    for kind in types:
        if kind in {date, datetime}:
            try:
                yield kind.fromisoformat(text)
            except ValueError:
                continue
    yield text
    for read in (json.loads, ast.literal_eval):
        try:
            yield read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue


def member_types(annotation: Any) -> tuple[Any, ...]:
    """Return the types that a field's annotation allows: for `Annotated[int | None, …]`, int and NoneType."""
    if hasattr(annotation, "__value__"):  # a `type` statement's alias
        return member_types(annotation.__value__)
    if isinstance(annotation, NewType):
        return member_types(annotation.__supertype__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return member_types(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return tuple(kind for member in get_args(annotation) for kind in member_types(member))
    return (annotation,)


def is_template(value: Any) -> bool:
    """Whether a value is text with a Jinja expression or statement in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def is_airflow_placeholder(value: Any) -> bool:
    """Whether a value is a placeholder for what an Airflow task returns at run time. Does not import Airflow."""
    return any(
        kind.__name__ in _AIRFLOW_LATE and kind.__module__.partition(".")[0] == "airflow"
        for kind in type(value).__mro__
    )


def without_enums(value: Any) -> Any:
    """Return a value with the texts that its enums' members are: Airflow would render such a member as its name.

    One that has none is returned as it is and no copy of it: Airflow renders no template in what an upstream task has
    returned, and knows that by its identity.

    Args:
        value: The value of an argument; what is in a list, a tuple or a mapping counts as well.
    """
    if isinstance(value, Enum) and isinstance(value, str):
        return str.__str__(value)
    if type(value) not in {dict, list, tuple}:
        return value
    before = [*value, *value.values()] if isinstance(value, dict) else list(value)
    after = [without_enums(each) for each in before]
    if all(map(is_, before, after)):
        return value
    if isinstance(value, dict):
        return dict(zip(after[: len(value)], after[len(value) :], strict=True))
    return type(value)(after)


def leaves(value: Any) -> Iterator[Any]:
    """Yield the single values inside lists, sets and mappings, however deep; any other value itself."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(key)
            yield from leaves(item)
    elif isinstance(value, (list, tuple, AbstractSet)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def is_late(value: Any) -> bool:
    """Whether a value is known only at run time: a Jinja template, a task's result, or a collection with one in it.

    Args:
        value: The value of a parameter.
    """
    return any(is_template(leaf) or is_airflow_placeholder(leaf) for leaf in leaves(value))
