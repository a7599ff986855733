"""What a worker copies of an ended job's log, and what it says of what it cannot copy."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowTaskTerminated
from airflow.sdk.execution_time import comms
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.log_stream import MOST_NAMED
from airflow_batch_jobs.config import Settings
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.handover import Outcome
from airflow_batch_jobs.task.log_rest import RestCopy
from airflow_batch_jobs.task.supervisor import extend_execution_timeout
from tests.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.local.server import LocalAws
    from tests.task.api_server import ApiServer

KEY = TaskKey("d", "r", "t")
GROUP = "/aws/batch/job"


def outcome_of(aws: LocalAws, jobs: int) -> Outcome:
    """Run some jobs to their ends; return an outcome that leaves all of their logs to the worker."""
    aws.script(definition="talk", running=0.1, lines={"count": 20, "rate": 1000.0})
    job_ids = aws.submit(aws.register("talk"), count=jobs)
    names = [aws.wait_for_status(job_id)["container"]["logStreamName"] for job_id in job_ids]
    entries = [
        {"label": str(number), "group": GROUP, "region": "us-east-1", "stream": name, "cursor": {}}
        for number, name in enumerate(names)
    ]
    return Outcome(job={"job_id": job_ids[0], "status": "SUCCEEDED"}, unread=entries)


def copied(copy: RestCopy) -> list[str]:
    """Copy, and return the lines of the task log."""
    with capture_logs() as entries:
        copy.run()
    return [str(entry["event"]) for entry in entries]


@contextmanager
def sigterm_after(seconds: float, copy: RestCopy) -> Iterator[None]:
    """Let Airflow send SIGTERM, which it hands to the task's `on_kill` in the signal's handler."""
    before = signal.signal(signal.SIGTERM, lambda *_: copy.kill())
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late lines are not waited for."""
    monkeypatch.setattr(Settings, "read", lambda: Settings(log_settle_seconds=0))


def test_what_is_left_is_copied(aws: LocalAws) -> None:
    """All lines of each stream, in order, under the stream's label."""
    lines = copied(RestCopy(outcome_of(aws, 2), aws.clients(), KEY, ManualClock()))
    for label in "01":
        assert [line for line in lines if line.startswith(f"[{label}]")] == [
            f"[{label}] line {number}" for number in range(1, 21)
        ]
    assert len(lines) == 40


@pytest.mark.parametrize("cursor", [None, {"floor": "x"}, {"numbered": [1]}])
def test_a_place_that_cannot_be_read_costs_lines_twice_of_its_own_stream(aws: LocalAws, cursor: Any) -> None:
    """It is read from its beginning, with a line; the others go on from their places."""
    outcome = outcome_of(aws, 2)
    outcome.unread[0]["cursor"], outcome.unread[1]["cursor"] = cursor, {"floor": int(1000 * aws.now()) + 3_600_000}
    [told, *lines] = copied(RestCopy(outcome, aws.clients(), KEY, ManualClock()))
    assert told.startswith("Where the log copy left off cannot be read; lines may appear twice: ")
    assert lines == [f"[0] line {number}" for number in range(1, 21)]


@pytest.mark.parametrize("stopped_at", ["yesterday", "2026-11-23T06:00:00", 1, []])
def test_a_time_of_the_end_that_cannot_be_read_costs_no_line(aws: LocalAws, stopped_at: Any) -> None:
    """The log is read as if the job had ended now."""
    outcome = outcome_of(aws, 1)
    outcome = replace(outcome, job={**outcome.job, "stopped_at": stopped_at})
    lines = copied(RestCopy(outcome, aws.clients(), KEY, ManualClock()))
    assert lines == [f"[0] line {number}" for number in range(1, 21)]


def test_a_log_that_may_not_be_read_is_named_stream_by_stream(aws: LocalAws) -> None:
    """The first few with group, region and reason, then how many more there are; the task ends as its job did."""
    outcome = outcome_of(aws, 1)
    outcome.unread.extend({**outcome.unread[0], "stream": f"talk/default/{number}"} for number in range(12))
    aws.fault("FilterLogEvents", "denied")
    lines = copied(RestCopy(outcome, aws.clients(), KEY, ManualClock()))
    first = f"log group {GROUP}, stream {outcome.unread[0]['stream']}, region us-east-1"
    refused = "logs:FilterLogEvents failed: AccessDeniedException"
    assert lines[0].startswith(f"The log of 0 is not complete; the rest is in {first}. {refused}")
    assert lines[-1] == "8 more log streams of the job are not complete; AWS Batch's console links to each."
    assert len(lines) == MOST_NAMED + 1


@pytest.mark.parametrize("fault", ["drop", "throttle", "server_error", "not_json", "expired"])
def test_a_cloudwatch_that_does_not_answer_ends_no_task(aws: LocalAws, fault: str) -> None:
    """Minutes later the log says where the rest is."""
    outcome = outcome_of(aws, 2)
    aws.fault("FilterLogEvents", fault)
    clock = ManualClock()
    lines = copied(RestCopy(outcome, aws.clients(), KEY, clock))
    assert sorted(line.partition(";")[0] for line in lines) == [
        "The log of 0 is not complete",
        "The log of 1 is not complete",
    ]
    assert clock.slept < 150


@pytest.mark.parametrize("broken", [MemoryError(), OSError(24, "Too many open files"), RuntimeError("a bug")])
def test_what_goes_wrong_in_writing_costs_only_its_own_stream(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, broken: Exception
) -> None:
    """The other streams' lines are written."""
    outcome, write = outcome_of(aws, 2), log.lines

    def lines(stream: LogStream, events: Any) -> None:
        if stream.label == "0":
            raise broken
        write(stream, events)

    monkeypatch.setattr(log, "lines", lines)
    written = copied(RestCopy(outcome, aws.clients(), KEY, ManualClock()))
    assert sum(line.startswith("[1]") for line in written) == 20
    assert written[-1].endswith(f"region us-east-1. {broken!r}")


def test_clients_that_cannot_be_made_end_no_task(aws: LocalAws) -> None:
    """Whatever the connection's look-up ends in."""
    outcome = outcome_of(aws, 1)

    def clients(*_: Any, **__: Any) -> Any:
        raise AttributeError("no such hook")

    [line] = copied(RestCopy(outcome, clients, KEY, ManualClock()))
    assert line.endswith("AttributeError('no such hook')")


def test_an_outcome_that_cannot_be_read_ends_no_task() -> None:
    """One of another version, say."""
    outcome = Outcome(job={"job_id": "j", "status": "SUCCEEDED"}, unread=[{"stream": "s"}])
    [line] = copied(RestCopy(outcome, KeyError, KEY))  # type: ignore[arg-type]  # is never called
    assert line == "The rest of the job's log is not copied: KeyError('label')"


@pytest.mark.parametrize("state", ["failed", "success", "restarting"])
def test_a_users_stop_ends_the_copy_and_the_task_at_once(aws: LocalAws, api_server: ApiServer, state: str) -> None:
    """Even while CloudWatch does not answer."""
    outcome = outcome_of(aws, 1)
    aws.fault("FilterLogEvents", "latency", seconds=60)
    api_server.states = {"t": state}
    copy = RestCopy(outcome, aws.clients(), KEY)
    began = time.monotonic()
    with sigterm_after(0.5, copy), pytest.raises(AirflowTaskTerminated, match="stopped by a user"):
        copied(copy)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("failures", [0, 1])
def test_a_worker_that_is_told_to_stop_leaves_the_copy(aws: LocalAws, api_server: ApiServer, failures: int) -> None:
    """The task ends as its job did; the log says where the rest is. No answer of the API server means the same."""
    outcome = outcome_of(aws, 2)
    aws.fault("FilterLogEvents", "latency", seconds=60)
    api_server.states, api_server.failures = {"t": "running"}, failures
    copy = RestCopy(outcome, aws.clients(), KEY)
    with sigterm_after(0.5, copy):
        lines = copied(copy)
    assert [line.partition(". ")[2] for line in lines] == ["InterruptedError('The worker was told to stop.')"] * 2
    with capture_logs() as entries:
        copy.kill()  # once more
    assert not entries


def test_a_task_that_was_stopped_before_copies_nothing(aws: LocalAws, api_server: ApiServer) -> None:
    """SIGTERM may come between any two steps."""
    outcome = outcome_of(aws, 1)
    api_server.states = {"t": "failed"}
    copy = RestCopy(outcome, aws.clients(), KEY)
    copy.kill()
    aws.clear_requests()
    with pytest.raises(AirflowTaskTerminated):
        copied(copy)
    assert not aws.requests("FilterLogEvents")


def test_a_supervisor_that_enforces_execution_timeout_is_told_of_the_copy(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of Airflow 3.4 ends a process that outlives its timeout by a minute; 3.3 knows no such thing."""
    monkeypatch.delattr(comms, "SetExecutionTimeout", raising=False)
    extend_execution_timeout(60)
    assert not api_server.asked
    monkeypatch.setattr(comms, "SetExecutionTimeout", SimpleNamespace, raising=False)
    monkeypatch.setattr(api_server, "send", api_server.asked.append, raising=False)
    extend_execution_timeout(60)
    [told] = api_server.asked
    assert told.timeout_seconds == 60
    monkeypatch.setattr(api_server, "send", None)
    extend_execution_timeout(60)
