"""The local AWS for all tests, and how many of them run at once."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import botocore.session
import pytest
from hypothesis import HealthCheck, settings

from airflow_batch_jobs.local.server import LocalAws
from airflow_batch_jobs.task import metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long it takes to make or try an example says how busy the machine is; what must be fast has tests of its own.
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("beside others"), max_examples=25)
settings.load_profile("beside others")

# A task's process waits a second for its last metrics; a busy machine may take longer to tell thousands of them.
metrics.FLUSH_SECONDS = 60.0

# Each session reads botocore's service models anew, which takes longer than most tests.
botocore.session.create_loader = cache(botocore.session.create_loader)


def pytest_xdist_auto_num_workers() -> int:
    """Run more tests at once than there are cores: half of the time they are waiting for jobs or for Airflow."""
    return (os.cpu_count() or 1) * 3 // 2


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
