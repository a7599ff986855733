"""SubmitRequest: one SubmitJob request, conformed to AWS's model of it and checked against AWS's limits."""

from __future__ import annotations

from airflow_batch_jobs.batch.identity import (
    DEPLOYMENT_TAG,
    GENERATION_TAG,
    TAG_PREFIX,
    TRY_NUMBER_TAG,
    TaskIdentity,
    new_job_name,
    task_tags,
)
from airflow_batch_jobs.batch.placeholders import unfilled_placeholders
from airflow_batch_jobs.batch.request.submit_request import SubmitRequest

__all__ = [
    "DEPLOYMENT_TAG",
    "GENERATION_TAG",
    "TAG_PREFIX",
    "TRY_NUMBER_TAG",
    "SubmitRequest",
    "TaskIdentity",
    "new_job_name",
    "task_tags",
    "unfilled_placeholders",
]
