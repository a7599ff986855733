"""The room for queued lines: bounded in bytes for all streams together, and quiet ones always find some."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.logs.event import LogEvent
from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
from airflow_batch_jobs.batch.logs.room import Room, cost_of
from airflow_batch_jobs.batch.watch.line_budget import LineBudget
from tests.batch.logs.log_world import EPOCH_MS, Copy, LogWorld, Owner, log_stream, moment, steady

#: A line may take up this much beyond the room's size.
SPARE = 8 * 1024 * 1024


def stream_of(room: Room, name: str = "one") -> FollowedStream:
    """Return a stream whose lines wait in a room."""
    return FollowedStream(log_stream(name), Owner(), floor=EPOCH_MS, lookback_ms=120_000, room=room)


def fill(stream: FollowedStream, lines: int, length: int = 100) -> None:
    """Let a stream have lines, as far as there is room for them."""
    for number in range(lines):
        event = LogEvent(EPOCH_MS + number, "x" * length, f"{stream.stream.stream} {number}", EPOCH_MS + number)
        stream.accept(event, hash(event.event_id), moment(60.0))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 500), st.sampled_from([1, 100, 16_384, 1_000_000]))))
def test_the_room_is_never_overfilled_and_has_a_place_for_who_is_quiet(
    waves: list[tuple[int, int, int]],
) -> None:
    """Whoever brings how many lines of what length: the bound holds, and a usual line of one more stream fits."""
    room = Room(size=1024 * 1024)
    streams = [stream_of(room, f"s{number}") for number in range(31)]
    for number, lines, length in waves:
        fill(streams[number], lines, length)
        assert room.used <= room.size + SPARE
        assert room.used == sum(stream.lines.bytes for stream in streams)
    quiet = stream_of(room, "quiet")
    fill(quiet, 1)
    assert len(quiet.lines) == 1
    for stream in [*streams, quiet]:
        stream.lines.clear()
    assert room.used == 0


@pytest.mark.long
def test_the_cost_of_an_event_is_what_it_takes_up() -> None:
    """Within a fifth, its key and its place in the queue included, for short and long lines of any alphabet."""
    for text in ("INFO step 12 of 77 done", "x" * 2_000, "ü✓" * 100):
        stream = stream_of(Room(size=1 << 40))
        gc.collect()
        tracemalloc.start()
        for number in range(2_000):
            name, at = "0123456789" * 5 + f"{number:06}", EPOCH_MS + number * 7
            stream.accept(LogEvent(at, text + f" {number:6}", name, at + 300), (number << 40) + 1, moment(60.0))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(stream.lines) == 2_000
        assert 0.8 < held / stream.lines.bytes < 1.2


def test_what_there_was_no_room_for_is_read_again_from_there() -> None:
    """A stream takes no further event before that, not even a newer one, and its floor stays below."""
    room = Room(size=64 * 1024)
    stream = stream_of(room)
    fill(stream, 1_000)
    taken = len(stream.lines)
    assert 0 < taken < 1_000
    assert stream.is_refusing
    stream.raise_floor(EPOCH_MS + 5_000)
    assert stream.floor == EPOCH_MS + taken == stream.start(moment(60.0), is_full=False)
    stream.grant(taken)
    stream.lines.take(taken)
    stream.make_room()
    fill(stream, 1_000)
    assert len(stream.lines) > 0


@pytest.mark.long
def test_floods_fill_the_room_and_no_more() -> None:
    """However many there are; and all lines that were written come, once each, when the floods are over."""
    world = LogWorld(page_size=10_000)
    for number in range(120):
        world.write(f"flood{number}", steady(100, 0, 3))
    copy = Copy(world, lines_per_second=2_000)
    copy.budget.room.size = 8 * 1024 * 1024
    copy.now = 10.0
    copy.follow(*world.events)
    for second in range(11, 200, 3):
        copy.run_until(second)
        assert copy.budget.room.used <= 8 * 1024 * 1024
        assert sum(len(stream.lines) for stream in copy.followed.values()) < 20_000
    assert all(len(copy.got[name]) == 300 for name in world.events)
    assert not any(copy.doubled(name) for name in world.events)
    assert copy.budget.room.used == 0


@pytest.mark.long
def test_quiet_streams_are_fresh_beside_hundreds_of_floods() -> None:
    """Theirs are the smallest queues, and there is room for their lines."""
    world = LogWorld(page_size=10_000)
    floods = [f"flood{number}" for number in range(150)]
    quiet = [f"quiet{number}" for number in range(10)]
    for name in floods:
        world.write(name, steady(10, 0, 120))
    for name in quiet:
        world.write(name, steady(0.5, 0, 120))
    copy = Copy(world)
    copy.follow(*floods, *quiet)
    copy.run_until(120)
    delays = sorted(
        copy.got_at[event.event_id] - event.readable
        for name in quiet
        for event in world.events[name]
        if event.event_id in copy.got_at
    )
    assert len(delays) > 10 * 50
    assert delays[int(len(delays) * 0.95)] < 8
    assert sum(map(len, copy.got.values())) > 0.95 * 400 * 115


@pytest.mark.long
def test_watchers_share_one_room() -> None:
    """The bound is for the process: two watchers have no more than one, and a stream that is dropped frees its part."""
    world = LogWorld(page_size=10_000)
    for number in range(20):
        world.write(f"flood{number}", steady(1_000, 0, 10))
    budget = LineBudget(0.001)
    budget.room.size = 256 * 1024
    copies = [Copy(world, budget=budget), Copy(world, budget=budget)]
    for copy in copies:
        copy.now = 10.0
        copy.follow(*world.events)
        copy.run_until(20)
    assert sum(stream.lines.bytes for copy in copies for stream in copy.followed.values()) == budget.room.used
    assert budget.room.used <= 256 * 1024
    assert any(stream.lines for stream in copies[1].followed.values())
    for copy in copies:
        for stream in copy.followed.values():
            copy.logs.drop(stream)
    assert budget.room.used == 0


def test_many_small_pages_of_a_flood_keep_nobody_waiting() -> None:
    """Lines of a megabyte fill a page each: the stream that has them is read alone after some."""
    world = LogWorld(page_size=2)
    world.write("long", steady(10, 0, 100))
    for number in range(5):
        world.write(f"quiet{number}", steady(0.1, 0, 100))
    copy = Copy(world)
    copy.follow(*world.events)
    copy.run_until(100)
    for number in range(5):
        name = f"quiet{number}"
        assert copy.lost(name) == []
        readable = [event for event in world.events[name][2:] if event.event_id in copy.got_at]
        assert max(copy.got_at[event.event_id] - event.readable for event in readable) < 30


def test_an_event_costs_more_the_longer_it_is() -> None:
    """Four bytes a character, where the alphabet needs them."""
    assert cost_of(LogEvent(0, "x" * 1_000)) - cost_of(LogEvent(0, "")) == 1_000
    assert cost_of(LogEvent(0, "👍" * 1_000)) - cost_of(LogEvent(0, "")) > 4_000
