"""LogCursor: how far a log stream was handed out, and the keys that tell its events apart."""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from bisect import bisect_left
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: Where a cursor has a limit, it remembers at most this many events of a stream.
MOST_KEYS = 4_000
#: More keys than this are stored as one text, which takes less than half of the space and loses the last bits of each.
LIST_KEYS = 100
_LOST_BITS = 5
_PACKED_BYTES = 6


@dataclass(frozen=True, slots=True)
class LogCursor:
    """How far a stream was handed out.

    Attributes:
        floor: Everything below this timestamp (ms) counts as done.
        newest: The newest timestamp (ms) fetched.
        keys: `event_key` of events at or above the floor that were handed out.
        numbered: The newest millisecond of which a line was handed out, and the number of its last line, see
            `Numbering`: further lines continue from there, so that they keep their order wherever they are sorted by
            time.
        is_partial: Whether keys are missing, so that events at or above the floor come again.
    """

    floor: int
    newest: int
    keys: tuple[int, ...] = ()
    numbered: tuple[int, int] = (-1, 0)
    is_partial: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the stored form, which is JSON."""
        is_long = len(self.keys) > LIST_KEYS
        return {
            "floor": self.floor,
            "newest": self.newest,
            "keys": [] if is_long else list(self.keys),
            "numbered": list(self.numbered),
            **({"packed": _pack(self.keys)} if is_long else {}),
            **({"partial": True} if self.is_partial else {}),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LogCursor:
        """Read the stored form; whatever is missing means the beginning of the stream.

        Args:
            stored: What `to_dict` has returned, in this version or an earlier one.
        """
        floor = int(stored.get("floor", 0))
        millisecond, number = map(int, stored.get("numbered", (-1, 0)))
        return cls(
            floor=floor,
            newest=int(stored.get("newest", floor)),
            keys=(*map(int, stored.get("keys", ())), *_unpack(stored.get("packed", ""))),
            numbered=(millisecond, number),
            is_partial=bool(stored.get("partial")),
        )


def event_key(event_id: str) -> int:
    """Return a hash of an event's id: 53 bits, which every JSON parser keeps exact."""
    return int.from_bytes(blake2b(event_id.encode(errors="surrogatepass"), digest_size=8).digest(), "big") >> 11


def _pack(keys: Iterable[int]) -> str:
    return b64encode(b"".join((key >> _LOST_BITS).to_bytes(_PACKED_BYTES, "big") for key in keys)).decode()


def _unpack(packed: str) -> Iterator[int]:
    octets = b64decode(packed)
    for first in range(0, len(octets), _PACKED_BYTES):
        yield int.from_bytes(octets[first : first + _PACKED_BYTES], "big") << _LOST_BITS


_NOTHING: frozenset[int] = frozenset()


class EventKeys:
    """The keys of a stream's events, by the second they were written in, so that old ones are dropped in bulk.

    Args:
        restored: Keys from a cursor, which does not say when their events were written. A key moves to its second when
            its event is met again.
    """

    def __init__(self, restored: Iterable[int] = ()) -> None:
        #: A quiet stream's seconds hold one key each; as sets, ten thousand of them would slow garbage collections.
        self._seconds: dict[int, int | set[int] | array[int]] = {}
        self._restored: set[int] | frozenset[int] = set(restored) or _NOTHING
        self._count = 0

    def __len__(self) -> int:
        return self._count + len(self._restored)

    def add(self, timestamp: int, key: int) -> bool:
        """Remember an event; return False if it is already known."""
        second = timestamp // 1000
        keys = self._seconds.get(second)
        if keys is None:
            self._seconds[second] = key
        elif isinstance(keys, set):
            if key in keys:
                return False
            keys.add(key)
        elif isinstance(keys, array):
            place = bisect_left(keys, key)
            if place < len(keys) and keys[place] == key:
                return False
            self._seconds[second] = {*keys, key}
        elif key == keys:
            return False
        else:
            self._seconds[second] = {keys, key}
        self._count += 1
        for known in (key, key >> _LOST_BITS << _LOST_BITS):
            if known in self._restored:
                self._restored -= {known}
                return False
        return True

    def remove(self, timestamp: int, key: int) -> None:
        """Forget the event that was added last."""
        second = timestamp // 1000
        keys = self._seconds[second]
        if isinstance(keys, set) and len(keys) > 1:
            keys.remove(key)
        else:
            del self._seconds[second]
        self._count -= 1

    def pack(self) -> None:
        """Make them small, since no new ones are coming: a key takes 8 bytes instead of about 70."""
        for second, keys in self._seconds.items():
            if isinstance(keys, set):
                self._seconds[second] = array("Q", sorted(keys))

    def forget_below(self, timestamp: int) -> None:
        """Forget the events of the seconds that ended before a timestamp (ms)."""
        limit = timestamp // 1000
        for second in [second for second in self._seconds if second < limit]:
            self._count -= len(_as_set(self._seconds.pop(second)))

    def forget_restored(self) -> None:
        """Forget the cursor's keys: all of its events that can be met again have been."""
        self._restored = _NOTHING

    def newest(self, most: int, without: Collection[int]) -> tuple[int, list[int]]:
        """Return the newest keys, in whole seconds.

        Args:
            most: How many at most, not counting those of the newest second and those from a cursor.
            without: Keys to leave out.

        Returns:
            The timestamp (ms) from which on none is missing, or 0 if none is missing at all; and the keys.
        """
        chosen: list[int] = []
        for second in sorted(self._seconds, reverse=True):
            keys = _as_set(self._seconds[second]).difference(without)
            if chosen and len(chosen) + len(keys) > most:
                return (second + 1) * 1000, [*chosen, *self._restored.difference(without)]
            chosen += keys
        return 0, [*chosen, *self._restored.difference(without)]


def _as_set(keys: int | set[int] | array[int]) -> set[int]:
    if isinstance(keys, set):
        return keys
    return set(keys) if isinstance(keys, array) else {keys}
