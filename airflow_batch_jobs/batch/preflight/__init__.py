"""What is checked before a submit: a request is looked at as what it does to the revision that it pins."""

from __future__ import annotations

from airflow_batch_jobs.batch.preflight.check import check_request
from airflow_batch_jobs.batch.preflight.existing import check_queue, check_revision

__all__ = ["check_queue", "check_request", "check_revision"]
