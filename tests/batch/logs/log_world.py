"""A CloudWatch in virtual time, without a wire: log streams whose events become readable late."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_batch_jobs.batch.aws.pacing import Pace
from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs.cursor import event_key
from airflow_batch_jobs.batch.logs.event import LogEvent
from airflow_batch_jobs.batch.logs.log_follower import LogFollower
from airflow_batch_jobs.batch.logs.moment import Moment
from airflow_batch_jobs.batch.logs.page import LogPage
from airflow_batch_jobs.batch.watch.line_budget import LineBudget

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Mapping

    from airflow_batch_jobs.batch.logs.followed_stream import FollowedStream
    from airflow_batch_jobs.batch.logs.scan import Scan
    from airflow_batch_jobs.errors import AwsError

REGION = "eu-central-1"
GROUP = "/aws/batch/job"
#: The wall clock when the seconds of a world are 0.
EPOCH_MS = 1_800_000_000_000


class Written(NamedTuple):
    """An event: when it was written, from when on it can be read (seconds), and its id."""

    at: float
    readable: float
    event_id: str


def log_stream(name: str, group: str = GROUP) -> LogStream:
    """Return a stream of this world."""
    return LogStream("", group, REGION, name)


def moment(now: float) -> Moment:
    """Return a second of this world on both clocks."""
    return Moment(now, EPOCH_MS + int(now * 1000))


class Missing(Exception):  # noqa: N818 - as AWS calls it
    """One of the streams does not exist yet."""


class LogWorld:
    """The streams, by name, with their events; `exists_from` holds those that are not there from the beginning."""

    def __init__(self, page_size: int = 1_000) -> None:
        self.page_size = page_size
        self.events: dict[str, list[Written]] = {}
        self.exists_from: dict[str, float] = {}

    def write(self, name: str, events: Iterable[tuple[float, float]]) -> None:
        """Let a stream have events, each written and readable at two times in seconds."""
        written = [Written(at, readable, f"{name}/{number}") for number, (at, readable) in enumerate(events)]
        self.events[name] = sorted(written)

    def filter(self, request: Mapping[str, Any], now: float) -> LogPage:
        """Answer FilterLogEvents."""
        names = request["logStreamNames"]
        if any(self.exists_from.get(name, 0.0) > now or name not in self.events for name in names):
            raise Missing
        limit = min(self.page_size, request.get("limit", self.page_size))
        after = self._after(request)
        found: list[tuple[Written, str]] = []
        for name in names:
            later = islice(self.events[name], bisect_right(self.events[name], after), None)
            found += islice(((event, name) for event in later if event.readable <= now), limit + 1)
        found.sort()
        token = " ".join(map(str, found[limit - 1][0])) if len(found) > limit else None
        return LogPage(tuple((name, *_read(event)) for event, name in found[:limit]), token)

    def empty_page(self, request: Mapping[str, Any]) -> LogPage:
        """Answer FilterLogEvents with nothing but a token that leads to where the request would have begun."""
        after = self._after(request)
        return LogPage((), f"{after.at} {after.readable} {after.event_id or '!'}")

    def _after(self, request: Mapping[str, Any]) -> Written:
        if "nextToken" not in request:
            return Written((request["startTime"] - EPOCH_MS) / 1000, float("-inf"), "")
        at, readable, event_id = request["nextToken"].split()
        return Written(float(at), float(readable), event_id)


@dataclass
class Owner:
    """Takes the lines of the streams it owns."""

    problems: list[str] = field(default_factory=list)

    def has_lines(self, stream: FollowedStream) -> None:
        """Lines are taken in turns, see `Copy.run_until`."""

    def cannot_read(self, problem: AwsError) -> None:
        """Remember the problem."""
        self.problems.append(str(problem))

    def fail(self, error: Exception) -> None:
        """Nothing here may be broken."""
        raise error


class Copy:
    """Follows the streams of a world and keeps what was handed out."""

    def __init__(
        self,
        world: LogWorld,
        *,
        lines_per_second: float = 400,
        lookback_seconds: float = 120,
        budget: LineBudget | None = None,
    ) -> None:
        self.world = world
        self.now = 0.0
        self.budget = budget or LineBudget(lines_per_second)
        self.logs = LogFollower(
            settle_seconds=5,
            lookback_seconds=lookback_seconds,
            lines_per_second=lines_per_second,
            room=self.budget.room,
        )
        self.budget.join(self.logs.streams)
        self.pace = Pace(4)
        self.owner = Owner()
        self.followed: dict[str, FollowedStream] = {}
        self.got: dict[str, list[LogEvent]] = {}
        self.got_at: dict[str, float] = {}
        self.settled_at: dict[str, float] = {}
        self.requests: list[tuple[float, dict[str, Any]]] = []

    def follow(self, *names: str, **how: Any) -> None:
        """Follow streams from now on."""
        for name in names:
            self.followed[name] = self.logs.add(
                log_stream(name), self.owner, moment(self.now), **{"floor": EPOCH_MS - 60_000, **how}
            )
            self.got.setdefault(name, [])

    def end(self, name: str) -> None:
        """Let a stream's job end now."""
        self.logs.end(self.followed[name], moment(self.now).ms, moment(self.now))

    def run_until(self, end: float, step: float = 0.25) -> None:
        """Let time pass; every step lines are shared out and taken, and calls made at the pace."""
        while self.now < end:
            self.now += step
            while self.pace.delay(self.now) <= 0 and (scan := self.logs.next_scan(REGION, moment(self.now))):
                self.pace.spend(self.now)
                self.ask(scan)
            self.budget.share(self.now)
            self.take()

    def ask(self, scan: Scan) -> None:
        """Make one call."""
        request = scan.request(moment(self.now))
        self.requests.append((self.now, request))
        try:
            page = self.world.filter(request, self.now)
        except Missing:
            self.logs.missing(scan, moment(self.now))
        else:
            self.logs.feed(scan, page, moment(self.now))

    def take(self) -> None:
        """Take all lines that are granted."""
        for name, stream in self.followed.items():
            for event in stream.lines.take(10_000):
                self.got[name].append(event)
                self.got_at.setdefault(event.event_id, self.now)
            if stream.is_settled and name not in self.settled_at:
                self.settled_at[name] = self.now

    def lost(self, name: str) -> list[Written]:
        """Return the events that could be read in time and were not handed out."""
        until = self.settled_at.get(name, self.now - 70)
        got = {event.event_id for event in self.got[name]}
        return [event for event in self.world.events[name] if event.readable < until and event.event_id not in got]

    def doubled(self, name: str) -> list[str]:
        """Return the ids of the events that were handed out more than once."""
        return [event_id for event_id, count in Counter(e.event_id for e in self.got[name]).items() if count > 1]


def steady(rate: float, begin: float, end: float, late: float = 1.0) -> list[tuple[float, float]]:
    """Return events at a rate, all equally late."""
    return [(at, at + late) for at in (begin + number / rate for number in range(int((end - begin) * rate)))]


def in_batches(
    chance: random.Random, rate: float, begin: float, end: float, latest: float
) -> list[tuple[float, float]]:
    """Return events whose batches of 5 s come late, each by its own time, so that some overtake others."""
    late = {batch: chance.uniform(1, latest) for batch in range(int(end / 5) + 1)}
    return [(at, (at // 5 + 1) * 5 + late[int(at // 5)]) for at, _ in steady(rate, begin, end)]


def stalled(events: list[tuple[float, float]], begin: float, end: float) -> list[tuple[float, float]]:
    """Return the same events, but of those of a span none is readable before the span's end."""
    return [(at, max(readable, end) if begin <= readable < end else readable) for at, readable in events]


@cache
def _read(event: Written) -> tuple[LogEvent, int]:
    timestamps = (EPOCH_MS + int(event.at * 1000), EPOCH_MS + int(event.readable * 1000))
    return LogEvent(timestamps[0], event.event_id, event.event_id, timestamps[1]), event_key(event.event_id)
