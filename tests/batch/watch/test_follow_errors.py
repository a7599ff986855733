"""LogFollower when CloudWatch does not answer as asked, in virtual time."""

from __future__ import annotations

import pytest

from airflow_batch_jobs.batch.logs.page import LogPage
from airflow_batch_jobs.errors import AwsError
from tests.batch.logs.log_world import (
    REGION,
    Copy,
    LogWorld,
    Owner,
    moment,
    steady,
)


def test_missing_streams_are_found_out_and_the_others_read() -> None:
    """A stream that does not exist makes the shared call fail: the others are read at once, it as soon as it exists."""
    world = LogWorld()
    names = [f"new{number}" for number in range(12)]
    for name in names:
        world.write(name, steady(1, 0, 60))
    world.exists_from = {"new3": 20.0, "new7": 40.0}
    copy = Copy(world)
    copy.follow(*names)
    copy.run_until(15)
    assert all(copy.got[name] for name in names if name not in world.exists_from)
    copy.run_until(130)
    assert [copy.lost(name) for name in names if copy.lost(name)] == []


class Job(Owner):
    """A job with streams of its own."""


@pytest.mark.long
@pytest.mark.parametrize("missing", [0, 100, 2_000])
@pytest.mark.parametrize("own", [1, 10])
@pytest.mark.parametrize("exists_from", [0.0, 25.0])
def test_streams_that_do_not_exist_hold_up_no_other_job(missing: int, own: int, exists_from: float) -> None:
    """Neither a job that comes later, nor one whose own streams take a while to appear; at the same rate of calls."""
    world = LogWorld()
    names = [f"own{number}" for number in range(own)]
    for name in names:
        world.write(name, steady(1, 10, 90))
        world.exists_from[name] = exists_from
    copy = Copy(world)
    copy.follow(*(f"missing{number}" for number in range(missing)))
    copy.run_until(10)
    copy.owner = Job()
    copy.follow(*names)
    copy.run_until(100)
    first = {name: copy.got_at[f"{name}/0"] for name in names}
    assert max(first.values()) < (18 if exists_from == 0 else 45)
    assert [name for name in names if copy.lost(name) or copy.doubled(name)] == []
    late = [copy.got_at[event.event_id] - event.at for name in names for event in world.events[name][40:]]
    assert max(late) < 10
    assert len(copy.requests) <= 100 * 4 + 5


def test_new_jobs_are_not_held_up_by_many_whose_streams_are_missing() -> None:
    """Five hundred jobs have one stream each that is not there; another job comes every few seconds."""
    world = LogWorld()
    copy = Copy(world)
    for number in range(500):
        copy.owner = Job()
        copy.follow(f"missing{number}")
    for number in range(10):
        copy.run_until(10 * (number + 1))
        world.write(f"new{number}", steady(1, copy.now, copy.now + 60))
        copy.owner = Job()
        copy.follow(f"new{number}")
    copy.run_until(200)
    for number in range(10):
        assert copy.got_at[f"new{number}/0"] < 10 * (number + 1) + 8


def test_a_stream_that_never_comes_settles_all_the_same() -> None:
    """A container that wrote nothing may have no stream: its job's end does not wait for it forever."""
    copy = Copy(LogWorld())
    copy.follow("never")
    copy.run_until(10)
    copy.end("never")
    copy.run_until(25)
    assert "never" in copy.settled_at


def test_a_whole_group_that_is_missing_costs_one_call() -> None:
    """If the group does not exist, there is no point in asking for each stream."""
    copy = Copy(LogWorld())
    copy.follow(*(f"new{number}" for number in range(64)))
    scan = copy.logs.next_scan(REGION, moment(1.0))
    assert scan is not None
    scan.request(moment(1.0))
    copy.logs.missing(scan, moment(1.0), whole_group=True)
    assert copy.logs.next_scan(REGION, moment(1.1)) is None


def test_a_token_that_cloudwatch_forgot_repeats_the_scan() -> None:
    """An expired page token in the middle of a scan costs a repetition and no line."""
    world = LogWorld(page_size=50)
    world.write("long", steady(10, 0, 60))
    copy = Copy(world)
    copy.now = 60.0
    copy.follow("long")
    scan = copy.logs.next_scan(REGION, moment(61.0))
    assert scan is not None
    copy.logs.feed(scan, world.filter(scan.request(moment(61.0)), 61.0), moment(61.0))
    scan = copy.logs.next_scan(REGION, moment(62.0))
    assert scan is not None
    assert "nextToken" in scan.request(moment(62.0))
    copy.logs.retry(scan, stale_token=True)
    scan = copy.logs.next_scan(REGION, moment(63.0))
    assert scan is not None
    assert "nextToken" not in scan.request(moment(63.0))
    copy.ask(scan)
    copy.run_until(80)
    assert copy.lost("long") == []
    assert copy.doubled("long") == []


def test_a_token_forgotten_while_lagging_reads_on() -> None:
    """A lagging stream whose page token expires goes on near where it was."""
    world = LogWorld()
    world.write("flood", steady(1_000, 0, 12))
    copy = Copy(world)
    copy.follow("flood")
    copy.run_until(20)
    assert copy.followed["flood"].is_lagging
    forgotten = 0
    for second in range(21, 40):
        copy.run_until(second)
        if scan := copy.logs.next_scan(REGION, moment(copy.now)):
            copy.logs.retry(scan, stale_token=True)
            forgotten += 1
    copy.run_until(60)
    assert forgotten
    assert copy.lost("flood") == []
    assert copy.doubled("flood") == []


def test_a_failed_call_is_repeated_with_its_page() -> None:
    """After a failure the same page of the same scan is asked for again."""
    world = LogWorld()
    world.write("one", steady(1, 0, 10))
    copy = Copy(world)
    copy.follow("one")
    scan = copy.logs.next_scan(REGION, moment(1.0))
    assert scan is not None
    first = scan.request(moment(1.0))
    copy.logs.retry(scan)
    again = copy.logs.next_scan(REGION, moment(3.0))
    assert again is scan
    assert again.request(moment(3.0)) == first


def test_an_empty_page_before_the_end_is_nothing_special() -> None:
    """A page without events that has a token is followed by the next."""
    world = LogWorld()
    world.write("one", steady(1, 0, 10))
    copy = Copy(world)
    copy.follow("one")
    scan = copy.logs.next_scan(REGION, moment(5.0))
    assert scan is not None
    scan.request(moment(5.0))
    copy.logs.feed(scan, LogPage((), "more"), moment(5.0))
    again = copy.logs.next_scan(REGION, moment(5.1))
    assert again is not None
    assert again.request(moment(5.1))["nextToken"] == "more"


def test_a_group_that_may_not_be_read_is_left_alone_and_told_of_once_for_each_stream() -> None:
    """Access denied stops the calls for minutes, also for streams that come later, and each owner hears of it."""
    world = LogWorld()
    world.write("one", steady(1, 0, 600))
    world.write("two", steady(1, 0, 600))
    copy = Copy(world)
    copy.follow("one")
    scan = copy.logs.next_scan(REGION, moment(1.0))
    assert scan is not None
    scan.request(moment(1.0))
    copy.logs.denied(scan, AwsError("not allowed"), moment(1.0))
    copy.follow("two")
    assert copy.owner.problems == ["not allowed", "not allowed"]
    copy.run_until(290)
    assert copy.requests == []
    copy.run_until(330)
    assert copy.lost("one") == []
    assert copy.lost("two") == []


def test_a_lagging_stream_that_may_not_be_read_any_more_goes_on_when_it_may() -> None:
    """Access denied in the middle of a flood loses nothing once it is allowed again."""
    world = LogWorld()
    world.write("flood", steady(1_000, 0, 12))
    copy = Copy(world)
    copy.follow("flood")
    copy.run_until(20)
    assert copy.followed["flood"].is_lagging
    while not (scan := copy.logs.next_scan(REGION, moment(copy.now))):
        copy.run_until(copy.now + 0.25)
    scan.request(moment(copy.now))
    copy.logs.denied(scan, AwsError("not allowed"), moment(copy.now))
    copy.run_until(400)
    assert copy.lost("flood") == []
    assert copy.doubled("flood") == []


def test_one_refused_stream_does_not_blind_the_others() -> None:
    """A call that CloudWatch refuses is split until the stream that it refuses is alone."""
    world = LogWorld()
    names = [f"s{number}" for number in range(8)]
    for name in names:
        world.write(name, steady(1, 0, 60))
    copy = Copy(world)
    copy.follow(*names)
    for _ in range(30):
        copy.now += 0.25
        if scan := copy.logs.next_scan(REGION, moment(copy.now)):
            if any(stream is copy.followed["s5"] for stream in scan.streams):
                copy.logs.refused(scan, AwsError("no such name"), moment(copy.now))
            else:
                copy.ask(scan)
    assert copy.owner.problems == ["no such name"]
    copy.run_until(60)
    assert all(copy.got[name] for name in names if name != "s5")
    assert not copy.got["s5"]
