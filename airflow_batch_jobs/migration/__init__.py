"""DAGs of the Amazon provider's BatchOperator, rewritten for this package as far as a file alone tells how."""

from __future__ import annotations

from airflow_batch_jobs.migration.rewriting import MARK, Migration, migrate

__all__ = ["MARK", "Migration", "migrate"]
