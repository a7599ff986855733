"""Cursors of a job in 48 KiB, whatever it has: what does not fit comes twice, and nothing is lost."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.logs.cursor import LIST_KEYS, MOST_KEYS, EventKeys, LogCursor, event_key
from airflow_batch_jobs.batch.logs.cursors import CURSORS_BYTES, OTHERS_KEY, Others, Places, are_partial, fit
from airflow_batch_jobs.batch.logs.event import LogEvent
from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
from airflow_batch_jobs.batch.logs.room import Room
from tests.batch.logs.log_world import EPOCH_MS, Copy, LogWorld, Owner, in_batches, log_stream, moment, steady

if TYPE_CHECKING:
    from collections.abc import Mapping

#: To trace it takes as long as the run itself, and finds no line that others miss.
pytestmark = pytest.mark.no_cover

NOTHING: Mapping[str, Any] = {}


def followed(name: str, lines: int = 0, *, floor: int = EPOCH_MS, taken: bool = True) -> FollowedStream:
    """Return a stream that had lines, a hundred a second."""
    stream = FollowedStream(log_stream(name), Owner(), floor=floor, lookback_ms=120_000, room=Room(1 << 30))
    for number in range(lines):
        event = LogEvent(floor + number * 10, "x", f"{name} {number}", floor + number * 10)
        stream.accept(event, event_key(event.event_id), moment(10_000.0))
    if taken:
        stream.grant(lines)
        stream.lines.take(lines)
    return stream


@pytest.mark.parametrize(
    ("streams", "lines"), [(1, 20_000), (10, 2_000), (200, 40), (240, 300), (10_000, 1), (10_000, 0)]
)
def test_cursors_stay_below_their_bound(streams: int, lines: int) -> None:
    """With few streams of many lines, and with many streams; in a moment, too."""
    live = {f"eu-central-1:/aws/batch/job:job/default/{n:032}": followed(str(n), lines) for n in range(streams)}
    began = time.thread_time()
    stored = Places(live, {}, {}, None, EPOCH_MS).to_dict()
    assert time.thread_time() - began < 0.2
    assert len(json.dumps(stored)) <= CURSORS_BYTES
    assert len(stored) == streams or OTHERS_KEY in stored
    assert are_partial(stored) is (len(stored) != streams or any(cursor.get("partial") for cursor in stored.values()))


def test_streams_of_which_nothing_more_comes_do_not_crowd_out_the_others() -> None:
    """Of ten thousand children, ten still run: these have their cursors with all keys, and nothing comes twice."""
    live = {f"r:g:{n}": followed(str(n), 20) for n in range(10)}
    done = {f"r:g:done-{n:050}": LogCursor(EPOCH_MS + n, EPOCH_MS + n) for n in range(10_000)}
    stored = Places(live, {}, done, None, EPOCH_MS).to_dict()
    assert all(len(stored[key]["keys"]) == 20 for key in live)
    assert stored[OTHERS_KEY]["floor"] >= EPOCH_MS + 9_999


def test_streams_without_a_cursor_go_on_at_the_lowest_of_their_floors() -> None:
    """So none of their lines is passed over; those that would go furthest back have cursors of their own."""
    live = {f"r:g:{n:060}": followed(str(n), floor=EPOCH_MS + n) for n in range(1_000)}
    stored = Places(live, {}, {}, None, EPOCH_MS + 50).to_dict()
    others = Others.from_dict(stored[OTHERS_KEY])
    missing = [key for key in live if key not in stored]
    assert others.floor == min(live[key].floor for key in missing) > EPOCH_MS + 50
    assert others.cursor(0, EPOCH_MS + 49) == LogCursor(others.floor, others.floor)
    assert others.cursor(others.floor + 5, EPOCH_MS) == LogCursor(others.floor + 5, others.floor + 5)
    assert others.cursor(0, EPOCH_MS + 50) is None  # it was not followed yet


def test_queued_lines_count_as_not_handed_out() -> None:
    """A stream's floor is below what its consumer has yet to take, even where its own floor is above."""
    stream = followed("one", 100, taken=False)
    stream.raise_floor(EPOCH_MS + 500)
    assert stream.oldest_open == EPOCH_MS


def test_where_streams_were_left_that_have_not_come_up_again_is_kept() -> None:
    """A follower that ends soon after its begin hands on what it was given."""
    restored = {"r:g:old": LogCursor(5, 7, (1, 2))}
    others = Others(EPOCH_MS, EPOCH_MS + 100)
    stored = Places({"r:g:new": followed("new", 3)}, restored, {}, others, known_until=0).to_dict()
    assert stored["r:g:old"] == restored["r:g:old"].to_dict()
    assert stored[OTHERS_KEY] == others.to_dict()
    assert OTHERS_KEY not in Places({}, restored, {}, others, known_until=EPOCH_MS + 100).to_dict()
    many = {f"r:g:{n:060}": followed(str(n), floor=EPOCH_MS + 9_000 + n) for n in range(1_000)}
    assert Places(many, restored, {}, others, known_until=0).to_dict()[OTHERS_KEY] == others.to_dict()


def test_many_keys_are_packed_and_know_their_events_again() -> None:
    """In less than half of the space; an earlier version reads such a cursor as one without keys."""
    keys = tuple(event_key(f"event {number}") for number in range(MOST_KEYS))
    stored = json.loads(json.dumps(LogCursor(1, 2, keys).to_dict()))
    assert stored["keys"] == []
    assert len(stored["packed"]) == 8 * MOST_KEYS
    known = EventKeys(LogCursor.from_dict(stored).keys)
    assert not any(known.add(1_000, key) for key in keys)
    assert all(EventKeys(LogCursor.from_dict(stored).keys).add(1, event_key(f"other {n}")) for n in range(1_000))
    assert len(LogCursor(1, 2, keys[:LIST_KEYS]).to_dict()["keys"]) == LIST_KEYS


def test_the_keys_that_fit_are_shared_and_the_rest_comes_again() -> None:
    """A stream with few lines keeps all of its keys; one with too many keeps its newest, and its floor."""
    streams = {"r:g:few": followed("few", 50), "r:g:many": followed("many", 20_000)}
    cursors = fit(streams, CURSORS_BYTES)
    assert len(cursors["r:g:few"].keys) == 50
    assert not cursors["r:g:few"].is_partial
    assert cursors["r:g:many"].floor == EPOCH_MS
    assert 3_000 < len(cursors["r:g:many"].keys) <= MOST_KEYS
    assert cursors["r:g:many"].is_partial
    assert LogCursor.from_dict(cursors["r:g:many"].to_dict()).is_partial


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_a_restart_from_partial_cursors_loses_nothing(seed: int) -> None:
    """Lines that were late at the moment of the restart come too; some of the others come twice."""
    chance, world = random.Random(seed), LogWorld(page_size=10_000)  # noqa: S311 - a reproducible world
    for number in range(300):
        world.write(f"child{number:060}", in_batches(chance, 0.5, 0, 100, 40))
    world.write("busy", steady(60, 0, 100) + [(at, at + 60) for at, _ in steady(1, 0.005, 90)])
    copy = Copy(world, lines_per_second=2_000)
    copy.follow(*world.events)
    for at in (40, 70):
        copy.run_until(at)
        stored = json.loads(json.dumps(Places(copy.followed, {}, {}, None, EPOCH_MS).to_dict()))
        assert len(json.dumps(stored)) <= CURSORS_BYTES
        assert are_partial(stored)
        others = Others.from_dict(stored[OTHERS_KEY])
        next_copy = Copy(world, lines_per_second=2_000)
        next_copy.now, next_copy.got, next_copy.got_at = copy.now, copy.got, copy.got_at
        for name in world.events:
            own = LogCursor.from_dict(stored[name]) if name in stored else others.cursor(EPOCH_MS - 60_000, 0)
            next_copy.follow(name, cursor=own)
        copy = next_copy
    copy.run_until(105)
    for name in world.events:
        copy.end(name)
    copy.run_until(300)
    assert set(copy.settled_at) == set(world.events)
    assert [copy.lost(name) for name in world.events if copy.lost(name)] == []


def test_stored_forms_stay_readable() -> None:
    """Of a cursor with many keys, of one that is partial, and of the streams that have none of their own."""
    packed = {"floor": 1_000, "newest": 2_000, "keys": [], "numbered": [2_000, 3], "packed": "AAAAAAABAAAAAAAC"}
    assert LogCursor.from_dict(packed) == LogCursor(1_000, 2_000, (1 << 5, 2 << 5), (2_000, 3))
    partial = {"floor": 1_000, "newest": 2_000, "keys": [7], "numbered": [2_000, 3], "partial": True}
    assert LogCursor.from_dict(partial).to_dict() == partial
    others = {"floor": 1_000, "newest": 1_000, "started_before": 900}
    assert Others.from_dict(others).to_dict() == others
    assert OTHERS_KEY == "*"
