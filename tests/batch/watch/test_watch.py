"""JobWatcher in virtual time, over the local AWS: what a follower is told about a job, and at what price."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.watch import Ended, JobWatcher, StatusChange, WatchOptions
from airflow_batch_jobs.errors import CallOrderError
from tests.batch.virtual import VirtualAws, follow_to_end, lines_of, run
from tests.batch.watch.scripted import numbered, submitted

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


def test_a_job_is_told_from_its_first_state_to_its_end(frozen_aws: LocalAws) -> None:
    """Each change of status once, all lines as they come, and the end last."""
    [job_id] = submitted(frozen_aws, running=30, lines={"count": 60, "rate": 3.0}, delivery=1)

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher()
        return await follow_to_end(watcher.follow(job_id, poll_interval=1))

    updates = run(main())
    changes = [update.detail.status for update in updates if isinstance(update, StatusChange)]
    assert changes == sorted(set(changes), key=list(JobStatus).index)
    assert changes[-1] is JobStatus.SUCCEEDED
    assert lines_of(updates) == numbered(60)
    end = updates[-1]
    assert isinstance(end, Ended)
    assert end.detail.is_final
    assert dict(end.unread) == {}
    assert sum(isinstance(update, Ended) for update in updates) == 1


def test_the_end_follows_within_seconds(frozen_aws: LocalAws) -> None:
    """A job's end is told within the poll interval, and its last line a settle time after the job stopped."""
    [job_id] = submitted(frozen_aws, running=42, lines={"count": 42, "rate": 1.0})

    async def main() -> tuple[float, float]:
        virtual = VirtualAws(frozen_aws)
        told = ended = 0.0
        async with virtual.watcher().follow(job_id) as follower:
            async for update in follower:
                if isinstance(update, StatusChange) and update.detail.stopped_at:
                    told = (virtual.now() - update.detail.stopped_at).total_seconds()
                elif isinstance(update, Ended) and update.detail.stopped_at:
                    ended = (virtual.now() - update.detail.stopped_at).total_seconds()
        return told, ended

    told, ended = run(main())
    assert told <= 5.5
    assert ended <= 8


@pytest.mark.long
@pytest.mark.parametrize("ends", [True, False])
def test_what_was_known_of_a_job_goes_without_a_garbage_collection(frozen_aws: LocalAws, *, ends: bool) -> None:
    """A triggerer leaves what it follows out of its collections, so nothing of it may wait for one."""
    ids = submitted(frozen_aws, 3, running=20 if ends else 600, lines={"count": 20, "rate": 1.0})

    async def main() -> list[weakref.ref[Any]]:
        watcher = VirtualAws(frozen_aws).watcher()
        async with watcher.follow(ids[0]):
            followers = [watcher.follow(job_id) for job_id in ids[1:]]
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await asyncio.gather(*map(follow_to_end, followers))
            await asyncio.sleep(30)
            return [weakref.ref(each) for follower in followers for each in (follower, follower._job, follower.detail)]

    gc.collect()
    gc.disable()
    try:
        assert [left() for left in run(main())] == [None] * 6
    finally:
        gc.enable()


def test_a_cancelled_anext_loses_nothing(frozen_aws: LocalAws) -> None:
    """An `anext` under a timeout that strikes again and again hands out every update all the same."""
    [job_id] = submitted(frozen_aws, running=20, lines={"count": 100, "rate": 5.0})

    async def main() -> list[Update]:
        updates: list[Update] = []
        async with VirtualAws(frozen_aws).watcher().follow(job_id) as follower:
            while not (updates and isinstance(updates[-1], Ended)):
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        updates.append(await anext(follower))
                if not (updates and isinstance(updates[-1], Ended)):
                    with suppress(TimeoutError):
                        updates.append(await asyncio.wait_for(anext(follower), 0.05))
        return updates

    updates = run(main())
    assert lines_of(updates) == numbered(100)


def test_a_follower_nobody_consumes_stays_small(frozen_aws: LocalAws) -> None:
    """Lines stay at CloudWatch when their follower is not asked for them; later they all come."""
    [job_id] = submitted(frozen_aws, running=40, lines={"count": 12_000, "rate": 300.0})

    async def main() -> tuple[int, list[Update]]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher(log_lines_per_second=400).follow(job_id) as follower:
            await asyncio.sleep(35)
            assert follower._job is not None
            queued = sum(len(stream.lines) for stream in follower._job.logs._live.values())
            return queued, [update async for update in follower]

    queued, updates = run(main())
    assert queued <= 8_000
    end = updates[-1]
    assert isinstance(end, Ended)
    assert len(end.unread) <= 1


def test_a_job_without_its_log_is_only_described(frozen_aws: LocalAws) -> None:
    """With `copy_logs=False` CloudWatch is not asked, and the end comes with the status."""
    [job_id] = submitted(frozen_aws, running=10, lines=10)

    async def main() -> tuple[list[Update], float]:
        updates = await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, copy_logs=False))
        return updates, asyncio.get_running_loop().time()

    updates, seconds = run(main())
    assert isinstance(updates[-1], Ended)
    assert lines_of(updates) == []
    assert frozen_aws.counts().get("FilterLogEvents", 0) == 0
    assert seconds < 14 + 5.5


def test_three_hundred_jobs_cost_three_calls_a_round(frozen_aws: LocalAws) -> None:
    """DescribeJobs calls stay within a tenth of the least there can be, and each job is asked for on time."""
    ids = submitted(frozen_aws, 300, running=60)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()

        async def follow(number: int) -> None:
            await asyncio.sleep(number * 0.0001)
            assert isinstance((await follow_to_end(watcher.follow(ids[number], copy_logs=False)))[-1], Ended)

        async with asyncio.TaskGroup() as tasks:
            for number in range(300):
                tasks.create_task(follow(number))
        assert asyncio.get_running_loop().time() < 64 + 6

    run(main())
    assert frozen_aws.counts()["DescribeJobs"] <= 1.1 * 3 * (65 // 5 + 2)


def test_jobs_that_come_together_are_first_described_together(frozen_aws: LocalAws) -> None:
    """A hundred new followers cost one call, a moment later."""
    ids = submitted(frozen_aws, 100, running=60)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        followers = [watcher.follow(job_id) for job_id in ids]
        for follower in followers:
            await follower.__aenter__()
        await asyncio.gather(*(anext(follower) for follower in followers))
        assert asyncio.get_running_loop().time() < 0.5
        for follower in followers:
            await follower.__aexit__(None, None, None)

    run(main())
    assert frozen_aws.counts()["DescribeJobs"] == 1


def test_a_job_is_not_told_of_before_it_was_so(frozen_aws: LocalAws) -> None:
    """Where the question that AWS answers is on its way for long, what it tells is newer than the question."""
    [job_id] = submitted(frozen_aws, 1, running=10, lines=[])

    async def main() -> list[tuple[datetime | None, datetime | None]]:
        aws = VirtualAws(frozen_aws)

        async def slow(work: Callable[[], Any]) -> Any:
            await asyncio.sleep(4)
            return await aws.call(work)

        watcher = JobWatcher(frozen_aws.clients(), WatchOptions(), clock=aws, run=slow)
        changes = [each for each in await follow_to_end(watcher.follow(job_id)) if isinstance(each, StatusChange)]
        return [(each.seen_at, each.detail.stopped_at or each.detail.started_at) for each in changes]

    told = run(main())
    assert told[-1][1] is not None
    assert all(seen_at >= at for seen_at, at in told if seen_at and at)


def test_the_poll_interval_is_each_jobs_own(frozen_aws: LocalAws) -> None:
    """A job that is asked for every 20 s costs a call every 20 s."""
    [job_id] = submitted(frozen_aws, running=100)

    async def main() -> None:
        await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, poll_interval=20, copy_logs=False))

    run(main())
    assert frozen_aws.counts()["DescribeJobs"] <= 8


def test_two_may_follow_the_same_job(frozen_aws: LocalAws) -> None:
    """Each of two followers of one job gets everything."""
    [job_id] = submitted(frozen_aws, running=20, lines={"count": 20, "rate": 1.0})

    async def main() -> list[list[Update]]:
        watcher = VirtualAws(frozen_aws).watcher()
        return await asyncio.gather(*(follow_to_end(watcher.follow(job_id)) for _ in range(2)))

    for updates in run(main()):
        assert lines_of(updates) == numbered(20)
        assert isinstance(updates[-1], Ended)


def test_a_termination_acts_at_once(frozen_aws: LocalAws) -> None:
    """A termination reaches AWS within the second, and the end is looked for more often from then on."""
    [job_id] = submitted(frozen_aws, running=1_000, stopping=2, lines={"count": 100, "rate": 1.0})

    async def main() -> list[Update]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher().follow(job_id, poll_interval=60) as follower:
            await asyncio.sleep(10)
            before = asyncio.get_running_loop().time()
            await follower.terminate("enough of it")
            assert asyncio.get_running_loop().time() - before < 1
            updates = [update async for update in follower]
            assert asyncio.get_running_loop().time() - before < 12
        return updates

    updates = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    assert end.detail.status is JobStatus.FAILED
    assert end.detail.status_reason == "enough of it"


def test_nobody_is_told_after_leaving(frozen_aws: LocalAws) -> None:
    """An answer that comes after its follower has left starts nothing."""
    [gone, stays] = submitted(frozen_aws, 2, running=1_000)

    async def main() -> int:
        watcher = VirtualAws(frozen_aws).watcher()
        async with watcher.follow(stays) as staying:
            async with watcher.follow(gone):
                await asyncio.sleep(0.08)
            await anext(staying)
            await asyncio.sleep(60)
        return sum(gone in call.parameters["jobs"] for call in frozen_aws.requests("DescribeJobs"))

    assert run(main()) == 1


@pytest.mark.parametrize("steps", range(9))
def test_who_arrives_while_the_last_one_leaves_is_followed(frozen_aws: LocalAws, steps: int) -> None:
    """However many steps of the event loop lie between the two."""
    [first, second] = submitted(frozen_aws, 2, running=30)

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher()
        leaver = watcher.follow(first)
        await leaver.__aenter__()
        await anext(leaver)
        leaving = asyncio.create_task(leaver.__aexit__(None, None, None))
        for _ in range(steps):
            await asyncio.sleep(0)
        updates = await follow_to_end(watcher.follow(second))
        await leaving
        return updates

    assert isinstance(run(main())[-1], Ended)


def test_a_watcher_terminates_without_followers(frozen_aws: LocalAws) -> None:
    """`terminate` needs no follower."""
    [job_id] = submitted(frozen_aws, running=1_000)

    async def main() -> None:
        virtual = VirtualAws(frozen_aws)
        await asyncio.sleep(10)
        await virtual.watcher().terminate(job_id, "not wanted")

    run(main())
    assert frozen_aws.counts()["TerminateJob"] == 1


def test_a_watcher_checks_what_it_is_given(frozen_aws: LocalAws) -> None:
    """One bad argument ends nobody else's wait."""
    with pytest.raises(ValueError, match="poll_interval must be a number above 0"):
        JobWatcher(frozen_aws.clients()).follow("some-job", poll_interval=-1)
    with pytest.raises(ValueError, match="log_calls_per_second must be a number above 0"):
        WatchOptions(log_calls_per_second=0)


def test_a_follower_follows_once_and_inside_of_its_context(frozen_aws: LocalAws) -> None:
    """The wrong order of calls is an error that says what to do."""

    async def main() -> None:
        follower = VirtualAws(frozen_aws).watcher().follow("some-job", cursors={"r:g:s": {"floor": 1}})
        assert follower.cursors() == {"r:g:s": {"floor": 1}}
        assert follower.detail is None
        assert follower.log_streams() == ()
        with pytest.raises(CallOrderError, match="async with"):
            await anext(follower)
        async with follower:
            pass
        with pytest.raises(StopAsyncIteration):
            await anext(follower)
        with pytest.raises(CallOrderError, match="make a new one"):
            await follower.__aenter__()

    run(main())


def test_a_watcher_ends_with_its_last_follower(frozen_aws: LocalAws) -> None:
    """When the last has left nothing runs, until the next one comes."""
    ids = submitted(frozen_aws, 2, running=1_000)

    async def main() -> None:
        watcher = VirtualAws(frozen_aws).watcher()
        for _ in range(2):
            ended = []
            async with watcher.follow(ids[0]) as first:
                async with watcher.follow(ids[1]) as second:
                    await anext(second)
                await anext(first)
                ended.append(watcher.has_ended)
            ended.append(watcher.has_ended)
            assert ended == [False, True]
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


def test_what_works_for_all_logs_into_nobodys_task(frozen_aws: LocalAws) -> None:
    """The watcher's tasks begin with an empty context: the first follower's task has nothing to do with them."""
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    seen: set[str] = set()
    [job_id] = submitted(frozen_aws, running=10, lines=5)

    async def main() -> None:
        virtual = VirtualAws(frozen_aws)
        call = virtual.call

        async def listening(work: Any) -> Any:
            seen.add(whose.get())
            return await call(work)

        whose.set("the first task's")
        await follow_to_end(JobWatcher(frozen_aws.clients(), clock=virtual, run=listening).follow(job_id))

    run(main())
    assert seen == {"nobody's"}


def test_a_submit_of_long_ago_shortens_no_follow(frozen_aws: LocalAws) -> None:
    """A known job is followed whatever `submitted_at` says."""
    [job_id] = submitted(frozen_aws, running=10, lines=5)

    async def main() -> list[Update]:
        virtual = VirtualAws(frozen_aws)
        long_ago = virtual.now() - timedelta(days=3)
        return await follow_to_end(virtual.watcher().follow(job_id, submitted_at=long_ago))

    assert len(lines_of(run(main()))) == 5
