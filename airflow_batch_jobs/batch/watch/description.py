"""Descriptions: what DescribeJobs says about up to a hundred jobs, read again only where it says something new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from airflow_batch_jobs.batch.aws.calls import ask, aws_answers
from airflow_batch_jobs.batch.detail import JobDetail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The permission that asking needs.
ACTION = "batch:DescribeJobs"


class Descriptions:
    """Describes jobs, and returns the same `JobDetail` as before while AWS's words about a job are the same.

    A job that waits or runs is described every few seconds in the same words, and reading those took a fifth of a
    watcher's time. Nothing is kept here: a detail that nobody else holds any more is read anew.
    """

    def __init__(self) -> None:
        self._held: WeakValueDictionary[tuple[str, int], JobDetail] = WeakValueDictionary()

    def ask(self, client: Any, job_ids: Sequence[str]) -> dict[str, JobDetail]:
        """Describe up to a hundred jobs in one call, in the calling thread; unknown ones are left out."""
        answer = ask(client, "describe_jobs", "jobs", jobs=list(job_ids))
        with aws_answers():
            return {job["jobId"]: self._read(job, client.meta.region_name) for job in answer["jobs"]}

    def _read(self, job: Mapping[str, Any], region: str) -> JobDetail:
        words = job["jobId"], hash(repr(job))
        detail = self._held.get(words)
        if detail is None:
            detail = self._held[words] = JobDetail.from_response(job, region)
        return detail
