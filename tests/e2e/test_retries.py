"""Retries that know why, in a real Airflow: what is tried again, how soon, and with what."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalControl
    from tests.e2e.runs import Run


def jobs_of(cloud: LocalControl, run: Run) -> list[dict[str, Any]]:
    """Return the jobs of a run, oldest first."""
    return [job for job in cloud.jobs() if job.get("tags", {}).get("airflow-run-id") == run.run_id]


def reasons(run: Run, try_number: int) -> list[str]:
    """Return the reasons of the policy's decisions in the log of an attempt."""
    return [str(entry["reason"]) for entry in run.log(try_number) if entry["event"] == "Retry policy decision"]


def test_a_job_that_needs_3_gib_passes_with_4_at_its_third_attempt(
    unmeasured: dict[str, Run], cloud: LocalControl
) -> None:
    """It begins with 1; the log says each time why, and the XCom and the rendered fields what was changed."""
    run = unmeasured["hungry"]
    assert run.wait_for_end(seconds=300) == "success"
    jobs = jobs_of(cloud, run)
    memory = [
        next(one["value"] for one in job["container"]["resourceRequirements"] if one["type"] == "MEMORY")
        for job in jobs
    ]
    assert memory == ["1024", "2048", "4096"]
    for number, (before, job) in enumerate(zip(memory, jobs[:2], strict=False), 1):
        assert reasons(run, number) == ["out of memory, for which on_retry has MoreMemory; tried again at once"]
        assert f"it has {before} MiB" in str(run.log(number))
        assert f"out of memory in job {job['jobId']}" in run.text(number + 1)
    [change] = run.job()["changes"]
    assert (change["before"], change["after"]) == ("1024 MiB", "4096 MiB")
    fields = run.about()["rendered_fields"]
    assert "4096 MiB, not 1024 MiB" in str(fields["on_retry"])
    assert "4096" in str(fields["container_overrides"])


def test_an_image_that_does_not_exist_fails_once(unmeasured: dict[str, Run], cloud: LocalControl) -> None:
    """With three retries left."""
    run = unmeasured["without_an_image"]
    assert run.wait_for_end(seconds=300) == "failed"
    assert run.about()["try_number"] == 1
    assert len(jobs_of(cloud, run)) == 1
    assert reasons(run, 1) == ["image not found, which lasts until something is changed; not tried again"]
    assert "ImageError" in str(run.log())


def test_a_lost_host_goes_to_the_other_queue_within_seconds(unmeasured: dict[str, Run], cloud: LocalControl) -> None:
    """Airflow's own delay would be five minutes."""
    run = unmeasured["on_spot"]
    assert run.wait_for_end(seconds=300) == "success"
    first, second = jobs_of(cloud, run)
    assert [job["jobQueue"].rpartition("/")[2] for job in (first, second)] == ["default", "on-demand"]
    assert (second["createdAt"] - first["stoppedAt"]) / 1000 < 240
    [change] = run.job()["changes"]
    assert (change["after"], change["by"]) == ("on-demand", "OtherQueue")
    assert datetime.fromisoformat(run.job()["created_at"]).timestamp() * 1000 == second["createdAt"]
