"""Submitting for a task instance: whose job it is, where its record lives, what is logged about it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import service
from airflow_batch_jobs.batch.changes.on_retry import OnRetry
from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey
from airflow_batch_jobs.batch.job_environment import give_variables
from airflow_batch_jobs.batch.meter import RETRIED
from airflow_batch_jobs.batch.orphans import detach
from airflow_batch_jobs.batch.preflight import check_request
from airflow_batch_jobs.batch.submission import Submission
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.job_environment import variables_of
from airflow_batch_jobs.task.metrics import worker_meter
from airflow_batch_jobs.task.record import TaskStateRecords
from airflow_batch_jobs.task.supervisor import LoopRegion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.request import SubmitRequest
    from airflow_batch_jobs.batch.submitted import Submitted


def key_of(context: Context) -> TaskKey:
    """Return the name of a task instance on its worker; Airflow 3.3 knows no loops."""
    loop: Any = context.get("loop")
    return TaskKey.of(context["ti"], None if loop is None else loop.index)


def loop_region_of(context: Context) -> LoopRegion | None:
    """Return where Airflow keeps a pass of a loop; None outside of loops."""
    ti: Any = context["ti"]
    return None if key_of(context).loop_index is None else LoopRegion(str(ti.region_id), ti.region_index)


def identity_of(context: Context) -> TaskIdentity:
    """Return the identity of a task instance's job: whose it is."""
    ti: Any = context["ti"]
    key, loop_region = key_of(context), loop_region_of(context)
    return TaskIdentity(
        key,
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        traceparent=(ti.context_carrier or {}).get("traceparent"),
        deployment=Settings.read().deployment,
        region_id=None if loop_region is None else loop_region.region_id,
    )


def submission_for(
    context: Context,
    request: SubmitRequest,
    clients: ClientFactory,
    *,
    job_name: str | None,
    is_detached: bool,
    refusal: Exception | None = None,
    changes: Sequence[RequestChange] = (),
) -> Submission:
    """Return what submits a request once for a task instance.

    Args:
        context: The task instance's.
        request: What to submit, without a name.
        clients: Makes the clients.
        job_name: The readable part of the job's name; None for `<dag>-<task>`.
        is_detached: Whether the job may outlive its task, so that the sweep for orphans leaves it alone: no task waits
            for it, or it is not stopped with its task.
        refusal: Why there is no request that could be sent; None if there is one.
        changes: What is changed in the request once a job of the generation has failed.
    """
    on_retry = OnRetry(clients, changes, log.note)
    variables = variables_of(context) if Settings.read().job_environment else {}
    return Submission(
        clients=clients,
        identity=identity_of(context),
        request=request,
        store=TaskStateRecords(context["task_state_store"]),
        note=log.note,
        check=partial(_check, clients, on_retry, request, variables),
        job_name=job_name,
        is_detached=is_detached,
        refusal=refusal,
        on_retry=on_retry,
    )


def changes_left(
    context: Context, request: SubmitRequest, clients: ClientFactory, changes: Sequence[RequestChange], job_id: str
) -> list[RequestChange] | None:
    """Return the changes that would give another attempt what a job that has failed did not have.

    Args:
        context: The task instance's.
        request: The task's own request.
        clients: Makes the clients.
        changes: What is changed in the request once a job of the generation has failed.
        job_id: The job that has failed.

    Returns:
        None if that is not known.

    Raises:
        RecordUnavailableError: The task state store does not answer.
        RequestError: A change of the user's own does what it must not.
        AwsError: AWS described neither the job nor the revision.
    """
    record = TaskStateRecords(context["task_state_store"]).read()
    if record is None or record.job_id not in (None, job_id):
        return None
    return OnRetry(clients, changes, lambda _: None).left(request, record.failures, job_id)


def _check(
    clients: ClientFactory,
    on_retry: OnRetry,
    unchanged: SubmitRequest,
    variables: Mapping[str, str],
    request: SubmitRequest,
) -> str:
    """Check a request, and give the job its variables: what its containers are is known only now."""

    def also(definition: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        if on_retry.changes:
            on_retry.check(definition, unchanged.to_api())
        if variables:
            give_variables(request, definition, variables, log.note)

    return check_request(clients, request, note=log.problem, also=also)


def submit(submission: Submission, *, is_retry: bool = False) -> tuple[Submitted, JobDetail]:
    """Adopt an earlier attempt's job, or check the request and submit it.

    Args:
        submission: The submission.
        is_retry: Whether an earlier attempt at the same run of the task has failed.

    Returns:
        The submission, and the job as far as it is known, for the `batch_job` XCom.

    Raises:
        BatchJobsError: See `airflow_batch_jobs.errors`.
        Exception: The submission's `refusal`.
    """
    clients = submission.clients
    submitted = submission.run()
    if submitted.found is None:
        name, queue = submitted.request.job_name, submitted.request.job_queue
        log.note(f"Submitted job {submitted.job_id}: {submitted.request.job_definition} to {queue}, as {name}")
        if is_retry:
            _tell_retry(submitted)
    else:
        if submission.refusal is not None:
            log.problem(f"A new job could not be submitted any more: {submission.refusal}")
        if submission.is_detached:
            detach(clients, submitted.found)
    return submitted, submitted.to_detail(service(clients, "batch").region_name())


def _tell_retry(submitted: Submitted) -> None:
    if (meter := worker_meter()) is not None:
        job = submitted.to_detail("")
        meter.count(RETRIED, by="airflow", queue=job.queue_name, definition=job.definition_name)
        meter.send()
