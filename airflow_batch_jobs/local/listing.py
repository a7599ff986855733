"""ListJobs: which jobs, in which order, one page at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow_batch_jobs.local.limits import whole_number
from airflow_batch_jobs.local.pages import list_id, page_of
from airflow_batch_jobs.local.wire import client_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_batch_jobs.batch.status import JobStatus
    from airflow_batch_jobs.local.jobs import Job
    from airflow_batch_jobs.local.pages import Place

_T = TypeVar("_T")

#: The largest page of a list, and the default; of ListJobs with a filter, too.
MOST_RESULTS = 100
#: The largest page of ListJobs without a filter, and the default.
_MOST_JOBS = 1000
#: The parameters that say nothing of what is in a list.
_OF_A_PAGE = frozenset({"maxResults", "nextToken"})

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


def wanted(request: Mapping[str, Any]) -> Callable[[Job, JobStatus], bool]:
    """Return a predicate that tells whether ListJobs is to show a job, or a node of one, that has a status.

    With a filter, jobs of any status are shown; without a filter and a status, RUNNING ones are. A share identifier can
    be combined with a status.
    """
    filters = request.get("filters", [])
    status = request.get("jobStatus") or "RUNNING"
    if not filters:
        return lambda _, of_job: of_job.value == status
    name, values = filters[0]["name"], filters[0]["values"]
    matches = [_FILTERS[name](value) for value in values]
    if name == "SHARE_IDENTIFIER" and "jobStatus" in request:
        return lambda job, of_job: of_job.value == status and any(match(job) for match in matches)
    return lambda job, _: any(match(job) for match in matches)


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
    moment = whole_number(value)
    if moment is None:
        raise client_exception(f"{value} is not a number of milliseconds")
    return moment


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
    operation: str, items: Iterable[_T], request: Mapping[str, Any], place_of: Callable[[_T], Place]
) -> tuple[list[_T], dict[str, str]]:
    """Return the page of a list that a request asks for with `maxResults` and `nextToken`.

    Raises:
        ServiceError: A ClientException.
    """
    size = request.get("maxResults", MOST_RESULTS)
    if not 1 <= size <= MOST_RESULTS:
        raise client_exception(f"maxResults must be between 1 and {MOST_RESULTS}")
    return _page(operation, items, request, place_of, size)


def page_of_jobs(
    items: Iterable[_T], request: Mapping[str, Any], place_of: Callable[[_T], Place]
) -> tuple[list[_T], dict[str, str]]:
    """Return a page of ListJobs: up to 1,000 jobs, or up to 100 where a filter is used, whatever maxResults says.

    Raises:
        ServiceError: A ClientException.
    """
    size = request.get("maxResults", _MOST_JOBS)
    if not 1 <= size <= _MOST_JOBS:
        raise client_exception(f"maxResults must be between 1 and {_MOST_JOBS}")
    return _page("ListJobs", items, request, place_of, min(size, MOST_RESULTS) if request.get("filters") else size)


def _page(
    operation: str, items: Iterable[_T], request: Mapping[str, Any], place_of: Callable[[_T], Place], size: int
) -> tuple[list[_T], dict[str, str]]:
    of = list_id(operation, {name: value for name, value in request.items() if name not in _OF_A_PAGE})
    try:
        return page_of(items, place_of, of=of, size=size, token=request.get("nextToken", ""))
    except ValueError as error:
        raise client_exception("nextToken is not valid") from error
