"""Limits: what AWS limits in a SubmitJob request and botocore does not check."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.definition.reference import NAME_RULE, parse_reference, require_legal_name
from airflow_batch_jobs.batch.detail import MOST_CHILDREN
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.identity import TAG_PREFIX, TAG_RESERVED, TAG_SIGNS, TAG_VALUE_LIMIT
from airflow_batch_jobs.batch.override_length import check_overrides
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError, RequestError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MAX_PAYLOAD_BYTES = 30 * 1024
MAX_TAGS = 50
MAX_TAG_KEY = 128
#: What AWS or Batch itself puts into a job's environment, and takes from nobody else.
ENVIRONMENT_RESERVED = "AWS_BATCH"

#: The least and the most of each number; None for no limit.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "arrayProperties.size": (2, MOST_CHILDREN),
    "timeout.attemptDurationSeconds": (60, None),
    "retryStrategy.attempts": (1, 10),
    "schedulingPriorityOverride": (0, 9999),
    "nodeOverrides.numNodes": (1, None),
}
#: The most items of each list.
_LENGTHS = {"dependsOn": 20, "retryStrategy.evaluateOnExit": 5}


def check_limits(request: Mapping[str, Any]) -> None:
    """Check a whole SubmitJob request.

    Args:
        request: The request, under AWS's names and with AWS's types.

    Raises:
        RequestError: A limit is broken; the message names the field, the limit and the value.
        NotPinnedError: The job definition has no revision.
        DefinitionError: The job definition is malformed.
    """
    _check_names(request)
    _check_numbers(request)
    _check_tags(request.get("tags", {}))
    _check_commands(request)
    _check_environment(request)
    _check_payload(request)
    check_overrides(request, request.get("parameters", {}))


def _check_names(request: Mapping[str, Any]) -> None:
    try:
        require_legal_name(request["jobName"])
    except DefinitionError as error:
        raise RequestError("jobName", f"{request['jobName']!r} is not legal: {NAME_RULE}") from error
    if not request["jobQueue"].strip():
        raise RequestError("jobQueue", "is empty; give the queue's name or its ARN")
    reference = parse_reference(request["jobDefinition"])
    if reference.revision is None:
        raise NotPinnedError(reference.name)
    share = request.get("shareIdentifier", "")
    if share and not re.fullmatch(r"[0-9A-Za-z]{1,255}\*?", share):
        raise RequestError(
            "shareIdentifier", f"{share!r} is not 1 to 255 letters and digits, with or without a final *"
        )


def _check_numbers(request: Mapping[str, Any]) -> None:
    for path, (least, most) in _NUMBERS.items():
        number = _at(request, path)
        if number is not None and (number < least or (most is not None and number > most)):
            limit = f"at least {least}" if most is None else f"{least} to {most:,}"
            raise RequestError(path, f"is {number:,}; AWS accepts {limit}")
    for path, most in _LENGTHS.items():
        items = _at(request, path)
        if items is not None and len(items) > most:
            raise RequestError(path, f"has {len(items)} entries; AWS accepts at most {most}")


def _at(request: Mapping[str, Any], path: str) -> Any:
    found: Any = request
    for name in path.split("."):
        found = (found or {}).get(name)
    return found


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > MAX_TAGS:
        own = sum(key.startswith(TAG_PREFIX) for key in tags)
        of_airflow = f", {own} of them Airflow's" if own else ""
        raise RequestError("tags", f"there are {len(tags)}{of_airflow}; AWS accepts at most {MAX_TAGS}")
    for key, value in tags.items():
        if not 1 <= len(key) <= MAX_TAG_KEY:
            raise RequestError("tags", f"the key {key!r} has {len(key)} characters; AWS accepts 1 to {MAX_TAG_KEY}")
        for what, text in (("key", key), ("value", value)):
            if text.lower().startswith(TAG_RESERVED):
                raise RequestError("tags", f"the {what} {text!r} begins with {TAG_RESERVED}, which AWS reserves")
        if len(value) > TAG_VALUE_LIMIT:
            raise RequestError(
                f"tags.{key}",
                f"has {len(value)} characters; AWS accepts at most {TAG_VALUE_LIMIT}: {excerpt(value, 60)!r}",
            )
        for field, text in (("tags", key), (f"tags.{key}", value)):
            if not re.fullmatch(rf"[{TAG_SIGNS}]*", text):
                raise RequestError(
                    field, f"{text!r} has characters other than letters, digits, spaces and _ . : / = + - @"
                )


def _check_commands(request: Mapping[str, Any]) -> None:
    for path, item in _items(request, {"command"}):
        if item == "" and "eksPropertiesOverride" not in path:  # AWS says so of containers on ECS only
            raise RequestError(path, "is empty, which AWS does not accept; leave the item out")


def _check_environment(request: Mapping[str, Any]) -> None:
    for path, entry in _items(request, {"environment", "env"}):
        name = entry.get("name", "")
        if name.upper().startswith(ENVIRONMENT_RESERVED):
            raise RequestError(f"{path}.name", f"{name!r} begins with {ENVIRONMENT_RESERVED}, which AWS reserves")


def _items(value: Any, names: Collection[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield where each item of the lists of these names stands, and the item, whatever the kind of override."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if key in names and isinstance(item, list):
                yield from ((f"{where}[{index}]", entry) for index, entry in enumerate(item))
            else:
                yield from _items(item, names, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _items(item, names, f"{path}[{index}]")


def _check_payload(request: Mapping[str, Any]) -> None:
    sizes = {name: _size(item) for name, item in request.items()}
    total = _size(request)
    if total > MAX_PAYLOAD_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise RequestError(
            largest,
            f"makes the request too large: {sizes[largest] / 1024:.1f} of {total / 1024:.1f} KiB, and AWS accepts "
            f"{MAX_PAYLOAD_BYTES // 1024} KiB in all. Put the data in S3 and pass its location",
        )


def _size(value: Any) -> int:
    return len(json.dumps(value).encode())
