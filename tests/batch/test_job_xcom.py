"""The XCom `batch_job`: what it says of jobs of every shape, what it carries on, and how large it gets."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.job_history import joined, noted
from airflow_batch_jobs.batch.job_xcom import MOST_BYTES, carried_on, fitted, is_older, job_xcom, stopped
from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.xcoms import JOB_XCOM
from tests.batch.conftest import ACCOUNT, CREATED, JOB_ID, REGION, Entries, milliseconds
from tests.batch.test_storable import anything, assert_storable, odd_entries

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_batch_jobs.batch.job_history import SeenState

#: A value as version 0.1.0 wrote it.
FIRST: dict[str, Any] = {
    "job_id": JOB_ID,
    "job_name": "align",
    "definition": f"{ACCOUNT}:job-definition/align-reads:7",
    "queue": f"{ACCOUNT}:job-queue/science",
    "region": REGION,
    "status": "SUBMITTED",
    "status_reason": "",
    "exit_code": None,
    "attempts": 0,
    "created_at": "2026-11-23T06:00:00.000+00:00",
    "started_at": None,
    "stopped_at": None,
    "log_streams": [{"label": "", "group": "/aws/batch/job", "region": REGION, "stream": "align/default/1"}],
    "try_number": 1,
    "max_tries": 0,
}


def after(seconds: float) -> datetime:
    """Return the time this many seconds after the submit."""
    return CREATED + timedelta(seconds=seconds)


def told(entry: dict[str, Any], seconds: float = 300, **known: Any) -> dict[str, Any]:
    """Return the value for an entry that AWS was asked for so long after the submit."""
    return job_xcom(Entries().read(entry), after(seconds), **known)


def test_its_name_is_stored() -> None:
    """Links, stops and the UI find it by that."""
    assert JOB_XCOM == "batch_job"


def test_the_value_keeps_its_stored_form(entries: Entries) -> None:
    """The UI, links and downstream tasks read these fields; docs/batch-job-xcom.md documents them."""
    entry = entries.single(
        statusReason="Essential container in task exited",
        tags={"team": "genomics"},
        retryStrategy={"attempts": 3},
        timeout={"attemptDurationSeconds": 3600},
    )
    stream = {
        "label": "",
        "group": "/aws/batch/job",
        "region": REGION,
        "stream": "align/default/1",
        "started_at": "2026-11-23T06:00:12.000+00:00",
    }
    assert json.loads(json.dumps(told(entry))) == {
        "job_id": JOB_ID,
        "job_name": "align",
        "definition": f"{ACCOUNT}:job-definition/align-reads:7",
        "queue": f"{ACCOUNT}:job-queue/science",
        "region": REGION,
        "kind": "single",
        "status": "SUCCEEDED",
        "status_reason": "Essential container in task exited",
        "as_of": "2026-11-23T06:05:00.000+00:00",
        "exit_code": 0,
        "created_at": "2026-11-23T06:00:00.000+00:00",
        "started_at": "2026-11-23T06:00:12.000+00:00",
        "stopped_at": "2026-11-23T06:03:20.000+00:00",
        "history": [
            {"status": "SUBMITTED", "reason": "", "at": "2026-11-23T06:00:00.000+00:00"},
            {
                "status": "SUCCEEDED",
                "reason": "Essential container in task exited",
                "at": "2026-11-23T06:03:20.000+00:00",
            },
        ],
        "attempts": [
            {
                "number": 1,
                "started_at": "2026-11-23T06:00:12.000+00:00",
                "stopped_at": "2026-11-23T06:03:20.000+00:00",
                "exit_code": 0,
                "reason": "Essential container in task exited",
                "log_streams": [stream],
            }
        ],
        "max_attempts": 3,
        "timeout_seconds": 3600,
        "resources": {
            "vcpus": 1.0,
            "memory_mib": 512,
            "gpus": 0,
            "image": "images/align:1",
            "platform": "EC2",
            "instance_type": None,
        },
        "vcpu_hours": 0.0522,
        "gb_hours": 0.0261,
        "array_size": None,
        "nodes": None,
        "children": {},
        "failed_children": [],
        "diagnosis": None,
        "why_waiting": None,
        "is_terminated": False,
        "stop_reason": None,
        "log_streams": [stream],
        "tags": {"team": "genomics"},
    }


def test_a_failure_has_its_cause_and_its_remedy(entries: Entries) -> None:
    """In the words of the task's error."""
    value = told(entries.failed(137, "OutOfMemoryError: Container killed due to memory usage"))
    assert value["diagnosis"]["cause"] == "out of memory"
    assert "ran out of memory" in value["diagnosis"]["summary"]
    assert "512 MiB" in value["diagnosis"]["remedy"]
    assert value["attempts"][0]["reason"].startswith("OutOfMemoryError")


def test_a_reason_to_wait_is_told_at_once_and_with_since_when(entries: Entries) -> None:
    """Without the minutes, which a reader counts; and no more once the job runs."""
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - it asks for more than any instance has"
    history: tuple[SeenState, ...] = ()
    for seconds, why in ((10, ""), (70, reason)):
        history = noted(history, entries.read(entries.waiting(statusReason=why)), after(seconds))
    waiting = told(entries.waiting(statusReason=reason), 80, history=history)["why_waiting"]
    assert (waiting["cause"], waiting["reason"]) == ("misconfiguration", reason)
    assert waiting["since"] == "2026-11-23T06:00:10.000+00:00"
    assert " min" not in waiting["summary"]
    assert told(entries.running(), 90)["why_waiting"] is None
    unheard_of = told(entries.waiting(statusReason="The moon is in the way"), 80)["why_waiting"]
    assert (unheard_of["cause"], unheard_of["reason"]) == ("waiting", "The moon is in the way")


def test_a_job_that_waits_without_a_reason_says_so_after_half_an_hour(entries: Entries) -> None:
    """Before that it is just the queue."""
    history = noted((), entries.read(entries.waiting()), after(0))
    assert told(entries.waiting(), 1700, history=history)["why_waiting"] is None
    assert told(entries.waiting(), 1900, history=history)["why_waiting"]["cause"] == "waiting"


def test_a_job_that_waits_for_another_says_for_which(entries: Entries) -> None:
    """A dependency is a reason although AWS gives none."""
    value = told(entries.waiting("PENDING", dependsOn=[{"jobId": "upstream"}]))
    assert value["why_waiting"]["cause"] == "dependency pending"
    assert "upstream" in value["why_waiting"]["summary"]


@pytest.mark.parametrize(
    ("listed", "runs"),
    [
        pytest.param([], [(1, 612, None)], id="the first, which AWS does not list yet"),
        pytest.param([1], [(1, 12, 200), (2, 612, None)], id="the second"),
        pytest.param([1, 2], [(1, 12, 200), (2, 312, 500), (3, 612, None)], id="the third"),
    ],
)
@pytest.mark.parametrize("stream", ["align/default/9", ""])
def test_the_attempt_that_runs_is_among_the_attempts(
    entries: Entries, listed: list[int], runs: list[tuple[int, float, float | None]], stream: str
) -> None:
    """Whether its log stream is known or not."""
    container = entries.container(**({"logStreamName": stream} if stream else {}))
    attempts = [entries.attempt(number) for number in listed]
    value = told(entries.running(startedAt=milliseconds(612), attempts=attempts, container=container), 3612)
    iso = [(n, after(begun), None if ended is None else after(ended)) for n, begun, ended in runs]
    assert [(each["number"], each["started_at"], each["stopped_at"]) for each in value["attempts"]] == [
        (n, begun.isoformat(timespec="milliseconds"), ended and ended.isoformat(timespec="milliseconds"))
        for n, begun, ended in iso
    ]
    assert [each["stream"] for each in value["attempts"][-1]["log_streams"]] == ([stream] if stream else [])
    seconds = 3000 + 188 * len(listed)
    assert value["vcpu_hours"] == pytest.approx(seconds / 3600, abs=1e-4)
    assert value["gb_hours"] == pytest.approx(seconds / 3600 / 2, abs=1e-4)


@pytest.mark.parametrize(
    ("container", "vcpus", "memory_mib", "gpus"),
    [
        ({"vcpus": 2, "memory": 4096}, 2, 4096, 0),
        (
            {
                "vcpus": 0,
                "memory": 0,
                "resourceRequirements": [
                    {"type": "VCPU", "value": "0.25"},
                    {"type": "MEMORY", "value": "512"},
                    {"type": "GPU", "value": "2"},
                ],
            },
            0.25,
            512,
            2,
        ),
        ({"vcpus": 1}, 1, None, 0),
        ({"vcpus": "many", "memory": "plenty"}, None, None, 0),
        ({}, None, None, 0),
    ],
)
def test_resources_are_what_the_job_asks_for(
    entries: Entries, container: dict[str, Any], vcpus: float | None, memory_mib: int | None, gpus: int
) -> None:
    """What it does not say, or not in numbers, is left out, and so are hours of it."""
    entry = entries.single(container={"image": "i", **container}, platformCapabilities=["FARGATE"])
    value = told(entry)
    resources = value["resources"]
    assert (resources["vcpus"], resources["memory_mib"], resources["gpus"]) == (vcpus, memory_mib, gpus)
    assert resources["platform"] == "FARGATE"
    assert (value["vcpu_hours"] is None, value["gb_hours"] is None) == (vcpus is None, memory_mib is None)


def test_the_resources_of_several_containers_are_their_sum(entries: Entries) -> None:
    """Of those that run beside each other: a pod's init containers have ended by then."""
    needs = [{"type": "VCPU", "value": "0.5"}, {"type": "MEMORY", "value": "1024"}]
    results: dict[str, dict[str, Any]] = {
        "main": {"exitCode": 0, "resourceRequirements": needs},
        "side": {"resourceRequirements": needs},
    }
    assert told(entries.multi_container(results))["resources"] | {"image": ""} == {
        "vcpus": 1.0,
        "memory_mib": 2048,
        "gpus": 0,
        "image": "",
        "platform": "EC2",
        "instance_type": None,
    }
    one_is_silent = told(entries.multi_container({**results, "third": {}}))
    assert (one_is_silent["resources"]["vcpus"], one_is_silent["gb_hours"]) == (None, None)
    limits = {"cpu": "500m", "memory": "2Gi", "nvidia.com/gpu": "1"}
    container = {"name": "main", "image": "i", "resources": {"limits": limits}}
    first = {"name": "first", "image": "i", "resources": {"requests": {"cpu": "4", "memory": "64Mi"}}}
    pod = {"podProperties": {"containers": [container], "initContainers": [first]}}
    resources = told(entries.eks(eksProperties=pod))["resources"]
    assert (resources["vcpus"], resources["memory_mib"], resources["gpus"]) == (0.5, 2048, 1)
    assert resources["platform"] == "EKS"


def test_the_hours_of_an_array_are_its_childrens(entries: Entries) -> None:
    """Once each child's end is known; before that nobody knows them."""
    children = [entries.read(entries.child(index)) for index in range(3)]
    whole = entries.array({"SUCCEEDED": 3}, status="SUCCEEDED")
    assert told(whole, parts=children)["vcpu_hours"] == pytest.approx(3 * 188 / 3600, abs=1e-4)
    assert told(whole, parts=children[:2])["vcpu_hours"] is None
    running = entries.array({"SUCCEEDED": 2, "RUNNING": 1})
    assert told(running, parts=children)["vcpu_hours"] is None
    assert told(whole, parts=children)["resources"]["vcpus"] == 1


def test_an_array_runs_from_the_start_of_its_first_child(entries: Entries) -> None:
    """In whichever attempt; not as long as a child that may have been the first was not described."""
    retried = [entries.attempt(1), entries.attempt(2)]
    children = [
        entries.read(entries.child(0, entries.running(startedAt=milliseconds(40)))),
        entries.read(entries.child(1, entries.running(startedAt=milliseconds(312), attempts=retried))),
        entries.read(entries.child(2, entries.waiting())),
    ]
    running = entries.array({"RUNNING": 2, "RUNNABLE": 1})
    assert told(running, parts=children)["started_at"] == "2026-11-23T06:00:12.000+00:00"
    assert told(running, parts=children[:1])["started_at"] is None
    assert told(entries.array({"RUNNABLE": 3}), parts=children[2:])["started_at"] is None
    failed = [entries.read(entries.child(index, entries.failed())) for index in range(2)]
    ended = entries.array({"FAILED": 2, "SUCCEEDED": 1}, status="FAILED", stoppedAt=milliseconds(250))
    assert told(ended, parts=failed)["started_at"] is None
    assert told(ended, parts=[*failed, entries.read(entries.child(2))])["started_at"] == "2026-11-23T06:00:12.000+00:00"
    assert told({**ended, "startedAt": milliseconds(5)})["started_at"] == "2026-11-23T06:00:05.000+00:00"


def test_the_start_of_an_array_is_known_for_good(entries: Entries) -> None:
    """Also to a triggerer that takes over, and to whoever asked for the failed children alone."""
    child = entries.read(entries.child(0, entries.running()))
    before, after_it = told(entries.array({"RUNNING": 1}), parts=[child]), told(entries.array({"RUNNING": 1}), 310)
    assert after_it["started_at"] is None
    assert carried_on(after_it, before)["started_at"] == "2026-11-23T06:00:12.000+00:00"
    assert carried_on(after_it, {**before, "started_at": "soon"})["started_at"] is None
    waits = told(entries.waiting(), 310)
    assert carried_on(waits, {**waits, "started_at": before["started_at"]})["started_at"] is None


def test_the_hours_of_several_nodes_are_theirs(entries: Entries) -> None:
    """What the parent asks for is each node's own matter."""
    nodes = [entries.read(entries.node(index)) for index in range(2)]
    value = told(entries.multi_node(2, status="SUCCEEDED"), parts=nodes)
    assert value["resources"] is None
    assert value["vcpu_hours"] == pytest.approx(2 * 188 / 3600, abs=1e-4)


def test_the_first_failed_children_have_their_reasons_and_logs(entries: Entries) -> None:
    """Of more it has their number."""
    failed = [entries.read(entries.child(index, entries.failed(index + 1, "out of luck"))) for index in range(30)]
    value = told(entries.array({"FAILED": 40, "SUCCEEDED": 1}, status="FAILED"), parts=failed)
    assert value["children"] == {"FAILED": 40, "SUCCEEDED": 1}
    assert len(value["failed_children"]) == 20
    assert value["failed_children_left_out"] == 20
    first = value["failed_children"][0]
    assert (first["job_id"], first["index"], first["exit_code"]) == (f"{JOB_ID}:0", 0, 1)
    assert first["reason"] == "out of luck"
    assert first["log_stream"]["stream"] == "align/default/1"
    assert first["log_stream"]["label"] == "child 0"


def test_the_value_has_the_streams_of_the_parts(entries: Entries) -> None:
    """An array parent's lists its children's streams; of hundreds the newest and a count."""
    streams = [LogStream(f"child {n}", "/aws/batch/job", REGION, f"align/default/{n:032}") for n in range(10_000)]
    value = told(entries.array({"RUNNING": 4}, statusReason=f"begin {'x' * 100_000} end"), log_streams=streams)
    assert len(json.dumps(value)) < 24 * 1024
    assert value["log_streams"][-1]["label"] == "child 9999"
    assert value["log_streams_left_out"] + len(value["log_streams"]) == 10_000
    assert value["status_reason"].startswith("begin")
    assert value["status_reason"].endswith("end")
    assert (value["started_at"], value["exit_code"]) == (None, None)


def test_a_job_that_was_terminated_says_so_before_aws_does(entries: Entries) -> None:
    """With the reason that AWS was given; a job that had ended by then keeps its own end."""
    reason = "Airflow task stopped by a user: now failed"
    value = stopped(told(entries.running()), reason)
    assert (value["status"], value["is_terminated"], value["stop_reason"]) == ("RUNNING", True, reason)
    assert value["diagnosis"]["cause"] == "terminated"
    assert reason in value["diagnosis"]["summary"]
    ended = told(entries.single())
    assert stopped(ended, reason) == ended
    at_last = told(entries.failed(137, isTerminated=True, statusReason=reason))
    assert at_last["diagnosis"] == value["diagnosis"] | {"summary": at_last["diagnosis"]["summary"]}
    assert at_last["stop_reason"] == reason
    assert stopped(FIRST, reason)["stop_reason"] == reason


def test_history_is_dated_as_aws_dates_it(entries: Entries) -> None:
    """What AWS does not date has the time at which it was seen; nothing that is seen twice comes twice."""
    seen: tuple[SeenState, ...] = ()
    for seconds, entry in (
        (2, entries.waiting("SUBMITTED")),
        (5, entries.waiting("RUNNABLE")),
        (8, entries.waiting("RUNNABLE")),
        (11, entries.waiting("STARTING")),
        (15, entries.running()),
        (205, entries.waiting("RUNNABLE", attempts=[entries.attempt()], startedAt=milliseconds(12))),
        (215, entries.running(startedAt=milliseconds(210))),
        (500, entries.single(stoppedAt=milliseconds(490))),
    ):
        seen = noted(seen, entries.read(entry), after(seconds))
    assert [(each["status"], each["at"][14:19]) for each in seen] == [
        ("SUBMITTED", "00:00"),
        ("RUNNABLE", "00:05"),
        ("STARTING", "00:11"),
        ("RUNNING", "00:12"),
        ("RUNNABLE", "03:25"),
        ("RUNNING", "03:30"),
        ("SUCCEEDED", "08:10"),
    ]


def test_a_takeover_carries_the_history_on(entries: Entries) -> None:
    """What the successor saw again counts once, and what it never saw is kept."""
    first = noted(noted((), entries.read(entries.waiting()), after(5)), entries.read(entries.running()), after(15))
    second = noted((), entries.read(entries.running()), after(60))
    stored = {**told(entries.running(), 15, history=first), "changes": [{"field": "memory"}], "try_number": 1}
    value = carried_on(told(entries.running(), 60, history=second), stored)
    assert [each["status"] for each in value["history"]] == ["SUBMITTED", "RUNNABLE", "RUNNING"]
    assert value["changes"] == [{"field": "memory"}]
    assert value["as_of"] == "2026-11-23T06:01:00.000+00:00"
    assert carried_on(value, value) == value
    other = carried_on(value, {**stored, "job_id": "another"})
    assert other == value


def test_a_value_of_an_earlier_version_is_carried_on(entries: Entries) -> None:
    """It knows no history; attempts were a number."""
    value = told(entries.running())
    assert carried_on(value, FIRST) == value
    assert not is_older(value, FIRST)


def test_a_value_from_before_is_older(entries: Entries) -> None:
    """A triggerer that stalled does not put the clock back; of another job nothing is older."""
    before, now = told(entries.waiting(), 10), told(entries.running(), 20)
    assert is_older(before, now)
    assert not is_older(now, before)
    assert not is_older(now, now)
    assert not is_older(before, {**now, "job_id": "another"})


@given(odd_entries(), st.lists(odd_entries(), max_size=3), anything, st.text(max_size=300))
def test_the_value_of_any_job_is_small_and_can_be_stored(
    entry: dict[str, Any], parts: list[dict[str, Any]], stored: Any, reason: str
) -> None:
    """Whatever AWS says, whatever was there, however it was stopped."""
    detail = JobDetail.from_response(entry, REGION)
    seen = noted((), detail, after(1))
    read = [JobDetail.from_response(part, REGION) for part in parts]
    value = job_xcom(detail, after(2), history=seen, parts=read)
    assert assert_storable(value) <= MOST_BYTES
    for there in (stored, {"job_id": value["job_id"], "history": stored, "changes": stored, "as_of": stored}):
        assert not is_older(value, there)
        assert assert_storable(carried_on(value, there)) <= MOST_BYTES
        assert assert_storable(stopped(carried_on(value, there), reason)) <= MOST_BYTES


wide = st.sampled_from(["\U0001f600", "x", "\\", "é"])


@settings(max_examples=30, deadline=None)
@given(wide, st.integers(0, 2_048), st.integers(0, 30), st.integers(0, 3_000), st.integers(0, 200))
def test_the_largest_job_is_below_48_kib(letter: str, length: int, attempts: int, children: int, changes: int) -> None:
    """Long texts of letters that take twelve bytes each, in all places at once."""
    entries, words = Entries(), letter * length
    container = {"logStreamName": words, "reason": words}
    entry = entries.failed(
        1,
        words,
        statusReason=words,
        jobName=words,
        tags={f"{number}{words}": words for number in range(50)},
        attempts=[{**entries.attempt(number, **container), "statusReason": words} for number in range(1, attempts + 1)],
    )
    failed = entries.read(entries.child(1, entries.failed(1, words, container={"image": words, **container})))
    streams = [LogStream(words, words, REGION, f"{n}{words}") for n in range(children)]
    history = [{"status": "RUNNABLE", "reason": words[:300], "at": after(n).isoformat()} for n in range(changes)][-50:]
    detail = entries.read(entry)
    value = job_xcom(detail, after(0), history=history, log_streams=streams, parts=[failed] * min(children, 100))
    assert assert_storable({**value, "try_number": 10**9, "max_tries": 10**9}) < 48 * 1024
    assert value["job_id"] == JOB_ID


@given(st.dictionaries(st.sampled_from(["history", "attempts", "log_streams", "x"]), anything), st.integers(200, 5_000))
def test_any_value_fits(value: dict[str, Any], most: int) -> None:
    """Id and status are kept."""
    kept = fitted({**value, "job_id": "1a2b", "status": "RUNNING"}, most)
    assert assert_storable(kept) <= most
    assert (kept["job_id"], kept["status"]) == ("1a2b", "RUNNING")


changes = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.sampled_from([status.value for status in JobStatus]),
            "reason": st.sampled_from(["", "why"]),
            "at": st.integers(0, 5).map(lambda second: after(second).isoformat(timespec="milliseconds")),
        }
    ),
    max_size=6,
)


@given(changes | anything, changes)
def test_joining_histories_is_done_once(earlier: Any, later: list[dict[str, str]]) -> None:
    """However often a value is written over itself; times never run backwards, and nothing comes twice in a row."""
    whole = joined(earlier, later)
    assert joined(whole, later) == whole
    assert joined(whole, whole) == whole
    times = [each["at"] for each in whole]
    assert times == sorted(times)
    pairs = [(each["status"], each["reason"]) for each in whole]
    assert all(one != next_one for one, next_one in pairwise(pairs))


@given(st.lists(st.tuples(st.sampled_from(["RUNNABLE", "STARTING", "RUNNING"]), st.integers(-100, 400)), max_size=80))
def test_a_history_runs_forwards_whatever_clocks_say(looks: list[tuple[str, int]]) -> None:
    """And keeps the newest fifty."""
    history: tuple[SeenState, ...] = ()
    entries = Entries()
    for number, (status, seconds) in enumerate(looks):
        entry = entries.waiting(status, statusReason=str(number % 3), startedAt=milliseconds(12))
        history = noted(history, entries.read(entry), after(seconds))
    times = [each["at"] for each in history]
    assert times == sorted(times)
    assert len(history) <= 50
