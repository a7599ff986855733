"""Queues and the jobs in them, as the local AWS lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.listing import ListedJob, listed_jobs, queue_names
from airflow_batch_jobs.batch.status import ACTIVE, FINAL, JobStatus

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


def test_all_queues_are_named(aws: LocalAws) -> None:
    """Of all pages, which have a hundred each."""
    for number in range(120):
        aws.clients()("batch").create_job_queue(jobQueueName=f"q{number:03}", priority=1)

    assert queue_names(aws.clients()) == ["default", *(f"q{number:03}" for number in range(120))]


def test_only_the_statuses_wanted_are_listed(aws: LocalAws) -> None:
    """With the status that was listed."""
    aws.script(definition="job", running=600)
    [job_id] = aws.submit(aws.register("job"))
    aws.wait_for_status(job_id, "RUNNING")

    assert list(listed_jobs(aws.clients(), ["default"], ACTIVE)) == [ListedJob(job_id, "job", JobStatus.RUNNING)]
    assert list(listed_jobs(aws.clients(), ["default"], FINAL)) == []
