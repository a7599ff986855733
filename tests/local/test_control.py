"""The control surface: in this process and over HTTP, the same."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.local import LocalAws, LocalControl
from airflow_batch_jobs.local.scripted import Delivery, ScriptedAttempt, ScriptedLines

if TYPE_CHECKING:
    from airflow_batch_jobs.local import Control


@pytest.fixture(params=["in process", "over HTTP"])
def control(request: pytest.FixtureRequest, frozen_aws: LocalAws) -> Control:
    """The same endpoint, driven both ways."""
    if request.param == "in process":
        return frozen_aws
    return LocalControl(frozen_aws.endpoint_url, frozen_aws.access_key)


def test_everything_can_be_driven(control: Control) -> None:
    """Register, script, submit, wait, look, fault, forget."""
    reference = control.register("align", ["true"], parameters={"a": "1"})
    assert reference == "align:1"
    control.script(
        definition="align",
        running=5,
        attempts=[ScriptedAttempt(exit_code=2), {"exit_code": 0}],
        lines=ScriptedLines(texts=("a", "b"), offsets=(0, 1)),
        delivery=Delivery(delay=1),
    )
    before = control.now()
    first, second = control.submit(reference, count=2, jobName="mine", tags={"t": "1"})
    control.advance(4)
    assert control.now() == before + 4
    assert control.wait_for_status(first, "RUNNING")["status"] == "RUNNING"
    control.advance(4)
    control.wait_for_line(first, "b")
    control.advance(100)
    job = control.wait_for_status(second)
    assert (job["status"], len(job["attempts"]), job["jobName"], job["tags"]) == ("SUCCEEDED", 2, "mine", {"t": "1"})
    assert [one["jobId"] for one in control.jobs()] == [first, second]
    assert control.job(second) == job


def test_requests_can_be_looked_at_and_forgotten(control: Control) -> None:
    """Operation, parameters, time and outcome; and how many of each."""
    batch = control.clients()("batch")
    batch.describe_jobs(jobs=["x"])
    batch.describe_job_queues()
    control.fault("DescribeJobs", "denied", times=1)
    with pytest.raises(batch.exceptions.ClientError):
        batch.describe_jobs(jobs=["y"])
    assert control.counts() == {"DescribeJobs": 2, "DescribeJobQueues": 1}
    assert [dataclasses.asdict(one) for one in control.requests("DescribeJobs")] == [
        {
            "operation": "DescribeJobs",
            "parameters": {"jobs": [job_id]},
            "time": control.now(),
            "outcome": outcome,
            "took_effect": outcome == "ok",
        }
        for job_id, outcome in (("x", "ok"), ("y", "AccessDeniedException"))
    ]
    control.fault("*", "throttle")
    control.clear_faults()
    control.clear_requests()
    batch.describe_jobs(jobs=["x"])
    assert control.counts() == {"DescribeJobs": 1}


@pytest.mark.parametrize(
    ("action", "arguments", "error"),
    [
        ("job", {"job_id": "nobody"}, LookupError),
        ("nonsense", {}, LookupError),
        ("advance", {"hours": 1}, TypeError),
        ("script", {"runing": 1}, TypeError),
        ("script", {"attempts": []}, ValueError),
        ("script", {"lines": {"texts": ["a"], "offsets": [1, 2]}}, ValueError),
        ("wait_for_status", {"job_id": "", "statuses": ["DONE"], "seconds": 1}, LookupError),
        ("register", {"name": "a b", "command": []}, RuntimeError),
    ],
)
def test_a_mistake_is_an_error_of_its_kind(
    control: Control, action: str, arguments: dict[str, Any], error: type[Exception]
) -> None:
    """Whichever way it took."""
    with pytest.raises(error):
        control._send(action, arguments)


def test_a_wait_has_an_end(control: Control) -> None:
    """For a status as for a line."""
    [job_id] = control.submit(control.register("align"))
    with pytest.raises(TimeoutError):
        control.wait_for_status(job_id, seconds=0.01)
    with pytest.raises(TimeoutError):
        control.wait_for_line(job_id, "x", seconds=0.01)


def test_a_wait_for_a_status_ends_with_the_job(control: Control) -> None:
    """A status that can no longer come is not waited for."""
    control.script(attempts=[{"exit_code": None, "starts": False}])
    [job_id] = control.submit(control.register("align"))
    control.advance(10)
    assert control.wait_for_status(job_id, "RUNNING")["status"] == "FAILED"


def test_a_wrong_key_is_a_permission_error(frozen_aws: LocalAws) -> None:
    """Over HTTP."""
    with pytest.raises(PermissionError):
        LocalControl(frozen_aws.endpoint_url, "LOCALWRONG").jobs()


def test_what_was_looked_at_cannot_be_changed_by_it(frozen_aws: LocalAws) -> None:
    """A job's detail is a copy."""
    [job_id] = frozen_aws.submit(frozen_aws.register("align"), tags={"a": "1"})
    frozen_aws.job(job_id)["tags"].clear()
    assert frozen_aws.job(job_id)["tags"] == {"a": "1"}
