"""Submitting for a task instance: who it is, where its record lives, what goes into its `batch_job` XCom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.operations import check_request
from airflow_batch_jobs.batch.orphans import detach
from airflow_batch_jobs.batch.request import TaskIdentity, new_job_name, task_tags
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.submission import Record, Submission, Submitted
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.errors import RecordUnavailableError, StaleAttemptError
from airflow_batch_jobs.task import execution_timeout, log

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.context import TaskStateStoreAccessor

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.operators import BatchJobOperator

#: The key of the record in the task state store.
RECORD_KEY = "batch_job"
#: With these the API server says that the attempt is over: a token that is frozen or of another attempt, an id that is
#: gone. Anything else is a failure of the server or of the way to it.
_OVER = frozenset({401, 403, 404, 410})


class TaskStateRecords:
    """The record in Airflow's task state store, which lives across the attempts of a task instance.

    Does not tell a missing record from one that a replaced attempt may not read: Airflow answers None to both.
    """

    def __init__(self, store: TaskStateStoreAccessor) -> None:
        self._store = store

    def read(self) -> Record | None:
        """Return the record; None where there is none.

        Raises:
            RecordUnavailableError: The API server does not answer.
        """
        from airflow.sdk.exceptions import AirflowRuntimeError

        try:
            with execution_timeout.held():
                stored = self._store.get(RECORD_KEY)
        except AirflowRuntimeError as error:
            raise _store_error(error) from error
        return Record.from_dict(stored) if isinstance(stored, dict) else None

    def write(self, record: Record) -> None:
        """Write the record.

        Raises:
            StaleAttemptError: Another attempt has taken over.
            RecordUnavailableError: The API server does not answer.
        """
        from airflow.sdk.exceptions import AirflowRuntimeError

        try:
            with execution_timeout.held():
                self._store.set(RECORD_KEY, record.to_dict())
        except AirflowRuntimeError as error:
            raise _store_error(error) from error


def _store_error(error: Any) -> StaleAttemptError | RecordUnavailableError:
    status = (error.error.detail or {}).get("status_code")
    if status in _OVER:
        return StaleAttemptError(f"Airflow refuses this attempt's record ({status}): another attempt has taken over.")
    return RecordUnavailableError(f"Airflow's task state store does not answer ({error}).")


def identity_of(ti: Any) -> TaskIdentity:
    """Return who a task instance is."""
    return TaskIdentity(
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
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
