"""The tags that AWS would put on the ECS tasks of a job: its own and its definition's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.request.limits import MAX_TAGS
from airflow_batch_jobs.errors import RequestError

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.preflight.plan import Plan


def check_tags(plan: Plan) -> None:
    """Find more tags than a task can have.

    Raises:
        RequestError: AWS would take the request, and fail the job.
    """
    own, others = plan.request.get("tags") or {}, plan.definition.get("tags") or {}
    total = len({**others, **own})
    propagates = plan.request.get("propagateTags", plan.definition.get("propagateTags"))
    if propagates and total > MAX_TAGS:
        raise RequestError(
            "tags",
            f"there are {total} to propagate: {len(own)} of the job, {total - len(own)} more of its definition; ECS "
            f'accepts at most {MAX_TAGS}. Leave some out, or turn it off: submit_options={{"propagateTags": False}}',
        )


def takes_propagate_tags(plan: Plan) -> bool:
    """Tell whether AWS takes propagateTags for the revision: jobs on EKS have no ECS task.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html says so of the definition.
    """
    return not any(task.is_pod for task in plan.tasks)
