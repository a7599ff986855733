"""The vCPUs, memory and GPUs that the containers of a job will have."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.containers import needs
from airflow_batch_jobs.batch.fargate import MEMORY_MIB, Size, is_on_fargate, total_size, vcpus_as_text
from airflow_batch_jobs.batch.overrides import OLDER, resources
from airflow_batch_jobs.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.overrides import OverriddenContainer
    from airflow_batch_jobs.batch.preflight.plan import Plan


def check_resources(plan: Plan) -> None:
    """Find resources that Fargate does not offer. What EC2 offers depends on the instances.

    Raises:
        RequestError: The request asks for such.
    """
    if not is_on_fargate(plan.definition):
        return
    for task in plan.ecs_tasks():
        asked = [container for container in task.containers if container.override.get("resourceRequirements")]
        for container in task.containers:
            _check_types(container)
        size = total_size(resources(one.defined, one.override) for one in task.containers) if asked else None
        if size is not None and not size.is_offered:
            raise RequestError(f"{asked[0].path}.resourceRequirements", _not_offered(size))


def note_older_fields(plan: Plan, note: Callable[[str], object]) -> None:
    """Tell of `vcpus` and `memory` in an override that change nothing: resourceRequirements stand above them.

    On Fargate they are refused.
    """
    for task in plan.ecs_tasks() if not is_on_fargate(plan.definition) else ():
        for container in task.containers:
            for kind, field in OLDER.items():
                asked = container.override.get(field)
                above = needs(container.override).get(kind)
                where = f"{container.path}.resourceRequirements" if above else "the definition's resourceRequirements"
                above = above or needs(container.defined).get(kind)
                if asked is not None and above and not _is_same(above, str(asked)):
                    note(
                        f"{container.path}.{field} has no effect: what counts is {kind} in {where}, which is {above}. "
                        f'If you mean {asked}, override resourceRequirements: {{"type": "{kind}", "value": "{asked}"}}'
                    )


def _is_same(one: str, other: str) -> bool:
    """Tell whether two amounts are equal: as numbers, if they are some."""
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other


def _check_types(container: OverriddenContainer) -> None:
    for kind, field in OLDER.items():
        if field in container.override:
            value = container.override[field]
            raise RequestError(
                f"{container.path}.{field}",
                f'is not taken for Fargate; give resourceRequirements: {{"type": "{kind}", "value": "{value}"}}',
            )
    if "GPU" in needs(container.override):
        raise RequestError(f"{container.path}.resourceRequirements", "asks for a GPU, which Fargate does not offer")


def _not_offered(size: Size) -> str:
    memory = MEMORY_MIB.get(size.vcpus)
    range_of_memory = (
        f" With {vcpus_as_text(size.vcpus)} vCPU it has {memory[0]} to {memory[-1]} MiB." if memory else ""
    )
    nearest = size.nearest()
    offered = f"the nearest that is enough is {nearest}" if nearest else f"the most it has is {Size.largest()}"
    return f"Fargate does not offer {size}; {offered}.{range_of_memory}"
