"""Conform a SubmitJob request to the types that botocore's model of AWS Batch declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import index
from typing import Any

from airflow_batch_jobs.batch.definition.problems import did_you_mean
from airflow_batch_jobs.batch.definition.values import is_text, to_text
from airflow_batch_jobs.batch.numbers import shown
from airflow_batch_jobs.errors import RequestError

_WORDS = {"true": True, "false": False}


def conform(value: Any, shape: Any, path: str = "") -> Any:
    """Return a value with the types that a shape declares.

    A rendered template is text, so text is read as a number or a boolean where one is declared; where text is
    declared, a number or a date becomes text in the same way as for a parameter.

    Args:
        value: What was given.
        shape: botocore's description of what belongs there.
        path: Where it stands in the request, as AWS names it.

    Raises:
        RequestError: A field is unknown, missing, None, or of a type that cannot be read as the declared one.
    """
    if value is None:
        raise RequestError(path, "is None, which AWS does not accept; leave the field out")
    return _READERS[shape.type_name](value, shape, path)


def _structure(value: Any, shape: Any, path: str) -> dict[str, Any]:
    known = shape.members
    for name in _mapping(value, path):
        if name not in known:
            raise RequestError(_join(path, name), f"is unknown to AWS.{did_you_mean(str(name), known)}")
    for name in shape.required_members:
        if name not in value:
            raise RequestError(_join(path, name), "is missing")
    return {name: conform(item, known[name], _join(path, name)) for name, item in value.items()}


def _map(value: Any, shape: Any, path: str) -> dict[str, Any]:
    return {
        _key(key, path): conform(item, shape.value, _join(path, key)) for key, item in _mapping(value, path).items()
    }


def _list(value: Any, shape: Any, path: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise RequestError(path, f"must be a list, not a value of type {type(value).__name__}")
    return [conform(item, shape.member, f"{path}[{index}]") for index, item in enumerate(value)]


def _string(value: Any, _shape: Any, path: str) -> str:
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        raise RequestError(path, f"must be text, not {_shown(value, path)}")
    try:
        return str(to_text(value))
    except ValueError as error:
        raise RequestError(path, str(error)) from error


def _integer(value: Any, _shape: Any, path: str) -> int:
    try:
        if not isinstance(value, bool):
            return int(value) if isinstance(value, str) else index(value)
    except (TypeError, ValueError):
        pass
    raise RequestError(path, f"must be a whole number, not {_shown(value, path)}")


def _boolean(value: Any, _shape: Any, path: str) -> bool:
    read = _WORDS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(read, bool):
        raise RequestError(path, f"must be true or false, not {_shown(value, path)}")
    return read


_READERS = {
    "structure": _structure,
    "map": _map,
    "list": _list,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "boolean": _boolean,
}


def _shown(value: Any, path: str) -> str:
    """Return a value as errors may show it: of anything in an environment, which may hold secrets, only the type."""
    if isinstance(value, (str, int, float)) and not re.search(r"\.env(ironment)?\b", path):
        return shown(value)
    return f"a value of type {type(value).__name__}"


def _mapping(value: Any, path: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(path, f"must be a mapping, not a value of type {type(value).__name__}")
    return value


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str) or not is_text(key):
        raise RequestError(path, f"has the key {key!r}, which is not text")
    return key


def _join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)
