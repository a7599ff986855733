"""Log streams of AWS Batch jobs: many followed while their jobs run, or one read to its end."""

from __future__ import annotations

from airflow_batch_jobs.batch.logs.cursor import LogCursor
from airflow_batch_jobs.batch.logs.event import LogEvent
from airflow_batch_jobs.batch.logs.reading import read_all, read_last, read_on, start_of
from airflow_batch_jobs.batch.logs.rest import LogRest

__all__ = ["LogCursor", "LogEvent", "LogRest", "read_all", "read_last", "read_on", "start_of"]
