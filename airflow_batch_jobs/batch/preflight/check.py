"""Check a request before it is sent: what AWS would refuse, or would run differently than intended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.override_length import check_length, overridden
from airflow_batch_jobs.batch.preflight.existing import check_queue, check_revision
from airflow_batch_jobs.batch.preflight.parameters import (
    check_placeholders,
    note_placeholders_elsewhere,
    note_placeholders_inside,
    note_unused_parameters,
)
from airflow_batch_jobs.batch.preflight.place import Place, note_foreign_resources
from airflow_batch_jobs.batch.preflight.plan import Plan
from airflow_batch_jobs.batch.preflight.resources import check_resources, note_older_fields
from airflow_batch_jobs.batch.preflight.tags import check_tags, takes_propagate_tags
from airflow_batch_jobs.batch.preflight.targets import check_targets
from airflow_batch_jobs.errors import AccessDeniedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.request import SubmitRequest


def check_request(
    clients: ClientFactory,
    request: SubmitRequest,
    *,
    note: Callable[[str], object] = lambda _: None,
    also: Callable[[Mapping[str, Any], Mapping[str, Any]], object] = lambda *_: None,
) -> str:
    """Find what AWS would refuse, or would run differently than intended, before the request is sent.

    Checks the limits, the queue, the pinned revision, and what the request makes of it. A role that may only submit
    can still submit: what it may not look at is skipped. A field that AWS does not take for the revision, and that the
    user did not ask for, is left out of the request.

    Args:
        clients: Makes the clients.
        request: What is to be submitted.
        note: Told in one line each what may not be meant, or why nothing was looked at.
        also: Called with the revision, as AWS describes it, and the arguments of SubmitJob; may find more.

    Returns:
        The ARN of the pinned revision; the request's own reference if the role may not look it up.

    Raises:
        RequestError: The request is outside AWS's limits, or asks for what the revision or its platform does not have.
        QueueNotFoundError: The queue does not exist, or takes no jobs.
        DefinitionNotFoundError: The definition, or the revision, does not exist.
        RevisionInactiveError: The pinned revision is deregistered.
        ParameterError: The job's command has a placeholder that nothing fills.
        AwsError: AWS could not be asked.
    """
    request.validate()
    try:
        queue = check_queue(clients, request.job_queue)
        home = Place.of(queue.get("jobQueueArn"))
        definition = check_revision(clients, request.job_definition, home)
    except AccessDeniedError as error:
        if not error.action.startswith("batch:"):
            raise  # a role that may not be assumed submits nothing either
        note(f"The request is sent without checking its queue and definition. {error}")
        return request.job_definition
    if not takes_propagate_tags(definition):
        request.leave_out("propagateTags")
        if request.options.get("propagateTags"):
            note("propagateTags is not sent: jobs on EKS have no ECS task to put tags on")
    if "schedulingPriorityOverride" in request.options and not queue.get("schedulingPolicyArn"):
        note("schedulingPriorityOverride has no effect: the queue has no fair-share policy, and runs jobs in turn")
    plan = Plan.of(definition, request.to_api())
    note_foreign_resources(plan.request, home, note)
    check_plan(plan, note)
    also(definition, request.to_api())
    return str(definition.get("jobDefinitionArn", request.job_definition))


def check_plan(plan: Plan, note: Callable[[str], object] = lambda _: None) -> None:
    """Find what cannot be meant of a request, for the revision that it pins.

    Args:
        plan: What the request makes of the revision.
        note: Told in one line each what may not be meant; before any error that it may be the reason of.

    Raises:
        RequestError: The request asks for what the revision, or its platform, does not have.
        ParameterError: A placeholder is not filled.
    """
    check_targets(plan.definition, plan.request)
    for look in (note_placeholders_inside, note_placeholders_elsewhere, note_unused_parameters, note_older_fields):
        look(plan, note)
    check_placeholders(plan)
    check_resources(plan)
    check_tags(plan)
    for task in plan.ecs_tasks():
        check_length(
            overridden(one.path, one.override, one.defined.get("command") or (), plan.parameters)
            for one in task.containers
        )
