"""JobWatcher: follow thousands of jobs with one DescribeJobs call for each hundred of them."""

from __future__ import annotations

from airflow_batch_jobs.batch.watch.loop import WatchOptions
from airflow_batch_jobs.batch.watch.updates import (
    DetailChange,
    Ended,
    LogLines,
    NoAnswer,
    Problem,
    StatusChange,
    Update,
)
from airflow_batch_jobs.batch.watch.watcher import JobFollower, JobWatcher

__all__ = [
    "DetailChange",
    "Ended",
    "JobFollower",
    "JobWatcher",
    "LogLines",
    "NoAnswer",
    "Problem",
    "StatusChange",
    "Update",
    "WatchOptions",
]
