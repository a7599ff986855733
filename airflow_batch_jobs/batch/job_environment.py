"""Variables that a job gets besides its author's own, in the containers of whatever kind of job it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.members import structure, structures
from airflow_batch_jobs.batch.node_ranges import has_range
from airflow_batch_jobs.batch.overrides import OVERRIDES
from airflow_batch_jobs.batch.preflight.check import check_plan
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.batch.request.limits import check_limits
from airflow_batch_jobs.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_batch_jobs.batch.changes.next_job import Container
    from airflow_batch_jobs.batch.request import SubmitRequest

#: How many characters are left free behind the variables, since ECS counts more than is known here, and a job must not
#: fail because of what its author did not ask for.
_MARGIN = 1_000


def give_variables(
    request: SubmitRequest,
    definition: Mapping[str, Any],
    variables: Mapping[str, str],
    note: Callable[[str], object] = lambda _: None,
) -> None:
    """Have variables sent with a request, to all containers of the job, each unless its author has set it.

    None is sent if AWS might take no more than them. The request's digest stays the same.

    Args:
        request: The request, which AWS takes without them.
        definition: The pinned revision, as AWS describes it.
        variables: The variables.
        note: Told in one line if there is no room for them.
    """
    given = _overrides(definition, request.to_api(), variables)
    most = {**request.to_api(), **_overrides(definition, request.to_api(), {**variables, "_": "x" * _MARGIN})}
    try:
        check_limits(most)
        check_plan(Plan.of(definition, most))
    except RequestError:
        note(
            "The job is not told of its task: its environment has no room. [batch_jobs] job_environment turns this off."
        )
    else:
        request.send_instead(given)


def _overrides(definition: Mapping[str, Any], request: dict[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the request's overrides with the variables; none where AWS's description is not there or of odd nodes."""
    ranges = structures(structure(definition, "nodeProperties"), "nodeRangeProperties")
    if not definition or not all(has_range(each) for each in ranges):
        return {}
    job = NextJob(request, definition)
    for task in job.tasks:
        for container in task.containers:
            _give(container, variables)
    return {name: given for name, given in job.to_api().items() if name in OVERRIDES.values()}


def _give(container: Container, variables: Mapping[str, str]) -> None:
    """Give a container the variables; the names of its secrets count as set, since ECS takes none twice."""
    if not (container.is_pods or container.name or container.path.endswith("containerOverrides")):
        return  # AWS does not say how it names such a container
    field = "env" if container.is_pods else "environment"
    own = container.override.get(field) or []
    places = (own, structures(container.defined, field), structures(container.defined, "secrets"))
    taken = {each.get("name") for place in places for each in place}
    added = [{"name": name, "value": value} for name, value in variables.items() if name not in taken]
    container.override[field] = [*own, *added]
