"""Jobs that are waited for in a real Airflow, deferred and on a worker."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.runs import Run, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.demo.standalone import RestApi, StandaloneAirflow
    from airflow_batch_jobs.local import LocalControl

NO_CLEAN_TEXT = (
    r"printf '\033[31mred\033[0m\n'; printf 'bell\007\n'; printf 'bad \377\376 bytes\n'; "
    r"head -c 1000000 /dev/zero | tr '\0' x; echo; echo after"
)
#: The DAG and the script of each run, and the task of interest where it is not `job`.
RUNS: dict[str, tuple[str, str] | tuple[str, str, str]] = {
    "success": ("deferred", "echo one; echo two"),
    "failure": ("deferred", "echo broken; exit 3"),
    "flood on a worker": ("on_worker", "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo line $i; done"),
    "success on a worker": ("on_worker", "echo here; sleep 1; echo there"),
    "success in the triggerer": ("finished_in_triggerer", "echo done"),
    "failure in the triggerer": ("finished_in_triggerer", "exit 3"),
    "timeout": ("deferred_briefly", "trap '' TERM; echo begun; sleep 600; sleep 600"),
    "timeout on a worker": ("on_worker_briefly", "trap '' TERM; echo begun; sleep 600; sleep 600"),
    "sensor": ("sensed", "sleep 3; echo seen", "sensor"),
    "array": ("bundle_of_three", "echo child $AWS_BATCH_JOB_ARRAY_INDEX writes"),
    "no clean text": ("deferred", NO_CLEAN_TEXT),
}


def test_a_line_is_in_the_task_log_while_the_task_is_deferred(start: Callable[..., Run], cloud: LocalControl) -> None:
    """A line is served within 15 s of being written, under its own CloudWatch timestamp."""
    run = start("deferred", "while true; do echo written $(date +%s); sleep 2; done")
    *_, newest = until(lambda: [line for line in run.log() if str(line["event"]).startswith("written")], 60)
    seen = datetime.now(tz=UTC).timestamp()
    assert run.state == "deferred"
    assert seen - int(newest["event"].split()[1]) < 15
    stream = cloud.job(run.job()["job_id"])["container"]["logStreamName"]
    events = cloud.clients()("logs").filter_log_events(logGroupName="/aws/batch/job", logStreamNames=[stream])["events"]
    [timestamp] = [event["timestamp"] for event in events if event["message"] == newest["event"]]
    assert round(datetime.fromisoformat(newest["timestamp"]).timestamp() * 1000) == timestamp
    run.mark("success")


@pytest.fixture(scope="module")
def runs(airflow: StandaloneAirflow) -> dict[str, Run]:
    """The runs, which have been started at once."""
    return {name: Run.start(airflow.api, *how) for name, how in RUNS.items()}


def test_a_job_that_succeeds_makes_its_task_succeed(runs: dict[str, Run], cloud: LocalControl) -> None:
    """The task shows the job's states, its lines and one line of summary, and returns its id."""
    run = runs["success"]
    assert run.wait_for_end() == "success"
    job = run.job()
    assert run.lines()[-2:] == ["one", "two"]
    text = run.text()
    assert f"Submitted job {job['job_id']}" in text
    assert "SUCCEEDED in " in text
    assert "SUCCEEDED in" in text
    assert run.xcom("return_value") == job["job_id"]
    assert cloud.job(job["job_id"])["status"] == "SUCCEEDED"


def test_the_xcom_tells_what_is_left_when_aws_has_forgotten_the_job(runs: dict[str, Run]) -> None:
    """The `batch_job` XCom has the job's last state, its pinned definition and its log streams."""
    run = runs["success"]
    assert run.wait_for_end() == "success"
    job = run.job()
    assert job["status"] == "SUCCEEDED"
    assert job["exit_code"] == 0
    assert [attempt["exit_code"] for attempt in job["attempts"]] == [0]
    assert job["definition"].endswith(":job-definition/shell:1")
    assert job["queue"].endswith(":job-queue/default")
    assert job["log_streams"][0]["group"] == "/aws/batch/job"
    assert datetime.fromisoformat(job["created_at"]) <= datetime.fromisoformat(job["stopped_at"])


def test_a_job_that_fails_says_why(runs: dict[str, Run]) -> None:
    """The task fails with the exit code and what to do, after all lines."""
    run = runs["failure"]
    assert run.wait_for_end() == "failed"
    assert "broken" in run.lines()
    text = str(run.log())
    assert "ProgramFailedError" in text
    assert "exit code 3" in text.lower()
    assert run.job()["exit_code"] == 3


def test_ten_thousand_lines_arrive_complete_in_order_and_once(runs: dict[str, Run]) -> None:
    """On a worker nothing is lost or duplicated; tests/e2e/test_flood.py has twice as many lines for a triggerer."""
    run = runs["flood on a worker"]
    assert run.wait_for_end(seconds=240) == "success"
    lines = [line for line in run.lines() if line.startswith("line ")]
    assert lines == [f"line {number}" for number in range(1, 10_001)]


def test_a_job_is_waited_for_on_a_worker_by_the_same_code(runs: dict[str, Run]) -> None:
    """Without deferral the log has the same lines, and the task the same results."""
    run = runs["success on a worker"]
    assert run.wait_for_end() == "success"
    assert run.lines()[-2:] == ["here", "there"]
    assert run.xcom("return_value") == run.job()["job_id"]


@pytest.mark.parametrize("how", ["timeout", "timeout on a worker"])
def test_a_job_whose_task_runs_out_of_time_is_terminated_once(
    runs: dict[str, Run], cloud: LocalControl, how: str
) -> None:
    """The task fails with Airflow's own error, however long the job takes to stop; its supervisor does not step in."""
    run = runs[how]
    assert run.wait_for_end(seconds=240) == "failed"
    job = cloud.job(run.job()["job_id"])
    assert (job["status"], job["statusReason"]) == ("FAILED", "The Airflow task's execution_timeout has passed")
    text = str(run.log())
    assert "AirflowTaskTimeout" in text
    assert "Task did not stop" not in text
    assert run.text().count("Terminated the job: ") == 1
    assert run.lines()[-1] == "begun"


def test_a_success_can_end_in_the_triggerer(runs: dict[str, Run], api: RestApi) -> None:
    """No second worker starts, and downstream tasks get the same XComs."""
    run = runs["success in the triggerer"]
    assert run.wait_for_end() == "success"
    job = run.job()
    assert run.xcom("return_value") == job["job_id"]
    assert (job["status"], job["exit_code"]) == ("SUCCEEDED", 0)
    until(lambda: api.run_state(run.dag_id, run.run_id) == "success", 60)
    assert api.xcom(run.dag_id, run.run_id, "told", "return_value") == f"told of {job['job_id']}"
    text = run.text()
    assert text.count("::group::Pre Execute") == 1
    assert "SUCCEEDED in" in text
    assert "done" in run.lines()


def test_a_failure_ends_on_a_worker(runs: dict[str, Run]) -> None:
    """A task that the triggerer may not end resumes as usual."""
    run = runs["failure in the triggerer"]
    assert run.wait_for_end() == "failed"
    assert "ProgramFailedError" in str(run.log())


def test_a_sensor_waits_for_a_job_that_another_task_submitted(runs: dict[str, Run]) -> None:
    """The sensor ends with the job and copies its log if told to."""
    run = runs["sensor"]
    assert run.wait_for_end() == "success"
    assert run.lines()[-1] == "seen"


def test_every_child_of_an_array_is_in_the_log(runs: dict[str, Run]) -> None:
    """Each child's lines carry its label."""
    run = runs["array"]
    assert run.wait_for_end() == "success"
    assert {f"[child {index}] child {index} writes" for index in range(3)} <= set(run.lines())


def test_lines_that_are_no_clean_text_arrive(runs: dict[str, Run]) -> None:
    """Colours, control characters, bad UTF-8 and a line of a megabyte neither break the log nor vanish."""
    run = runs["no clean text"]
    assert run.wait_for_end() == "success"
    lines = run.lines()
    assert "red" in lines
    assert "bell" in lines
    assert any(line.startswith("bad ") and line.endswith(" bytes") for line in lines)
    assert any(line.startswith("xxxxx") for line in lines)
    assert "after" in lines
