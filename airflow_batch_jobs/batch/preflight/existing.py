"""The queue and the revision of a request: whether they exist, and take jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.preflight.place import Place
from airflow_batch_jobs.errors import (
    DefinitionNotFoundError,
    NotPinnedError,
    QueueNotFoundError,
    RequestRefusedError,
    RevisionInactiveError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory, Service

_QUEUES_NAMED = 10


def check_queue(clients: ClientFactory, queue: str) -> dict[str, Any]:
    """Find a queue that takes jobs, and return it as AWS describes it.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.

    Raises:
        QueueNotFoundError: There is no such queue (the message names the existing ones), or it is disabled.
        AwsError: AWS could not be asked.
    """
    found = find_queue(clients, queue)
    if found.get("state") == "DISABLED":
        action = service(clients, "batch").action_of("describe_job_queues")
        raise QueueNotFoundError(f"Job queue {queue!r} is disabled and takes no jobs. Enable it.", action=action)
    return found


def find_queue(clients: ClientFactory, queue: str) -> dict[str, Any]:
    """Find a queue, whether or not it takes jobs, and return it as AWS describes it.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.

    Raises:
        QueueNotFoundError: There is no such queue; the message names the existing ones.
        AwsError: AWS could not be asked.
    """
    batch = service(clients, "batch")
    action = batch.action_of("describe_job_queues")
    found = _or_none(batch, queue, lambda: batch.call("describe_job_queues", _queues, jobQueues=[queue]))
    if not found:
        existing = dict(batch.pages("describe_job_queues", "jobQueues", _named))
        names = sorted(existing)
        more = ", …" if len(names) > _QUEUES_NAMED else ""
        way_out = f"Existing queues: {', '.join(names[:_QUEUES_NAMED])}{more}." if names else "There are none."
        elsewhere = Place.of(queue).foreign_to(_home(batch, existing.values()))
        problem = f"No job queue {queue!r} in region {batch.region_name()} of this account."
        raise QueueNotFoundError(" ".join(filter(None, (problem, elsewhere, way_out))), action=action)
    return found[0]


def check_revision(clients: ClientFactory, reference: str, home: Place | None = None) -> dict[str, Any]:
    """Find the pinned revision of a definition and return it as AWS describes it.

    Args:
        clients: Makes the clients.
        reference: `name:revision`, or an ARN with a revision.
        home: Where the connection leads, if that is known.

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
    found = _or_none(
        batch, reference, lambda: batch.call("describe_job_definitions", _definitions, jobDefinitions=[reference])
    )
    if found and found[0].get("status") != "INACTIVE":
        return found[0]
    of_name = {"jobDefinitionName": wanted.name, "status": "ACTIVE"}
    active = dict(batch.pages("describe_job_definitions", "jobDefinitions", _revision, **of_name))
    if elsewhere := Place.of(wanted.arn).foreign_to(home or _home(batch, active.values())) if not found else "":
        problem = f"Job definition {reference!r} is not that of this AWS connection. {elsewhere}"
        raise DefinitionNotFoundError(f"{problem} Name a revision there, or use another connection.", action=action)
    if not found and not active:
        place = f"in region {batch.region_name()} of this account"
        raise DefinitionNotFoundError(f"No job definition {wanted.name!r} is active {place}.", action=action)
    newest = max(active, default=None)
    way_out = (
        "It has no ACTIVE revision: register one."
        if newest is None
        else "It is listed as ACTIVE, so AWS will soon find it: try again."
        if wanted.revision in active
        else f'The newest ACTIVE one is {newest}; if it does the same, pin "{wanted.base}:{newest}".'
    )
    if not found:
        problem = f"Job definition {wanted.name!r} has no revision {wanted.revision}"
        raise DefinitionNotFoundError(f"{problem}. {way_out}", action=action)
    problem = f"Revision {wanted.revision} of job definition {wanted.name!r} is INACTIVE: it was deregistered"
    raise RevisionInactiveError(f"{problem}. {way_out}", action=action)


def _or_none(batch: Service, reference: str, ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return what AWS has of a reference; nothing also where it refuses the ARN of another region."""
    try:
        return ask()
    except RequestRefusedError:
        if not Place.of(reference).foreign_to(Place(region=batch.region_name())):
            raise
        return []


def _home(batch: Service, arns: Iterable[str]) -> Place:
    """Return where a connection leads: where what it finds is, or else the region that it asks."""
    return next((place for place in map(Place.of, arns) if place.region), Place(region=batch.region_name()))


def _queues(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(queue) for queue in answer["jobQueues"]]


def _named(queue: Mapping[str, Any]) -> tuple[str, str]:
    return str(queue["jobQueueName"]), str(queue.get("jobQueueArn"))


def _definitions(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(definition) for definition in answer["jobDefinitions"]]


def _revision(definition: Mapping[str, Any]) -> tuple[int, str]:
    return int(definition["revision"]), str(definition.get("jobDefinitionArn"))
