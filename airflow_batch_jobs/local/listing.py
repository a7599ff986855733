"""ListJobs: which jobs, in which order, one page at a time."""

from __future__ import annotations

import base64
from itertools import dropwhile, islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_batch_jobs.local.jobs import Job

_T = TypeVar("_T")

#: The largest page of every list, and the default.
MOST_RESULTS = 100

#: Exactly one of these says whose jobs are listed.
SOURCES = ("jobQueue", "arrayJobId", "multiNodeJobId")


def check_list_request(request: Mapping[str, Any]) -> None:
    """Refuse what ListJobs does not accept.

    Raises:
        ServiceError: A ClientException.
    """
    if sum(bool(request.get(source)) for source in SOURCES) != 1:
        raise client_exception("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be specified")
    filters = request.get("filters", [])
    if filters and not request.get("jobQueue"):
        raise client_exception("filters can only be used with jobQueue")
    if len(filters) > 1:
        raise client_exception("Only one filter can be used at a time")
    for one in filters:
        if one.get("name") not in _FILTERS or not one.get("values"):
            raise client_exception(f"Filter {one.get('name')} is not valid: one of {', '.join(_FILTERS)}, with values")


def wanted(request: Mapping[str, Any]) -> Callable[[Job], bool]:
    """Return a predicate that tells whether ListJobs is to show a job.

    With a filter, jobs of any status are shown; without a filter and a status, RUNNING ones are. A share identifier can
    be combined with a status.
    """
    filters = request.get("filters", [])
    status = request.get("jobStatus") or "RUNNING"
    if not filters:
        return lambda job: job.status.value == status
    name, values = filters[0]["name"], filters[0]["values"]
    matches = [_FILTERS[name](value) for value in values]
    if name == "SHARE_IDENTIFIER" and "jobStatus" in request:
        return lambda job: job.status.value == status and any(match(job) for match in matches)
    return lambda job: any(match(job) for match in matches)


def _by_name(value: str) -> Callable[[Job], bool]:
    wanted_name = value.lower()
    if wanted_name.endswith("*"):
        return lambda job: job.name.lower().startswith(wanted_name[:-1])
    return lambda job: job.name.lower() == wanted_name


def _by_definition(value: str) -> Callable[[Job], bool]:
    if value.startswith("arn:"):
        return lambda job: job.definition.arn == value
    if value.endswith("*"):
        return lambda job: job.definition.name.startswith(value[:-1])
    return lambda job: job.definition.name == value


def _moment(value: str) -> int:
    if not value.isdecimal():
        raise client_exception(f"{value} is not a number of milliseconds")
    return int(value)


def _before(value: str) -> Callable[[Job], bool]:
    moment = _moment(value)
    return lambda job: job.created_at < moment


def _after(value: str) -> Callable[[Job], bool]:
    moment = _moment(value)
    return lambda job: job.created_at > moment


def _by_share(value: str) -> Callable[[Job], bool]:
    return lambda job: bool(job.request.get("shareIdentifier") == value)


_FILTERS: dict[str, Callable[[str], Callable[[Job], bool]]] = {
    "JOB_NAME": _by_name,
    "JOB_DEFINITION": _by_definition,
    "BEFORE_CREATED_AT": _before,
    "AFTER_CREATED_AT": _after,
    "SHARE_IDENTIFIER": _by_share,
}


def page(
    items: Iterable[_T], request: Mapping[str, Any], key_of: Callable[[_T], str]
) -> tuple[list[_T], dict[str, str]]:
    """Return one page of a list, and the `nextToken` if there is more.

    Args:
        items: The whole list; new items may come before those already shown, not among them.
        request: The parameters, with `maxResults` and `nextToken`.
        key_of: Returns the name of an item for the token.

    Raises:
        ServiceError: A ClientException.
    """
    size = request.get("maxResults", MOST_RESULTS)
    if not 1 <= size <= MOST_RESULTS:
        raise client_exception(f"maxResults must be between 1 and {MOST_RESULTS}")
    rest = iter(items)
    if request.get("nextToken"):
        last = _read_token(request["nextToken"])
        rest = islice(dropwhile(lambda item: key_of(item) != last, rest), 1, None)
    shown = list(islice(rest, size + 1))
    if len(shown) <= size:
        return shown, {}
    return shown[:size], {"nextToken": base64.urlsafe_b64encode(key_of(shown[size - 1]).encode()).decode()}


def _read_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise client_exception("nextToken is not valid") from error
