"""The local AWS for all tests, and how many of them run at once."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import botocore.session
import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

import tests.airflow_home  # noqa: F401 - Airflow reads it when it is imported
from airflow_batch_jobs.batch.logs import scan
from airflow_batch_jobs.batch.watch import WatchOptions, blocking
from airflow_batch_jobs.local.server import LocalAws

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long it takes to make or try an example says how busy the machine is; what must be fast has tests of its own.
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("beside others"), max_examples=25)
settings.load_profile("beside others")

# Each session reads botocore's service models anew, which takes longer than most tests.
botocore.session.create_loader = cache(botocore.session.create_loader)


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at once than there are cores: half of the time they are waiting for jobs or for Airflow.

    But at most 12: a container sees all cores of its host, however few it may use.
    """
    return min(os.cpu_count() or 1, 8) * 3 // 2


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Stop a measurement of coverage that nobody reads: pytest-cov starts two in a process beside others.

    It would go on where the other one is held, in tests marked `no_cover`.
    """
    if hasattr(session.config, "workerinput") and (measurement := Coverage.current()) is not None:
        measurement.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave long tests out of what coverage counts: it takes half as long again, and others reach most of the lines."""
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker("no_cover")


@pytest.fixture
def aws() -> Iterator[LocalAws]:
    """A local AWS whose time runs by itself and whose jobs spend a hundredth of a second in each state they pass."""
    with LocalAws(step_seconds=0.01) as local_aws:
        yield local_aws


@pytest.fixture
def frozen_aws() -> Iterator[LocalAws]:
    """A local AWS in which time passes only through `advance`, and each state that a job passes lasts a second."""
    with LocalAws(step_seconds=1.0, is_frozen=True) as local_aws:
        yield local_aws


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that are followed in real time are looked at often, and their logs settle soon."""
    monkeypatch.setattr(blocking, "OPTIONS", WatchOptions(log_settle_seconds=0.1, log_lines_per_second=100_000))
    monkeypatch.setattr(blocking, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(scan, "_LAST_ROUND_SECONDS", 0.1)
