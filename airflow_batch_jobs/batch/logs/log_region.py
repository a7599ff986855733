"""LogRegion: the log groups of one region, which share a limit of calls, and the scan that is to be asked for next."""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.logs.scan import FULL_SCAN_SECONDS, LogGroup, Scan

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.batch.logs.room import Room

#: How often to check whether a lagging stream has room again.
_LAG_SECONDS = 0.25


class LogRegion:
    """The log groups of one region.

    Args:
        name: The region.
        room: Where the lines wait.
        settle_seconds: How long, at least, late events are looked for after a job's end.
        lookback_seconds: How late an event may come.
        most_lines: How many lines of a lagging stream are asked for at a time, at most.

    Attributes:
        groups: The log groups, by name.
        answers: How many calls have been answered.
        failing_since: Since when, in seconds, every call has failed; None if the last one did not.
    """

    def __init__(
        self, name: str, *, room: Room, settle_seconds: float, lookback_seconds: float, most_lines: int
    ) -> None:
        self.groups: dict[str, LogGroup] = {}
        self.answers = 0
        self.failing_since: float | None = None
        self._name = name
        self._room = room
        self._settle_seconds = settle_seconds
        self._lookback_seconds = lookback_seconds
        self._most_lines = most_lines
        #: The scans whose next page can be asked for; pages of different scans take turns.
        self._ready: deque[Scan] = deque()
        self._doubtful: list[tuple[int, int, Scan]] = []
        self._numbers = count()
        self._doubtful_next = False
        #: The lagging streams that are not being asked for at the moment, each with the scan to continue.
        self._paused: dict[FollowedStream, Scan | None] = {}

    def group_of(self, stream: FollowedStream) -> LogGroup:
        """Return a stream's group; make it if none of its streams is followed yet."""
        name = stream.stream.group
        if name not in self.groups:
            self.groups[name] = LogGroup(
                self._name,
                name,
                self._room,
                settle_seconds=self._settle_seconds,
                lookback_seconds=self._lookback_seconds,
            )
        return self.groups[name]

    def drop(self, stream: FollowedStream) -> None:
        """Stop following a stream."""
        group = self.group_of(stream)
        group.streams.pop(stream, None)
        self._paused.pop(stream, None)
        if not group.streams:
            self.groups.pop(group.name, None)

    # What comes next

    def due_in(self, now: Moment) -> float:
        """Return the seconds until there is something to ask."""
        if self._ready or self._doubtful:
            return 0.0
        due = min((each.due() for group in self.groups.values() for each in group.rounds), default=float("inf"))
        return max(0.0, min(due - now.seconds, _LAG_SECONDS if self._paused else float("inf")))

    def next_scan(self, now: Moment) -> Scan | None:
        """Return the scan whose next page is to be asked for; None if there is nothing to ask yet."""
        for group in self.groups.values():
            for each in group.rounds:
                if each.due() <= now.seconds:
                    for new in each.begin(now):
                        self._add(new, is_doubtful=not each.of_known)
        self._resume(now)
        while (scan := self._pop()) and scan.group.denied_until > now.seconds:
            self.leave(scan, now)
        if scan is not None:
            scan.consider_probe(self.answers)
        return scan

    def go_on(self, scan: Scan) -> None:
        """Let the next page of a scan be asked for."""
        self._ready.append(scan)

    def split(self, scan: Scan) -> None:
        """Let the halves of a scan be asked for, since a call failed because of one of its streams."""
        scan.round.open += 1
        for stream in scan.streams:
            stream.doubts += 1
        for half in scan.halves():
            self._add(half, is_doubtful=True)

    def leave(self, scan: Scan, now: Moment) -> None:
        """Give a scan up without a conclusion."""
        if scan.is_alone:
            self.pause(scan.streams[0], None)
        scan.close(now)

    def take_doubtful(self, group: LogGroup) -> list[Scan]:
        """Take the scans of a group that may fail because of one of their streams."""
        taken = [scan for _, _, scan in self._doubtful if scan.group is group]
        self._doubtful = [entry for entry in self._doubtful if entry[2].group is not group]
        heapify(self._doubtful)
        return taken

    def _add(self, scan: Scan, *, is_doubtful: bool) -> None:
        """Let a scan be asked for; those that may fail because of one of their streams get every other call at most."""
        if is_doubtful:
            heappush(self._doubtful, (scan.rank, next(self._numbers), scan))
        else:
            self._ready.append(scan)

    def _pop(self) -> Scan | None:
        """Take the next scan."""
        self._doubtful_next = not self._doubtful_next
        if self._doubtful and (self._doubtful_next or not self._ready):
            return heappop(self._doubtful)[2]
        return self._ready.popleft() if self._ready else None

    # The lagging streams

    def pause(self, stream: FollowedStream, scan: Scan | None) -> None:
        """Pause a lagging stream until there is room in its queue; then its scan continues, or a new one begins."""
        group = self.groups.get(stream.stream.group)
        if group is not None and stream in group.streams:
            self._paused[stream] = scan

    def _resume(self, now: Moment) -> None:
        """Continue reading a lagging stream if there is room, and none is about to be read.

        Those that are new to it come first, the quietest of them before the others; then they take turns.
        """
        is_read = any(scan.is_alone for scan in self._ready)
        share = self._room.share(len(self._paused)) if self._paused and not is_read else 0
        waiting = [stream for stream in self._paused if self._may_go_on(stream, share, now)] if share else []
        if not waiting:
            return
        new = [stream for stream in waiting if stream.is_new_to_lag]
        stream = min(new, key=lambda each: each.lines_per_second) if new else waiting[0]
        scan = self._paused.pop(stream)
        if scan is None or self._is_overtaken(scan, now):
            is_full = scan is not None or self._is_behind(stream, now)
            scan = self._alone(stream, stream.start(now, is_full=is_full))
        stream.is_new_to_lag = False
        stream.make_room()
        scan.limit = max(1, min(self._most_lines, self._room.page_lines, int(share / stream.line_bytes)))
        self._ready.append(scan)

    def _may_go_on(self, stream: FollowedStream, share: int, now: Moment) -> bool:
        asked_again_at = max(stream.asked_again_at, self.group_of(stream).denied_until)
        return stream.lines.bytes <= share // 2 and asked_again_at <= now.seconds

    def _is_overtaken(self, scan: Scan, now: Moment) -> bool:
        """Tell whether a lagging stream's scan could raise the floor but does not, or a full scan is overdue."""
        if scan.raises_floor:
            return False
        return self._is_behind(scan.streams[0], now) or now.seconds - scan.began_at > FULL_SCAN_SECONDS

    def _is_behind(self, stream: FollowedStream, now: Moment) -> bool:
        """Tell whether a stream's next lines are older than the look-back, so that all of them have become readable."""
        return stream.newest < now.ms - int(self._lookback_seconds * 1000)

    def _alone(self, stream: FollowedStream, start: int) -> Scan:
        known = self.group_of(stream).rounds[0]
        return Scan(known, [stream], start, is_alone=True, raises_floor=start <= stream.floor)
