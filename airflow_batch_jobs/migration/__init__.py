"""Rewriting DAGs that use the Amazon provider's BatchOperator for this package, as far as the files alone allow."""

from __future__ import annotations

from airflow_batch_jobs.migration.migrating import Migration, NotUnderstoodError, migrate
from airflow_batch_jobs.migration.notes import MARK

__all__ = ["MARK", "Migration", "NotUnderstoodError", "migrate"]
