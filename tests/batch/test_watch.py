"""JobWatcher in virtual time, over the local AWS: what a follower is told of a job, and at what price."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.logs import LogCursor, read_on
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.watch import Ended, JobWatcher, LogLines, StatusChange, shared_watcher
from airflow_batch_jobs.errors import CallOrderError
from tests.batch.virtual import VirtualAws, consume, follow_to_end, lines_by_label, lines_of, run, run_beside

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watching.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


def numbered(count: int) -> list[str]:
    """Return the lines that a script writes when nothing else is said."""
    return [f"line {number}" for number in range(1, count + 1)]


def submitted(aws: LocalAws, count: int = 1, *, register: dict[str, Any] | None = None, **script: Any) -> list[str]:
    """Submit scripted jobs and return their ids."""
    if script:
        aws.script(definition="talk", **script)
    reference = aws.register("talk", **(register or {}))
    return aws.submit(reference, count=count)


def register_nodes(aws: LocalAws) -> None:
    """Register `nodes:1`, a definition of three nodes."""
    container = {"image": "i", "command": ["c"], "vcpus": 1, "memory": 128}
    ranges = [{"targetNodes": "0:2", "container": container}]
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={"numNodes": 3, "mainNode": 0, "nodeRangeProperties": ranges},
    )


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


def test_lines_are_fresh_while_the_job_runs(frozen_aws: LocalAws) -> None:
    """A line is handed out within 4 s of being readable, whatever the poll interval is."""
    [job_id] = submitted(frozen_aws, running=60, lines={"count": 55, "rate": 1.0})

    async def main() -> list[float]:
        virtual = VirtualAws(frozen_aws)
        ages = []
        async with virtual.watcher().follow(job_id, poll_interval=2) as follower:
            async for update in follower:
                if isinstance(update, LogLines):
                    ages += [(virtual.now() - event.time).total_seconds() for event in update.events]
        return ages

    ages = sorted(run(main()))
    assert len(ages) == 55
    assert ages[len(ages) // 2] < 2
    assert ages[-1] < 5


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


def test_late_and_overtaking_lines_all_come(frozen_aws: LocalAws) -> None:
    """Lines that CloudWatch shows seconds later, some before older ones, come once each."""
    [job_id] = submitted(frozen_aws, running=40, lines={"count": 400, "rate": 10.0}, delivery={"delay": 3, "spread": 4})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert sorted(lines_of(run(main()))) == sorted(numbered(400))


def test_ten_thousand_lines_are_complete_with_what_a_worker_reads_on(frozen_aws: LocalAws) -> None:
    """What the line budget lets through and what is handed over as unread are the whole log, in order, once."""
    [job_id] = submitted(frozen_aws, running=12, lines={"count": 10_000, "rate": 1_000.0})

    async def main() -> tuple[list[Update], float]:
        virtual = VirtualAws(frozen_aws)
        updates = await follow_to_end(virtual.watcher().follow(job_id))
        end = updates[-1]
        assert isinstance(end, Ended)
        assert end.detail.stopped_at is not None
        virtual.keep_up()
        return updates, (virtual.now() - end.detail.stopped_at).total_seconds()

    updates, seconds = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    [(stream, cursor)] = end.unread.values()
    copied = lines_of(updates)
    rest = [event.text() for event in read_on(frozen_aws.clients(), stream, cursor, settle_seconds=0)]
    assert 1_000 < len(copied) < 9_000
    assert copied + rest == numbered(10_000)
    assert seconds < 12


def test_a_millisecond_is_not_divided_between_triggerer_and_worker(frozen_aws: LocalAws) -> None:
    """Airflow sorts the lines of two files by the millisecond, and would mix those of a common one."""
    [job_id] = submitted(frozen_aws, running=2, lines={"count": 10_000, "rate": 500_000.0})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    [(stream, cursor)] = end.unread.values()
    copied = [event for update in updates if isinstance(update, LogLines) for event in update.events]
    stored = LogCursor.from_dict(cursor.to_dict())
    events = [*copied, *read_on(frozen_aws.clients(), stream, stored, settle_seconds=0)]
    assert 0 < len(copied) < len(events)
    assert copied[-1].timestamp < events[len(copied)].timestamp
    assert [event.text() for event in sorted(events, key=lambda event: event.time)] == numbered(10_000)


def test_a_worker_with_a_larger_budget_copies_all_itself(frozen_aws: LocalAws) -> None:
    """With the lines per second that a worker bears nothing is left unread."""
    [job_id] = submitted(frozen_aws, running=12, lines={"count": 10_000, "rate": 1_000.0})

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher(log_lines_per_second=5_000)
        return await follow_to_end(watcher.follow(job_id))

    updates = run(main())
    assert lines_of(updates) == numbered(10_000)
    assert isinstance(updates[-1], Ended)
    assert not updates[-1].unread


def test_lines_come_in_small_batches(frozen_aws: LocalAws) -> None:
    """No update holds more lines than an event loop can write at a time."""
    [job_id] = submitted(frozen_aws, running=5, lines={"count": 1_500, "rate": 500.0})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    sizes = [len(update.events) for update in run(main()) if isinstance(update, LogLines)]
    assert max(sizes) <= 50
    assert sum(sizes) == 1_500


def test_a_restart_goes_on_where_the_log_was_left(frozen_aws: LocalAws) -> None:
    """A follower with the cursors of another, through JSON, loses nothing and repeats nothing; three times in a row."""
    [job_id] = submitted(frozen_aws, running=60, lines={"count": 600, "rate": 10.0}, delivery={"delay": 1, "spread": 3})

    async def main() -> list[Update]:
        virtual = VirtualAws(frozen_aws)
        updates: list[Update] = []
        cursors: dict[str, Any] = {}
        for seconds in (15, 17, 12):
            async with virtual.watcher().follow(job_id, cursors=cursors) as follower:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await consume(follower, updates)
            cursors = json.loads(json.dumps(follower.cursors()))
        updates += await follow_to_end(virtual.watcher().follow(job_id, cursors=cursors))
        return updates

    lines = lines_of(run(main()))
    assert sorted(lines) == sorted(numbered(600))


def test_where_to_begin_is_asked_once_there_is_a_log(frozen_aws: LocalAws) -> None:
    """What finds the cursors is awaited before the first line, holds up no state, and is asked again if cut off."""
    [job_id] = submitted(frozen_aws, runnable=100, starting=0, running=60, lines={"count": 60, "rate": 1.0})
    asked: list[float] = []

    async def main() -> tuple[list[str], list[Update]]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher().follow(job_id) as earlier:
            first: list[Update] = []
            while len(lines_of(first)) < 20:
                first.append(await anext(earlier))

        async def find() -> dict[str, Any]:
            asked.append(asyncio.get_running_loop().time())
            await asyncio.sleep(2)
            return earlier.cursors()

        updates: list[Update] = []
        async with virtual.watcher().follow(job_id, cursors=find) as follower:
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await consume(follower, updates)
            assert [update.detail.status for update in updates if isinstance(update, StatusChange)]
            assert follower.cursors() == {}
            await consume(follower, updates)
        return lines_of(first), updates

    first, updates = run(main())
    assert first + lines_of(updates) == numbered(60)
    assert len(asked) == 2


def test_where_to_begin_is_not_asked_for_a_job_without_a_log(frozen_aws: LocalAws) -> None:
    """A job that waits for an instance has nothing to go on with."""
    [job_id] = submitted(frozen_aws, runnable=600)

    async def find() -> dict[str, Any]:
        raise AssertionError

    async def main() -> None:
        async with VirtualAws(frozen_aws).watcher().follow(job_id, cursors=find) as follower:
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await consume(follower, [])

    run(main())


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


def test_cursors_tell_of_what_was_handed_out_only(frozen_aws: LocalAws) -> None:
    """Lines that wait for their consumer are not in a cursor, so another follower gets them."""
    [job_id] = submitted(frozen_aws, running=60, lines={"count": 100, "rate": 50.0})

    async def main() -> tuple[list[str], list[str]]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher().follow(job_id) as follower:
            first: list[Update] = []
            while not lines_of(first):
                first.append(await anext(follower))
            await asyncio.sleep(10)
        rest = await follow_to_end(virtual.watcher().follow(job_id, cursors=follower.cursors()))
        return lines_of(first), lines_of(rest)

    first, rest = run(main())
    assert 0 < len(first) < 100
    assert first + rest == numbered(100)


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
            queued = sum(stream.queued for stream in follower._job.logs._live.values())
            return queued, [update async for update in follower]

    queued, updates = run(main())
    assert queued <= 8_000
    end = updates[-1]
    assert isinstance(end, Ended)
    assert len(end.unread) <= 1


def test_a_quiet_job_is_fresh_beside_a_flood(frozen_aws: LocalAws) -> None:
    """A job that writes a line a second is not held up by one that writes more than the budget."""
    frozen_aws.script(definition="flood", running=60, lines={"count": 60_000, "rate": 1_000.0})
    frozen_aws.script(definition="quiet", running=60, lines={"count": 60, "rate": 1.0})
    ids = [frozen_aws.submit(frozen_aws.register(name))[0] for name in ("flood", "quiet")]

    async def main() -> list[float]:
        virtual = VirtualAws(frozen_aws)
        watcher = virtual.watcher()
        ages: list[float] = []
        async with watcher.follow(ids[0]) as flood:
            waste = asyncio.create_task(consume(flood, []))
            async with watcher.follow(ids[1]) as quiet:
                async for update in quiet:
                    if isinstance(update, LogLines):
                        ages += [(virtual.now() - event.time).total_seconds() for event in update.events]
            waste.cancel()
        return ages

    ages = sorted(run(main()))
    assert len(ages) == 60
    assert ages[57] < 8


def test_an_array_shows_all_childrens_lines_under_their_labels(frozen_aws: LocalAws) -> None:
    """Of an array of three every line of each child comes, and the children are part of the end."""
    frozen_aws.script(definition="talk", running=20, lines={"count": 20, "rate": 1.0})
    reference = frozen_aws.register("talk")
    [job_id] = frozen_aws.submit(reference, arrayProperties={"size": 3})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    assert lines_by_label(updates) == {f"child {index}": numbered(20) for index in range(3)}
    end = updates[-1]
    assert isinstance(end, Ended)
    assert [part.array_index for part in end.parts] == [0, 1, 2]


def test_a_large_array_costs_a_bounded_number_of_calls(frozen_aws: LocalAws) -> None:
    """1,500 children are asked for by the hundred, at most five calls each time, and not at all while none moves."""
    frozen_aws.script(definition="talk", runnable=60, running=30, lines=1)
    reference = frozen_aws.register("talk")
    [job_id] = frozen_aws.submit(reference, arrayProperties={"size": 1_500})

    async def main() -> tuple[int, list[Update]]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher(log_lines_per_second=2_000).follow(job_id) as follower:
            watched: list[Update] = []
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(consume(follower, watched))
                await asyncio.sleep(55)
                waiting = len(frozen_aws.requests("DescribeJobs"))
                await task
        return waiting, watched

    waiting, updates = run(main())
    assert waiting <= 13
    calls = frozen_aws.requests("DescribeJobs")
    assert all(len(call.parameters["jobs"]) <= 100 for call in calls)
    assert len(calls) <= 15 + 8 * 6 + 16
    assert len(lines_of(updates)) == 1_500
    assert len(lines_by_label(updates)) == 1_500


def test_an_array_that_failed_tells_which_children_without_its_log(frozen_aws: LocalAws) -> None:
    """Without the log the children are not watched, and those that failed are described at the end."""
    frozen_aws.script(definition="talk", running=5)
    frozen_aws.script(definition="talk", array_index=2, running=5, attempts=[7])
    reference = frozen_aws.register("talk")
    [job_id] = frozen_aws.submit(reference, arrayProperties={"size": 4})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, copy_logs=False))

    updates = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    assert [(part.array_index, part.exit_code) for part in end.parts] == [(2, 7)]
    assert frozen_aws.counts().get("FilterLogEvents", 0) == 0


def test_a_multi_node_job_shows_all_nodes_lines_under_their_labels(frozen_aws: LocalAws) -> None:
    """Of three nodes every line comes."""
    frozen_aws.script(definition="nodes", running=20, lines={"count": 20, "rate": 1.0})
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    assert lines_by_label(updates) == {f"node {index}": numbered(20) for index in range(3)}


def test_a_multi_node_job_that_is_retried_shows_all_attempts_of_all_nodes(frozen_aws: LocalAws) -> None:
    """The nodes of the first attempt are final before the second one runs on them again."""
    frozen_aws.script(definition="nodes", running=12, attempts=[1, 0], lines={"count": 12, "rate": 1.0})
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    updates = run(main())
    assert sorted(lines_of(updates)) == sorted(numbered(12) * 6)
    assert isinstance(updates[-1], Ended)


def test_a_multi_node_job_that_failed_tells_which_nodes_without_its_log(frozen_aws: LocalAws) -> None:
    """The nodes that failed are described at the end."""
    frozen_aws.script(definition="nodes", running=5, attempts=[{"exit_code": 9, "parts": {"1": 9, "0": 9, "2": 0}}])
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id, copy_logs=False))

    end = run(main())[-1]
    assert isinstance(end, Ended)
    assert 0 in {part.node_index for part in end.parts}
    assert {part.status for part in end.parts} == {JobStatus.FAILED}


def test_parts_that_aws_does_not_mention_hold_up_the_end_for_seconds_only(frozen_aws: LocalAws) -> None:
    """A job whose parts cannot be described ends without them."""
    frozen_aws.script(definition="nodes", running=5, lines=3)
    register_nodes(frozen_aws)
    [job_id] = frozen_aws.submit("nodes:1")
    make = frozen_aws.clients()

    def clients(service: str, **how: Any) -> Any:
        client = make(service, **how)

        def leave_parts_out(parsed: dict[str, Any], **_: Any) -> None:
            parsed["jobs"] = [job for job in parsed["jobs"] if "#" not in job["jobId"]]

        if service == "batch":
            client.meta.events.register("after-call.batch.DescribeJobs", leave_parts_out)
        return client

    async def main() -> tuple[list[Update], float]:
        updates = await follow_to_end(VirtualAws(frozen_aws).watcher(clients).follow(job_id))
        return updates, asyncio.get_running_loop().time()

    updates, seconds = run(main())
    assert isinstance(updates[-1], Ended)
    assert updates[-1].parts == ()
    assert seconds < 9 + 5 + 20


def test_every_attempt_has_its_lines_and_label(frozen_aws: LocalAws) -> None:
    """A job that is retried twice shows the lines of all three attempts."""
    [job_id] = submitted(frozen_aws, running=10, attempts=[1, 1, 0], lines={"count": 10, "rate": 1.0})

    async def main() -> tuple[list[Update], list[str]]:
        follower = VirtualAws(frozen_aws).watcher().follow(job_id)
        return await follow_to_end(follower), [stream.label for stream in follower.log_streams()]

    updates, labels = run(main())
    assert sorted(labels) == ["attempt 1", "attempt 2", "attempt 3"]
    # What came before there was a second attempt had no label yet.
    assert sorted(map(len, lines_by_label(updates).values())) == [10, 10, 10]
    changes = [update.detail for update in updates if isinstance(update, StatusChange)]
    assert {len(detail.attempts) for detail in changes} == {0, 1, 2, 3}


def test_a_stream_that_is_missing_at_first_is_read_later(frozen_aws: LocalAws) -> None:
    """Until CloudWatch has the stream there is nothing, without a word; then everything."""
    [job_id] = submitted(frozen_aws, running=40, lines={"count": 30, "rate": 1.0})
    [other] = submitted(frozen_aws)
    missing = {
        "code": "ResourceNotFoundException",
        "status": 400,
        "message": "The specified log stream does not exist.",
    }
    frozen_aws.fault("FilterLogEvents", "error", **missing)

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher()
        return await run_beside(
            follow_to_end(watcher.follow(job_id)), follow_to_end(watcher.follow(other)), (20, frozen_aws.clear_faults)
        )

    updates = run(main())
    assert lines_of(updates) == numbered(30)
    assert {type(update) for update in updates} == {StatusChange, LogLines, Ended}


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


def test_terminate_and_describe_now_act_at_once(frozen_aws: LocalAws) -> None:
    """A termination reaches AWS within the second, and the end is looked for more often from then on."""
    [job_id] = submitted(frozen_aws, running=1_000, stopping=2, lines={"count": 100, "rate": 1.0})

    async def main() -> list[Update]:
        virtual = VirtualAws(frozen_aws)
        async with virtual.watcher().follow(job_id, poll_interval=60) as follower:
            await asyncio.sleep(10)
            detail = await follower.describe_now()
            assert detail is not None
            assert detail.status is JobStatus.RUNNING
            before = asyncio.get_running_loop().time()
            await follower.terminate("enough of it")
            assert asyncio.get_running_loop().time() - before < 1
            updates = [update async for update in follower]
            assert asyncio.get_running_loop().time() - before < 12
            assert (await follower.describe_now()) is follower.detail
        return updates

    updates = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    assert end.detail.status is JobStatus.FAILED
    assert end.detail.status_reason == "enough of it"


def test_who_leaves_while_aws_is_asked_is_not_answered(frozen_aws: LocalAws) -> None:
    """An answer that comes after its follower has left starts nothing, and who waited for it is told."""
    [gone, stays] = submitted(frozen_aws, 2, running=1_000)

    async def main() -> int:
        watcher = VirtualAws(frozen_aws).watcher()
        async with watcher.follow(stays) as staying:
            async with watcher.follow(gone) as going:
                asked = asyncio.create_task(going.describe_now())
                await asyncio.sleep(0.03)
            with pytest.raises(asyncio.CancelledError):
                await asked
            await anext(staying)
            await asyncio.sleep(60)
        return sum(gone in call.parameters["jobs"] for call in frozen_aws.requests("DescribeJobs"))

    assert run(main()) <= 1


def test_a_watcher_describes_without_followers(frozen_aws: LocalAws) -> None:
    """`describe` and `terminate` need nobody who follows."""
    [job_id] = submitted(frozen_aws, running=1_000)

    async def main() -> None:
        virtual = VirtualAws(frozen_aws)
        watcher = virtual.watcher()
        await asyncio.sleep(10)
        detail = await watcher.describe(job_id)
        assert detail is not None
        assert detail.status is JobStatus.RUNNING
        assert await watcher.describe("no-such-job") is None
        await watcher.terminate(job_id, "not wanted")

    run(main())
    assert frozen_aws.counts()["TerminateJob"] == 1


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


def test_a_shared_watcher_ends_with_its_last_follower(frozen_aws: LocalAws) -> None:
    """Those with the same settings share a watcher; when the last has left nothing runs, and the next one is new."""
    ids = submitted(frozen_aws, 2, running=1_000)
    made: list[JobWatcher] = []

    async def main() -> None:
        virtual = VirtualAws(frozen_aws)

        def make() -> JobWatcher:
            made.append(virtual.watcher())
            return made[-1]

        assert shared_watcher("settings", make) is shared_watcher("settings", make)
        assert shared_watcher("others", make) is not shared_watcher("settings", make)
        first = shared_watcher("settings", make).follow(ids[0])
        second = shared_watcher("settings", make).follow(ids[1])
        async with first:
            async with second:
                await anext(second)
            await anext(first)
            assert shared_watcher("settings", make) is made[0]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        again = shared_watcher("settings", make)
        assert again is made[2]
        async with again.follow(ids[0]) as third:
            await anext(third)

    run(main())
    assert len(made) == 3


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
