"""Submitted: the one job of a task instance's generation, and what was sent for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.status import JobStatus

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_batch_jobs.batch.changes.change import Change
    from airflow_batch_jobs.batch.request import SubmitRequest


@dataclass(frozen=True, slots=True)
class Submitted:
    """The one job of a task instance's generation.

    Attributes:
        job_id: The job's id.
        request: The request it was submitted with.
        submitted_at: When it was submitted.
        found: The job as AWS described it, if an earlier attempt had submitted it; None for a new one.
        is_recorded: Whether the store has this attempt's record.
        definition: The ARN of the definition with its revision, of a new job.
        changes: What `on_retry` changed in the request.
    """

    job_id: str
    request: SubmitRequest
    submitted_at: datetime | None
    found: JobDetail | None = None
    is_recorded: bool = True
    definition: str = ""
    changes: tuple[Change, ...] = ()

    def to_detail(self, region: str) -> JobDetail:
        """Return the job as far as it is known without asking AWS about it again.

        Args:
            region: The region it was submitted in.
        """
        return self.found or JobDetail(
            job_id=self.job_id,
            job_name=self.request.job_name,
            job_queue=self.request.job_queue,
            job_definition=self.definition,
            region=region,
            status=JobStatus.SUBMITTED,
            created_at=self.submitted_at,
            kind=self.request.kind,
            array_size=self.request.array_size,
        )
