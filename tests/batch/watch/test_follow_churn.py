"""LogFollower while jobs come and go, CloudWatch throttles and gives empty pages, in virtual time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.batch.logs.log_world import REGION, Copy, LogWorld, in_batches, moment, stalled, steady

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.logs.scan import Scan

#: To trace it takes as long as the run itself, and finds no line that others miss.
pytestmark = pytest.mark.no_cover

STREAMS = 200
SECONDS = 240


class RoughCopy(Copy):
    """Follows while three calls of ten are throttled, and two bring an empty page first."""

    def __init__(self, world: LogWorld, chance: random.Random) -> None:
        super().__init__(world)
        self._chance = chance
        self.throttled = 0
        self.empty = 0

    def ask(self, scan: Scan) -> None:
        """Make one call, or have it refused, or answered with an empty page."""
        luck = self._chance.random()
        if luck < 0.3:
            self.throttled += 1
            self.pace.throttled(self.now)
            self.logs.retry(scan)
        elif luck < 0.5 and self.can_be_read(scan):
            self.empty += 1
            self.logs.feed(scan, self.world.empty_page(scan.request(moment(self.now))), moment(self.now))
        else:
            super().ask(scan)
            self.pace.succeeded()

    def can_be_read(self, scan: Scan) -> bool:
        """Whether all streams of a call exist."""
        names = scan.request(moment(self.now))["logStreamNames"]
        return all(self.world.exists_from.get(name, 0.0) <= self.now for name in names)


def churning_world(chance: random.Random) -> tuple[LogWorld, dict[str, tuple[float, float]]]:
    """Return streams of jobs that live for 5 to 60 s, and when each job begins and ends."""
    world, lives = LogWorld(), {}
    for number in range(STREAMS):
        name, begin = f"job{number}", chance.uniform(0, SECONDS - 60)
        end = begin + chance.uniform(5, 60)
        world.write(name, in_batches(chance, chance.choice((0.2, 1, 5)), begin, end, chance.choice((2, 10, 40))))
        world.exists_from[name] = begin + chance.uniform(0, 6)
        lives[name] = begin, end
    return world, lives


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_jobs_that_come_and_go_lose_and_double_no_line(seed: int) -> None:
    """Two hundred of them in four minutes, each followed from its beginning until its log has settled."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible world
    world, lives = churning_world(chance)
    copy = RoughCopy(world, chance)
    begins = [(begin, name, True) for name, (begin, _) in lives.items()]
    ends = [(end, name, False) for name, (_, end) in lives.items()]
    for at, name, begins_now in sorted(begins + ends):
        copy.run_until(at)
        (copy.follow if begins_now else copy.end)(name)
        for settled in [other for other in copy.settled_at if not copy.followed[other].lines]:
            copy.logs.drop(copy.followed[settled])
    copy.run_until(SECONDS + 300)
    assert set(copy.settled_at) == set(lives)
    assert copy.throttled > 50
    assert copy.empty > 20
    assert [copy.lost(name) for name in lives if copy.lost(name)] == []
    assert [copy.doubled(name) for name in lives if copy.doubled(name)] == []
    assert copy.logs.next_scan(REGION, moment(copy.now)) is None


def bursting_world(chance: random.Random) -> LogWorld:
    """Return streams that write bursts after long silences, whose lines are late by up to minutes; 25 minutes of it."""
    world = LogWorld()
    for number in range(8):
        events, at = [], chance.uniform(0, 60)
        while at < 1_500:
            late = chance.choice((1, 3, 9, 30, 100))
            times = [at + line / 200 for line in range(chance.choice((1, 30, 400)))]
            events += [(time, time + chance.uniform(0.5, late)) for time in times]
            at += chance.choice((5, 40, 200, 500))
        world.write(f"bursts{number}", events)
    world.write("stalled", stalled(steady(2, 0, 400), 30, 900))
    world.write("slowly-stalled", stalled(steady(0.1, 0, 1_400), 100, 1_300))
    world.write("flowing", in_batches(chance, 5, 0, 1_500, 8))
    world.write("quiet", in_batches(chance, 1 / 70, 0, 1_500, 8))
    return world


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_streams_that_fall_silent_lose_and_double_no_line(seed: int) -> None:
    """However late their lines are, and whatever came meanwhile; most are there at once, the others within minutes."""
    world = bursting_world(random.Random(seed))  # noqa: S311 - a reproducible world
    copy = Copy(world)
    copy.follow(*world.events)
    copy.run_until(1_520)
    for name in world.events:
        copy.end(name)
    copy.run_until(1_900)
    assert set(copy.settled_at) == set(world.events)
    assert [copy.lost(name) for name in world.events if copy.lost(name)] == []
    assert [copy.doubled(name) for name in world.events if copy.doubled(name)] == []
    delays = sorted(copy.got_at[e.event_id] - e.readable for name in world.events for e in world.events[name])
    assert delays[int(len(delays) * 0.9)] < 5
    assert delays[-1] < 130
