"""Arrays, and jobs that wait for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws


NEVER = {"SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0, "RUNNING": 0, "SUCCEEDED": 0, "FAILED": 0}


def statuses(aws: LocalAws, ids: list[str]) -> list[str]:
    """Return the jobs' states."""
    return [aws.job(job_id)["status"] for job_id in ids]


def test_an_array_parent_is_pending_until_its_children_are_final(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """It counts them by status, and fails when one failed."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=10)
    frozen_aws.script(definition="align", array_index=1, running=20, attempts=[3])
    [parent] = frozen_aws.submit("align:1", arrayProperties={"size": 3})
    frozen_aws.advance(6)
    job = frozen_aws.job(parent)
    assert job["status"] == "PENDING"
    assert job["arrayProperties"] == {"size": 3, "statusSummary": {**NEVER, "RUNNING": 3}}
    frozen_aws.advance(10)
    assert frozen_aws.job(parent)["arrayProperties"]["statusSummary"] == {**NEVER, "SUCCEEDED": 2, "RUNNING": 1}
    frozen_aws.advance(20)
    job = frozen_aws.job(parent)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Array Child Job failed")
    ids = [f"{parent}:{index}" for index in range(3)]
    children = frozen_batch.describe_jobs(jobs=ids)["jobs"]
    assert [child["status"] for child in children] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert [child["arrayProperties"]["index"] for child in children] == [0, 1, 2]
    assert [child["container"]["exitCode"] for child in children] == [0, 3, 0]
    assert (job["attempts"], [len(child["attempts"]) for child in children]) == ([], [1, 1, 1])


def test_array_children_know_their_index_and_have_no_tags(aws: LocalAws) -> None:
    """AWS does not hand an array's tags down."""
    aws.register("align", ["sh", "-c", "exit $AWS_BATCH_JOB_ARRAY_INDEX$AWS_BATCH_JOB_ARRAY_SIZE"])
    [parent] = aws.submit("align:1", arrayProperties={"size": 2}, tags={"a": "1"})
    assert aws.wait_for_status(parent)["status"] == "FAILED"
    children = [aws.job(f"{parent}:{index}") for index in range(2)]
    assert [(child["container"]["exitCode"], child["tags"]) for child in children] == [(2, {}), (12, {})]


@pytest.mark.parametrize("seconds", [0, 1, 2, 3, 5, 15])
def test_terminating_an_array_terminates_its_children(frozen_aws: LocalAws, frozen_batch: Any, seconds: int) -> None:
    """Whenever it comes, all are FAILED with the reason, but those that had ended."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=100)
    frozen_aws.script(definition="align", array_index=0, running=5)
    [parent] = frozen_aws.submit("align:1", arrayProperties={"size": 3})
    frozen_aws.advance(seconds)
    frozen_batch.terminate_job(jobId=parent, reason="no longer wanted")
    frozen_aws.advance(3)
    job = frozen_aws.job(parent)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "no longer wanted", True)
    children = [one for one in frozen_aws.jobs() if one["jobId"].startswith(f"{parent}:")]
    ended = {"SUCCEEDED"} if seconds == 15 else set()
    assert {child["status"] for child in children} <= {"FAILED"} | ended
    assert {child["statusReason"] for child in children if child["status"] == "FAILED"} <= {"no longer wanted"}


def test_a_job_waits_for_those_it_depends_on(frozen_aws: LocalAws) -> None:
    """It is PENDING until they have succeeded."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=10)
    first, second = frozen_aws.submit("align:1", count=2)
    frozen_aws.script(definition="align", running=10)
    [last] = frozen_aws.submit("align:1", dependsOn=[{"jobId": first}, {"jobId": second}])
    frozen_aws.advance(12)
    assert frozen_aws.job(last)["status"] == "PENDING"
    frozen_aws.advance(2)
    assert statuses(frozen_aws, [first, second, last]) == ["SUCCEEDED", "SUCCEEDED", "RUNNABLE"]
    assert frozen_aws.job(last)["dependsOn"] == [{"jobId": first}, {"jobId": second}]


def test_a_dependency_may_be_called_sequential(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """With a job's id it is one as any other, for a job alone and for an array; and it can be cancelled."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=10)
    [first] = frozen_aws.submit("align:1")
    waits: list[dict[str, Any]] = [{"jobId": first, "type": "SEQUENTIAL"}]
    alone, cancelled = frozen_aws.submit("align:1", count=2, dependsOn=waits)
    [array] = frozen_aws.submit("align:1", arrayProperties={"size": 2}, dependsOn=waits)
    frozen_aws.advance(5)
    assert statuses(frozen_aws, [alone, cancelled, array]) == ["PENDING"] * 3
    frozen_batch.cancel_job(jobId=cancelled, reason="no longer wanted")
    frozen_aws.advance(20)
    assert statuses(frozen_aws, [alone, cancelled, f"{array}:0", f"{array}:1"]) == [
        "RUNNING",
        "FAILED",
        "RUNNING",
        "RUNNING",
    ]
    assert "logStreamName" not in frozen_aws.job(cancelled)["container"]


def test_a_failed_dependency_fails_what_waits_for_it(frozen_aws: LocalAws) -> None:
    """And what waits for that, and what is submitted later."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", attempts=[1])
    [first] = frozen_aws.submit("align:1")
    [second] = frozen_aws.submit("align:1", dependsOn=[{"jobId": first}])
    [third] = frozen_aws.submit("align:1", dependsOn=[{"jobId": second}])
    frozen_aws.advance(20)
    [late] = frozen_aws.submit("align:1", dependsOn=[{"jobId": first}])
    frozen_aws.advance(20)
    for job_id in (second, third, late):
        job = frozen_aws.job(job_id)
        assert (job["status"], job["statusReason"], job["attempts"]) == ("FAILED", "Dependent Job failed", [])


def test_a_job_cancelled_while_it_waits_ends_when_the_wait_does(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """CancelJob in PENDING takes effect after the dependency has ended; TerminateJob at once."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=100)
    [first] = frozen_aws.submit("align:1")
    cancelled, terminated = frozen_aws.submit("align:1", count=2, dependsOn=[{"jobId": first}])
    frozen_aws.advance(10)
    frozen_batch.cancel_job(jobId=cancelled, reason="cancelled")
    frozen_batch.terminate_job(jobId=terminated, reason="terminated")
    frozen_aws.advance(1)
    assert statuses(frozen_aws, [cancelled, terminated]) == ["PENDING", "FAILED"]
    frozen_aws.advance(100)
    assert frozen_aws.job(cancelled)["statusReason"] == "cancelled"
    assert statuses(frozen_aws, [first, cancelled]) == ["SUCCEEDED", "FAILED"]


@pytest.mark.parametrize(("exit_code", "status"), [(0, "SUCCEEDED"), (1, "FAILED")])
def test_a_dependency_on_a_node_is_one_on_its_job(
    frozen_aws: LocalAws, frozen_batch: Any, exit_code: int, status: str
) -> None:
    """The node itself ends with the other code; a node that the job does not have is no job."""
    container = {"image": "i", "command": ["true"], "vcpus": 1, "memory": 128}
    nodes = {"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:1", "container": container}]}
    frozen_batch.register_job_definition(jobDefinitionName="mesh", type="multinode", nodeProperties=nodes)
    frozen_aws.script(definition="mesh", running=10, attempts=[{"exit_code": exit_code, "parts": {"1": 1 - exit_code}}])
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=1)
    [mesh] = frozen_aws.submit("mesh:1")
    [waits] = frozen_aws.submit("align:1", dependsOn=[{"jobId": f"{mesh}#1"}])
    frozen_aws.advance(5)
    assert frozen_aws.job(waits)["status"] == "PENDING"
    frozen_aws.advance(30)
    assert statuses(frozen_aws, [mesh, waits]) == [status, status]
    for unknown in (f"{mesh}#2", f"{mesh}#", f"{mesh}#x", f"{waits}#0"):
        assert frozen_batch.describe_jobs(jobs=[unknown])["jobs"] == []
        with pytest.raises(frozen_batch.exceptions.ClientException, match="not found"):
            frozen_batch.submit_job(
                jobName="j", jobQueue="default", jobDefinition="align", dependsOn=[{"jobId": unknown}]
            )


def test_an_array_can_run_one_child_after_the_other(frozen_aws: LocalAws) -> None:
    """SEQUENTIAL: each waits for the one before."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=10)
    [parent] = frozen_aws.submit("align:1", arrayProperties={"size": 3}, dependsOn=[{"type": "SEQUENTIAL"}])
    frozen_aws.advance(8)
    ids = [f"{parent}:{index}" for index in range(3)]
    assert statuses(frozen_aws, ids) == ["RUNNING", "PENDING", "PENDING"]
    frozen_aws.advance(14)
    assert statuses(frozen_aws, ids) == ["SUCCEEDED", "RUNNING", "PENDING"]


def test_an_array_can_follow_another_child_by_child(frozen_aws: LocalAws) -> None:
    """N_TO_N: each waits for the other array's child of its index, also where that fails before it has children."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=10)
    frozen_aws.script(definition="align", array_index=1, running=100)
    size = {"size": 2}
    [first] = frozen_aws.submit("align:1", arrayProperties=size)
    [second] = frozen_aws.submit("align:1", arrayProperties=size, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    frozen_aws.advance(20)
    assert statuses(frozen_aws, [f"{second}:0", f"{second}:1"]) == ["RUNNING", "PENDING"]


def test_what_follows_an_array_without_children_fails_with_it(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """An array that is terminated before it has children never will have them."""
    frozen_aws.register("align")
    size = {"size": 2}
    [first] = frozen_aws.submit("align:1", arrayProperties=size)
    [second] = frozen_aws.submit("align:1", arrayProperties=size, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    frozen_batch.terminate_job(jobId=first, reason="r")
    frozen_aws.advance(20)
    assert statuses(frozen_aws, [second, f"{second}:0", f"{second}:1"]) == ["FAILED"] * 3


def test_arrays_of_different_size_cannot_follow_each_other(aws: LocalAws, batch: Any) -> None:
    """N_TO_N needs as many children."""
    [first] = aws.submit(aws.register("align"), arrayProperties={"size": 2})
    with pytest.raises(batch.exceptions.ClientException, match="Array size 3"):
        batch.submit_job(
            jobName="j",
            jobQueue="default",
            jobDefinition="align",
            arrayProperties={"size": 3},
            dependsOn=[{"jobId": first, "type": "N_TO_N"}],
        )
