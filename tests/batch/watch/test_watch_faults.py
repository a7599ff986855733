"""Faults of minutes while many jobs are watched: no wait ends, AWS is spared, and detection recovers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.aws import pacing
from airflow_batch_jobs.batch.watch import Ended, LogLines, WatchOptions
from tests.batch.virtual import VirtualAws, run, run_beside

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch import JobFollower
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws

#: To trace it takes as long as the run itself, and finds no line that others miss.
pytestmark = pytest.mark.no_cover

POLL_SECONDS = 5.0
#: When the fault begins, in seconds after the submit.
FAULT_AT = 20.0
#: Jobs end in each of these seconds, counted from the fault's end.
ENDS = range(-30, 60)
OPTIONS = WatchOptions()
#: What ten calls, for a thousand jobs, take at the rate to which throttling lowers it, and from which it climbs slowly.
SLOW_SECONDS = 10 / (OPTIONS.status_calls_per_second * pacing._LEAST_SHARE)

FAULTS = [
    pytest.param(60, {"kind": "throttle", "share": 0.9}, id="throttled"),
    pytest.param(60, {"kind": "server_error"}, id="5xx"),
    pytest.param(60, {"kind": "drop"}, id="dropped"),
    pytest.param(60, {"kind": "drop", "after": True}, id="answers lost"),
    pytest.param(120, {"kind": "drop"}, id="gone for two minutes"),
    pytest.param(60, {"kind": "not_json"}, id="not JSON"),
    pytest.param(60, {"kind": "expired"}, id="credentials expired"),
]


async def followed(aws: LocalAws, ids: list[str], fault: dict[str, Any], until: float, *, copy_logs: bool) -> Seen:
    """Follow jobs to their ends through a fault, and note when what became known; no follower may end otherwise."""
    virtual = VirtualAws(aws)
    seen = Seen(virtual)
    watcher = virtual.watcher()
    followers = [watcher.follow(job_id, poll_interval=POLL_SECONDS, copy_logs=copy_logs) for job_id in ids]
    await run_beside(
        asyncio.wait_for(asyncio.gather(*(seen.all_of(follower) for follower in followers)), until + 200),
        (FAULT_AT, lambda: aws.fault(**fault)),
        (until, aws.clear_faults),
    )
    return seen


class Seen:
    """When followers were told what; times are seconds from the beginning.

    Attributes:
        ends: When each job's end happened, and when it was told.
        lines: When each line was written, and when it was handed out, by the job.
    """

    def __init__(self, virtual: VirtualAws) -> None:
        self._virtual = virtual
        self._began = virtual.now().timestamp()
        self.ends: list[tuple[float, float]] = []
        self.lines: dict[str, list[tuple[float, float]]] = {}

    async def all_of(self, follower: JobFollower) -> None:
        """Consume a follower."""
        async with follower:
            async for update in follower:
                self._note(update)

    def _note(self, update: Update) -> None:
        now = self._virtual.now().timestamp() - self._began
        if isinstance(update, Ended) and update.detail.stopped_at:
            self.ends.append((update.detail.stopped_at.timestamp() - self._began, now))
        elif isinstance(update, LogLines):
            lines = self.lines.setdefault(update.stream.stream, [])
            lines += [(event.time.timestamp() - self._began, now) for event in update.events]


def most_within_a_second(times: list[float]) -> int:
    """Return the most of some moments that any second contains."""
    return max(sum(at <= other < at + 1 for other in times) for at in times)


@pytest.mark.long
@pytest.mark.parametrize(
    ("seconds", "fault"), [*FAULTS, pytest.param(60, {"kind": "omit", "share": 0.5}, id="half of the ids missing")]
)
def test_detection_recovers_within_two_polls(frozen_aws: LocalAws, seconds: float, fault: dict[str, Any]) -> None:
    """A thousand jobs' ends are known in time again, whether they came during the fault or after it."""
    slow = SLOW_SECONDS if fault["kind"] == "throttle" else 0.0
    over = FAULT_AT + seconds
    reference = frozen_aws.register("watched")
    ids: list[str] = []
    for after in ENDS:
        name = f"end{after}"
        frozen_aws.script(job_name=name, starting=0, running=over + after)
        ids += frozen_aws.submit(reference, count=11, jobName=name)
    seen = run(followed(frozen_aws, ids, {"operation": "*", **fault}, over, copy_logs=False))
    assert len(seen.ends) == len(ids)
    assert max(told - max(stopped, over) for stopped, told in seen.ends) <= 2 * POLL_SECONDS + slow
    calls = [request.time for request in frozen_aws.requests("DescribeJobs")]
    meanwhile = [at - calls[0] for at in calls if FAULT_AT <= at - calls[0] < over]
    assert most_within_a_second(meanwhile) <= OPTIONS.status_calls_per_second
    assert len(meanwhile) < OPTIONS.status_calls_per_second * seconds / 2


@pytest.mark.long
@pytest.mark.parametrize(("seconds", "fault"), FAULTS)
def test_every_line_comes_once_and_soon_again(frozen_aws: LocalAws, seconds: float, fault: dict[str, Any]) -> None:
    """When CloudWatch alone fails, what was written meanwhile comes after it, and lines are live again soon."""
    over = FAULT_AT + seconds
    count = int(over) + 60
    frozen_aws.script(definition="talking", starting=0, running=count, lines={"count": count, "rate": 1.0})
    ids = frozen_aws.submit(frozen_aws.register("talking"), count=30)
    seen = run(followed(frozen_aws, ids, {"operation": "FilterLogEvents", **fault}, over, copy_logs=True))
    assert len(seen.ends) == len(ids)
    assert [len(lines) for lines in seen.lines.values()] == [count] * 30
    assert [len({written for written, _ in lines}) for lines in seen.lines.values()] == [count] * 30
    late = [told - written for lines in seen.lines.values() for written, told in lines if written > over + 20]
    assert max(late) <= 2 * POLL_SECONDS
    calls = [request.time for request in frozen_aws.requests("FilterLogEvents")]
    began = frozen_aws.requests()[0].time
    assert most_within_a_second([at for at in calls if FAULT_AT <= at - began < over]) <= OPTIONS.log_calls_per_second
