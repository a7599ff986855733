"""What the triggers of one event loop share."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.task.connection import AwsConnection
from airflow_batch_jobs.task.handover import UNREAD_BYTES
from airflow_batch_jobs.task.triggerer import Triggerer, WriteRate

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


def test_a_watcher_is_shared_until_it_ends_with_its_last_follower(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triggers with the same AWS settings have the same one; all share the lines of the event loop."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    aws.register("job")
    aws.script(definition="job", running=1_000)
    [job_id] = aws.submit("job:1")

    async def main() -> None:
        here, other = AwsConnection(), AwsConnection(region_name="eu-central-1")
        first = Triggerer.here().watcher(here)
        assert Triggerer.here().watcher(AwsConnection()) is first
        assert Triggerer.here().watcher(other) is not first
        assert Triggerer.here().watcher(other)._budget is first._budget
        async with first.follow(job_id) as follower:
            await anext(follower)
            assert Triggerer.here().watcher(here) is first
        assert Triggerer.here().watcher(here) is not first
        assert Triggerer.here().watcher(here)._budget is first._budget

    asyncio.run(main())


def test_what_is_left_of_a_log_has_to_fit_into_an_event() -> None:
    """Only here: on a worker it stays in the process."""

    async def main() -> int | None:
        return Triggerer.here().watcher(AwsConnection()).options.unread_bytes

    assert asyncio.run(main()) == UNREAD_BYTES


def test_watchers_that_have_ended_are_forgotten(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer that lives for months does not keep one for each AWS setting that it ever saw."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    [job_id] = aws.submit(aws.register("job"))

    async def main() -> int:
        for number in range(5):
            connection = AwsConnection(botocore_config={"user_agent_extra": str(number)})
            async with Triggerer.here().watcher(connection).follow(job_id) as follower:
                await anext(follower)
        return len(Triggerer.here()._watchers)

    assert asyncio.run(main()) == 1


@pytest.mark.long
def test_an_event_loop_that_is_closed_is_forgotten(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything that it shared, at the latest when another loop begins."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws.airflow_connection())
    aws.register("job")
    [job_id] = aws.submit("job:1")

    async def main() -> weakref.ref[asyncio.AbstractEventLoop]:
        async with Triggerer.here().watcher(AwsConnection()).follow(job_id) as follower:
            await anext(follower)
        return weakref.ref(asyncio.get_running_loop())

    first = asyncio.run(main())
    asyncio.run(main())
    gc.unfreeze()  # a client that was made meanwhile may have left it out
    gc.collect()
    assert first() is None


def test_writes_of_all_triggers_together_are_bounded() -> None:
    """Four per second, whatever asks."""
    rate = WriteRate(per_second=4)
    allowed = sum(rate.allows(tick / 100) for tick in range(200))
    assert allowed == 8
