"""JobDefinition: which AWS Batch job definition, at which revision, with which parameters."""

from __future__ import annotations

from pydantic import Field

from airflow_batch_jobs.batch.definition.job_definition import JobDefinition
from airflow_batch_jobs.batch.definition.reference import Reference, legal_name, parse_reference
from airflow_batch_jobs.batch.definition.values import is_late, to_text

__all__ = ["Field", "JobDefinition", "Reference", "is_late", "legal_name", "parse_reference", "to_text"]
