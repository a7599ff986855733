"""Arguments as a DAG's author gives them, checked by their names when the DAG is parsed.

A template and a task's result are known only at run time, and pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_batch_jobs.batch.definition.values import is_airflow_placeholder, is_template, is_text
from airflow_batch_jobs.batch.numbers import shown

#: What botocore takes for the name of a region, which becomes a part of a host's name.
_REGION = re.compile(r"(?![0-9]+\Z)(?!-)[a-zA-Z0-9-]{1,63}(?<!-)\Z")


def check_switch(value: Any, name: str, *, or_none: bool = False) -> None:
    """Check that something is on or off: a text such as "false" would count as True.

    Raises:
        ValueError: It is not.
    """
    if not (isinstance(value, bool) or (or_none and value is None)):
        raise _is_not(name, "be True or False", value)


def check_text(value: Any, name: str, *, or_empty: bool = False) -> None:
    """Check that something is text.

    Args:
        value: What was given.
        name: What it is called.
        or_empty: Whether it may also be None or empty.

    Raises:
        ValueError: It is not.
    """
    if is_airflow_placeholder(value) or (or_empty and value is None):
        return
    if not isinstance(value, str) or not is_text(value):
        raise _is_not(name, "be text", value)
    if not or_empty and not value.strip():
        raise ValueError(f"{name} must not be empty")


def check_mapping(value: Any, name: str) -> None:
    """Check that something is a mapping with names as keys, or None.

    Shows no value, which may hold secrets: the list of an environment in place of the overrides that it belongs in.

    Raises:
        ValueError: It is not.
    """
    # A template becomes a mapping in a DAG that renders native objects.
    if value is None or is_airflow_placeholder(value) or (isinstance(value, str) and is_template(value)):
        return
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a mapping, not a value of type {type(value).__name__}")  # noqa: TRY004 - as for any argument
    for key in value:
        if not isinstance(key, str):
            raise _is_not(name, "have names as keys", key)


def check_region(value: Any) -> None:
    """Check a region's name.

    Raises:
        ValueError: It is none, and not None or empty either.
    """
    check_text(value, "region_name", or_empty=True)
    if isinstance(value, str) and value and not is_template(value) and not _REGION.match(value):
        raise _is_not("region_name", "be the name of a region, such as eu-central-1", value)


def check_verify(value: Any) -> None:
    """Check how TLS certificates are to be verified.

    Raises:
        ValueError: It is neither True, False or None, nor the path of a file.
    """
    if value is None or isinstance(value, bool) or is_airflow_placeholder(value):
        return
    if not isinstance(value, str) or not is_text(value):
        raise _is_not("verify", "be True, False or the path of a CA bundle", value)


def check_queues(value: Any) -> None:
    """Check the names of queues.

    Raises:
        ValueError: They are neither one name nor a list of names.
    """
    if is_airflow_placeholder(value):
        return
    if not isinstance(value, (str, list, tuple, set, frozenset)):
        raise _is_not("job_queues", "be a list of names", value)
    for each in [value] if isinstance(value, str) else value:
        check_text(each, "job_queues")


def _is_not(name: str, what: str, value: Any) -> ValueError:
    return ValueError(f"{name} must {what}, not {shown(value)}")
