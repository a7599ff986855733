"""Jobs that write 2,000 lines a second beside quiet ones, in a real Airflow."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.runs import FINAL, Run

if TYPE_CHECKING:
    from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
    from airflow_batch_jobs.local import LocalControl

QUIET, FLOODS = 3, 2
LINES_PER_SECOND, FLOOD_SECONDS = 2000, 10
QUIET_SECONDS, QUIET_LINES = 45, 15
#: A line of a quiet job is served within this many seconds of becoming readable.
FRESH_SECONDS = 30.0
#: How long the run may take.
RUN_SECONDS = 560.0


@pytest.fixture
def flood(cloud: LocalControl, api: RestApi) -> Run:
    """A run of quiet jobs, and of jobs that write more than the triggerer copies live."""
    cloud.register("quiet")
    cloud.register("flood")
    cloud.script(definition="quiet", running=QUIET_SECONDS, lines=QUIET_LINES)
    lines = {"count": LINES_PER_SECOND * FLOOD_SECONDS, "rate": LINES_PER_SECOND}
    cloud.script(definition="flood", running=FLOOD_SECONDS, lines=lines)
    return Run.start(api, "flood")


def job_lines(api: RestApi, run: Run, task_id: str, index: int) -> list[tuple[str, float]]:
    """Return the lines of a job in its task log, and when each was written."""
    entries = api.log(run.dag_id, run.run_id, task_id, map_index=index)
    return [
        (str(entry["event"]), datetime.fromisoformat(entry["timestamp"]).timestamp())
        for entry in entries
        if entry.get("logger") == "batch.job"
    ]


def states(api: RestApi, run: Run) -> Counter[str]:
    """Return how many task instances are in each state."""
    return Counter(str(each["state"]) for each in api.task_instances(run.dag_id, run.run_id))


def watch_quiet_ones(api: RestApi, run: Run) -> dict[tuple[int, str], float]:
    """Wait for the run's end; return how old each line of a quiet job was when it was first served."""
    ages: dict[tuple[int, str], float] = {}
    end = time.monotonic() + RUN_SECONDS
    while not states(api, run).keys() <= set(FINAL):
        assert time.monotonic() < end, states(api, run)
        for index in range(QUIET):
            since = deferral(api, run, index)
            for text, written in job_lines(api, run, "quiet", index) if since else ():
                if written > since:
                    ages.setdefault((index, text), time.time() - written)
        time.sleep(1)
    return ages


def test_jobs_that_write_a_flood_lose_nothing_and_delay_nobody(
    flood: Run, api: RestApi, airflow: StandaloneAirflow
) -> None:
    """Quiet jobs' lines stay fresh, all tasks succeed, and every line of every job is in its task log exactly once."""
    ages = watch_quiet_ones(api, flood)
    assert states(api, flood) == {"success": QUIET + FLOODS}
    assert len(ages) > QUIET
    assert max(ages.values()) < FRESH_SECONDS
    for task_id, jobs, lines in (("quiet", QUIET, QUIET_LINES), ("flood", FLOODS, LINES_PER_SECOND * FLOOD_SECONDS)):
        for index in range(jobs):
            texts = [text for text, _ in job_lines(api, flood, task_id, index)]
            assert texts == [f"line {number}" for number in range(1, lines + 1)]
    assert "deadlocked" not in airflow.output.read_text(errors="replace")


def deferral(api: RestApi, run: Run, index: int) -> float:
    """Return since when a quiet task has been deferred, in seconds since the epoch; 0 while it is not."""
    trigger = api.task_instance(run.dag_id, run.run_id, "quiet", index)["trigger"]
    return datetime.fromisoformat(trigger["created_date"]).timestamp() if trigger else 0.0
