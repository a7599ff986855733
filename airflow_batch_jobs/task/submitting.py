"""Submitting for a task instance: who it is, where its record lives, what goes into its `batch_job` XCom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, new_job_name, task_tags
from airflow_batch_jobs.batch.operations import check_request
from airflow_batch_jobs.batch.orphans import detach
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.submission import Submission, Submitted
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.record import TaskStateRecords

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.operators import BatchJobOperator


def identity_of(ti: Any) -> TaskIdentity:
    """Return who a task instance is."""
    return TaskIdentity(
        TaskKey.of(ti),
        try_number=ti.try_number,
        max_tries=ti.max_tries,
        traceparent=(ti.context_carrier or {}).get("traceparent"),
        deployment=Settings.read().deployment,
    )


def submission_for(operator: BatchJobOperator, context: Context, clients: ClientFactory) -> Submission:
    """Return what submits the operator's request once for a task instance."""
    identity = identity_of(context["ti"])
    prefix = identity.job_name_prefix(operator.job_name)
    return Submission(
        clients=clients,
        identity=identity,
        request=operator.request(new_job_name(prefix), task_tags(identity, is_detached=_is_detached(operator))),
        prefix=prefix,
        store=TaskStateRecords(context["task_state_store"]),
        note=log.note,
    )


def submit(operator: BatchJobOperator, submission: Submission) -> tuple[Submitted, JobDetail]:
    """Check the request and submit it, or go on with an earlier attempt's job.

    Returns:
        The submission, and the job as far as it is known: what the `batch_job` XCom is made of.

    Raises:
        BatchJobsError: See `airflow_batch_jobs.errors`.
    """
    request, clients = submission.request, submission.clients
    definition_arn = check_request(clients, request, note=log.problem)
    submitted = submission.run()
    if submitted.found is not None:
        if _is_detached(operator):
            detach(clients, submitted.found)
        return submitted, submitted.found
    log.note(f"Submitted job {submitted.job_id} ({request.job_name}): {operator.definition} to {operator.job_queue}")
    job = JobDetail(
        job_id=submitted.job_id,
        job_name=request.job_name,
        job_queue=request.job_queue,
        job_definition=definition_arn,
        region=clients("batch").meta.region_name,
        status=JobStatus.SUBMITTED,
        created_at=submitted.submitted_at,
    )
    return submitted, job


def _is_detached(operator: BatchJobOperator) -> bool:
    """Tell whether nobody waits for the job, or it shall survive its task: the sweep for orphans must leave it."""
    return not (operator.wait and operator.terminate_on_kill)
