"""LogFollower: which log streams are followed, and what an answer means; `LogRegion` says what to ask next.

The algorithm behind the guarantee of `logs.reading`, without IO: the caller passes in the time and makes the calls.

- *Rounds*: the streams of a log group are sorted by the time that each is to be read from, and grouped into calls of
  100, each with the oldest start of its streams. So silent and stalled streams share calls, where an old start costs
  nothing, and are kept apart from busy ones, whose lines would be read again and again. Streams that CloudWatch may not
  have yet are asked for in rounds of their own: one that does not exist makes a whole call fail, which is then halved.
- *Poison*: so is a call that is not answered, again and again, while others are. A stream that is the reason all by
  itself is asked for by itself from then on, more and more rarely.
- *Full scans*: every minute a round reads from each stream's floor, and only then does the floor rise. Of a silent
  stream it does so more and more rarely.
- *Stale streams*: lines that were read again and again without a new one are left out of further rounds, by calls of
  their own that begin after all of them.
- *Lag*: a stream with more lines than there is room for leaves the rounds, and is read alone, a page at a time.
  Once it is behind by more than the look-back, and once a minute in any case, it is read from its floor, which then
  rises with each page that is old enough to be complete.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws.outage import SILENT_SECONDS
from airflow_batch_jobs.batch.logs.cursors import unread
from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
from airflow_batch_jobs.batch.logs.log_region import LogRegion
from airflow_batch_jobs.batch.logs.room import Room, cost_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.cursor import LogCursor
    from airflow_batch_jobs.batch.logs.event import LogEvent
    from airflow_batch_jobs.batch.logs.followed_stream import StreamOwner
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.batch.logs.page import LogPage
    from airflow_batch_jobs.batch.logs.scan import LogGroup, Scan
    from airflow_batch_jobs.errors import AwsError

#: Of a lagging stream about as many lines are read at a time as the budget lets through in this many seconds, or more.
QUEUE_SECONDS = 10.0
_LEAST_LIMIT = 4_000
#: How long a stream or group that may not be read is left alone.
_DENIED_SECONDS = 300.0
#: How many parts of scans without an answer a round may have, so that an outage does not leave small calls behind.
_MOST_PIECES = 32


class LogFollower:
    """Follows many log streams.

    Args:
        settle_seconds: How long, at least, late events are looked for after a job's end.
        lookback_seconds: How late an event may come.
        lines_per_second: The line budget, which decides how much is worth queuing.
        room: Where the lines wait; its own if None.
        unread_bytes: What `unread` may take up as JSON, of a job; no limit if None.
    """

    def __init__(
        self,
        *,
        settle_seconds: float,
        lookback_seconds: float,
        lines_per_second: float,
        room: Room | None = None,
        unread_bytes: int | None = None,
    ) -> None:
        self._lookback_ms = int(lookback_seconds * 1000)
        self._room = room or Room()
        self._unread_bytes = unread_bytes
        self._new_region = partial(
            LogRegion,
            room=self._room,
            settle_seconds=settle_seconds,
            lookback_seconds=lookback_seconds,
            most_lines=int(max(_LEAST_LIMIT, QUEUE_SECONDS * lines_per_second)),
        )
        self._regions: dict[str, LogRegion] = {}

    # Streams

    def add(
        self, stream: LogStream, owner: StreamOwner, now: Moment, *, floor: int, cursor: LogCursor | None = None
    ) -> FollowedStream:
        """Follow a stream.

        Args:
            stream: The stream.
            owner: What it is followed for. Each owner follows a stream on its own.
            now: The time.
            floor: The timestamp (ms) below which it has no line.
            cursor: Where an earlier follower left off.
        """
        followed = FollowedStream(
            stream, owner, floor=floor, lookback_ms=self._lookback_ms, room=self._room, cursor=cursor
        )
        group = self._group_of(followed)
        group.streams[followed] = None
        group.wake(now)
        if group.problem:
            followed.blind(group.problem, group.denied_until, is_refused=group.is_refused)
        return followed

    def end(self, stream: FollowedStream, stopped_ms: int, now: Moment) -> None:
        """Look for the last lines of a stream whose writer stopped at a time (ms)."""
        if stream.has_ended:
            return
        stream.end(now.seconds - max(0, now.ms - stopped_ms) / 1000)
        self._group_of(stream).wake_for_end(now)

    def drop(self, stream: FollowedStream) -> None:
        """Stop following a stream."""
        self._region(stream.stream.region).drop(stream)
        stream.lines.clear()

    def unread(self, streams: Mapping[str, FollowedStream]) -> dict[str, LogCursor]:
        """Return, by their keys, where to read on in the streams that an ended job leaves, see `cursors.unread`."""
        return unread(streams, self._unread_bytes)

    def expel_broken(self, now: Moment) -> None:
        """Stop following the streams that raise when asked how they are: a step for all has failed because of one."""
        for stream in self.streams():
            try:
                stream.check(now)
                self._group_of(stream).settles_at(stream, now.seconds)
            except Exception as error:  # noqa: BLE001 - it ends the one that it came from
                stream.fail(error)
                self.drop(stream)

    @property
    def stream_count(self) -> int:
        """How many streams it follows."""
        return sum(len(group.streams) for region in self._regions.values() for group in region.groups.values())

    def streams(self) -> Iterable[FollowedStream]:
        """Return all streams: the line budget is shared among them."""
        return [s for region in self._regions.values() for group in region.groups.values() for s in group.streams]

    # What to ask

    def regions(self) -> tuple[str, ...]:
        """Return the regions that have streams."""
        return tuple(name for name, region in self._regions.items() if region.groups)

    def due_in(self, region: str, now: Moment) -> float:
        """Return the seconds until there is something to ask in a region."""
        return self._region(region).due_in(now)

    def next_scan(self, region: str, now: Moment) -> Scan | None:
        """Return the scan whose next page is to be asked for; None if there is nothing to ask yet.

        What becomes of its call has to be told by `feed`, `unanswered`, `missing`, `forgotten`, `refused` or `denied`.
        """
        return self._region(region).next_scan(now)

    # What the answer means

    def accept(self, scan: Scan, events: Iterable[tuple[str, LogEvent, int]], now: Moment) -> None:
        """Take in some events of a page before it is fed: 10,000 at once would block the event loop for long."""
        by_name: dict[str, list[FollowedStream]] = {}
        for stream in scan.streams:
            if stream in scan.group.streams:
                by_name.setdefault(stream.stream.stream, []).append(stream)
        for name, event, key in events:
            for stream in by_name.get(name, ()):
                late_ms = stream.accept(event, key, now)
                if late_ms is None:
                    continue
                scan.news[stream] += cost_of(event)
                if late_ms:
                    scan.group.lateness.note(stream.stream.key, late_ms, now.seconds)

    def feed(self, scan: Scan, page: LogPage, now: Moment) -> None:
        """Take in a page."""
        if self._was_probe(scan):
            return
        self.accept(scan, page.events, now)
        self._answered(scan)
        scan.group.problem = None
        scan.turn(page)
        live = [stream for stream in scan.streams if stream in scan.group.streams]
        if not live:
            scan.close(now)
            return
        if scan.is_alone:
            self._feed_alone(scan, page, now)
            return
        are_apart = self._set_apart(scan, live)
        if page.token is None or scan.is_endless:
            self._complete(scan, now)
        elif are_apart:
            # A call cannot change its names between pages, so the rest starts again, from the same start time.
            scan.token = None
            if scan.streams:
                self._region_of(scan).go_on(scan)
            else:
                scan.close(now)
        else:
            scan.token = page.token
            self._region_of(scan).go_on(scan)

    def unanswered(self, scan: Scan, problem: AwsError, now: Moment) -> None:
        """Take note that there was no answer to a call; ask again, for fewer streams at once if others are answered."""
        region = self._region_of(scan)
        for silent in (scan.group, region):
            silent.failing_since = now.seconds if silent.failing_since is None else silent.failing_since
        is_own = scan.fails_beside_others(region.answers)
        if len(scan.streams) == 1 and (is_own or scan.is_apart):
            stream = scan.streams[0]
            stream.unanswered(now)
            if self._is_silent(stream.unanswered_since, now):
                stream.owner.cannot_read(problem)
            scan.group.wake(now)
            self._region_of(scan).leave(scan, now)
        elif len(scan.streams) > 1 and is_own and scan.round.pieces < _MOST_PIECES:
            scan.round.pieces += 1
            self._region_of(scan).split(scan)
        else:
            self.retry(scan)

    def retry(self, scan: Scan, *, stale_token: bool = False) -> None:
        """Ask for the same page again, or, if CloudWatch has forgotten it, for the first one.

        Args:
            scan: The scan.
            stale_token: Whether CloudWatch has forgotten the page.
        """
        if stale_token and scan.is_alone:
            self._region_of(scan).pause(scan.streams[0], None)
        elif stale_token:
            scan.token = None
            scan.restarts += 1
            self._region_of(scan).go_on(scan)
        else:
            self._region_of(scan).go_on(scan)

    def forgotten(self, scan: Scan, now: Moment) -> None:
        """Take note that CloudWatch has forgotten the next page: begin again, or, if that was of no use, leave it."""
        if self._was_probe(scan):
            return
        self._answered(scan)
        if scan.is_alone or scan.may_restart:
            self.retry(scan, stale_token=True)
        else:
            scan.is_endless = True
            self._complete(scan, now)

    def missing(self, scan: Scan, now: Moment, *, whole_group: bool = False) -> None:
        """Take note that a stream of a scan, or its whole group, does not exist yet."""
        if not whole_group and self._was_probe(scan):
            return
        self._answered(scan)
        if len(scan.streams) > 1 and not whole_group:
            self._region_of(scan).split(scan)
            return
        others = self._region_of(scan).take_doubtful(scan.group) if whole_group else []
        for each in (scan, *others):
            for stream in each.streams:
                stream.is_lagging = False
                stream.missed(now, "CloudWatch Logs has no such log group." if whole_group else "")
            self._settle(each, now)
            each.close(now)
        scan.group.wake(now)

    def refused(self, scan: Scan, problem: AwsError, now: Moment, *, is_ours: bool = False) -> None:
        """Take note that a call cannot be made because of what it asks for: of several streams, one.

        Args:
            scan: The scan.
            problem: Why not.
            now: The time.
            is_ours: Whether not CloudWatch says so, but something here went wrong.
        """
        if self._was_probe(scan):
            return
        self._answered(scan)
        if scan.is_closed:  # its last step failed, for another reason than what it asked for
            return
        if len(scan.streams) > 1:
            self._region_of(scan).split(scan)
            return
        for stream in scan.streams:
            stream.is_lagging = False
            stream.blind(problem, now.seconds + _DENIED_SECONDS, is_refused=not is_ours)
        scan.close(now)

    def denied(self, scan: Scan, problem: AwsError, now: Moment, *, is_ours: bool = False) -> None:
        """Take note that the group may not be read.

        Args:
            scan: A scan of it.
            problem: Why not.
            now: The time.
            is_ours: Whether not CloudWatch says so, but there are no credentials, or none that hold.
        """
        self._answered(scan)
        group = scan.group
        group.problem, group.denied_until = problem, now.seconds + _DENIED_SECONDS
        group.is_refused = not is_ours
        for stream in group.streams:
            stream.blind(problem, group.denied_until, is_refused=group.is_refused)
        self._region_of(scan).leave(scan, now)

    def why_unreadable(self, stream: FollowedStream, now: Moment) -> str:
        """Say in one sentence why nobody can read a stream at the moment; empty if it may be of use to try."""
        if stream.problem and stream.is_refused:
            return "CloudWatch Logs does not let it be read."
        group, region = self._group_of(stream), self._region(stream.stream.region)
        if any(
            self._is_silent(each, now) for each in (stream.unanswered_since, group.failing_since, region.failing_since)
        ):
            return "CloudWatch Logs does not answer."
        return ""

    def _is_silent(self, since: float | None, now: Moment) -> bool:
        return since is not None and now.seconds - since > SILENT_SECONDS

    def _answered(self, scan: Scan) -> None:
        region = self._region_of(scan)
        scan.group.failing_since = region.failing_since = None
        scan.failures = 0
        region.answers += 1
        for stream in scan.streams:
            stream.unanswered_since = None

    def _was_probe(self, scan: Scan) -> bool:
        """Tell whether an answer was asked for only to see whether there is one; then the scan goes on."""
        if not scan.is_probe:
            return False
        self._region_of(scan).answers += 1
        self._region_of(scan).go_on(scan)
        return True

    def _feed_alone(self, scan: Scan, page: LogPage, now: Moment) -> None:
        stream = scan.streams[0]
        if scan.asked and page.last_timestamp is not None:
            stream.read_page(page.last_timestamp, scan.asked.ms)
        if scan.raises_floor and scan.asked and page.last_timestamp is not None:
            # What is older than the look-back when a page is asked for is readable, so this page has all of it.
            certain = scan.asked.ms - self._lookback_ms
            stream.raise_floor(min(page.last_timestamp, certain))
            scan.raises_floor = page.last_timestamp <= certain
        if stream.is_refusing:
            self._region_of(scan).pause(stream, None)
        elif page.token and not scan.is_endless:
            scan.token = page.token
            self._region_of(scan).pause(stream, scan)
        else:
            stream.is_lagging = False
            scan.group.wake(now)
            self._complete(scan, now)

    def _complete(self, scan: Scan, now: Moment) -> None:
        """Draw the conclusions of a scan that was paged to its end."""
        if any(not stream.is_known for stream in scan.streams):
            scan.group.wake(now)
        scan.complete(now)
        self._settle(scan, now)
        scan.close(now)

    def _settle(self, scan: Scan, now: Moment) -> None:
        """Find out for which of a scan's streams it was the last."""
        for stream in scan.streams:
            if stream.has_ended and not stream.is_lagging and scan.start <= stream.floor:
                stream.is_settled = scan.began_at >= scan.group.settles_at(stream, now.seconds)

    def _set_apart(self, scan: Scan, live: list[FollowedStream]) -> bool:
        """Take the streams that have too many lines out of a scan; return whether there were any."""
        many = set(scan.drag_on())
        lagging = [stream for stream in live if stream.is_refusing or stream in many]
        for stream in lagging:
            stream.found()
            stream.is_lagging = stream.is_new_to_lag = True
            self._region_of(scan).pause(stream, None)
        if lagging:
            scan.round.release(lagging)
            scan.streams = [stream for stream in live if not stream.is_lagging]
        return bool(lagging)

    def _region(self, name: str) -> LogRegion:
        if name not in self._regions:
            self._regions[name] = self._new_region(name)
        return self._regions[name]

    def _region_of(self, scan: Scan) -> LogRegion:
        return self._region(scan.group.region)

    def _group_of(self, stream: FollowedStream) -> LogGroup:
        return self._region(stream.stream.region).group_of(stream)
