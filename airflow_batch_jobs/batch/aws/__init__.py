"""How AWS is asked: the clients, the calls, what their errors mean, and how fast."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws.trouble import (
    UNKNOWN_GRACE_SECONDS,
    ClientFactory,
    Trouble,
    error_code,
    error_message,
    explain,
    http_status,
    session_clients,
    trouble,
)

__all__ = [
    "UNKNOWN_GRACE_SECONDS",
    "ClientFactory",
    "Trouble",
    "error_code",
    "error_message",
    "explain",
    "http_status",
    "session_clients",
    "trouble",
]
