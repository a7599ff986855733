"""JobWatcher: follow thousands of jobs with one DescribeJobs call for each hundred of them."""

from __future__ import annotations

from airflow_batch_jobs.batch.watch.follower import JobFollower
from airflow_batch_jobs.batch.watch.loop import WatchOptions
from airflow_batch_jobs.batch.watch.updates import Ended, LogLines, Problem, StatusChange, Update, Waiting
from airflow_batch_jobs.batch.watch.watcher import JobWatcher, shared_watcher

__all__ = [
    "Ended",
    "JobFollower",
    "JobWatcher",
    "LogLines",
    "Problem",
    "StatusChange",
    "Update",
    "Waiting",
    "WatchOptions",
    "shared_watcher",
]
