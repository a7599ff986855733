"""The states a job passes through, and the times it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local import LocalAws

if TYPE_CHECKING:
    import pytest

STATES = ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def walk(aws: LocalAws, job_id: str, seconds: int) -> list[str]:
    """Return the state at each of these seconds."""
    seen = []
    for _ in range(seconds):
        seen.append(aws.job(job_id)["status"])
        aws.advance(1)
    return seen


def test_a_job_walks_through_all_states(frozen_aws: LocalAws) -> None:
    """A second in each state it passes, and as long in RUNNING as the script says."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=2)
    [job_id] = frozen_aws.submit("align:1")
    assert walk(frozen_aws, job_id, 6) == [*STATES[:4], "RUNNING", "SUCCEEDED"]


def test_pending_is_for_jobs_that_wait_for_others(frozen_aws: LocalAws) -> None:
    """And for the parents of arrays, and their children at first; what has already succeeded is not waited for."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=2)
    [first] = frozen_aws.submit("align:1")
    [waiting] = frozen_aws.submit("align:1", dependsOn=[{"jobId": first}])
    [parent] = frozen_aws.submit("align:1", arrayProperties={"size": 2})
    assert walk(frozen_aws, waiting, 8) == ["SUBMITTED", *["PENDING"] * 5, "RUNNABLE", "STARTING"]
    assert frozen_aws.job(parent)["status"] == "SUCCEEDED"
    [late] = frozen_aws.submit("align:1", dependsOn=[{"jobId": first}])
    assert walk(frozen_aws, late, 2) == ["SUBMITTED", "RUNNABLE"]


def test_times_are_those_of_the_steps(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """createdAt, startedAt and stoppedAt are milliseconds, and the attempt has the same."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", submitted=0.5, pending=0, runnable=120, starting=2.25, running=30)
    [job_id] = frozen_aws.submit("align:1")
    created = round(frozen_aws.now() * 1000)
    frozen_aws.advance(1000)
    [job] = frozen_batch.describe_jobs(jobs=[job_id])["jobs"]
    assert (job["createdAt"], job["startedAt"], job["stoppedAt"]) == (created, created + 122_750, created + 152_750)
    [attempt] = job["attempts"]
    assert (attempt["startedAt"], attempt["stoppedAt"]) == (job["startedAt"], job["stoppedAt"])


def test_a_waiting_job_says_why(frozen_aws: LocalAws) -> None:
    """The script's reason is there in RUNNABLE, and not in the next state."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", runnable=60, runnable_reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    [job_id] = frozen_aws.submit("align:1")
    frozen_aws.advance(2)
    assert frozen_aws.job(job_id)["statusReason"].startswith("CAPACITY:")
    frozen_aws.advance(60)
    assert "statusReason" not in frozen_aws.job(job_id)


def test_jobs_wait_in_runnable_for_a_slot() -> None:
    """With one slot, the second job starts when the first has ended, and the queue's snapshot shows it."""
    with LocalAws(slots=1, step_seconds=1.0, is_frozen=True) as aws:
        aws.register("align")
        aws.script(definition="align", running=10, uses_slot=True)
        first, second, third = aws.submit("align:1", count=3)
        aws.advance(6)
        assert [aws.job(job_id)["status"] for job_id in (first, second, third)] == ["RUNNING", "RUNNABLE", "RUNNABLE"]
        snapshot = aws.clients()("batch").get_job_queue_snapshot(jobQueue="default")["frontOfQueue"]
        assert [one["jobArn"].rpartition("/")[2] for one in snapshot["jobs"]] == [second, third]
        aws.advance(10)
        assert [aws.job(job_id)["status"] for job_id in (first, second, third)] == ["SUCCEEDED", "RUNNING", "RUNNABLE"]


def front(aws: LocalAws) -> dict[str, float]:
    """Return the ids of the jobs at the front of the queue, and for how many seconds each has had its place."""
    snapshot = aws.clients()("batch").get_job_queue_snapshot(jobQueue="default")["frontOfQueue"]
    since = {one["jobArn"].rpartition("/")[2]: one["earliestTimeAtPosition"] for one in snapshot["jobs"]}
    return {job_id: (snapshot["lastUpdatedAt"] - moment) / 1000 for job_id, moment in since.items()}


def test_a_snapshot_says_since_when_a_job_has_its_place() -> None:
    """It changes when one ahead of it starts, is ended, or comes back for another attempt."""
    with LocalAws(slots=1, step_seconds=1.0, is_frozen=True) as aws:
        aws.register("align")
        aws.script(definition="align", running=10, uses_slot=True, attempts=[1, 0])
        first, second, third, fourth = aws.submit("align:1", count=4)
        aws.advance(6)
        assert list(front(aws).items()) == [(second, 4.0), (third, 4.0), (fourth, 4.0)]
        aws.clients()("batch").terminate_job(jobId=third, reason="r")
        aws.advance(3)
        assert list(front(aws).items()) == [(second, 7.0), (fourth, 2.0)]
        aws.advance(5)
        assert list(front(aws).items()) == [(first, 1.0), (fourth, 1.0)]


def test_a_snapshot_shows_whatever_is_runnable(frozen_aws: LocalAws) -> None:
    """The children of an array, not their parent; nothing that waits for others; a hundred at most."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", runnable=60)
    [single] = frozen_aws.submit("align:1")
    [array] = frozen_aws.submit("align:1", arrayProperties={"size": 120})
    frozen_aws.submit("align:1", dependsOn=[{"jobId": single}])
    frozen_aws.advance(10)
    assert list(front(frozen_aws)) == [single, *(f"{array}:{index}" for index in range(99))]


def test_time_can_be_advanced_while_it_runs(aws: LocalAws) -> None:
    """An hour of a script passes at once."""
    aws.register("align")
    aws.script(definition="align", running=3600)
    [job_id] = aws.submit("align:1")
    aws.wait_for_status(job_id, "RUNNING")
    aws.advance(3600)
    assert aws.job(job_id)["status"] == "SUCCEEDED"


def test_thousands_of_scripted_jobs_keep_their_intervals(frozen_aws: LocalAws) -> None:
    """Each ends to the millisecond when its script says."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=7)
    frozen_aws.submit("align:1", count=2000)
    frozen_aws.advance(10)
    spans = {(job["status"], job["stoppedAt"] - job["createdAt"]) for job in frozen_aws.jobs()}
    assert spans == {("SUCCEEDED", 10_000)}


def test_the_newest_script_that_is_for_a_job_counts(frozen_aws: LocalAws) -> None:
    """Scripts are for a definition, one revision of it, or a beginning of the job's name."""
    frozen_aws.register("align")
    frozen_aws.register("align")
    frozen_aws.script(running=5)
    frozen_aws.script(definition="align:2", running=6)
    frozen_aws.script(job_name="slow", running=60)
    given: list[tuple[str, str, int]] = [("align:1", "j", 5), ("align:2", "j", 6), ("align:2", "slow-1", 60)]
    ids = [frozen_aws.submit(definition, jobName=name)[0] for definition, name, _ in given]
    frozen_aws.advance(100)
    jobs = [frozen_aws.job(job_id) for job_id in ids]
    assert [(job["stoppedAt"] - job["startedAt"]) // 1000 for job in jobs] == [seconds for *_, seconds in given]


def test_real_time_walks_by_itself(aws: LocalAws, capfd: pytest.CaptureFixture[str]) -> None:
    """Without anyone asking, a job gets through; and nothing is printed."""
    [job_id] = aws.submit(aws.register("quick"))
    assert aws.wait_for_status(job_id)["status"] == "SUCCEEDED"
    assert capfd.readouterr() == ("", "")
