"""Submit a job with one request, find it when the answer is lost, and check beforehand what AWS would run.

SubmitJob knows no client token, so a repeated request starts a second job. It is therefore sent once; when no clear
answer comes, the job is looked for by its name, which has to be unique. Only a request that AWS certainly did not take,
because it answered that the account's request rate is used up, is sent again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import Trouble, error_message, explain, trouble
from airflow_batch_jobs.batch.aws.calls import ask
from airflow_batch_jobs.batch.aws.clients import kept_clients
from airflow_batch_jobs.batch.aws.clock import SystemClock
from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.request import unfilled_placeholders
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    AwsError,
    DefinitionNotFoundError,
    EndpointError,
    NotPinnedError,
    ParameterError,
    QueueNotFoundError,
    RevisionInactiveError,
    SubmitUnansweredError,
    ThrottledError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.request import SubmitRequest

#: For so long a job is looked for after a doubtful answer, and a throttled request is sent again.
PATIENCE_SECONDS = 60.0
#: DescribeJobs takes no more ids a call.
_IDS_A_CALL = 100
_QUEUES_NAMED = 10


def send(
    clients: ClientFactory,
    request: SubmitRequest,
    *,
    clock: Clock | None = None,
    before_repeat: Callable[[], None] = lambda: None,
) -> str:
    """Submit a job once and return its id.

    Args:
        clients: Makes the clients.
        request: What to submit. Its job name must be unique: it is how the job is found when the answer is lost.
        clock: Time and sleep.
        before_repeat: Called before a throttled request is sent again; what it raises ends the matter.

    Raises:
        RequestError: The request is outside of AWS's limits.
        SubmitUnansweredError: No clear answer came and no job of that name showed up for 60 s.
        AwsError: AWS refused, or could not be reached at all; no job was started.
    """
    from botocore.config import Config

    request.validate()
    clock = clock or SystemClock()
    client = clients("batch", config=Config(retries={"mode": "standard", "total_max_attempts": 1}))
    backoff, give_up = Backoff(), clock.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return str(ask(client, "submit_job", "jobId", **request.to_api())["jobId"])
        except Exception as error:
            if _is_doubtful(error):
                return _look_for(kept_clients(clients), request, clock, error)
            if trouble(error) is not Trouble.THROTTLED or clock.monotonic() >= give_up:
                raise explain(error, "batch:SubmitJob") from error
            clock.sleep(backoff.next_delay())
            before_repeat()


def find_by_name(clients: ClientFactory, queue: str, name: str) -> list[str]:
    """Return the ids of a queue's jobs of this name, whatever their state, newest first.

    A job that was submitted in the last minute may not be listed yet. AWS does not heed the case of the letters.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.
        name: The whole name; one that ends in `*` means all names that begin so.

    Raises:
        AwsError: AWS did not list the queue's jobs.
    """
    filters = [{"name": "JOB_NAME", "values": [name]}]
    with explained("batch:ListJobs"):
        listed = ask_all(clients("batch"), "list_jobs", "jobSummaryList", jobQueue=queue, filters=filters)
        return [job["jobId"] for job in listed]


def describe_jobs(clients: ClientFactory, job_ids: Iterable[str]) -> list[JobDetail]:
    """Describe any number of jobs, a hundred a call.

    Returns:
        The jobs in the order of their ids, without those that AWS does not know, or not yet.

    Raises:
        AwsError: AWS did not describe them.
    """
    with explained("batch:DescribeJobs"):
        client = clients("batch")
        ids = list(dict.fromkeys(job_ids))
        found = {
            entry["jobId"]: JobDetail.from_response(entry, client.meta.region_name)
            for start in range(0, len(ids), _IDS_A_CALL)
            for entry in ask(client, "describe_jobs", "jobs", jobs=ids[start : start + _IDS_A_CALL])["jobs"]
        }
    return [found[job_id] for job_id in ids if job_id in found]


def terminate(clients: ClientFactory, job_id: str, reason: str) -> None:
    """Terminate a job in whatever state it is; nothing happens to one that has ended.

    It ends some time after: its processes get SIGTERM, and SIGKILL about 30 s later.

    Raises:
        AwsError: AWS refused.
    """
    with explained("batch:TerminateJob"):
        clients("batch").terminate_job(jobId=job_id, reason=reason)


def check_request(clients: ClientFactory, request: SubmitRequest, *, note: Callable[[str], None] | None = None) -> str:
    """Find what AWS would refuse, or would run otherwise than meant, before the request is sent.

    Checks the limits, the queue, the pinned revision and its placeholders. A role that may only submit can still
    submit: what it may not look at is passed over.

    Args:
        clients: Makes the clients.
        request: What is to be submitted.
        note: Told in one line why nothing was looked at.

    Returns:
        The ARN of the pinned revision; the request's own reference where the role may not look.

    Raises:
        RequestError: The request is outside of AWS's limits.
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
        if note is not None:
            note(f"The request is sent without a look at its queue and definition. {error}")
        return request.job_definition
    check_placeholders(definition, request)
    return str(definition["jobDefinitionArn"])


def check_queue(clients: ClientFactory, queue: str) -> None:
    """Find the queue.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.

    Raises:
        QueueNotFoundError: There is no such queue (the message names those there are), or it is disabled.
        AwsError: AWS could not be asked.
    """
    action = "batch:DescribeJobQueues"
    with explained(action):
        client = clients("batch")
        found = ask(client, "describe_job_queues", "jobQueues", jobQueues=[queue])["jobQueues"]
        others = [] if found else list(ask_all(client, "describe_job_queues", "jobQueues"))
    if not found:
        names = sorted(other["jobQueueName"] for other in others)
        more = ", …" if len(names) > _QUEUES_NAMED else ""
        there_are = f"There are: {', '.join(names[:_QUEUES_NAMED])}{more}." if names else "There are none at all."
        place = f"in region {client.meta.region_name} of this account"
        raise QueueNotFoundError(f"No job queue {queue!r} {place}. {there_are}", action=action)
    if found[0].get("state") == "DISABLED":
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
    wanted, action = parse_reference(reference), "batch:DescribeJobDefinitions"
    if wanted.revision is None:
        raise NotPinnedError(wanted.name)
    with explained(action):
        client = clients("batch")
        found = ask(client, "describe_job_definitions", "jobDefinitions", jobDefinitions=[reference])["jobDefinitions"]
        if found and found[0].get("status") != "INACTIVE":
            return dict(found[0])
        active = _active_revisions(client, wanted.name)
    if wanted.revision in active:  # moto finds no `name:revision`, only names and ARNs
        return active[wanted.revision]
    if not found and not active:
        place = f"in region {client.meta.region_name} of this account"
        raise DefinitionNotFoundError(f"No job definition {wanted.name!r} is active {place}.", action=action)
    newest = max(active, default=None)
    way_out = (
        "It has no ACTIVE revision: register one."
        if newest is None
        else f"The newest ACTIVE one is {newest}; if it does the same, pin it with `at_revision({newest})` or as "
        f'"{wanted.base}:{newest}".'
    )
    if not found:
        problem = f"Job definition {wanted.name!r} has no revision {wanted.revision}"
        raise DefinitionNotFoundError(f"{problem}. {way_out}", action=action)
    problem = f"Revision {wanted.revision} of job definition {wanted.name!r} is INACTIVE: it was deregistered"
    raise RevisionInactiveError(f"{problem}. {way_out}", action=action)


def check_placeholders(definition: Mapping[str, Any], request: SubmitRequest) -> None:
    """Find `Ref::x` in the commands that will run, where nothing gives `x` a value.

    AWS would hand the placeholder to the program as it stands.

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


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn what botocore raises inside into our errors.

    Args:
        action: The permission the call needs: `batch:DescribeJobs`.
    """
    try:
        yield
    except Exception as error:
        raise explain(error, action) from error


def _look_for(clients: ClientFactory, request: SubmitRequest, clock: Clock, doubt: Exception) -> str:
    """Return the id of the job whose answer was lost, once it shows up."""
    problem, give_up, backoff = error_message(doubt), clock.monotonic() + PATIENCE_SECONDS, Backoff()
    while True:
        try:
            if found := find_by_name(clients, request.job_queue, request.job_name):
                return found[0]
        except (EndpointError, ThrottledError):
            pass  # what lost the answer may still be wrong
        except AwsError as error:
            raise SubmitUnansweredError(request.job_name, f"{problem}; looking for it: {error}") from doubt
        left = give_up - clock.monotonic()
        if left <= 0:
            raise SubmitUnansweredError(request.job_name, problem) from doubt
        clock.sleep(min(backoff.next_delay(), left))


def _is_doubtful(error: Exception) -> bool:
    """Whether AWS may have taken a request although it ended in this error."""
    from botocore import exceptions as boto

    if isinstance(error, (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError)):
        return False  # it never left
    if isinstance(error, boto.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(error)
    if isinstance(error, boto.ClientError):
        return trouble(error) is Trouble.TRANSIENT
    return isinstance(error, boto.HTTPClientError)


def _active_revisions(client: Any, name: str) -> dict[int, dict[str, Any]]:
    of_name = {"jobDefinitionName": name, "status": "ACTIVE"}
    found = ask_all(client, "describe_job_definitions", "jobDefinitions", **of_name)
    return {definition["revision"]: definition for definition in found}


def ask_all(client: Any, operation: str, field: str, **request: Any) -> Iterator[dict[str, Any]]:
    """Yield what stands in a field of an operation's answers, from all pages.

    Args:
        client: A boto3 client.
        operation: The client's method.
        field: A list that every answer contains.
        request: The request's fields, as AWS names them.
    """
    token: str | None = None
    while True:
        page = ask(client, operation, field, **request, **({"nextToken": token} if token else {}))
        yield from page[field]
        token = page.get("nextToken")
        if not token:
            return


def _commands(definition: Mapping[str, Any], request: SubmitRequest) -> Iterator[list[str]]:
    """Yield the commands of a definition that the request does not replace; only in these AWS fills placeholders."""
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
    # Overrides cut the nodes into ranges of their own, so which commands they leave cannot be told simply.
    if not (request.options.get("nodeOverrides") or {}).get("nodePropertyOverrides"):
        for part in (definition.get("nodeProperties") or {}).get("nodeRangeProperties") or ():
            yield (part.get("container") or {}).get("command") or []
            yield from (container.get("command") or [] for container in _task_containers(part.get("ecsProperties")))


def _task_containers(properties: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """Yield the containers of ECS tasks."""
    for task in (properties or {}).get("taskProperties") or ():
        yield from task.get("containers") or ()
