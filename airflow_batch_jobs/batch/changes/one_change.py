"""One change made to the next job; one of the user's own can do anything, and must not do everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.changes.change import Change
from airflow_batch_jobs.batch.numbers import shown
from airflow_batch_jobs.errors import BatchJobsError, RequestError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_batch_jobs.batch.changes.change import RequestChange
    from airflow_batch_jobs.batch.changes.failure import Failure
    from airflow_batch_jobs.batch.changes.next_job import NextJob
    from airflow_batch_jobs.batch.request import SubmitRequest

#: What a change must leave: by its name a job is found, and the pinned revision is the DAG author's.
_FIXED = ("jobName", "jobDefinition")
_TEXTS = ("field", "before", "after", "why")


def one_applied(
    change: RequestChange, job: NextJob, failures: Sequence[Failure], request: SubmitRequest, queues: Collection[str]
) -> list[Change]:
    """Have a change made to a job, and return what it says of that.

    Args:
        change: The change.
        job: The job, whose request is changed.
        failures: Why the generation's jobs failed.
        request: The task's own.
        queues: Where a retry would look for the job.

    Raises:
        RequestError: It raised an error, touched what it must leave, took a queue in which no retry would look for the
            job, made something else than a request, or does not say what it changed.
    """
    by, before = type(change).__name__, job.to_api()
    fixed = {name: job.request[name] for name in _FIXED}
    told = _told(change, job, failures)
    if job.request.get("jobQueue") not in queues:
        raise RequestError(
            "jobQueue", f"was changed by {by} of on_retry, which has to name that queue as its attribute `queue`"
        )
    for name, value in fixed.items():
        if job.request.get(name) != value:
            raise RequestError(name, f"was changed by {by} of on_retry, which has to leave it as it is")
    after = job.to_api()
    try:
        request.changed(after).to_api()
    except Exception as error:
        raise _wrong(by, f"made something else than a request ({error})", "Fix its `apply`.") from error
    if not told and after != before:
        raise _wrong(by, "changed the request and says nothing of it", "Let `apply` yield a Change.")
    return told


def _told(change: RequestChange, job: NextJob, failures: Sequence[Failure]) -> list[Change]:
    by = type(change).__name__
    made: list[object]
    try:
        made = list(change.apply(job, failures))
    except BatchJobsError:
        raise
    except Exception as error:
        raise _wrong(by, f"failed with {shown(error)}", "Fix its `apply`, which has to return Changes.") from error
    told = []
    for one in made:
        if not (isinstance(one, Change) and all(isinstance(getattr(one, name), str) for name in _TEXTS)):
            raise _wrong(by, f"yields {shown(one)}", "Let `apply` yield a Change whose fields are text.")
        told.append(one.told_by(by))
    return told


def _wrong(by: str, problem: str, remedy: str) -> RequestError:
    return RequestError("on_retry", f"{by} {problem}. {remedy}")
