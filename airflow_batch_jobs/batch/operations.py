"""Submit a job once, find it by its name, describe and terminate jobs.

SubmitJob has no client token, so a repeated request starts a second job. It is therefore sent once; if no clear answer
comes, the job is looked for by its name, which has to be unique. Only a request that AWS itself says it did not accept
is sent again: if the account's request rate is used up, if this machine's clock is off, or, once, if the keys are
not accepted. An answer of something in between is never clear, whatever its status.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import Patience, Trouble, error_message, service, trouble
from airflow_batch_jobs.batch.aws.clock import SystemClock, look_until
from airflow_batch_jobs.batch.aws.outage import ask_until
from airflow_batch_jobs.batch.aws.pacing import Backoff
from airflow_batch_jobs.batch.aws.trouble import is_doubtful, may_pass
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.storable import storable_text
from airflow_batch_jobs.errors import AwsError, SubmitUnansweredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory, Service
    from airflow_batch_jobs.batch.aws.clock import Clock
    from airflow_batch_jobs.batch.request import SubmitRequest

#: How long a job is looked for after a doubtful answer, and a throttled request is sent again.
SUBMIT_SECONDS = 60.0
#: What AWS says of requests that may be sent again.
_NOT_ACCEPTED = frozenset({Trouble.THROTTLED, Trouble.SKEWED, Trouble.REJECTED})
#: How long a termination is tried while AWS is busy or away.
TERMINATE_SECONDS = 45.0
#: The most characters that TerminateJob takes as a reason.
REASON_LIMIT = 1024
#: The most ids that TerminateJobs takes per call.
MOST_TOGETHER = 50
#: The most ids that DescribeJobs takes per call.
MOST_DESCRIBED = 100


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
        request: What to submit. Its job name must be unique: it is how the job is found if the answer is lost.
        clock: Time and sleep.
        before_repeat: Called before a request is sent again; if it raises, the request is not repeated.

    Raises:
        RequestError: The request is outside AWS's limits.
        SubmitUnansweredError: No clear answer came and no job of that name showed up for 60 s.
        AwsError: AWS refused, or could not be reached at all; no job was started.
    """
    request.validate()
    clock = clock or SystemClock()
    batch = service(clients, "batch", patience=Patience.ONCE)
    backoff, give_up, is_rejected = Backoff(), clock.monotonic() + SUBMIT_SECONDS, False
    while True:
        batch.prepare("submit_job")  # what goes wrong before a client exists leaves no doubt about the request
        try:
            return batch.call("submit_job", job_id_of, **request.to_api())
        except AwsError as error:
            if is_doubtful(error):
                return _look_for(clients, request, clock, error)
            kind = trouble(error)
            if kind not in _NOT_ACCEPTED or clock.monotonic() >= give_up or (is_rejected and kind is Trouble.REJECTED):
                raise
            is_rejected = is_rejected or kind is Trouble.REJECTED
        clock.sleep(backoff.next_delay())
        if kind is Trouble.THROTTLED and (job_id := _accepted_all_the_same(clients, request)):
            return job_id
        before_repeat()


def find_by_name(clients: ClientFactory, queue: str, name: str) -> list[str]:
    """Return the ids of a queue's jobs of this name, whatever their state, newest first.

    A job that was submitted in the last minute may not be listed yet. AWS ignores case.

    Args:
        clients: Makes the clients.
        queue: The queue's name or ARN.
        name: The whole name; one that ends in `*` matches all names that begin with the rest.

    Raises:
        AwsError: AWS did not list the queue's jobs.
    """
    filters = [{"name": "JOB_NAME", "values": [name]}]
    batch = service(clients, "batch")
    return batch.pages("list_jobs", "jobSummaryList", job_id_of, jobQueue=queue, filters=filters)


def job_id_of(summary: Mapping[str, Any]) -> str:
    """Return the id of a job from an entry of ListJobs or the answer of SubmitJob.

    Raises:
        ValueError: It has none, or one that no database would keep.
    """
    job_id = summary["jobId"]
    if not isinstance(job_id, str) or not job_id.strip() or storable_text(job_id) != job_id:
        raise ValueError(f"{job_id!r} is not a job id")
    return job_id


def job_id_if_any(summary: Any) -> str | None:
    """Return the id of a job from an entry of ListJobs; None if it has none, which costs the other entries nothing."""
    try:
        return job_id_of(summary)
    except Exception:  # noqa: BLE001 - it may be anything
        return None


def describe_jobs(clients: ClientFactory, job_ids: Iterable[str]) -> list[JobDetail]:
    """Describe any number of jobs, a hundred per call.

    Returns:
        The jobs in the order of their ids, without those that AWS does not know, or not yet.

    Raises:
        AwsError: AWS did not describe them.
    """
    batch, ids = service(clients, "batch"), list(dict.fromkeys(job_ids))
    found: dict[str, JobDetail] = {}

    def read(answer: Mapping[str, Any]) -> None:
        region = batch.region_name()
        found.update((entry["jobId"], JobDetail.from_response(entry, region)) for entry in answer["jobs"])

    for start in range(0, len(ids), MOST_DESCRIBED):
        batch.call("describe_jobs", read, jobs=ids[start : start + MOST_DESCRIBED])
    return [found[job_id] for job_id in ids if job_id in found]


def failed_children(batch: Service, array_id: str) -> list[str]:
    """Return the ids of an array's children that failed, as many as DescribeJobs takes per call.

    Raises:
        AwsError: AWS did not list them.
    """
    return batch.call(
        "list_jobs",
        lambda answer: [*filter(None, map(job_id_if_any, answer["jobSummaryList"]))][:MOST_DESCRIBED],
        arrayJobId=array_id,
        jobStatus="FAILED",
        maxResults=MOST_DESCRIBED,
    )


def terminate(clients: ClientFactory, job_id: str, reason: str, clock: Clock | None = None) -> None:
    """Terminate a job in whatever state it is; nothing happens to one that has ended.

    It ends some time later: its processes get SIGTERM, and SIGKILL about 30 s after that. To terminate many jobs, or
    one beside an event loop, there is `JobWatcher.terminate`.

    Args:
        clients: Makes the clients.
        job_id: The job.
        reason: Becomes its statusReason.
        clock: Time, and sleep between two tries.

    Raises:
        AwsError: AWS refused, or was busy or away for `TERMINATE_SECONDS`.
    """
    end = partial(terminate_once, service(clients, "batch"), job_id, reason)
    ask_until(end, clock or SystemClock(), TERMINATE_SECONDS, terminate_backoff())


def terminate_backoff() -> Backoff:
    """Return the delays between the tries to terminate one job."""
    return Backoff(first=0.5, longest=2.0)


def terminate_once(batch: Service, job_id: str, reason: str) -> None:
    """Have AWS terminate a job, with one call.

    Raises:
        AwsError: The call failed.
    """
    batch.call("terminate_job", dict, jobId=job_id, reason=reason)


def knows_terminate_jobs(batch: Service) -> bool:
    """Tell whether botocore has TerminateJobs, which is newer than TerminateJob. Makes the client, if need be.

    Raises:
        AwsError: No client can be made.
    """
    return hasattr(batch.prepare("terminate_job"), "terminate_jobs")


def terminate_together(batch: Service, job_ids: Sequence[str], reason: str) -> dict[str, str]:
    """Have AWS terminate up to `MOST_TOGETHER` jobs, with one call that needs no permission of its own.

    Returns:
        AWS's error codes of those that it did not terminate; empty for one that it does not mention.

    Raises:
        AwsError: The call failed as a whole.
    """

    def read(answer: Mapping[str, Any]) -> dict[str, str]:
        codes = {str(entry["job"]): str(entry["code"]) for entry in answer["errors"]}
        return {job_id: codes.get(job_id, "") for job_id in job_ids if job_id not in answer["successful"]}

    return batch.call("terminate_jobs", read, jobs=list(job_ids), reason=reason)


def _accepted_all_the_same(clients: ClientFactory, request: SubmitRequest) -> str | None:
    """Return the id of the job of a request that was throttled; None if there is none, as AWS promises, or no answer.

    Whoever throttles may stand between here and AWS, and speak like it.
    """
    with suppress(AwsError):
        return next(iter(find_by_name(clients, request.job_queue, request.job_name)), None)
    return None


def _look_for(clients: ClientFactory, request: SubmitRequest, clock: Clock, doubt: AwsError) -> str:
    """Return the id of the job whose answer was lost, once it shows up."""

    def look() -> list[str]:
        try:
            return find_by_name(clients, request.job_queue, request.job_name)
        except AwsError as error:
            if not may_pass(error):
                raise
            return []  # whatever lost the answer may not be over

    problem = error_message(doubt)
    try:
        found = look_until(look, bool, clock, SUBMIT_SECONDS, Backoff().next_delay)
    except AwsError as error:
        raise SubmitUnansweredError(request.job_name, f"{problem}; looking for it: {error}") from doubt
    if not found:
        raise SubmitUnansweredError(request.job_name, problem) from doubt
    return found[0]
