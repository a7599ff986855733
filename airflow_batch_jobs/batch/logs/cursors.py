"""How far the log streams of a job were handed out, in JSON of a bounded size, however many streams and lines it has.

What does not fit is read again from further back: lines then come twice, and none is lost.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.logs.cursor import LIST_KEYS, MOST_KEYS, LogCursor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream

#: An XCom of a job's cursors stays under 48 KiB with this, and what else is in it.
CURSORS_BYTES = 44 * 1024
#: Stands for all streams that have no cursor of their own; a stream's key has colons.
OTHERS_KEY = "*"
#: JSON of a cursor without its keys, of a key in a list, and of a packed key.
_ENTRY_BYTES, _LISTED_BYTES, _PACKED_BYTES = 150, 18, 8
#: What joins a stream's names, its cursor and the next entry in JSON, with something to spare.
_SEPARATORS_BYTES = 100
#: If more streams than this have lines left, there is no space to say which lines of each were handed out.
_MOST_WITH_KEYS = 100


@dataclass(frozen=True, slots=True)
class Others:
    """Where to go on in the streams that have no cursor of their own.

    Attributes:
        floor: Everything below this timestamp (ms) counts as done in each of them.
        started_before: Of which streams this holds: of those whose attempt started before this time (ms). Others were
            not followed yet, and are read from their beginning.
    """

    floor: int
    started_before: int

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, which a version that does not know it takes for a stream's that does not exist."""
        return {"floor": self.floor, "newest": self.floor, "started_before": self.started_before}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Others:
        """Read the stored form."""
        return cls(int(stored.get("floor", 0)), int(stored.get("started_before", 0)))

    def cursor(self, first_ms: int, started_ms: int) -> LogCursor | None:
        """Return where to begin in a stream that has no line before a time; None for its beginning."""
        floor = max(self.floor, first_ms)
        return LogCursor(floor, floor) if started_ms < self.started_before else None


def are_partial(cursors: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether stored cursors lead further back than what was handed out, so that lines come twice."""
    return OTHERS_KEY in cursors or any(cursor.get("partial") for cursor in cursors.values())


def fit(streams: Mapping[str, FollowedStream], most_bytes: int) -> dict[str, LogCursor]:
    """Return the cursors of streams, with as many keys in all as fit into JSON of some size; the fewest come first."""
    left = most_bytes - sum(map(_size, streams))
    cursors: dict[str, LogCursor] = {}
    for place, key in enumerate(sorted(streams, key=lambda each: streams[each].key_count)):
        share = max(0, left) // (len(streams) - place)
        most = share // _LISTED_BYTES
        if most > LIST_KEYS:
            most = max(LIST_KEYS, min(MOST_KEYS, share // _PACKED_BYTES))
        cursor = cursors[key] = streams[key].cursor(most)
        left -= len(cursor.keys) * (_PACKED_BYTES if len(cursor.keys) > LIST_KEYS else _LISTED_BYTES)
    return cursors


def unread(streams: Mapping[str, FollowedStream], most_bytes: int | None) -> dict[str, LogCursor]:
    """Return where to read on in the streams that an ended job leaves.

    Args:
        streams: The streams, by key.
        most_bytes: What their names and cursors may take up as JSON; no limit if None. Streams of which not even the
            names fit are left out.
    """
    if most_bytes is None:
        return {key: stream.cursor() for key, stream in streams.items()}
    names = {key: _SEPARATORS_BYTES + len(json.dumps(each.stream.to_dict())) for key, each in streams.items()}
    left = most_bytes - sum(names.values()) if len(streams) <= _MOST_WITH_KEYS else 0
    cursors = fit(streams, left)
    sizes = accumulate(names[key] + len(json.dumps(cursors[key].to_dict())) for key in streams)
    return {key: cursors[key] for key, size in zip(streams, sizes, strict=True) if size <= most_bytes}


@dataclass(frozen=True, slots=True)
class Places:
    """How far the streams of a job were handed out, by the stream's key.

    Attributes:
        live: The streams that are followed.
        restored: Where an earlier follower left those off that are yet to be followed.
        done: Those of which nothing more is to come.
        others: Where the earlier follower left the rest of them off.
        known_until: The time (ms) before which no stream started that is not among these.
    """

    live: Mapping[str, FollowedStream]
    restored: Mapping[str, LogCursor]
    done: Mapping[str, LogCursor]
    others: Others | None
    known_until: int

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return the stored form, of at most `CURSORS_BYTES`."""
        others = self.others
        if others is not None and self.known_until >= others.started_before:
            others = None  # all of them are followed again
        most = CURSORS_BYTES - _size(OTHERS_KEY)
        if sum(map(_size, (*self.live, *self.restored, *self.done))) <= most:
            stored = {key: cursor.to_dict() for key, cursor in (*self.restored.items(), *self.done.items())}
            left = most - len(json.dumps(stored))
            if sum(map(_size, self.live)) <= left:
                stored |= {key: cursor.to_dict() for key, cursor in fit(self.live, left).items()}
                return stored if others is None else stored | {OTHERS_KEY: others.to_dict()}
        return self._some(others)

    def _some(self, others: Others | None) -> dict[str, dict[str, Any]]:
        """Return cursors of the streams that would be read from furthest back, and where to go on in all others.

        Half of the space is for as many streams as possible, the other half for their keys.
        """
        floors = {key: stream.oldest_open for key, stream in self.live.items()}
        floors |= {key: cursor.floor for key, cursor in self.restored.items()}
        left = deque(sorted(floors, key=floors.__getitem__))
        chosen: dict[str, FollowedStream] = {}
        stored: dict[str, dict[str, Any]] = {}
        size = 0
        while left and size < CURSORS_BYTES // 2:
            key = left.popleft()
            if key in self.live:
                chosen[key] = self.live[key]
                size += _size(key)
            else:
                stored[key] = self.restored[key].to_dict()
                size += len(json.dumps({key: stored[key]}))
        rest = CURSORS_BYTES - len(json.dumps(stored)) - _size(OTHERS_KEY)
        stored |= {key: cursor.to_dict() for key, cursor in fit(chosen, rest).items()}
        floor = floors[left[0]] if left else max((cursor.floor for cursor in self.done.values()), default=0)
        known_until = self.known_until
        if others is not None:
            floor, known_until = min(floor, others.floor), max(known_until, others.started_before)
        return stored | {OTHERS_KEY: Others(floor, known_until).to_dict()}


def _size(key: str) -> int:
    return _ENTRY_BYTES + (len(key) if key.isascii() else len(json.dumps(key)))
