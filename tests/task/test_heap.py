"""What is left out of garbage collections, and how often."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.batch.aws import KeptClients
from airflow_batch_jobs.task.heap import freeze_after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.local.server import LocalAws


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    """Begin and end with nothing left out."""
    gc.unfreeze()
    freeze_after.cache_clear()
    yield
    gc.unfreeze()
    freeze_after.cache_clear()


def test_what_a_services_first_client_loads_is_left_out(aws: LocalAws) -> None:
    """A service's second client loads nothing, and what was made between the two is still collected."""
    clients = KeptClients(aws.clients, freeze_after)
    clients.get("batch")
    first = gc.get_freeze_count()
    assert first > 10_000
    later = [[number] for number in range(1000)]
    clients.get("batch", "eu-west-1")
    assert gc.get_freeze_count() <= first
    clients.get("logs")
    assert gc.get_freeze_count() > first
    assert len(later) == 1000
