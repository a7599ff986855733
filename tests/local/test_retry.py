"""Attempts: how often a job is tried, and what decides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws


def run(aws: LocalAws, attempts: list[Any], strategy: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a scripted job to its end."""
    aws.register("align")
    aws.script(definition="align", attempts=attempts)
    more: dict[str, Any] = {"retryStrategy": strategy} if strategy else {}
    [job_id] = aws.submit("align:1", **more)
    aws.advance(1000)
    return aws.job(job_id)


def exit_codes(job: dict[str, Any]) -> list[int | None]:
    """Return the exit code of each attempt."""
    return [attempt["container"].get("exitCode") for attempt in job["attempts"]]


def test_a_failed_attempt_goes_back_to_runnable(frozen_aws: LocalAws) -> None:
    """RUNNING is followed by RUNNABLE, and the next attempt has a log stream of its own."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", attempts=[1, 0])
    [job_id] = frozen_aws.submit("align:1")
    frozen_aws.advance(4)
    job = frozen_aws.job(job_id)
    assert (job["status"], exit_codes(job)) == ("RUNNABLE", [1])
    frozen_aws.advance(10)
    job = frozen_aws.job(job_id)
    assert (job["status"], exit_codes(job)) == ("SUCCEEDED", [1, 0])
    streams = [attempt["container"]["logStreamName"] for attempt in job["attempts"]]
    assert len(set(streams)) == 2
    assert job["container"]["logStreamName"] == streams[-1]


@pytest.mark.parametrize(
    ("attempts", "strategy", "tried"),
    [
        ([1, 1, 1], None, [1, 1, 1]),
        ([1], {"attempts": 3}, [1, 1, 1]),
        ([1, 0], {"attempts": 1}, [1]),
        ([0, 1], {"attempts": 2}, [0]),
        ([137, 1], {"attempts": 5, "evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]}, [137, 1]),
        ([137], {"attempts": 5, "evaluateOnExit": [{"onExitCode": "13*", "action": "EXIT"}]}, [137]),
        ([137], {"attempts": 5, "evaluateOnExit": [{"onExitCode": "13", "action": "EXIT"}]}, [137] * 5),
    ],
)
def test_the_retry_strategy_decides(
    frozen_aws: LocalAws, attempts: list[int], strategy: dict[str, Any] | None, tried: list[int]
) -> None:
    """Attempts bound it; the first condition of evaluateOnExit that matches decides; none means again."""
    assert exit_codes(run(frozen_aws, attempts, strategy)) == tried


def test_every_given_condition_of_a_rule_must_match(frozen_aws: LocalAws) -> None:
    """Exit code, reason and statusReason are matched as texts, with a star at the end."""
    lost_host = {"exit_code": None, "status_reason": "Host EC2 (instance i-1) terminated."}
    out_of_memory = {"exit_code": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "OutOfMemory*", "onExitCode": "1", "action": "RETRY"},
        {"onExitCode": "*", "action": "EXIT"},
    ]
    job = run(frozen_aws, [lost_host, out_of_memory, 0], {"attempts": 5, "evaluateOnExit": rules})
    assert (job["status"], exit_codes(job)) == ("FAILED", [None, 137])
    assert [attempt["statusReason"] for attempt in job["attempts"]] == [
        "Host EC2 (instance i-1) terminated.",
        "Essential container in task exited",
    ]
    assert job["container"]["reason"].startswith("OutOfMemoryError")


def test_a_strategy_is_told_in_full(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Actions in one case, whatever was sent, and no rules as an empty list."""
    rules = [{"onExitCode": "1", "action": "Retry"}, {"onReason": "*", "action": "EXIT"}]
    frozen_aws.register("mixed", retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    frozen_aws.register("none", retryStrategy={"attempts": 2})
    frozen_aws.register("default")
    told = {one["jobDefinitionName"]: one for one in frozen_batch.describe_job_definitions()["jobDefinitions"]}
    assert [rule["action"] for rule in told["mixed"]["retryStrategy"]["evaluateOnExit"]] == ["retry", "exit"]
    assert told["none"]["retryStrategy"] == {"attempts": 2, "evaluateOnExit": []}
    assert "retryStrategy" not in told["default"]
    [job_id] = frozen_aws.submit("default:1")
    assert frozen_aws.job(job_id)["retryStrategy"] == {"attempts": 1, "evaluateOnExit": []}


def test_a_reason_has_at_most_255_characters(frozen_aws: LocalAws) -> None:
    """As AWS cuts it."""
    job = run(frozen_aws, [{"exit_code": 1, "reason": "x" * 300}])
    assert job["container"]["reason"] == "x" * 255


def test_an_attempt_that_never_starts_has_no_log_stream(frozen_aws: LocalAws) -> None:
    """It fails in STARTING with the container's reason, without times."""
    failure = {"exit_code": None, "reason": "CannotPullContainerError: no such image", "starts": False}
    job = run(frozen_aws, [failure])
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    [attempt] = job["attempts"]
    assert attempt["container"]["reason"] == "CannotPullContainerError: no such image"
    assert "logStreamName" not in attempt["container"]
    assert "startedAt" not in attempt
    assert "startedAt" not in job


def test_a_timeout_is_not_retried(frozen_aws: LocalAws) -> None:
    """The attempt is stopped, and the statusReason says why."""
    frozen_aws.register("align", timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3})
    frozen_aws.script(definition="align", running=3600)
    [job_id] = frozen_aws.submit("align:1")
    frozen_aws.advance(66)
    job = frozen_aws.job(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Job attempt duration exceeded timeout")
    assert job["stoppedAt"] - job["startedAt"] == 61_000
    assert exit_codes(job) == [143]
    assert not job["isTerminated"]


def test_a_timeout_counts_for_each_attempt_alone(frozen_aws: LocalAws) -> None:
    """Two attempts of 50 seconds each are within a timeout of 60."""
    frozen_aws.register("align", timeout={"attemptDurationSeconds": 60})
    frozen_aws.script(definition="align", running=50, attempts=[1, 0])
    [job_id] = frozen_aws.submit("align:1")
    frozen_aws.advance(200)
    assert frozen_aws.job(job_id)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("memory", "status"), [("1023", "FAILED"), ("1024", "SUCCEEDED")])
def test_a_scripted_job_runs_out_of_memory_if_it_has_less_than_it_needs(
    frozen_aws: LocalAws, memory: str, status: str
) -> None:
    """As the kernel ends it, and in ECS's words."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", attempts=[{"needs_mib": {"": 1024}}])
    override = {"resourceRequirements": [{"type": "MEMORY", "value": memory}]}
    [job_id] = frozen_aws.submit("align:1", containerOverrides=override)
    frozen_aws.advance(100)
    job = frozen_aws.job(job_id)
    assert job["status"] == status
    if status == "FAILED":
        assert job["container"]["exitCode"] == 137
        assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_a_script_can_be_of_one_queue_alone(frozen_aws: LocalAws) -> None:
    """A host is lost on spot, and not elsewhere."""
    frozen_aws.register("align")
    order = [{"order": 1, "computeEnvironment": "local"}]
    batch = frozen_aws.clients()("batch")
    batch.create_job_queue(jobQueueName="on-demand", priority=1, computeEnvironmentOrder=order)
    frozen_aws.script(definition="align")
    frozen_aws.script(definition="align", queue="default", attempts=[1])
    ids = [frozen_aws.submit("align:1", jobQueue=queue)[0] for queue in ("default", "on-demand")]
    frozen_aws.advance(100)
    assert [frozen_aws.job(job_id)["status"] for job_id in ids] == ["FAILED", "SUCCEEDED"]
