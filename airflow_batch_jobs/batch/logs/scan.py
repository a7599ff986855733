"""Scan: one read of some streams of a log group; and Round: the scans of a group that begin together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.logs.lateness import Lateness
from airflow_batch_jobs.batch.logs.page import MOST_STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.batch.logs.page import LogPage
    from airflow_batch_jobs.batch.logs.room import Room
    from airflow_batch_jobs.errors import AwsError

_ROUND_SECONDS = 2.0
#: The same while looking for the last lines of an ended job.
_LAST_ROUND_SECONDS = 1.0
#: How often each stream is read from its floor.
FULL_SCAN_SECONDS = 60.0
#: A call may read about this many lines again because another of its streams needs an older start.
_REREAD_LINES = 2_000
#: After this many pages in a row that lead nowhere a scan has ended: CloudWatch can hand out a token with every page
#: for ever (boto3#4258).
_MOST_FRUITLESS = 25
_MOST_RESTARTS = 3
#: Streams that were not there so often, or more often, take turns.
_MOST_DOUBTS = 16
#: A scan of so many pages with new lines goes on without the streams that have had most of them: they are read alone.
_MOST_PAGES = 10


@dataclass(eq=False, slots=True)
class Scan:
    """A read of some streams of a group from one start time to the end of what is there, page by page.

    Attributes:
        round: The round it belongs to.
        streams: What is read.
        start: The timestamp (ms) to read from.
        limit: The most events per page; None for what the room lets be asked for.
        is_alone: Whether its stream lags, and is read a page at a time.
        raises_floor: Whether every page raises its stream's floor.
        token: The token of the next page.
        asked: When the last page was asked for.
        began: When the first page was asked for.
        marks: What decides each stream's floor at the end.
        position: The timestamp (ms) up to which its pages have come.
        news: How many bytes of new lines each stream has had since the first page.
        is_endless: Whether its pages lead nowhere although there is a token for another one.
        is_closed: Whether its round has taken note of its end.
        restarts: How often CloudWatch has forgotten its next page.
        rank: Of the scans that may fail because of one of their streams, those with a lower rank go first.
        failures: How many calls in a row were not answered.
        is_probe: Whether the next call only finds out whether there is an answer to one of its streams.
    """

    round: Round
    streams: list[FollowedStream]
    start: int
    limit: int | None = None
    is_alone: bool = False
    raises_floor: bool = False
    token: str | None = None
    asked: Moment | None = None
    began: Moment | None = None
    marks: dict[FollowedStream, int] = field(default_factory=dict)
    position: int = 0
    news: Counter[FollowedStream] = field(default_factory=Counter)
    is_endless: bool = False
    is_closed: bool = False
    restarts: int = 0
    rank: int = 0
    failures: int = 0
    is_probe: bool = False
    _answers: int = 0
    _total: int = 0
    _pages: int = 0
    _fruitless: int = 0

    @property
    def group(self) -> LogGroup:
        """The group that is read."""
        return self.round.group

    @property
    def began_at(self) -> float:
        """When the first page was asked for, in seconds."""
        return self.began.seconds if self.began else float("-inf")

    def request(self, now: Moment) -> dict[str, Any]:
        """Return the fields of the next FilterLogEvents, which goes out now."""
        self.asked = now
        if self.began is None:
            self.began = now
            self.marks = {stream: stream.mark(now) for stream in self.streams}
        names = list(dict.fromkeys(stream.stream.stream for stream in self.streams))
        if self.is_probe:
            name = names[self.failures // 2 % len(names)]
            return {"logGroupName": self.group.name, "logStreamNames": [name], "startTime": self.start, "limit": 1}
        request = {"logGroupName": self.group.name, "logStreamNames": names, "startTime": self.start}
        optional = {"limit": self.limit or self.group.room.page_lines, "nextToken": self.token}
        return {**request, **{name: value for name, value in optional.items() if value is not None}}

    def turn(self, page: LogPage) -> None:
        """Take note of a page whose events were taken in."""
        total = self.news.total()
        has_news, self._total = total > self._total, total
        self._pages += has_news
        is_ahead = page.last_timestamp is not None and page.last_timestamp > self.position
        if is_ahead or has_news:
            self._fruitless = 0
            self.position = max(self.position, page.last_timestamp or 0)
        else:
            self._fruitless += 1
        self.is_endless = page.token is not None and self._fruitless >= _MOST_FRUITLESS

    @property
    def is_apart(self) -> bool:
        """Whether it is of a stream that is asked for by itself, since calls about it fail."""
        return len(self.streams) == 1 and self.streams[0].unanswered_since is not None

    def fails_beside_others(self, answers: int) -> bool:
        """Take note of a call without an answer; tell whether others were answered since the failure before.

        Args:
            answers: How many calls have been answered so far.
        """
        is_own = self.failures > 0 and answers > self._answers
        self.failures, self._answers = self.failures + 1, answers
        return is_own

    def consider_probe(self, answers: int) -> None:
        """Let every other call be a probe while none is answered; it takes two failures to begin with."""
        is_silent = len(self.streams) > 1 and answers == self._answers
        self.is_probe = is_silent and self.failures > 1 and self.failures % 2 == 0

    @property
    def may_restart(self) -> bool:
        """Whether it may begin again if CloudWatch does not know its next page, which is rare."""
        return self.restarts < _MOST_RESTARTS

    def drag_on(self) -> list[FollowedStream]:
        """Return the streams that keep the others waiting: those with the most lines, if there have been many pages."""
        if self._pages < _MOST_PAGES:
            return []
        self._pages = 0
        return [stream for stream, size in self.news.items() if size * len(self.streams) >= self._total]

    def complete(self, now: Moment) -> None:
        """Tell the streams that they were read to the end.

        Of an endless scan's streams all that is certain is what came before its position: pages are in order.
        """
        doubt = "CloudWatch Logs gives page after page without an end." if self.is_endless else ""
        for stream in self.streams:
            stream.found()
            if self.began is not None:
                mark = min(self.marks[stream], self.position) if self.is_endless else self.marks[stream]
                stream.scanned(self.start, self.began, mark, now, doubt)

    def close(self, now: Moment) -> None:
        """Take note of its end, whatever that is."""
        self.is_closed = True
        if not self.is_alone:
            self.round.close(self, now)

    def halves(self) -> tuple[Scan, Scan]:
        """Return two scans of half the streams each, for a call that fails because of one of many streams."""
        middle = len(self.streams) // 2
        first, second = (
            Scan(
                self.round, some, self.start, rank=self.rank + 1, failures=min(1, self.failures), _answers=self._answers
            )
            for some in (self.streams[:middle], self.streams[middle:])
        )
        return first, second


@dataclass(eq=False, slots=True)
class Round:
    """The rounds of a group's streams: of those that CloudWatch is known to have, or of those it may not have yet.

    A round of the former begins once the one before is complete. One of the latter does not wait, and leaves out what
    is still being asked for: it may take minutes to find out which of many streams do not exist.

    Attributes:
        group: The group.
        of_known: Whether it is for the known streams.
        open: How many of the round's scans are not complete.
        pieces: How many of them are parts of scans that were not answered.
    """

    group: LogGroup
    of_known: bool
    open: int = 0
    pieces: int = 0
    _asked: dict[FollowedStream, None] = field(default_factory=dict)
    _began: float = float("-inf")
    _due: float = float("-inf")
    _full_scan_due: float = float("-inf")

    def due(self) -> float:
        """Return when the next round begins, in seconds; never while one of known streams is open."""
        return float("inf") if self.open and self.of_known else max(self._due, self.group.denied_until)

    def wake(self, now: float, spacing: float = _ROUND_SECONDS) -> None:
        """Let the next round begin as soon as it may: there is news."""
        self._due = min(self._due, max(now, self._began + spacing))

    def begin(self, now: Moment) -> Iterable[Scan]:
        """Begin a round and return its scans; none if no stream is to be read."""
        mine = [
            stream
            for stream in self.group.streams
            if stream.is_known is self.of_known and stream.wants_rounds and stream not in self._asked
        ]
        members = [stream for stream in mine if stream.asked_again_at <= now.seconds]
        if not members:
            self._due = min((stream.asked_again_at for stream in mine), default=float("inf"))
            return ()
        is_full = now.seconds >= self._full_scan_due
        if is_full:
            self._full_scan_due = now.seconds + FULL_SCAN_SECONDS
        if self.of_known:
            scans = list(self._scans(members, now, is_full=is_full))
        else:
            scans = list(self._doubtful_scans(members, now, is_full=is_full))
            self._asked.update(dict.fromkeys(members))
            left = (stream for stream in mine if stream not in self._asked)
            self._due = min((stream.asked_again_at for stream in left), default=float("inf"))
        self._began = now.seconds
        self.open += len(scans)
        return scans

    def release(self, streams: Iterable[FollowedStream]) -> None:
        """Take note that streams are not being asked for any more."""
        for stream in streams:
            self._asked.pop(stream, None)

    def close(self, scan: Scan, now: Moment) -> None:
        """Take note of the end of one of the round's scans."""
        self.release(scan.streams)
        self.open -= 1
        if not self.open:
            self.pieces = 0
        elif self.of_known:
            return
        ending = (
            stream
            for stream in self.group.streams
            if stream.has_ended and stream.wants_rounds and stream.asked_again_at <= now.seconds
        )
        settled = min((self.group.settles_at(stream, now.seconds) for stream in ending), default=float("inf"))
        spacing = min(_ROUND_SECONDS, max(_LAST_ROUND_SECONDS, settled - self._began))
        if self.of_known:
            self._due = self._began + spacing
        else:
            self.wake(now.seconds, spacing)

    def _is_last(self, stream: FollowedStream, now: Moment) -> bool:
        """Tell whether a scan that begins now is a stream's last one, unless it finds something new."""
        return stream.has_ended and now.seconds >= self.group.settles_at(stream, now.seconds)

    def _doubtful_scans(self, members: Iterable[FollowedStream], now: Moment, *, is_full: bool) -> Iterator[Scan]:
        """Group streams that may not exist into calls of such as are equally likely to, the likeliest first.

        The more often a stream was not there, and the more of its job's are asked for with it, the later it comes: a
        thousand streams that a job has named in vain hold up no other job's, and no more than a few of its own.
        """
        ranked: dict[int, list[FollowedStream]] = {}
        seen: Counter[int] = Counter()
        for stream in sorted(members, key=_doubts):
            ranked.setdefault(min(stream.doubts, _MOST_DOUBTS) + seen[id(stream.owner)].bit_length(), []).append(stream)
            seen[id(stream.owner)] += 1
        for rank, streams in ranked.items():
            for scan in self._scans(streams, now, is_full=is_full):
                scan.rank = rank
                yield scan

    def _scans(self, members: Iterable[FollowedStream], now: Moment, *, is_full: bool) -> Iterator[Scan]:
        """Group streams into calls; stale ones are kept away from calls that would read their lines once more."""
        wanted: list[tuple[int, FollowedStream]] = []
        stale: list[tuple[int, FollowedStream]] = []
        for stream in members:
            if stream.unanswered_since is not None:
                yield Scan(self, [stream], stream.start(now, is_full=is_full))
                continue
            is_whole = self._is_last(stream, now) or (is_full and stream.is_due(now))
            latest = None if is_whole else stream.latest_if_stale(now)
            if latest is None:
                wanted.append((stream.start(now, is_full=is_whole), stream))
            else:
                stale.append((latest, stream))
        yield from self._cut(sorted(wanted, key=_start))
        stale.sort(key=_start)
        for first in range(0, len(stale), MOST_STREAMS):
            some = stale[first : first + MOST_STREAMS]
            yield Scan(self, [stream for _, stream in some], some[-1][0] + 1)

    def _cut(self, wanted: list[tuple[int, FollowedStream]]) -> Iterator[Scan]:
        """Group streams, sorted by their starts, into calls that read little twice."""
        scan: Scan | None = None
        reread = 0.0
        for start, stream in wanted:
            if scan is not None:
                reread += stream.lines_per_second * (start - scan.start) / 1000
                if len(scan.streams) < MOST_STREAMS and reread <= _REREAD_LINES:
                    scan.streams.append(stream)
                    continue
                yield scan
            scan, reread = Scan(self, [stream], start), 0.0
        if scan is not None:
            yield scan


class LogGroup:
    """A log group and those of its streams that are followed.

    Args:
        region: The region it is in.
        name: The group's name.
        room: Where the lines wait.
        settle_seconds: How long, at least, late events are looked for after a job's end.
        lookback_seconds: How long at most.

    Attributes:
        streams: The streams, as the keys.
        denied_until: Until when, in seconds, it is left alone because it may not be read.
        problem: Why it may not be read; None if it may.
        is_refused: Whether that is CloudWatch's own word.
        failing_since: Since when, in seconds, every call has failed; None if the last one did not.
        lateness: How late its events are.
        rounds: The rounds of its streams, those of known streams first.
    """

    def __init__(self, region: str, name: str, room: Room, *, settle_seconds: float, lookback_seconds: float) -> None:
        self.region = region
        self.name = name
        self.room = room
        self.streams: dict[FollowedStream, None] = {}
        self.denied_until = float("-inf")
        self.problem: AwsError | None = None
        self.is_refused = False
        self.failing_since: float | None = None
        self.lateness = Lateness()
        self.rounds = (Round(self, of_known=True), Round(self, of_known=False))
        self._settle = (settle_seconds, lookback_seconds)

    def settles_at(self, stream: FollowedStream, now: float) -> float:
        """Return the time, in seconds, after which one more scan that finds nothing new is a stream's last."""
        least, most = self._settle
        return stream.settles_at(self.lateness.settle_seconds(stream.stream.key, least=least, most=most, now=now))

    def wake(self, now: Moment) -> None:
        """Let the next rounds begin as soon as they may."""
        for each in self.rounds:
            each.wake(now.seconds)

    def wake_for_end(self, now: Moment) -> None:
        """The same, but a little sooner: a follower is waiting for the last lines of a job."""
        for each in self.rounds:
            each.wake(now.seconds, _LAST_ROUND_SECONDS)


def _doubts(stream: FollowedStream) -> int:
    return stream.doubts


def _start(wanted: tuple[int, FollowedStream]) -> int:
    return wanted[0]
