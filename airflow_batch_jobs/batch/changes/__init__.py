"""What the next attempt of a task changes in its request, decided by why the jobs of the earlier ones failed."""

from __future__ import annotations

from airflow_batch_jobs.batch.changes.change import Change, RequestChange
from airflow_batch_jobs.batch.changes.failure import Failure
from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue

__all__ = ["Change", "Failure", "LongerTimeout", "MoreMemory", "NextJob", "OtherQueue", "RequestChange"]
