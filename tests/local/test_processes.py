"""Jobs as processes: their environment, their output, their ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.local import LocalAws
from airflow_batch_jobs.local.endpoint import Endpoint, Settings
from airflow_batch_jobs.local.surface import Surface

if TYPE_CHECKING:
    from pathlib import Path

LONGEST = 1024 * 1024 - 26


def run(aws: LocalAws, *command: str, **more: Any) -> dict[str, Any]:
    """Run a command to its end and return the job."""
    [job_id] = aws.submit(aws.register("align", command, **more))
    return aws.wait_for_status(job_id)


def shell(aws: LocalAws, script: str, **more: Any) -> dict[str, Any]:
    """Run a shell script to its end and return the job."""
    return run(aws, "sh", "-c", script, **more)


def lines(logs: Any, job: dict[str, Any]) -> list[str]:
    """Return all events of a job's stream, by all pages."""
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName="/aws/batch/job", logStreamNames=[job["container"]["logStreamName"]]
    )
    return [event["message"] for page in pages for event in page["events"]]


def has_ended(pid_file: Path) -> bool:
    """Tell whether a process is gone, or is so as soon as its parent looks; waits for one that was just killed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid_file.read_text()], capture_output=True, check=False)
        if state.stdout.strip()[:1] in {b"", b"Z"}:
            return True
    return False


def test_the_first_line_says_that_the_image_is_ignored(aws: LocalAws, logs: Any) -> None:
    """Then come the command's own lines: standard output and error, in their order."""
    job = shell(aws, "echo one; echo two >&2; echo three", container={"image": "hg/align:3"})
    first, *rest = lines(logs, job)
    assert "the image 'hg/align:3' is ignored" in first
    assert rest == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("script", "exit_code", "status"),
    [("true", 0, "SUCCEEDED"), ("exit 42", 42, "FAILED"), ("kill -KILL $$", 137, "FAILED"), ("kill $$", 143, "FAILED")],
)
def test_an_exit_code_is_the_containers(aws: LocalAws, script: str, exit_code: int, status: str) -> None:
    """A signal's is 128 and its number."""
    job = shell(aws, script)
    assert (job["container"]["exitCode"], job["status"]) == (exit_code, status)
    assert job["statusReason"] == "Essential container in task exited"


@pytest.mark.parametrize(
    ("command", "exit_code", "reason"),
    [
        (["no-such-program"], 127, 'exec: "no-such-program": executable file not found in $PATH'),
        (["/etc"], 126, "permission denied"),
        ([], 127, "no command"),
        (["echo", "a\0b"], 127, "null byte"),
    ],
)
def test_a_command_that_does_not_start_says_why(aws: LocalAws, command: list[str], exit_code: int, reason: str) -> None:
    """As a container that docker cannot start."""
    job = run(aws, *command)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["exitCode"] == exit_code
    assert job["container"]["reason"].startswith("CannotStartContainerError: ")
    assert reason in job["container"]["reason"]
    [attempt] = job["attempts"]
    for shown in (job, attempt, job["container"], attempt["container"]):
        assert not shown.keys() & {"startedAt", "logStreamName"}


@given(
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3), st.lists(st.text(max_size=5), max_size=3)
)
@settings(max_examples=60, deadline=None)
def test_any_environment_and_arguments_come_to_an_end(variables: list[tuple[str, str]], arguments: list[str]) -> None:
    """What the machine does not take is a command that cannot start, not a job that never ends."""
    with LocalAws(step_seconds=0.0) as aws:
        environment = [{"name": name, "value": value} for name, value in variables]
        reference = aws.register("align", ["true", *arguments], container={"environment": environment})
        job = aws.wait_for_status(aws.submit(reference)[0])
        assert job["container"]["exitCode"] == 0 or job["statusReason"] == "Task failed to start"


def test_a_machine_that_cannot_start_anything_fails_the_job(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next job runs when it can again."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "pipe", Mock(side_effect=OSError(24, "Too many open files")))
        job = run(aws, "true")
        assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
        assert "too many open files" in job["container"]["reason"]
    assert run(aws, "true")["status"] == "SUCCEEDED"


def test_a_job_inherits_nothing_but_path_and_lang(aws: LocalAws, logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials; its own variables, its home, and what AWS sets."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    job = run(aws, "env", container={"environment": [{"name": "MINE", "value": "1"}]})
    seen = dict(line.split("=", 1) for line in lines(logs, job)[1:])
    assert seen.pop("HOME") != os.environ.get("HOME")
    assert seen == {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "MINE": "1",
        "AWS_BATCH_CE_NAME": "local",
        "AWS_BATCH_JQ_NAME": "default",
        "AWS_BATCH_JOB_ID": job["jobId"],
        "AWS_BATCH_JOB_ATTEMPT": "1",
    }


def test_a_job_works_in_a_directory_of_its_own(aws: LocalAws, logs: Any) -> None:
    """It is empty at first, is HOME, and is gone afterwards."""
    job = shell(aws, 'ls; echo x > file; [ "$PWD" = "$HOME" ] && pwd')
    [_, directory] = lines(logs, job)
    assert not os.path.exists(directory)  # noqa: PTH110 - a path out of a log


def test_each_attempt_is_a_process_and_a_stream(aws: LocalAws, logs: Any) -> None:
    """It knows its number."""
    job = shell(aws, "echo $AWS_BATCH_JOB_ATTEMPT; exit $((2 - AWS_BATCH_JOB_ATTEMPT))", retryStrategy={"attempts": 3})
    assert (job["status"], [one["container"]["exitCode"] for one in job["attempts"]]) == ("SUCCEEDED", [1, 0])
    assert [lines(logs, one)[1:] for one in job["attempts"]] == [["1"], ["2"]]


def test_lines_are_there_while_the_job_runs(aws: LocalAws, logs: Any, batch: Any) -> None:
    """With the time at which they were written."""
    [job_id] = aws.submit(aws.register("align", ["sh", "-c", "echo up; exec sleep 60"]))
    aws.wait_for_line(job_id, "up")
    job = aws.job(job_id)
    assert (job["status"], lines(logs, job)[1:]) == ("RUNNING", ["up"])
    batch.terminate_job(jobId=job_id, reason="seen")
    assert aws.wait_for_status(job_id)["container"]["exitCode"] == 143


def test_lines_survive_whatever_is_in_them(aws: LocalAws, logs: Any) -> None:
    """Invalid UTF-8 becomes U+FFFD, control characters stay, empty lines are none, the last needs no end."""
    program = r"import sys; sys.stdout.buffer.write(b'a\xffb\n\n\x1b[31mred\x1b[0m\0\r\n\xe2\x82\xac\nlast')"
    job = run(aws, sys.executable, "-c", program)
    assert lines(logs, job)[1:] == ["a\ufffdb", "\x1b[31mred\x1b[0m\0\r", "€", "last"]


def test_a_line_longer_than_an_event_becomes_several(aws: LocalAws, logs: Any) -> None:
    """No character is cut in two, and nothing is lost."""
    program = "import sys; sys.stdout.write('x' + '€' * 800_000 + '\\n' + 'y' * 1_000_000)"
    job = run(aws, sys.executable, "-c", program)
    first, second, third, last = lines(logs, job)[1:]
    assert first + second + third == "x" + "€" * 800_000
    assert LONGEST - 3 < len(first.encode()) <= LONGEST
    assert last == "y" * 1_000_000


def test_ten_thousand_lines_arrive_complete_and_in_order(aws: LocalAws, logs: Any) -> None:
    """Through as many pages as it takes."""
    job = run(aws, "seq", "1", "12000")
    assert lines(logs, job)[1:] == [str(number) for number in range(1, 12_001)]


def test_a_process_that_ignores_sigterm_is_killed() -> None:
    """After the time it has; what it started in its group too."""
    script = "trap '' TERM; sleep 61 & echo up; while :; do sleep 0.05; done"
    with LocalAws(step_seconds=0.01, kill_seconds=0.2) as aws:
        [job_id] = aws.submit(aws.register("stubborn", ["sh", "-c", script]))
        aws.wait_for_line(job_id, "up")
        aws.clients()("batch").terminate_job(jobId=job_id, reason="enough")
        job = aws.wait_for_status(job_id)
    assert (job["container"]["exitCode"], job["statusReason"], job["isTerminated"]) == (137, "enough", True)


def test_a_terminated_process_can_end_in_its_own_way(aws: LocalAws, logs: Any, batch: Any) -> None:
    """Its last lines are kept, and the job is FAILED whatever its exit code."""
    script = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"
    [job_id] = aws.submit(aws.register("polite", ["sh", "-c", script]))
    aws.wait_for_line(job_id, "up")
    batch.terminate_job(jobId=job_id, reason="enough")
    job = aws.wait_for_status(job_id)
    assert (job["status"], job["container"]["exitCode"], lines(logs, job)[-1]) == ("FAILED", 0, "bye")


def test_a_timeout_stops_the_process(frozen_aws: LocalAws) -> None:
    """SIGTERM at the timeout; the container has the exit code of that."""
    frozen_aws.register("slow", ["sh", "-c", "echo up; exec sleep 600"], timeout={"attemptDurationSeconds": 60})
    [job_id] = frozen_aws.submit("slow:1")
    frozen_aws.advance(4)
    frozen_aws.wait_for_line(job_id, "up")
    frozen_aws.advance(60)
    job = frozen_aws.wait_for_status(job_id)
    assert (job["container"]["exitCode"], job["statusReason"]) == (143, "Job attempt duration exceeded timeout")


def test_a_timeout_counts_from_the_start_of_the_process(frozen_aws: LocalAws) -> None:
    """Not from the moment at which it was to be started."""
    frozen_aws.register("slow", ["sleep", "67"], timeout={"attemptDurationSeconds": 60})
    [job_id] = frozen_aws.submit("slow:1")
    frozen_aws.advance(70)
    frozen_aws.wait_for_status(job_id, "RUNNING")
    frozen_aws.advance(60)
    assert frozen_aws.wait_for_status(job_id)["container"]["exitCode"] == 143


def test_what_a_job_leaves_behind_ends_with_it(aws: LocalAws, tmp_path: Path) -> None:
    """As in a container: when the first process ends, all do, and the job does not wait for them."""
    job = shell(aws, f"sleep 62 & echo $! > {tmp_path}/pid")
    assert job["status"] == "SUCCEEDED"
    assert has_ended(tmp_path / "pid")


def test_all_processes_end_with_the_endpoint(tmp_path: Path) -> None:
    """Also those that a job has started."""
    with LocalAws(step_seconds=0.0) as aws:
        script = f"sleep 63 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/own; echo up; wait"
        [job_id] = aws.submit(aws.register("slow", ["sh", "-c", script]))
        aws.wait_for_line(job_id, "up")
    assert has_ended(tmp_path / "own")
    assert has_ended(tmp_path / "child")


@pytest.mark.parametrize("steps", range(12))
def test_the_end_waits_for_a_process_that_starts_meanwhile(steps: int) -> None:
    """Its job has ended then, at whatever step of the event loop: none is left to a loop that is about to be closed."""

    async def end_as_it_starts() -> str:
        endpoint = Endpoint(Settings(step_seconds=1.0, is_frozen=True))
        surface = Surface(endpoint)
        await surface.act("register", {"name": "long", "command": ["sleep", "60"]})
        [job_id] = await surface.act("submit", {"definition": "long:1"})
        endpoint.timeline.advance(4)
        for _ in range(steps):
            await asyncio.sleep(0)
        await endpoint.close()
        job: dict[str, str] = await surface.act("job", {"job_id": job_id})
        return job["status"]

    assert asyncio.run(end_as_it_starts()) == "FAILED"


def test_an_attempt_that_is_stopped_as_it_starts_ends(aws: LocalAws, batch: Any) -> None:
    """Whatever moment the termination hits."""
    aws.register("slow", ["sleep", "64"])
    ids = aws.submit("slow:1", count=8)
    for job_id in ids[:4]:
        aws.wait_for_status(job_id, "STARTING", "RUNNING")
        batch.terminate_job(jobId=job_id, reason="enough")
    for job_id in ids[4:]:
        aws.wait_for_status(job_id, "RUNNING")
        batch.terminate_job(jobId=job_id, reason="enough")
    assert {aws.wait_for_status(job_id)["status"] for job_id in ids} == {"FAILED"}
