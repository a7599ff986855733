"""FollowedLogs: the log streams of one followed job, including those of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs import start_of
from airflow_batch_jobs.batch.logs.cursor import LogCursor
from airflow_batch_jobs.batch.logs.cursors import OTHERS_KEY, Others, Places
from airflow_batch_jobs.batch.logs.log_follower import QUEUE_SECONDS
from airflow_batch_jobs.batch.watch.updates import LogLines

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
    from airflow_batch_jobs.batch.logs.log_follower import LogFollower
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.errors import AwsError

#: Lines handed out at a time: writing them takes a triggerer about 30 ms.
_MOST_LINES = 50
#: How long after a job's end was seen its last lines are looked for, at most.
LAST_LINES_SECONDS = 240.0
_NO_SPACE = "Too many log streams of the job have lines left."

Kept = TypeVar("Kept", LogCursor, Others)
#: Any timestamp (ms) of a log is below this.
_LATEST_MS = 2**42


class Rest(NamedTuple):
    """What of an ended job's streams was not handed out, as `Ended` has it."""

    unread: dict[str, tuple[LogStream, LogCursor]]
    incomplete: dict[LogStream, str]


class FollowedLogs:
    """The log streams of one job.

    Args:
        logs: Follows the streams of all jobs.
        cursors: Where an earlier follower left off, by the stream's key; None if `go_on_from` will say so before any
            stream is followed.
        has_news: Called when lines may be taken.
        has_problem: Called, with one sentence and AWS's error, if it is one of AWS's, when a stream cannot be read.
        fail: Called with what is broken about a stream.
    """

    __slots__ = (
        "_done",
        "_doubts",
        "_fail",
        "_granted",
        "_handed_over_at",
        "_has_news",
        "_has_problem",
        "_left_at",
        "_live",
        "_logs",
        "_others",
        "_restored",
        "_streams",
        "_unopened",
    )

    def __init__(
        self,
        logs: LogFollower,
        cursors: Mapping[str, Mapping[str, Any]] | None,
        *,
        has_news: Callable[[], None],
        has_problem: Callable[[str, AwsError | None], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._logs = logs
        self._has_news: Callable[[], None] | None = has_news
        self._has_problem: Callable[[str, AwsError | None], None] | None = has_problem
        self._fail: Callable[[Exception], None] | None = fail
        self._restored: dict[str, LogCursor] = {}
        self._others: Others | None = None
        self._done: dict[str, LogCursor] = {}
        self._left_at: dict[str, dict[str, Any]] | None = None
        self._doubts: dict[str, str] = {}
        self._unopened: dict[str, tuple[JobDetail, float]] | None = {}
        self._streams: dict[str, LogStream] = {}
        self._live: dict[str, FollowedStream] = {}
        self._granted: dict[FollowedStream, None] = {}
        self._handed_over_at: float | None = None
        if cursors is not None:
            self._take_cursors(cursors)

    def has_lines(self, stream: FollowedStream) -> None:
        """Take note that lines of a stream may be taken."""
        self._granted[stream] = None
        if self._has_news is not None:
            self._has_news()

    def cannot_read(self, problem: AwsError) -> None:
        """Take note that a stream cannot be read."""
        if self._has_problem is not None:
            self._has_problem(str(problem), problem)

    def fail(self, error: Exception) -> None:
        """Take note that what is known about a stream is broken."""
        if self._fail is not None:
            self._fail(error)

    def is_in(self, region: str) -> bool:
        """Tell whether lines may still come from a stream in a region."""
        return any(stream.stream.region == region for stream in self._live.values())

    @property
    def wants_cursors(self) -> bool:
        """Whether there are streams, and where to begin is not known yet."""
        return bool(self._unopened)

    def go_on_from(self, cursors: Mapping[str, Mapping[str, Any]], now: Moment) -> None:
        """Follow the streams from where an earlier follower left off."""
        unopened = self._unopened or {}
        self._take_cursors(cursors)
        for detail, seen_at in unopened.values():
            self.watch(detail, seen_at, now)

    def watch(self, detail: JobDetail, seen_at: float, now: Moment) -> None:
        """Follow the streams of a job or a part of it, and end those whose writer has stopped.

        Args:
            detail: The job or the part.
            seen_at: When AWS was asked about it, in seconds.
            now: The time.
        """
        streams = detail.log_streams()
        if self._unopened is not None:
            if streams:
                self._unopened[detail.job_id] = detail, seen_at
            return
        stopped = _stopped(detail, now)
        for stream in streams:
            followed = self._follow(stream, now)
            if followed is None:
                continue
            if stream.stream in stopped:
                self._logs.end(followed, stopped[stream.stream], now)
            else:
                followed.open(seen_at)

    def retire(self) -> None:
        """Drop the streams that were handed out completely."""
        done = [(key, stream) for key, stream in self._live.items() if stream.is_settled and not stream.lines]
        for key, stream in done:
            self._done[key] = stream.cursor()
            if stream.doubt:
                self._doubts[key] = stream.doubt
            self._logs.drop(stream)
            del self._live[key]

    def end(self, now: Moment) -> None:
        """End all streams: the job has ended, whatever AWS says of its parts."""
        for stream in self._live.values():
            self._logs.end(stream, now.ms, now)

    def take(self) -> LogLines | None:
        """Hand out some lines of the stream whose turn it is."""
        if not self._granted:
            return None
        stream = next(iter(self._granted))
        del self._granted[stream]
        lines = LogLines(stream.stream, stream.lines.take(_MOST_LINES))
        if stream.lines.granted:
            self._granted[stream] = None
        return lines

    def rest(self, now: Moment, ended_at: float) -> Rest | None:
        """Return what of an ended job's streams was not handed out; None while lines are still to come.

        Args:
            now: The time.
            ended_at: When the end of the job was seen, in seconds.
        """
        if self._unopened:
            return None
        self.retire()
        live = self._live.values()
        is_late = now.seconds >= ended_at + LAST_LINES_SECONDS
        if not is_late and any(not (stream.is_settled or stream.is_lagging or stream.problem) for stream in live):
            return None
        if self._handed_over_at is None:
            self._handed_over_at = now.seconds + QUEUE_SECONDS
        if now.seconds < self._handed_over_at and any(stream.lines and not stream.is_lagging for stream in live):
            return None
        for stream in live:
            stream.grant_millisecond()
        if self._granted:
            return None
        return self._rest(now)

    def _rest(self, now: Moment) -> Rest:
        why = {key: self._logs.why_unreadable(stream, now) for key, stream in self._live.items()}
        left = {key: stream for key, stream in self._live.items() if not why[key]}
        cursors = self._logs.unread(left)
        why |= {key: _NO_SPACE for key in left if key not in cursors}
        incomplete = {self._streams[key]: reason for key, reason in {**self._doubts, **why}.items() if reason}
        return Rest({key: (self._streams[key], cursor) for key, cursor in cursors.items()}, incomplete)

    def streams(self) -> tuple[LogStream, ...]:
        """Return all streams followed so far."""
        return tuple(self._streams.values())

    def cursors(self, known_until: int) -> dict[str, dict[str, Any]]:
        """Return how far each stream was handed out, as JSON by its key, see `Places`.

        Args:
            known_until: The time (ms) before which no stream started that has not been seen.
        """
        if self._left_at is not None:
            return self._left_at
        return Places(self._live, self._restored, self._done, self._others, known_until).to_dict()

    def close(self, known_until: int) -> None:
        """Stop following; the cursors stay.

        Args:
            known_until: As for `cursors`.
        """
        try:
            self._left_at = self.cursors(known_until)
        except Exception:  # noqa: BLE001 - what became of the job does not depend on it
            self._left_at = {}
        for stream in self._live.values():
            self._logs.drop(stream)
        # With no reference back to here, everything is freed with the last reference, without a garbage collection.
        self._has_news = self._has_problem = self._fail = None
        self._live.clear()
        self._granted.clear()

    def _take_cursors(self, cursors: Any) -> None:
        """Take what was stored, which ought to be cursors by their keys.

        One that cannot be read costs lines that come twice, and not the wait.
        """
        self._unopened = None
        stored = cursors if isinstance(cursors, Mapping) else {"": cursors}
        unreadable = 0
        for key, each in stored.items():
            try:
                if key == OTHERS_KEY:
                    self._others = _checked(Others.from_dict(each))
                else:
                    self._restored[key] = _checked(LogCursor.from_dict(each))
            except Exception:  # noqa: BLE001 - it may be anything, of another version or damaged
                unreadable += 1
        if unreadable and self._has_problem is not None:
            self._has_problem(
                f"{unreadable} of {len(stored)} saved places of the log cannot be read; lines may appear twice.", None
            )

    def _follow(self, stream: LogStream, now: Moment) -> FollowedStream | None:
        """Return the followed stream; None if nothing more is to come from it."""
        is_new = stream.key not in self._streams
        self._streams[stream.key] = stream
        if is_new:
            cursor, floor = self._restored.pop(stream.key, None), start_of(stream)
            if cursor is None and self._others is not None and stream.started_at is not None:
                cursor = self._others.cursor(floor, milliseconds(stream.started_at))
            self._live[stream.key] = self._logs.add(stream, self, now, floor=floor, cursor=cursor)
        followed = self._live.get(stream.key)
        if followed is not None:
            followed.stream = stream  # its label may have changed
        return followed


def _checked(kept: Kept) -> Kept:
    """Return where to go on in a stream, if that is a time; beyond all times nothing would be read.

    Raises:
        ValueError: It is not.
    """
    if not 0 <= kept.floor < _LATEST_MS:
        raise ValueError(kept.floor)
    return kept


def _stopped(detail: JobDetail, now: Moment) -> dict[str, int]:
    """Return when the writers of streams stopped, by the stream's name, in ms; only of those that have."""
    stopped: dict[str, int] = {}
    if detail.is_final:
        end = milliseconds(detail.stopped_at) if detail.stopped_at else now.ms
        stopped = dict.fromkeys((stream.stream for stream in detail.log_streams()), end)
    for attempt in detail.attempts:
        if attempt.stopped_at is not None:
            end = milliseconds(attempt.stopped_at)
            stopped.update({result.log_stream_name: end for result in attempt.containers})
    return stopped
