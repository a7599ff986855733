"""The limits that Batch sets but its service model does not name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,127}")
#: What the service model says of EksMetadata.namespace, besides the two words that it must not be.
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
#: What Kubernetes allows as a DNS subdomain, and as a label or the name of an annotation.
DNS_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_SEGMENT = re.compile(r"[0-9A-Za-z](?:[-0-9A-Za-z_.]{0,61}[0-9A-Za-z])?")
MOST_DNS_NAME = 253
_MOST_ANNOTATION = 255
_SHARE = re.compile(r"[0-9A-Za-z]{1,255}\*?")
#: What the service model says that the conditions of evaluateOnExit are made of.
_CONDITIONS = {
    "onStatusReason": re.compile(r"[0-9A-Za-z.:\s]*\*?"),
    "onReason": re.compile(r"[0-9A-Za-z.:\s]*\*?"),
    "onExitCode": re.compile(r"[0-9]*\*?"),
}
_DIGITS = re.compile("[0-9]{1,18}")
_KIBIBYTE = 1024

MOST_ARRAY_CHILDREN = 10_000
MOST_ATTEMPTS = 10
MOST_CONDITION_LENGTH = 512
MOST_CONTAINERS = 10
MOST_DEPENDENCIES = 20
MOST_EXIT_RULES = 5
MOST_PRIORITY = 9999
MOST_REASON_LENGTH = 1024
#: https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
MOST_DEFINITION_BYTES = 24 * _KIBIBYTE
MOST_REQUEST_BYTES = 30 * _KIBIBYTE
MOST_TAGS = 50
LEAST_TIMEOUT_SECONDS = 60


def whole_number(text: str) -> int | None:
    """Return the number that a few digits write; None if the text is not that."""
    return int(text) if _DIGITS.fullmatch(text) else None


def check_name(name: str, what: str) -> None:
    """Refuse a name that has more than 128 characters, others than letters, digits, `-` and `_`, or one of these first.

    AWS documents the last of jobs only; for definitions and queues it was tried, in
    https://github.com/hashicorp/terraform-provider-aws/pull/2159.

    Raises:
        ServiceError: A ClientException.
    """
    if not _NAME.fullmatch(name):
        raise client_exception(f"{what} should match valid pattern")


def check_size(size_bytes: int, most_bytes: int, what: str) -> None:
    """Refuse a request with a body that is too large.

    Raises:
        ServiceError: A ClientException.
    """
    if size_bytes > most_bytes:
        most_kib, got_kib = most_bytes // _KIBIBYTE, -(-size_bytes // _KIBIBYTE)
        raise client_exception(f"{what} size must be less than {most_kib} KiB, got {got_kib} KiB")


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
    check_size(size_bytes, MOST_REQUEST_BYTES, "Job")
    check_common(request)
    for problem in _submit_problems(request):
        raise client_exception(problem)


def _common_problems(request: Mapping[str, Any]) -> Iterator[str]:
    yield from _strategy_problems(request.get("retryStrategy", {}))
    if request.get("timeout", {}).get("attemptDurationSeconds", LEAST_TIMEOUT_SECONDS) < LEAST_TIMEOUT_SECONDS:
        yield f"Timeout attemptDurationSeconds must be at least {LEAST_TIMEOUT_SECONDS}"
    for key in ("schedulingPriority", "schedulingPriorityOverride"):
        if not 0 <= request.get(key, 0) <= MOST_PRIORITY:
            yield f"{key} must be between 0 and {MOST_PRIORITY}"
    yield from tag_problems(request.get("tags", {}))


def _strategy_problems(strategy: Mapping[str, Any]) -> Iterator[str]:
    if not 1 <= strategy.get("attempts", 1) <= MOST_ATTEMPTS:
        yield f"Retry strategy attempts must be between 1 and {MOST_ATTEMPTS}"
    rules = strategy.get("evaluateOnExit", [])
    if len(rules) > MOST_EXIT_RULES:
        yield f"evaluateOnExit must have at most {MOST_EXIT_RULES} conditions"
    if rules and "attempts" not in strategy:
        yield "evaluateOnExit needs attempts beside it"
    for rule in rules:
        given = rule.keys() & _CONDITIONS.keys()
        if not given:
            yield "evaluateOnExit must specify at least one of onStatusReason, onReason and onExitCode"
        for key in given:
            if not _CONDITIONS[key].fullmatch(rule[key]) or len(rule[key]) > MOST_CONDITION_LENGTH:
                yield f"evaluateOnExit {key} should match valid pattern: {_CONDITIONS[key].pattern}"


def tag_problems(tags: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with a set of tags."""
    if len(tags) > MOST_TAGS:
        yield f"Number of tags cannot exceed {MOST_TAGS}"
    if any(text.lower().startswith("aws:") for pair in tags.items() for text in pair):
        yield "Tag keys and values starting with 'aws:' are reserved"


def _submit_problems(request: Mapping[str, Any]) -> Iterator[str]:
    # Empty ones make no array: older versions of the Amazon provider send them with each job.
    array = request.get("arrayProperties")
    if array and not 2 <= array.get("size", 0) <= MOST_ARRAY_CHILDREN:  # noqa: PLR2004 - AWS's limit
        yield f"Array size must be between 2 and {MOST_ARRAY_CHILDREN}"
    if len(request.get("dependsOn", [])) > MOST_DEPENDENCIES:
        yield f"A job can depend on at most {MOST_DEPENDENCIES} jobs"
    if "shareIdentifier" in request and not _SHARE.fullmatch(request["shareIdentifier"]):
        yield "shareIdentifier should match valid pattern"


def environment_problems(variables: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with the environment of a container, or with an override of it."""
    for variable in variables:
        if variable.get("name", "").startswith("AWS_BATCH"):
            yield f"Environment variable {variable['name']} uses the reserved prefix AWS_BATCH"


def metadata_problems(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the metadata of a pod, or of an override of it."""
    metadata = pod.get("metadata", {})
    yield from _namespace_problems(metadata.get("namespace"))
    for kind in ("labels", "annotations"):
        for key in metadata.get(kind, {}):
            prefix, slash, name = key.rpartition("/")
            is_prefix = len(prefix) <= MOST_DNS_NAME and DNS_SUBDOMAIN.fullmatch(prefix)
            if (slash and not is_prefix) or not _SEGMENT.fullmatch(name):
                yield f"{kind} key {key} must be a name of at most 63 characters, with a DNS subdomain and / before it"
    for value in metadata.get("labels", {}).values():
        if value and not _SEGMENT.fullmatch(value):
            yield f"labels value {value} must have at most 63 letters, numbers, hyphens, underscores, and periods"
    for value in metadata.get("annotations", {}).values():
        if len(value) > _MOST_ANNOTATION:
            yield f"annotations values must have at most {_MOST_ANNOTATION} characters"


def _namespace_problems(namespace: str | None) -> Iterator[str]:
    if namespace is None:
        return
    if not _NAMESPACE.fullmatch(namespace):
        yield f"namespace {namespace} should have 1 to 63 characters and match ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    elif namespace == "default" or namespace.startswith("kube"):
        yield f"namespace {namespace} is reserved: it can't be default, and can't start with kube"


def value_problems(properties: Mapping[str, Any], allowed: Mapping[str, Collection[str]], *keys: str) -> Iterator[str]:
    """Yield which members are none of the values that AWS documents for them.

    Args:
        properties: What has the members.
        allowed: The values of each member.
        keys: The members to look at.
    """
    for key in keys:
        if key in properties and properties[key] not in allowed[key]:
            yield f"{key} {properties[key]} is not valid: one of {', '.join(sorted(allowed[key]))}"


def stop_problems(job_ids: Iterable[str], reason: str) -> Iterator[str]:
    """Yield what is wrong with a request that cancels or terminates jobs."""
    if not all(job_ids):
        yield "Job id must not be empty"
    if not 1 <= len(reason) <= MOST_REASON_LENGTH:
        yield f"Reason must have between 1 and {MOST_REASON_LENGTH} characters"
