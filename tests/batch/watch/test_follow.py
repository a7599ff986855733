"""LogFollower in virtual time: nothing is lost and nothing comes twice, whatever CloudWatch does."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.logs.cursor import LogCursor
from tests.batch.logs.log_world import (
    EPOCH_MS,
    GROUP,
    Copy,
    LogWorld,
    in_batches,
    log_stream,
    moment,
    stalled,
    steady,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.logs.page import LogPage

#: To trace it takes as long as the run itself, and finds no line that others miss.
pytestmark = pytest.mark.no_cover


class CountingWorld(LogWorld):
    """Counts the events of its answers."""

    read = 0

    def filter(self, request: Mapping[str, Any], now: float) -> LogPage:
        """Answer FilterLogEvents."""
        page = super().filter(request, now)
        self.read += len(page.events)
        return page


def mixed_world(seed: int) -> LogWorld:
    """Return a log group of busy, silent, stalled and overtaking streams, 200 s of it."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible world
    world = LogWorld()
    world.write("busy", in_batches(chance, 40, 0, 200, 8))
    world.write("overtaking", in_batches(chance, 5, 0, 200, 60))
    world.write("flood", steady(2_000, 50, 56) + steady(1, 56, 200))
    world.write("silent", steady(1 / 45, 0, 200))
    world.write("stalled", stalled(steady(8, 0, 200), 20, 170))
    world.write("stalled-overtaking", stalled(in_batches(chance, 8, 0, 200, 3), 60, 150))
    world.write("ahead", [(at + 3_600, readable) for at, readable in steady(3, 0, 200)])
    world.write("latest", steady(2, 0, 200, late=120))
    for number in range(10):
        world.write(f"quiet{number}", in_batches(chance, 0.3, 0, 200, 10))
    return world


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_every_readable_event_is_handed_out_exactly_once(seed: int) -> None:
    """Late batches that overtake, stalls, a flood, a clock that is ahead: nothing is lost, nothing comes twice."""
    world = mixed_world(seed)
    copy = Copy(world)
    copy.follow(*world.events)
    copy.run_until(205)
    for name in world.events:
        copy.end(name)
    copy.run_until(480)
    assert set(copy.settled_at) == set(world.events)
    assert [copy.lost(name) for name in world.events if copy.lost(name)] == []
    assert [copy.doubled(name) for name in world.events if copy.doubled(name)] == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_a_restart_from_its_cursors_loses_and_doubles_nothing(seed: int) -> None:
    """Whenever the process stops, in the middle of a flood too, another goes on from its cursors."""
    chance, world = random.Random(seed), mixed_world(seed)  # noqa: S311 - as above
    copy = Copy(world)
    copy.follow(*world.events)
    for at in sorted(chance.sample(range(20, 200), 4)):
        copy.run_until(at)
        stored = json.loads(json.dumps({name: each.cursor().to_dict() for name, each in copy.followed.items()}))
        assert all(len(cursor["keys"]) <= 8_000 for cursor in stored.values())
        next_copy = Copy(world)
        next_copy.now, next_copy.got, next_copy.got_at = copy.now, copy.got, copy.got_at
        for name, cursor in stored.items():
            next_copy.follow(name, cursor=LogCursor.from_dict(cursor))
        copy = next_copy
    copy.run_until(205)
    for name in world.events:
        copy.end(name)
    copy.run_until(480)
    assert [copy.lost(name) for name in world.events if copy.lost(name)] == []
    assert [copy.doubled(name) for name in world.events if copy.doubled(name)] == []


def test_a_stall_of_an_hour_loses_nothing() -> None:
    """A stream that brings an hour's lines at once, long after the others, is read from where it stopped."""
    world = LogWorld()
    world.write("stalled", stalled(steady(0.5, 0, 4_000), 60, 3_660))
    world.write("flowing", steady(0.5, 0, 4_000))
    copy = Copy(world)
    copy.follow("stalled", "flowing")
    copy.run_until(4_000, step=1)
    assert copy.lost("stalled") == []
    assert copy.lost("flowing") == []
    assert copy.doubled("stalled") == []


@pytest.mark.long
def test_silent_streams_are_fresh_beside_a_flood() -> None:
    """2,000 lines a second of one stream make the lines of silent ones no later than 8 s in 95 of 100 cases."""
    world = LogWorld(page_size=10_000)
    world.write("flood", steady(2_000, 10, 100))
    quiet = [f"quiet{number}" for number in range(30)]
    for name in quiet:
        world.write(name, steady(0.2, 0, 100))
    copy = Copy(world)
    copy.follow("flood", *quiet)
    copy.run_until(100)
    delays = sorted(
        copy.got_at[event.event_id] - event.readable
        for name in quiet
        for event in world.events[name]
        if event.event_id in copy.got_at
    )
    assert delays[int(len(delays) * 0.95)] < 8
    assert sum(map(len, copy.got.values())) > 0.95 * 400 * 85


@pytest.mark.long
def test_memory_is_bounded_for_a_flood_and_for_a_stream_nobody_consumes() -> None:
    """What is queued, and what has to be remembered, stay within a few thousand lines."""
    world = LogWorld(page_size=10_000)
    world.write("flood", steady(450, 0, 240))
    copy = Copy(world, lookback_seconds=20)
    copy.follow("flood")
    copy.run_until(240)
    flood = copy.followed["flood"]
    assert len(flood.lines) <= 8_000
    assert flood.key_count <= 400 * (20 + 60 + 20)
    assert copy.doubled("flood") == []

    ignored = Copy(world, lines_per_second=0.001)
    ignored.follow("flood")
    ignored.run_until(100)
    assert len(ignored.followed["flood"].lines) <= 14_000


def test_late_lines_after_the_end_are_waited_for_as_long_as_lateness_was_seen() -> None:
    """With delays of 90 s the settle time grows, and the last line is there."""
    world = LogWorld()
    for name in ("a", "b", "c"):
        world.write(name, steady(0.5, 0, 300, late=90))
    copy = Copy(world)
    copy.follow("a", "b", "c")
    copy.run_until(300)
    copy.end("a")
    copy.run_until(520)
    assert len(copy.got["a"]) == len(world.events["a"])
    assert 388 + 120 <= copy.settled_at["a"] < 388 + 125


def test_one_streams_outage_does_not_make_the_others_wait() -> None:
    """A stream whose lines were late by minutes settles late itself; its neighbour after the least time."""
    world = LogWorld()
    world.write("stalled", stalled(steady(1, 0, 300), 60, 160))
    world.write("other", steady(1, 0, 300))
    copy = Copy(world)
    copy.follow("stalled", "other")
    copy.run_until(300)
    copy.end("stalled")
    copy.end("other")
    copy.run_until(450)
    assert copy.settled_at["other"] < 312
    assert copy.settled_at["stalled"] > 400


def test_a_job_followed_only_after_its_end_is_read_from_its_start() -> None:
    """Adoption after the end: all lines, then settled after the least time."""
    world = LogWorld()
    world.write("done", steady(10, 0, 100))
    copy = Copy(world)
    copy.now = 3_600.0
    copy.follow("done")
    copy.logs.end(copy.followed["done"], EPOCH_MS + 100_000, moment(copy.now))
    copy.run_until(3_620)
    assert len(copy.got["done"]) == 1_000
    assert copy.settled_at["done"] < 3_608


def test_streams_of_a_group_share_calls() -> None:
    """250 quiet streams cost three calls a round of two seconds."""
    world = LogWorld()
    names = [f"quiet{number}" for number in range(250)]
    for name in names:
        world.write(name, steady(0.1, 0, 60))
    copy = Copy(world)
    copy.follow(*names)
    copy.run_until(60)
    assert len(copy.requests) <= 60 / 2 * 3 * 1.1
    assert all(len(request["logStreamNames"]) <= 100 for _, request in copy.requests)
    assert [copy.lost(name) for name in names if copy.lost(name)] == []


def test_a_busy_stream_is_not_read_again_for_a_silent_ones_sake() -> None:
    """A stream that was silent for minutes does not pull the start of a busy one's call back."""
    world = LogWorld(page_size=10_000)
    world.write("silent", [(1.0, 1.0)])
    world.write("busy", steady(100, 0, 150))
    copy = Copy(world)
    copy.follow("silent", "busy")
    copy.run_until(150)
    late = [request for at, request in copy.requests if at > 100 and "busy" in request["logStreamNames"]]
    near = [request for request in late if request["startTime"] > EPOCH_MS + 80_000]
    assert len(near) > 0.9 * len(late)


@pytest.mark.parametrize("lines", [1, 20, 1_000])
def test_lines_are_not_read_again_and_again_while_their_streams_are_silent(lines: int) -> None:
    """Streams that were written to one after the other, in bursts, and then fell silent, for ten minutes."""
    world = CountingWorld(page_size=10_000)
    names = [f"burst{number}" for number in range(8)]
    for number, name in enumerate(names):
        world.write(name, steady(lines, 7 * number, 7 * number + 1))
    copy = Copy(world)
    copy.follow(*names)
    copy.run_until(600)
    for name in names:
        copy.end(name)
    copy.run_until(620)
    assert set(copy.settled_at) == set(names)
    assert all(len(copy.got[name]) == lines for name in names)
    assert world.read <= 10 * 8 * lines
    assert len(copy.requests) < 620


def test_two_owners_follow_the_same_stream_each_on_its_own() -> None:
    """A stream with two followers is asked for once per call, and each gets every line."""
    world = LogWorld()
    world.write("one", steady(1, 0, 60))
    copy = Copy(world)
    copy.follow("one")
    other = copy.logs.add(log_stream("one"), copy.owner, moment(0.0), floor=EPOCH_MS)
    copy.run_until(50)
    assert len(copy.got["one"]) == len(other.lines.take(1_000)) >= 45
    assert all(request["logStreamNames"] == ["one"] for _, request in copy.requests)


def test_lines_of_a_stream_are_handed_out_in_order_as_far_as_they_are_there() -> None:
    """Lines that wait together are sorted by time, then ingestion, and equal milliseconds are numbered."""
    world = LogWorld()
    world.write("one", [(5.0, 9.0), (4.0, 9.0), (4.0, 8.0), (4.0, 8.5), (3.0, 9.5)])
    copy = Copy(world)
    copy.now = 30.0
    copy.follow("one")
    copy.run_until(33)
    times = [event.time for event in copy.got["one"]]
    assert times == sorted(times)
    assert all(before != after for before, after in pairwise(times))
    assert [event.microsecond for event in copy.got["one"]] == [0, 0, 1, 2, 0]


def test_a_dropped_stream_costs_nothing_more() -> None:
    """A stream that is no longer followed is not asked for, not even to the end of the current scan."""
    world = LogWorld(page_size=10)
    world.write("one", steady(10, 0, 60))
    copy = Copy(world)
    copy.now = 60.0
    copy.follow("one")
    copy.run_until(60.5)
    copy.logs.drop(copy.followed["one"])
    asked = len(copy.requests)
    copy.run_until(90)
    assert len(copy.requests) <= asked + 1
    assert copy.logs.regions() == ()


def test_two_groups_are_asked_for_apart() -> None:
    """A call names one log group; streams of another one are read by calls of their own."""
    world = LogWorld()
    world.write("here", steady(1, 0, 30))
    world.write("there", steady(1, 0, 30))
    copy = Copy(world)
    copy.follow("here")
    copy.followed["there"] = copy.logs.add(log_stream("there", "/other"), copy.owner, moment(0.0), floor=EPOCH_MS)
    copy.got["there"] = []
    copy.run_until(30)
    by_group = {request["logGroupName"]: request["logStreamNames"] for _, request in copy.requests}
    assert by_group == {GROUP: ["here"], "/other": ["there"]}
    assert copy.got["here"]
    assert copy.got["there"]
