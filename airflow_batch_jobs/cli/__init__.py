"""`airflow-batch-jobs`: the command line."""

from __future__ import annotations

from airflow_batch_jobs.cli.app import app

__all__ = ["app"]
