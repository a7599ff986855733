"""Where a log stream was read to: stored, read again, and of which size."""

from __future__ import annotations

import json

from airflow_batch_jobs.batch.logs.cursor import MOST_KEYS, EventKeys, LogCursor, event_key


def test_a_stored_cursor_stays_readable() -> None:
    """As version 0.1.0 stores it in an XCom."""
    stored = {"floor": 1_000, "newest": 2_000, "keys": [10, 255], "numbered": [2_000, 3]}
    assert LogCursor.from_dict(stored).to_dict().items() >= stored.items()


def test_a_cursor_survives_json() -> None:
    """The stored form is JSON whose numbers every reader keeps exact, and what it lacks reads as the beginning."""
    cursor = LogCursor(1_000, 2_000, tuple(event_key(f"event {number}") for number in range(100)), (2_000, 7))
    stored = json.loads(json.dumps(cursor.to_dict()))
    assert LogCursor.from_dict(stored) == cursor
    assert all(key < 2**53 for key in stored["keys"])
    assert LogCursor.from_dict({}) == LogCursor(0, 0)
    assert LogCursor.from_dict({"floor": 5, "new": "field"}) == LogCursor(5, 5)


def test_keys_know_an_event_again_and_forget_by_the_second() -> None:
    """An event is new once; what is below the floor is forgotten."""
    keys = EventKeys()
    assert keys.add(1_500, 7)
    assert not keys.add(1_500, 7)
    assert keys.add(2_500, 8)
    keys.forget_below(2_000)
    assert len(keys) == 1
    assert keys.newest(10, without=()) == (0, [8])


def test_packed_keys_are_the_same_keys() -> None:
    """They know an event again, take new ones, are forgotten by the second, and go into a cursor."""
    keys = EventKeys()
    for number in range(1_000):
        keys.add(number * 10, number)
    keys.pack()
    assert not any(keys.add(number * 10, number) for number in range(1_000))
    assert keys.add(5_005, 10_000)
    keys.remove(5_005, 10_000)
    keys.forget_below(5_000)
    assert len(keys) == 500
    assert sorted(keys.newest(MOST_KEYS, without={999})[1]) == list(range(500, 999))


def test_a_cursors_keys_are_the_newest_whole_seconds() -> None:
    """Of too many keys those of the newest seconds are kept, and the floor rises to them."""
    keys = EventKeys()
    for number in range(10_000):
        keys.add(number * 10, number)
    complete_from, newest = keys.newest(MOST_KEYS, without={9_999})
    assert len(newest) <= MOST_KEYS
    assert complete_from == 60_000
    assert sorted(newest) == list(range(6_000, 9_999))


def test_keys_of_a_cursor_are_kept_until_their_events_are_met_again() -> None:
    """A restored key is not a new event, and stays in the next cursor."""
    keys = EventKeys(restored=[1, 2])
    assert not keys.add(500, 1)
    assert sorted(keys.newest(10, without=())[1]) == [1, 2]
    keys.forget_restored()
    assert keys.newest(10, without=()) == (0, [1])
