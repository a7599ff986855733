"""The limits that Batch sets but its service model does not name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
_SHARE = re.compile(r"[0-9A-Za-z]{1,255}\*?")
_DIGITS = re.compile("[0-9]{1,18}")
_KIBIBYTE = 1024

MOST_ARRAY_CHILDREN = 10_000
MOST_ATTEMPTS = 10
MOST_DEPENDENCIES = 20
MOST_EXIT_RULES = 5
MOST_PRIORITY = 9999
MOST_REASON_LENGTH = 1024
MOST_REQUEST_BYTES = 30 * _KIBIBYTE
MOST_TAGS = 50
LEAST_TIMEOUT_SECONDS = 60


def whole_number(text: str) -> int | None:
    """Return the number that a few digits write; None if the text is not that."""
    return int(text) if _DIGITS.fullmatch(text) else None


def check_name(name: str, what: str) -> None:
    """Refuse a name that has more than 128 characters, or others than letters, digits, `-` and `_`.

    Raises:
        ServiceError: A ClientException.
    """
    if not _NAME.fullmatch(name):
        raise client_exception(f"{what} should match valid pattern")


def check_common(request: Mapping[str, Any]) -> None:
    """Refuse what neither SubmitJob nor RegisterJobDefinition accepts.

    Raises:
        ServiceError: A ClientException.
    """
    for problem in _common_problems(request):
        raise client_exception(problem)


def check_submit(request: Mapping[str, Any], size_bytes: int) -> None:
    """Refuse a SubmitJob request that is outside Batch's limits.

    Args:
        request: The request's parameters.
        size_bytes: The size of its body.

    Raises:
        ServiceError: A ClientException.
    """
    check_name(request["jobName"], "Job name")
    check_common(request)
    for problem in _submit_problems(request, size_bytes):
        raise client_exception(problem)


def _common_problems(request: Mapping[str, Any]) -> Iterator[str]:
    strategy = request.get("retryStrategy", {})
    if not 1 <= strategy.get("attempts", 1) <= MOST_ATTEMPTS:
        yield f"Retry strategy attempts must be between 1 and {MOST_ATTEMPTS}"
    rules = strategy.get("evaluateOnExit", [])
    if len(rules) > MOST_EXIT_RULES:
        yield f"evaluateOnExit must have at most {MOST_EXIT_RULES} conditions"
    if rules and "attempts" not in strategy:
        yield "evaluateOnExit needs attempts beside it"
    for rule in rules:
        if not any(key.startswith("on") for key in rule):
            yield "evaluateOnExit must specify at least one of onStatusReason, onReason and onExitCode"
    if request.get("timeout", {}).get("attemptDurationSeconds", LEAST_TIMEOUT_SECONDS) < LEAST_TIMEOUT_SECONDS:
        yield f"Timeout attemptDurationSeconds must be at least {LEAST_TIMEOUT_SECONDS}"
    for key in ("schedulingPriority", "schedulingPriorityOverride"):
        if not 0 <= request.get(key, 0) <= MOST_PRIORITY:
            yield f"{key} must be between 0 and {MOST_PRIORITY}"
    yield from tag_problems(request.get("tags", {}))


def tag_problems(tags: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with a set of tags."""
    if len(tags) > MOST_TAGS:
        yield f"Number of tags cannot exceed {MOST_TAGS}"
    if any(key.lower().startswith("aws:") for key in tags):
        yield "Tag keys starting with 'aws:' are reserved"


def _submit_problems(request: Mapping[str, Any], size_bytes: int) -> Iterator[str]:
    if size_bytes > MOST_REQUEST_BYTES:
        yield f"Job submission exceeds the maximum payload size of {MOST_REQUEST_BYTES} bytes"
    if "arrayProperties" in request and not 2 <= request["arrayProperties"].get("size", 0) <= MOST_ARRAY_CHILDREN:  # noqa: PLR2004 - AWS's limit
        yield f"Array size must be between 2 and {MOST_ARRAY_CHILDREN}"
    if len(request.get("dependsOn", [])) > MOST_DEPENDENCIES:
        yield f"A job can depend on at most {MOST_DEPENDENCIES} jobs"
    if "shareIdentifier" in request and not _SHARE.fullmatch(request["shareIdentifier"]):
        yield "shareIdentifier should match valid pattern"
    for variable in request.get("containerOverrides", {}).get("environment", []):
        if variable.get("name", "").startswith("AWS_BATCH"):
            yield f"Environment variable {variable['name']} uses the reserved prefix AWS_BATCH"
