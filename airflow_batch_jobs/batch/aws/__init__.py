"""How AWS is called: the clients, the calls, what their errors mean, and the pace."""

from __future__ import annotations

from airflow_batch_jobs.batch.aws.calls import Service, service, until_nobody_leaves
from airflow_batch_jobs.batch.aws.clients import ClientFactory, KeptClients, Patience, session_clients
from airflow_batch_jobs.batch.aws.explanation import Caller, explain
from airflow_batch_jobs.batch.aws.trouble import (
    UNKNOWN_GRACE_SECONDS,
    Trouble,
    error_code,
    error_message,
    http_status,
    trouble,
)

__all__ = [
    "UNKNOWN_GRACE_SECONDS",
    "Caller",
    "ClientFactory",
    "KeptClients",
    "Patience",
    "Service",
    "Trouble",
    "error_code",
    "error_message",
    "explain",
    "http_status",
    "service",
    "session_clients",
    "trouble",
    "until_nobody_leaves",
]
