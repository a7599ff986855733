"""OtherQueue, LongerTimeout, and what all changes have in common: arguments and texts."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from datetime import timedelta
from enum import Enum
from itertools import repeat
from typing import Any

import pytest

from airflow_batch_jobs.batch.cause import Cause
from airflow_batch_jobs.batch.changes.change import check_changes
from airflow_batch_jobs.batch.changes.longer_timeout import LongerTimeout
from airflow_batch_jobs.batch.changes.more_memory import MoreMemory
from airflow_batch_jobs.batch.changes.next_job import NextJob
from airflow_batch_jobs.batch.changes.other_queue import OtherQueue
from tests.batch.changes.applied import OUT, REQUEST, applied, failed, single


def own(**members: Any) -> Any:
    """Return a change of a user's own."""
    return type("Own", (), {"apply": lambda *_: [], **members})()


def test_other_causes_change_nothing() -> None:
    """A change answers what it says."""
    for change in (MoreMemory(), OtherQueue("on-demand"), LongerTimeout()):
        assert applied(change, failed(Cause.EXIT_CODE, Cause.UNKNOWN), single()) == ({}, [])


def test_the_queue_is_replaced_once_a_job_failed_there() -> None:
    """An ARN and a name are the same queue."""
    made, [change] = applied(OtherQueue("on-demand"), failed(Cause.HOST_LOST), single())
    assert made == {"jobQueue": "on-demand"}
    assert change.is_most
    arn = "arn:aws:batch:eu-central-1:123456789012:job-queue/spot"
    assert applied(OtherQueue("on-demand"), failed(Cause.HOST_LOST), single(), jobQueue=arn)[0] == made


def test_a_queue_may_be_an_enum_of_text() -> None:
    """It is the text that AWS and the log are told, not the member's name."""

    class Queue(str, Enum):  # noqa: UP042 - what it is that is tested
        DEMAND = "on-demand"

    made, [change] = applied(OtherQueue(Queue.DEMAND), failed(Cause.HOST_LOST), single())
    assert made == {"jobQueue": "on-demand"}
    assert "jobQueue is on-demand" in str(change)


def test_several_queues_are_taken_one_after_the_other() -> None:
    """The second once a job failed in the first one's."""
    lost = failed(Cause.HOST_LOST) + failed(Cause.CAPACITY, queue="second")
    for failures, queue in ((lost[:1], "second"), (lost, "third")):
        job = NextJob(deepcopy(REQUEST))
        for change in (OtherQueue("second"), OtherQueue("third")):
            list(change.apply(job, failures))
        assert job.request["jobQueue"] == queue


@pytest.mark.parametrize(
    ("definition", "own", "expected"),
    [({"timeout": {"attemptDurationSeconds": 60}}, {}, 120), ({}, {"timeout": {"attemptDurationSeconds": 90}}, 180)],
)
def test_a_timeout_grows_from_the_revisions_or_the_requests(
    definition: dict[str, Any], own: dict[str, Any], expected: int
) -> None:
    """Once for each job that took too long."""
    made, [change] = applied(LongerTimeout(), failed(Cause.TIMEOUT), single(**definition), **own)
    assert made == {"timeout": {"attemptDurationSeconds": expected}}
    assert change.after == f"{expected} s"
    made, [change] = applied(
        LongerTimeout(at_most=timedelta(minutes=3)), failed(*repeat(Cause.TIMEOUT, 3)), single(**definition), **own
    )
    assert made == {"timeout": {"attemptDurationSeconds": 180}}
    assert change.is_most


def test_a_container_is_given_what_has_no_older_field() -> None:
    """A GPU, say, by a change of the user's own."""
    job = NextJob(deepcopy(REQUEST), single())
    job.tasks[0].containers[0].give("GPU", "1")
    assert job.to_api()["containerOverrides"] == {"resourceRequirements": [{"type": "GPU", "value": "1"}]}


def test_what_is_not_known_is_said() -> None:
    """A role that may not look the revision up, and a job without a timeout."""
    notes: list[str] = []
    job = NextJob(deepcopy(REQUEST), {}, notes.append)
    assert list(MoreMemory().apply(job, failed(OUT))) == []
    assert list(LongerTimeout().apply(job, failed(Cause.TIMEOUT))) == []
    assert notes == [
        "MoreMemory changes nothing: the role may not look up the revision, which says what a job has",
        "LongerTimeout changes nothing: nothing says which timeout the job has",
    ]


def test_a_most_below_what_the_job_begins_with_is_told() -> None:
    """It could never give anything."""
    job = NextJob(deepcopy(REQUEST), single(2048, timeout={"attemptDurationSeconds": 600}))
    assert MoreMemory(at_most_mib=4096).check(job) is None
    assert MoreMemory(at_most_mib=1024).check(job) == (
        "MoreMemory(at_most_mib=1024) is below the 2048 MiB that the job begins with; raise it"
    )
    assert LongerTimeout(at_most=timedelta(minutes=5)).check(job) == (
        "LongerTimeout(at_most=0:05:00) is below the 600 s that the job begins with; raise it"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MoreMemory(factor=1), "MoreMemory factor must be above 1, not 1"),
        (lambda: MoreMemory(factor=0.5), "MoreMemory factor must be above 1, not 0.5"),
        (lambda: MoreMemory(factor=float("nan")), "MoreMemory factor must be a number above 0, not nan"),
        (lambda: MoreMemory(at_most_mib=0), "MoreMemory at_most_mib must be a number above 0, not 0"),
        (lambda: MoreMemory(at_most_mib=3), "MoreMemory at_most_mib must be a whole number from 4, not 3"),
        (lambda: MoreMemory(at_most_mib=1.5), "MoreMemory at_most_mib must be a whole number"),  # type: ignore[arg-type]
        (lambda: MoreMemory(after=set()), r"MoreMemory after must be a set of Cause, not set\(\)"),
        (lambda: MoreMemory(after={"out of memory"}), "MoreMemory after must be a set of Cause"),  # type: ignore[arg-type]
        (lambda: OtherQueue(""), "OtherQueue queue must not be empty"),
        (lambda: OtherQueue("{{ var.value.q }}"), "OtherQueue queue must be a name or an ARN, not the template"),
        (lambda: LongerTimeout(factor=-1), "LongerTimeout factor must be a number above 0"),
        (lambda: LongerTimeout(at_most=60), "LongerTimeout at_most must be a timedelta, not 60"),  # type: ignore[arg-type]
        (lambda: MoreMemory(factor="2"), "MoreMemory factor must be a number above 1, not '2'"),  # type: ignore[arg-type]
        (lambda: MoreMemory(factor=timedelta(2)), "MoreMemory factor must be a number above 1, not datetime"),  # type: ignore[arg-type]
        (lambda: LongerTimeout(factor="3"), "LongerTimeout factor must be a number above 1, not '3'"),  # type: ignore[arg-type]
        (lambda: check_changes([own(after=OUT)], "on_retry"), "on_retry: Own.after must be a set of Cause, not <Cause"),
        (
            lambda: check_changes([own(after="timeout")], "on_retry"),
            "on_retry: Own.after must be a set of Cause, not 'ti",
        ),
        (lambda: check_changes([own(after=[])], "on_retry"), r"on_retry: Own.after must be a set of Cause, not \[\]"),
        (lambda: check_changes(MoreMemory(), "on_retry"), "on_retry must be a list of changes such as MoreMemory"),
        (lambda: check_changes([MoreMemory], "on_retry"), "on_retry must have changes such as MoreMemory"),
        (lambda: check_changes(["MoreMemory"], "on_retry"), "on_retry must have changes such as MoreMemory"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(make: Any, message: str) -> None:
    """When the DAG is parsed."""
    with pytest.raises(ValueError, match=message):
        make()


def test_the_text_of_a_change_is_the_same_in_every_process() -> None:
    """It becomes a part of the DAG's version, and the order of a set of these differs from process to process."""
    causes = {Cause.KILLED, Cause.OUT_OF_MEMORY}
    assert str(MoreMemory(after=causes)) == (
        "MoreMemory(factor=2, at_most_mib=None, "
        "after=(<Cause.OUT_OF_MEMORY: 'out of memory'>, <Cause.KILLED: 'killed'>))"
    )


def test_a_change_of_ones_own_has_a_text_without_an_address() -> None:
    """Unless it has one of its own."""
    changes = [own(after={OUT}), own(after={OUT}, __repr__=lambda _: "mine")]
    check_changes(changes, "on_retry")
    assert [str(change) for change in changes] == ["Own()", "mine"]


def test_a_set_of_causes_has_the_same_order_in_every_process() -> None:
    """Its text is a part of that of a dataclass of a user's own."""
    program = "from airflow_batch_jobs.batch.cause import Cause; print(frozenset(Cause))"
    texts = {
        subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_an_override_that_says_nothing_stays_where_it_keeps_another_from_its_nodes() -> None:
    """Of equal ranges the last one counts, however it is written; of others the inner one."""
    said = {"targetNodes": "0:", "containerOverrides": {"command": ["p"]}}
    group = {"targetNodes": "0:", "container": {"image": "i", "command": ["own"]}}
    definition = {"nodeProperties": {"numNodes": 5, "mainNode": 0, "nodeRangeProperties": [group]}}
    for targets in ("0:", "0:4", "00:"):
        silent = {"targetNodes": targets}
        for given, kept in (([said, silent], [said, silent]), ([silent, said], [said])):
            made = NextJob({"nodeOverrides": {"nodePropertyOverrides": deepcopy(given)}}, definition).to_api()
            assert made["nodeOverrides"]["nodePropertyOverrides"] == kept


def test_only_the_container_that_a_failure_names_is_meant() -> None:
    """In whichever task of the job, or of its node, it runs; all of them if none has its name."""
    tasks = [{"containers": [{"name": name, "image": "i"}]} for name in ("a", "b")]
    plain: dict[str, Any] = {"ecsProperties": {"taskProperties": tasks}}
    ranges = [{"targetNodes": "0:", **plain}]
    of_nodes = {"nodeProperties": {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}}
    for definition, node in ((plain, None), (of_nodes, 1)):
        for named, meant in (("a", ["a"]), ("b", ["b"]), ("", ["a", "b"])):
            [failure] = failed(OUT, container=named, node=node)
            found = NextJob(dict(REQUEST), definition).containers(failure)
            assert [container.name for _, container in found] == meant
