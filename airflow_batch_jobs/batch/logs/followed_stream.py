"""FollowedStream: one log stream on its way from CloudWatch to one follower.

Knows what of the stream was fetched and what was handed out. Does no IO and reads no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from airflow_batch_jobs.batch.logs.cursor import EventKeys, LogCursor
from airflow_batch_jobs.batch.logs.line_queue import LineQueue
from airflow_batch_jobs.batch.logs.room import cost_of

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.event import LogEvent
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.batch.logs.room import Room
    from airflow_batch_jobs.errors import AwsError

#: How far before a stream's newest event a scan starts at first; the next full scan finds what is later than that.
_NEAR_MS = 6_000
_NEAR_MARGIN = 1.25
#: A scan for new lines goes no further back than this, however long a stream has been silent.
_FURTHEST_MS = 15 * 60_000
#: About how many bytes a line takes up, as long as no line of the stream is known; and how fast that adapts.
_LINE_BYTES = 600
_ADAPTATION = 1 / 16
#: The longest wait before a stream is asked for again that was not there, or not answered; and after its job's end.
_LONGEST_WAIT_SECONDS = 30.0
_LONGEST_LAST_WAIT_SECONDS = 2.0
#: A stream is stale once as many of its lines were read again, without a new one, as it has, or this many.
_LEAST_REREAD = 3
#: Lines that a stale stream writes next are found at once if they are readable within this time.
_STALE_MS = 10_000


class StreamOwner(Protocol):
    """What a stream is followed for."""

    def has_lines(self, stream: FollowedStream) -> None:
        """Lines may be taken."""

    def cannot_read(self, problem: AwsError) -> None:
        """The stream cannot be read, and that will not resolve itself."""

    def fail(self, error: Exception) -> None:
        """What is known about the stream is broken."""


class FollowedStream:
    """One log stream, followed for one owner.

    Args:
        stream: The stream.
        owner: What it is followed for.
        floor: The timestamp (ms) below which it has no line.
        lookback_ms: How late an event may come.
        room: Where its lines wait.
        cursor: Where an earlier follower left off; replaces the floor.

    Attributes:
        floor: Everything below this timestamp (ms) counts as done.
        newest: The newest timestamp fetched, never beyond the clock.
        is_known: Whether CloudWatch has answered for the stream.
        is_lagging: Whether it has more lines than there is room for; it is then read alone, a page at a time.
        is_new_to_lag: Whether it has not had a turn since it began to lag.
        lines: Those that are fetched and not handed out.
        line_bytes: About how many bytes one of its lines takes up.
        is_settled: Whether its job has ended and nothing more is to come.
        problem: Why it cannot be read; None if it can.
        is_refused: Whether that is CloudWatch's own word.
        unanswered_since: Since when, in seconds, calls about it have failed although others are answered; None if they
            do not. Then it is asked for by itself.
        doubts: How many calls in a row have failed that asked for it.
        doubt: Why it may have more lines than were found, in one sentence; empty if nothing speaks for that.
        asked_again_at: When to ask for it again, in seconds, after it could not be read.
    """

    def __init__(
        self,
        stream: LogStream,
        owner: StreamOwner,
        *,
        floor: int,
        lookback_ms: int,
        room: Room,
        cursor: LogCursor | None = None,
    ) -> None:
        self.stream = stream
        self.floor = cursor.floor if cursor else floor
        self.newest = max(self.floor, cursor.newest) if cursor else floor
        self._latest = self.newest  # beyond the clock too: a host's clock may be ahead
        self.is_known = False
        self.is_lagging = False
        self.is_new_to_lag = False
        self.line_bytes = float(_LINE_BYTES)
        self.is_settled = False
        self.problem: AwsError | None = None
        self.is_refused = False
        self.unanswered_since: float | None = None
        self.doubts = 0
        self.doubt = ""
        self.asked_again_at = float("-inf")
        self._owner = owner
        self._lookback_ms = lookback_ms
        self._refused_from: int | None = None
        self._keys = EventKeys(cursor.keys if cursor else ())
        self.lines = LineQueue(room, cursor.numbered if cursor else None)
        self._near_ms = _NEAR_MS
        self._quiet_below = 0
        self._is_scanned_whole = False
        self._misses = 0
        #: The last one from the floor, and the last one since: start, began.
        self._scans: tuple[tuple[int, int], ...] = ()
        self._whole_at: float | None = None
        self._reread = 0
        self._fetched_at: float | None = None
        self._scanned_at: float | None = None
        self._open_at = float("-inf")
        self._ended_at: float | None = None

    @property
    def owner(self) -> StreamOwner:
        """What it is followed for."""
        return self._owner

    # What is fetched

    def start(self, now: Moment, *, is_full: bool) -> int:
        """Return the timestamp (ms) from which the stream is to be read."""
        if is_full or not self._is_scanned_whole:
            return self.floor
        near = max(self._latest + 1 if self.is_stale else self.newest - self._near_ms, now.ms - _FURTHEST_MS)
        return max(self.floor, near if self._refused_from is None else min(near, self._refused_from))

    @property
    def is_stale(self) -> bool:
        """Whether its lines have been read again and again without a new one, so that only newer ones are asked for."""
        return self._reread > max(_LEAST_REREAD, len(self._keys)) and not self.is_refusing and self._is_scanned_whole

    def latest_if_stale(self, now: Moment) -> int | None:
        """Return its latest timestamp (ms) if it is to be read from any later one up to some seconds ago, else None."""
        return self._latest if self.is_stale and self._latest < now.ms - _STALE_MS else None

    def is_due(self, now: Moment) -> bool:
        """Tell whether it is to be read from its floor again with the others.

        That is rarer and rarer while nothing new comes: a line that became readable late is found before the same time
        has passed once more.
        """
        if self._fetched_at is None or self._whole_at is None:
            return True
        return now.seconds - self._whole_at >= self._whole_at - self._fetched_at

    @property
    def wants_rounds(self) -> bool:
        """Whether it is read together with others."""
        return not self.is_lagging and not self.is_settled

    @property
    def lines_per_second(self) -> float:
        """About how many lines the stream has had a second."""
        return len(self._keys) / max(1.0, (self.newest - self.floor) / 1000)

    def mark(self, now: Moment) -> int:
        """Return what decides the floor once a scan that begins now is complete."""
        return min(self.newest, now.ms)

    def accept(self, event: LogEvent, key: int, now: Moment) -> int | None:
        """Queue an event if it is new and there is room for it.

        After one that there is no room for, none is queued until `make_room`: they are read again from there.

        Returns:
            How late (ms) it is proven to be; 0 if nothing is proven, None if it is not queued.
        """
        timestamp = event.timestamp
        if timestamp < self.floor or self.is_refusing:
            return None
        if not self._keys.add(timestamp, key):
            self._reread += 1
            return None
        cost = cost_of(event)
        self.line_bytes += (cost - self.line_bytes) * _ADAPTATION
        if not self.lines.put(event, key, cost, is_alone=self.is_lagging):
            self._keys.remove(timestamp, key)
            self._refused_from = timestamp
            return None
        if self.is_stale:
            self._is_scanned_whole = False  # there may be some before this one
        self._reread = 0
        self._fetched_at = now.seconds
        if timestamp < self.newest:
            inversion = int((self.newest - timestamp) * _NEAR_MARGIN)
            self._near_ms = max(self._near_ms, min(inversion, self._lookback_ms))
        self.newest = max(self.newest, min(timestamp, now.ms))
        self._latest = max(self._latest, timestamp)
        return max((began - timestamp for start, began in self._scans if start <= timestamp < began), default=0)

    @property
    def is_refusing(self) -> bool:
        """Whether there was no room for one of its events."""
        return self._refused_from is not None

    def make_room(self) -> None:
        """Queue events again: what there was no room for is about to be read again."""
        self._refused_from = None

    def scanned(self, start: int, began: Moment, mark: int, now: Moment, doubt: str = "") -> None:
        """Take note of a scan that has ended.

        Args:
            start: The timestamp (ms) it read from.
            began: When it began.
            mark: What `mark` returned then, or up to where the scan came, if that is less.
            now: When it ended.
            doubt: Why there may be more; empty if it was paged to its end.
        """
        self.read_to(mark - self._near_ms)
        scan = (start, began.ms)
        if self._scanned_at is None:
            self._scanned_at = now.seconds
        if start > self.floor:
            self._scans = (self._scans[0] if self._scans else scan, scan)
        else:
            self._scans = (scan,)
            if self._fetched_at is not None and self._whole_at is not None and self._fetched_at < self._whole_at:
                self._keys.pack()
            self._whole_at = began.seconds
            self._is_scanned_whole = True
            self.doubt = doubt
            self._keys.forget_restored()
            self.raise_floor(mark - self._lookback_ms)

    def read_to(self, timestamp: int) -> None:
        """Take note that of what is below a timestamp (ms) only unusually late events are still to come."""
        self._quiet_below = max(self._quiet_below, timestamp)

    def read_page(self, last_timestamp: int, asked_ms: int) -> None:
        """Take note of a page, of all pages in order, that was asked for at a time and ended at a timestamp (ms)."""
        self.read_to(min(last_timestamp, asked_ms - self._near_ms))

    def found(self) -> None:
        """Take note that CloudWatch has the stream and lets it be read."""
        self.is_known = True
        self.problem = None
        self.doubts = self._misses = 0

    def missed(self, now: Moment, doubt: str = "") -> None:
        """Take note that CloudWatch does not have the stream yet; it is asked for again less and less often.

        Args:
            now: The time.
            doubt: Why it may have lines all the same.
        """
        self.is_known = False
        self.doubt = doubt
        if self._scanned_at is None:
            self._scanned_at = now.seconds
        self._ask_again_later(now)

    def unanswered(self, now: Moment) -> None:
        """Take note that a call about it failed although others are answered; it is asked for less and less often."""
        if self.unanswered_since is None:
            self.unanswered_since = now.seconds
        self._ask_again_later(now)

    def _ask_again_later(self, now: Moment) -> None:
        self._misses += 1
        self.doubts += 1
        longest = _LONGEST_LAST_WAIT_SECONDS if self.has_ended else _LONGEST_WAIT_SECONDS
        self.asked_again_at = now.seconds + min(longest, 2.0 ** min(self._misses, 10))

    def blind(self, problem: AwsError, until: float, *, is_refused: bool = True) -> None:
        """Take note that the stream cannot be read, and tell the owner.

        Args:
            problem: Why.
            until: Until when it is left alone, in seconds.
            is_refused: Whether CloudWatch says so, so that nobody else with this role could read it.
        """
        self.problem, self.is_refused = problem, is_refused
        self.asked_again_at = until
        self._owner.cannot_read(problem)

    def raise_floor(self, floor: int) -> None:
        """Count what is below a timestamp (ms) as done, except for what there was no room for."""
        if self._refused_from is not None:
            floor = min(floor, self._refused_from)
        if floor > self.floor:
            self.floor = floor
            self._keys.forget_below(min(floor, self.lines.oldest(floor)))

    # The end

    @property
    def has_ended(self) -> bool:
        """Whether its writer has ended."""
        return self._ended_at is not None

    def open(self, seen_at: float) -> None:
        """Take note that its writer was still running at a time, in seconds."""
        self._open_at = max(self._open_at, seen_at)

    def end(self, stopped_at: float) -> None:
        """Take note that its writer has stopped.

        Args:
            stopped_at: When, in seconds, according to AWS; not believed if that is before the writer was last seen.
        """
        if self._ended_at is None:
            self._ended_at = max(stopped_at, self._open_at)

    def settles_at(self, settle_seconds: float) -> float:
        """Return the time, in seconds, after which a scan that finds nothing new is the last; infinite before the end.

        The settle time counts from the end or the last new event, whichever is later; if there never was an event, the
        first scan takes its place.
        """
        latest = self._fetched_at if self._fetched_at is not None else self._scanned_at
        if self._ended_at is None or latest is None:
            return float("inf")
        return max(self._ended_at, latest) + settle_seconds

    # What is handed out

    @property
    def ungranted(self) -> int:
        """How many queued lines have no share of the line budget yet."""
        return len(self.lines) - self.lines.granted

    def grant(self, lines: int) -> None:
        """Let this many more lines be taken."""
        self.lines.granted += lines
        self._owner.has_lines(self)

    def grant_millisecond(self) -> None:
        """Grant the remaining lines of the millisecond from which the last line was taken.

        The next reader writes to a different file, and Airflow sorts the lines of several files by the millisecond and
        then by their place in their file.
        """
        rest = self.lines.left_of_millisecond()
        if rest > self.lines.granted:
            self.grant(rest - self.lines.granted)

    def check(self, now: Moment) -> None:
        """Answer everything that all streams are asked together, so that one that cannot is found out.

        Raises:
            Exception: What is in the way.
        """
        for is_full in (False, True):
            self.start(now, is_full=is_full)
        for ask in (self.latest_if_stale, self.is_due, self.mark):
            ask(now)
        for name in ("owner", "wants_rounds", "lines_per_second", "has_ended", "is_refusing", "ungranted"):
            getattr(self, name)

    def fail(self, error: Exception) -> None:
        """Tell the owner that what is known about the stream is broken."""
        self._owner.fail(error)

    @property
    def key_count(self) -> int:
        """About how many keys a cursor would hold without a limit."""
        return 0 if self._is_done else len(self._keys)

    @property
    def oldest_open(self) -> int:
        """The timestamp (ms) below which nothing is left to be handed out."""
        return min(self.floor, self.lines.oldest(self.floor))

    def cursor(self, most_keys: int | None = None) -> LogCursor:
        """Return how far the stream was handed out.

        Args:
            most_keys: How many keys it may have; all if None. If there are more, the floor rises to the oldest key
                kept, but no further than to where late events are still to be expected, judging by the latest that
                there have been: then events of which the key is missing come again.
        """
        if self._is_done:
            return LogCursor(self._latest + 1, self.newest, numbered=self.lines.numbered)
        oldest = self.lines.oldest(self._latest + 1)
        most = len(self._keys) if most_keys is None else most_keys
        complete_from, keys = self._keys.newest(most, without=self.lines.keys)
        floor = min(max(self.floor, min(complete_from, self._quiet_below)), oldest)
        is_partial = complete_from > floor or len(keys) > most
        return LogCursor(floor, self.newest, tuple(keys[:most]), self.lines.numbered, is_partial)

    @property
    def _is_done(self) -> bool:
        return self.is_settled and not self.lines
