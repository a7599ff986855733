"""JobWatcher and the log lines of what it watches, in virtual time."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.logs import LogCursor, read_on
from airflow_batch_jobs.batch.logs.cursors import CURSORS_BYTES
from airflow_batch_jobs.batch.watch import Ended, LogLines, Problem, StatusChange
from tests.batch.virtual import VirtualAws, consume, follow_to_end, lines_by_label, lines_of, run, run_beside
from tests.batch.watch.scripted import assert_complete, numbered, submitted, talking

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws


#: What a triggerer's event has space for.
UNREAD_BYTES = 24 * 1024


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


def test_late_and_overtaking_lines_all_come(frozen_aws: LocalAws) -> None:
    """Lines that CloudWatch shows seconds later, some before older ones, come once each."""
    [job_id] = submitted(frozen_aws, running=40, lines={"count": 400, "rate": 10.0}, delivery={"delay": 3, "spread": 4})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher().follow(job_id))

    assert sorted(lines_of(run(main()))) == sorted(numbered(400))


@pytest.mark.long
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


def test_what_a_flood_leaves_to_a_worker_fits_into_its_event(frozen_aws: LocalAws) -> None:
    """With the names of the stream: it would be left out otherwise, and all of its lines with it."""
    [job_id] = submitted(frozen_aws, running=3, lines={"count": 40_000, "rate": 20_000.0})

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher(log_lines_per_second=2_000, unread_bytes=UNREAD_BYTES)
        return await follow_to_end(watcher.follow(job_id))

    end = run(main())[-1]
    assert isinstance(end, Ended)
    [(stream, cursor)] = end.unread.values()
    size = len(json.dumps({**stream.to_dict(), "cursor": cursor.to_dict()}))
    assert UNREAD_BYTES - 500 < size <= UNREAD_BYTES


@pytest.mark.long
def test_what_a_flood_leaves_is_exact_where_it_needs_not_fit_into_an_event(frozen_aws: LocalAws) -> None:
    """However many lines were handed out within the look-back, none of them comes again."""
    [job_id] = submitted(frozen_aws, running=3, lines={"count": 40_000, "rate": 20_000.0})

    async def main() -> list[Update]:
        return await follow_to_end(VirtualAws(frozen_aws).watcher(log_lines_per_second=2_000).follow(job_id))

    updates = run(main())
    end = updates[-1]
    assert isinstance(end, Ended)
    [(stream, cursor)] = end.unread.values()
    assert len(cursor.keys) > UNREAD_BYTES // 8
    copied, stored = lines_of(updates), LogCursor.from_dict(cursor.to_dict())
    rest = [event.text() for event in read_on(frozen_aws.clients(), stream, stored, settle_seconds=0)]
    assert copied + rest == numbered(40_000)


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


@pytest.mark.long
def test_a_worker_with_a_larger_budget_copies_all_itself(frozen_aws: LocalAws) -> None:
    """With a worker's lines per second nothing is left unread."""
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
    """A job that is waiting for an instance has no log to continue."""
    [job_id] = submitted(frozen_aws, runnable=600)

    async def find() -> dict[str, Any]:
        raise AssertionError

    async def main() -> None:
        async with VirtualAws(frozen_aws).watcher().follow(job_id, cursors=find) as follower:
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    await consume(follower, [])

    run(main())


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


@pytest.mark.long
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


@pytest.mark.long
def test_a_restart_of_a_job_with_many_streams_loses_nothing(frozen_aws: LocalAws) -> None:
    """Its cursors have no space for each of 300 children, so the last lines of some come twice."""
    frozen_aws.script(definition="child", running=60, lines={"count": 25, "rate": 0.5})
    [job_id] = frozen_aws.submit(frozen_aws.register("child"), arrayProperties={"size": 300})

    async def main() -> tuple[list[Update], list[Update]]:
        virtual = VirtualAws(frozen_aws)
        parts: tuple[list[Update], list[Update]] = ([], [])
        cursors: dict[str, Any] = {}
        for updates, seconds in zip(parts, (40, 600), strict=True):
            async with virtual.watcher(log_lines_per_second=2_000).follow(job_id, cursors=cursors) as follower:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await consume(follower, updates)
            cursors = json.loads(json.dumps(follower.cursors()))
            assert len(json.dumps(cursors)) <= CURSORS_BYTES
        return parts

    first, second = (lines_by_label(updates) for updates in run(main()))
    assert len(first) == len(second) == 300
    assert sum(map(len, first.values())) > 300 * 10
    for label in second:
        assert set(first[label]) | set(second[label]) == set(numbered(25))
    assert sum(map(len, second.values())) < 300 * 25


@pytest.mark.parametrize(
    "stored",
    [
        {"k": {"numbered": [1]}},
        {"k": None},
        {"k": {"floor": "x"}},
        {"k": {"floor": 10**400}},
        {"*": 5},
        {"*": {"floor": float("inf")}},
        [1],
        5,
    ],
)
@pytest.mark.parametrize("is_found_later", [False, True])
def test_a_stored_place_that_cannot_be_read_costs_the_place_and_not_the_wait(
    frozen_aws: LocalAws, stored: Any, *, is_found_later: bool
) -> None:
    """All lines are copied, and one update says so."""
    [job_id] = talking(frozen_aws)

    async def found() -> Any:
        return stored

    async def main() -> list[Update]:
        watcher = VirtualAws(frozen_aws).watcher()
        return await follow_to_end(watcher.follow(job_id, cursors=found if is_found_later else stored))

    updates = run(main())
    assert_complete(updates)
    [problem] = [update.message for update in updates if isinstance(update, Problem)]
    assert problem == "1 of 1 saved places of the log cannot be read; lines may appear twice."


def test_a_place_that_can_be_read_counts_beside_one_that_cannot(frozen_aws: LocalAws) -> None:
    """And one beyond all times counts as none: nothing would be read any more."""
    [job_id] = talking(frozen_aws)

    async def main() -> list[int]:
        watcher = VirtualAws(frozen_aws).watcher()
        [ended] = [each for each in await follow_to_end(watcher.follow(job_id)) if isinstance(each, Ended)]
        [stream] = ended.detail.log_streams()
        now = 1000 * int(frozen_aws.now())
        lines: list[int] = []
        for floor in (now, 10**20):
            cursors: Any = {stream.key: {"floor": floor}, "other": 5}
            lines.append(len(lines_of(await follow_to_end(watcher.follow(job_id, cursors=cursors)))))
        return lines

    assert run(main()) == [0, 30]
