"""The tags that AWS would put on the ECS tasks of a job: its own and its definition's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.identity import TAG_RESERVED
from airflow_batch_jobs.batch.members import NOTHING
from airflow_batch_jobs.batch.request.limits import MAX_TAGS
from airflow_batch_jobs.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.preflight.plan import Plan


def check_tags(plan: Plan) -> None:
    """Find more tags than a task can have; those of AWS's own (CloudFormation's, say) do not count.

    Raises:
        RequestError: AWS would take the request, and fail the job.
    """
    own, others = plan.request.get("tags") or {}, _of_users(plan.definition.get("tags") or {})
    total = len({**others, **own})
    propagates = plan.request.get("propagateTags", plan.definition.get("propagateTags"))
    if propagates and total > MAX_TAGS:
        raise RequestError(
            "tags",
            f"there are {total} to propagate: {len(own)} of the job, {total - len(own)} more of its definition; ECS "
            f'accepts at most {MAX_TAGS}. Leave some out, or turn it off: submit_options={{"propagateTags": False}}',
        )


def takes_propagate_tags(definition: Mapping[str, Any]) -> bool:
    """Tell whether AWS takes propagateTags for a revision: jobs on EKS have no ECS task.

    https://docs.aws.amazon.com/batch/latest/APIReference/API_RegisterJobDefinition.html says so of the definition.
    """
    ranges = (definition.get("nodeProperties") or NOTHING).get("nodeRangeProperties") or ()
    return not any(part.get("eksProperties") for part in (definition, *ranges))


def _of_users(tags: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in tags.items() if not key.lower().startswith(TAG_RESERVED)}
