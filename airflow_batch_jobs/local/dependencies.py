"""Which jobs wait for which others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.local.jobs import Job, Jobs


class Dependencies:
    """The jobs that wait, by the id of what they wait for. A job that has been forgotten counts as succeeded."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._dependants: dict[str, list[Job]] = {}

    def are_met(self, job: Job) -> bool:
        """Tell whether all jobs that a job depends on have succeeded."""
        return all(self._status(job_id) is JobStatus.SUCCEEDED for job_id in _ids(job))

    def have_failed(self, job: Job) -> bool:
        """Tell whether one of them has failed."""
        return any(self._status(job_id) is JobStatus.FAILED for job_id in _ids(job))

    def wait(self, job: Job) -> None:
        """Let a job wait for those that have not ended: their ids are in its `waits_for`."""
        for job_id in _ids(job):
            if not self._status(job_id).is_final:
                job.waits_for |= {job_id}
                self._dependants.setdefault(job_id, []).append(job)

    def ended(self, job_id: str) -> list[Job]:
        """Note that a job has ended and return those that have waited for it."""
        dependants = self._dependants.pop(job_id, [])
        for dependant in dependants:
            dependant.waits_for -= {job_id}
        return dependants

    def _status(self, job_id: str) -> JobStatus:
        # An array that ended before it had children stands for them.
        job = self._jobs.find(job_id) or self._jobs.find(job_id.partition(":")[0])
        return job.status if job else JobStatus.SUCCEEDED


def _ids(job: Job) -> Iterator[str]:
    """Yield the ids of the jobs that have to succeed before a job runs."""
    for dependency in job.request.get("dependsOn", []):
        kind, job_id = dependency.get("type"), dependency.get("jobId", "").partition("#")[0]
        if job.parent is None:
            if job_id and kind != "N_TO_N":
                yield job_id
        elif kind == "N_TO_N":
            yield f"{job_id}:{job.index}"
        elif kind == "SEQUENTIAL" and not job_id and job.index:
            yield f"{job.parent.id}:{job.index - 1}"
