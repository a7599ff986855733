"""What is checked before a submit: the request's limits, its queue, the pinned revision and what its commands need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.request import unfilled_placeholders
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    DefinitionNotFoundError,
    NotPinnedError,
    ParameterError,
    QueueNotFoundError,
    RevisionInactiveError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.request import SubmitRequest

_QUEUES_NAMED = 10


def check_request(clients: ClientFactory, request: SubmitRequest, *, note: Callable[[str], None] | None = None) -> str:
    """Find what AWS would refuse, or would run differently than intended, before the request is sent.

    Checks the limits, the queue, the pinned revision and its placeholders. A role that may only submit can still
    submit: what it may not look at is skipped.

    Args:
        clients: Makes the clients.
        request: What is to be submitted.
        note: Told in one line why nothing was looked at.

    Returns:
        The ARN of the pinned revision; the request's own reference if the role may not look it up.

    Raises:
        RequestError: The request is outside AWS's limits.
        QueueNotFoundError: The queue does not exist, or takes no jobs.
        DefinitionNotFoundError: The definition, or the revision, does not exist.
        RevisionInactiveError: The pinned revision is deregistered.
        ParameterError: The revision's command has a placeholder that nothing fills.
        AwsError: AWS could not be asked.
    """
    request.validate()
    try:
        check_queue(clients, request.job_queue)
        definition = check_revision(clients, request.job_definition)
    except AccessDeniedError as error:
        if not error.action.startswith("batch:"):
            raise  # a role that may not be assumed submits nothing either
        if note is not None:
            note(f"The request is sent without checking its queue and definition. {error}")
        return request.job_definition
    check_placeholders(definition, request)
    return str(definition.get("jobDefinitionArn", request.job_definition))


def check_queue(clients: ClientFactory, queue: str) -> None:
    """Find the queue.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.

    Raises:
        QueueNotFoundError: There is no such queue (the message names the existing ones), or it is disabled.
        AwsError: AWS could not be asked.
    """
    batch = service(clients, "batch")
    action = batch.action_of("describe_job_queues")
    states = batch.call("describe_job_queues", _states, jobQueues=[queue])
    if not states:
        names = sorted(batch.pages("describe_job_queues", "jobQueues", lambda found: str(found["jobQueueName"])))
        more = ", …" if len(names) > _QUEUES_NAMED else ""
        existing = f"Existing queues: {', '.join(names[:_QUEUES_NAMED])}{more}." if names else "There are none."
        problem = f"No job queue {queue!r} in region {batch.region_name()} of this account. {existing}"
        raise QueueNotFoundError(problem, action=action)
    if states[0] == "DISABLED":
        raise QueueNotFoundError(f"Job queue {queue!r} is disabled and takes no jobs. Enable it.", action=action)


def check_revision(clients: ClientFactory, reference: str) -> dict[str, Any]:
    """Find the pinned revision of a definition and return it as AWS describes it.

    Args:
        clients: Makes the clients.
        reference: `name:revision`, or an ARN with a revision.

    Raises:
        NotPinnedError: The reference has no revision.
        DefinitionNotFoundError: The definition, or the revision, does not exist.
        RevisionInactiveError: It is deregistered; the message names the newest ACTIVE revision and how to pin it.
        AwsError: AWS could not be asked.
    """
    wanted = parse_reference(reference)
    if wanted.revision is None:
        raise NotPinnedError(wanted.name)
    batch = service(clients, "batch")
    action = batch.action_of("describe_job_definitions")
    found = batch.call("describe_job_definitions", _definitions, jobDefinitions=[reference])
    if found and found[0].get("status") != "INACTIVE":
        return found[0]
    of_name = {"jobDefinitionName": wanted.name, "status": "ACTIVE"}
    active = batch.pages("describe_job_definitions", "jobDefinitions", _revision, **of_name)
    if not found and not active:
        place = f"in region {batch.region_name()} of this account"
        raise DefinitionNotFoundError(f"No job definition {wanted.name!r} is active {place}.", action=action)
    newest = max(active, default=None)
    way_out = (
        "It has no ACTIVE revision: register one."
        if newest is None
        else "It is listed as ACTIVE, so AWS will soon find it: try again."
        if wanted.revision in active
        else f"The newest ACTIVE one is {newest}; if it does the same, pin it with `at_revision({newest})` or as "
        f'"{wanted.base}:{newest}".'
    )
    if not found:
        problem = f"Job definition {wanted.name!r} has no revision {wanted.revision}"
        raise DefinitionNotFoundError(f"{problem}. {way_out}", action=action)
    problem = f"Revision {wanted.revision} of job definition {wanted.name!r} is INACTIVE: it was deregistered"
    raise RevisionInactiveError(f"{problem}. {way_out}", action=action)


def check_placeholders(definition: Mapping[str, Any], request: SubmitRequest) -> None:
    """Find any `Ref::x` in the commands that will run for which nothing gives `x` a value.

    AWS would pass the placeholder to the program as it is.

    Args:
        definition: The revision, as `check_revision` returns it.
        request: What is to be submitted.

    Raises:
        ParameterError: A placeholder is not filled.
    """
    defaults = definition.get("parameters") or {}
    for command in _commands(definition, request):
        for name in unfilled_placeholders(command, defaults, request.parameters):
            raise ParameterError(
                str(parse_reference(request.job_definition)),
                name,
                f"is missing: the command has the placeholder Ref::{name} and neither the definition's defaults nor "
                "the parameters given fill it",
            )


def _states(answer: Mapping[str, Any]) -> list[str | None]:
    return [queue.get("state") for queue in answer["jobQueues"]]


def _definitions(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(definition) for definition in answer["jobDefinitions"]]


def _revision(definition: Mapping[str, Any]) -> int:
    return int(definition["revision"])


def _commands(definition: Mapping[str, Any], request: SubmitRequest) -> Iterator[list[str]]:
    """Yield the commands of a definition that the request does not replace; AWS fills placeholders only in these."""
    if not (request.container_overrides or {}).get("command"):
        yield (definition.get("containerProperties") or {}).get("command") or []
    replaced = {
        container.get("name")
        for container in _task_containers(request.options.get("ecsPropertiesOverride"))
        if container.get("command")
    }
    for container in _task_containers(definition.get("ecsProperties")):
        if container.get("name") not in replaced:
            yield container.get("command") or []
    # Overrides divide the nodes into ranges of their own, so it is not simple to tell which commands they leave.
    if not (request.options.get("nodeOverrides") or {}).get("nodePropertyOverrides"):
        for part in (definition.get("nodeProperties") or {}).get("nodeRangeProperties") or ():
            yield (part.get("container") or {}).get("command") or []
            yield from (container.get("command") or [] for container in _task_containers(part.get("ecsProperties")))


def _task_containers(properties: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Yield the containers of ECS tasks."""
    for task in (properties or {}).get("taskProperties") or ():
        yield from task.get("containers") or ()
