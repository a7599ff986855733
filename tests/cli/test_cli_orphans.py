"""orphans: against the local AWS, and what answers like Airflow's REST API; tests/e2e asks a real one."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from airflow_batch_jobs.batch.identity import TaskIdentity, TaskKey, new_job_name, task_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.local.server import LocalAws

    Run = Callable[..., Any]

TASK = TaskIdentity(TaskKey("d", "manual__2026-11-23T12:00:00+00:00", "t"), deployment="here")
PASS = replace(TASK, key=replace(TASK.key, loop_index=1))
TOKEN = "a-secret-token"
PASSWORD = "a-secret-password"


class Airflow:
    """Answers as Airflow does to what the command asks.

    Attributes:
        url: Its address.
        state: Of the one task instance; "gone" for none.
        passes: The task instances that a list has, in pages of two.
        status: The HTTP status of its answer; 200 for one that the state decides.
        listed: What it answers in place of a list of them.
        refused: Other statuses, by the end of the path.
        tokens: The bearer tokens that came.
        paths: What was asked for.
    """

    def __init__(self) -> None:
        self.url = ""
        self.state: str | None = "success"
        self.passes: list[dict[str, Any]] = []
        self.status = 200
        self.listed: Any = None
        self.refused: dict[str, int] = {}
        self.tokens: list[str] = []
        self.paths: list[str] = []

    def answer(self, path: str, token: str) -> tuple[int, Any]:
        """Return the status and the body for a task instance."""
        self.tokens.append(token)
        self.paths.append(unquote(path))
        if self.status != 200:
            return self.status, {"detail": "Not Found"}
        where = urlsplit(path)
        for end, status in self.refused.items():
            if where.path.endswith(end):
                return status, {"detail": "Multiple live task instances share a task slot"}
        if where.path.endswith("/taskInstances"):
            asked = parse_qs(where.query)
            assert asked["task_id"] == ["t"]
            if self.listed:
                return 200, self.listed
            offset = int(asked["offset"][0])
            return 200, {"task_instances": self.passes[offset : offset + 2], "total_entries": len(self.passes)}
        if self.state == "gone":
            names = f"dag_id: `{TASK.key.dag_id}`, run_id: `{TASK.key.run_id}`, task_id: `{TASK.key.task_id}`"
            return 404, {"detail": f"The Mapped Task Instance with {names}, and map_index: `-1` was not found"}
        return 200, {**_TASK_INSTANCE, "state": self.state}

    def sign_in(self, body: Any) -> tuple[int, Any]:
        """Return the status and the body for a user."""
        is_known = body == {"username": "me", "password": PASSWORD}
        return (201, {"access_token": TOKEN}) if is_known else (401, {"detail": "Invalid credentials"})


_TASK_INSTANCE = {
    "dag_display_name": "d",
    "dag_id": "d",
    "dag_run_id": TASK.key.run_id,
    "executor_config": "{}",
    "id": "0199f0c0-0000-7000-8000-000000000000",
    "map_index": -1,
    "max_tries": 0,
    "pool": "default_pool",
    "pool_slots": 1,
    "run_after": "2026-11-23T12:00:00Z",
    "task_display_name": "t",
    "task_id": "t",
    "try_number": 1,
}


@pytest.fixture
def airflow() -> Iterator[Airflow]:
    """What answers like Airflow, in a thread."""
    airflow = Airflow()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(*airflow.answer(self.path, self.headers["Authorization"].removeprefix("Bearer ")))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*airflow.sign_in(body))

        def _send(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        airflow.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield airflow
        server.shutdown()
        thread.join()


@pytest.fixture
def job_id(aws: LocalAws) -> str:
    """A running job of a task instance."""
    aws.register("job")
    aws.script(definition="job", running=3600)
    [job_id] = aws.submit("job:1", jobName=new_job_name(TASK.job_name_prefix()), tags=task_tags(TASK))
    aws.wait_for_status(job_id, "RUNNING")
    return job_id


@pytest.fixture
def sweep(run: Run, airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command for one queue, without a grace period, with a token from the environment."""
    monkeypatch.setenv("AIRFLOW_CLI_TOKEN", TOKEN)
    monkeypatch.setenv("AIRFLOW__BATCH_JOBS__DEPLOYMENT", "here")
    given = ("orphans", "-q", "default", "--airflow-url", airflow.url, "--grace", "0")
    return lambda *arguments: run(*given, *arguments)


@pytest.mark.long
def test_it_tells_a_line_a_job_and_terminates_nothing_by_itself(sweep: Run, aws: LocalAws, job_id: str) -> None:
    """The fields are separated by tabs; the sum is on stderr."""
    result = sweep()

    assert result.exit_code == 0
    why = f"d.t of run {TASK.key.run_id} is success"
    assert result.stdout.splitlines() == [f"{job_id}\twould be terminated\tRUNNING\tdefault\t{why}"]
    assert result.stderr == "1 active job of this deployment: 1 would be terminated\n"
    assert not aws.job(job_id)["isTerminated"]


@pytest.mark.parametrize("state", ["failed", "gone"])
def test_with_terminate_it_ends_the_orphans(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_id: str, state: str
) -> None:
    """Final or gone, as Airflow says when it is asked in the name of the token's owner."""
    airflow.state = state
    result = sweep("--terminate")

    assert result.exit_code == 0
    assert result.stdout.split("\t")[1] == "terminated"
    assert aws.wait_for_status(job_id)["statusReason"].endswith(f" is {state}")
    assert airflow.tokens == [TOKEN]
    assert airflow.paths == [f"/api/v2/dags/d/dagRuns/{TASK.key.run_id}/taskInstances/t/-1"]


@pytest.mark.parametrize("state", ["running", None])
def test_the_job_of_a_task_that_goes_on_is_left(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_id: str, state: str | None
) -> None:
    """Also of one that is cleared and has no state yet."""
    airflow.state = state
    assert sweep("--terminate").stdout.split("\t")[1] == "left"
    assert not aws.job(job_id)["isTerminated"]


def test_what_the_user_may_not_see_is_not_gone(sweep: Run, aws: LocalAws, airflow: Airflow, job_id: str) -> None:
    """A missing permission in Airflow does not cost a job its life."""
    airflow.status = 403
    result = sweep("--terminate")

    assert result.exit_code == 0
    assert result.stdout.split("\t")[1] == "cannot tell"
    assert not aws.job(job_id)["isTerminated"]


def in_pass(index: int | None, state: str | None, **others: Any) -> dict[str, Any]:
    """Return what a list has of a pass; of no pass for None, as an Airflow that knows no loops has it."""
    loop = {} if index is None else {"loop_iteration": {"loop_id": "loop", "iteration": index}}
    return {**_TASK_INSTANCE, "state": state, **loop, **others}


@pytest.fixture
def job_of_pass(aws: LocalAws) -> str:
    """A running job of the second pass of a loop."""
    aws.register("looped")
    aws.script(definition="looped", running=3600)
    [job_id] = aws.submit("looped:1", jobName=new_job_name(PASS.job_name_prefix()), tags=task_tags(PASS))
    aws.wait_for_status(job_id, "RUNNING")
    return job_id


@pytest.mark.parametrize(
    ("state", "verdict"), [("failed", "terminated"), ("success", "terminated"), ("deferred", "left"), (None, "left")]
)
def test_the_state_of_a_pass_of_a_loop_is_its_own(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_of_pass: str, state: str | None, verdict: str
) -> None:
    """It is looked for in the list, which has the passes of a task beside each other."""
    other = "deferred" if verdict == "terminated" else "failed"
    airflow.passes = [in_pass(0, other), in_pass(2, other), in_pass(1, other, map_index=3), in_pass(1, state)]
    assert sweep("--terminate").stdout.split("\t")[1] == verdict
    assert aws.job(job_of_pass)["isTerminated"] is (verdict == "terminated")


@pytest.mark.parametrize(
    "passes",
    [
        [],
        [in_pass(0, "failed"), in_pass(2, "failed")],
        [in_pass(None, "failed")],
        [in_pass(1, "failed"), in_pass(1, "running")],
    ],
)
def test_a_pass_that_the_list_does_not_tell_is_left(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_of_pass: str, passes: list[dict[str, Any]]
) -> None:
    """Not there, twice, or of an Airflow that does not say which pass it is: that is no proof that it is gone."""
    airflow.passes = passes
    result = sweep("--terminate")
    assert result.exit_code == 0
    assert result.stdout.split("\t")[1] == "cannot tell"
    assert "pass 1," in result.stdout
    assert not aws.job(job_of_pass)["isTerminated"]


@pytest.mark.parametrize(
    "passes", [None, [None], ["x"], [{}], [{"loop_iteration": 1, "task_id": "t", "map_index": -1}]]
)
def test_a_list_that_is_not_airflows_ends_it_with_3(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_of_pass: str, passes: Any
) -> None:
    """Something between may answer anything; it is told in one line."""
    airflow.listed = {"task_instances": passes, "total_entries": 1}
    result = sweep("--terminate")
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert not aws.job(job_of_pass)["isTerminated"]


@pytest.mark.parametrize("status", [400, 409])
def test_a_task_whose_state_airflow_cannot_tell_leaves_the_sweep_of_the_others(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_id: str, job_of_pass: str, status: int
) -> None:
    """Airflow says so of a task in a loop that is asked for without its pass; any other job is looked at."""
    airflow.passes = [in_pass(1, "failed")]
    airflow.refused = {f"{TASK.key.task_id}/-1": status}
    rows = {row.split("\t")[0]: row.split("\t")[1] for row in sweep("--terminate").stdout.splitlines()}
    assert rows == {job_id: "cannot tell", job_of_pass: "terminated"}
    assert not aws.job(job_id)["isTerminated"]


@pytest.mark.parametrize(("status", "said"), [(401, "401"), (404, "answers 404"), (500, "500"), (418, "418")])
def test_an_answer_that_is_not_airflows_ends_it_with_3(
    sweep: Run, aws: LocalAws, airflow: Airflow, job_id: str, status: int, said: str
) -> None:
    """Above all a 404 of something else: a wrong address answers it to everything."""
    airflow.status = status
    result = sweep("--terminate")

    assert result.exit_code == 3
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not aws.job(job_id)["isTerminated"]


def test_nobody_listens_at_the_address(sweep: Run, aws: LocalAws, job_id: str) -> None:
    """Then nothing is known of any task."""
    result = sweep("--terminate", "--airflow-url", "http://127.0.0.1:1")

    assert result.exit_code == 3
    assert "http://127.0.0.1:1" in result.stderr
    assert not aws.job(job_id)["isTerminated"]


def test_a_refused_termination_is_told_and_exits_with_3(sweep: Run, aws: LocalAws, job_id: str) -> None:
    """The missing permission is named."""
    aws.fault("TerminateJob", "denied")
    result = sweep("--terminate")

    assert result.exit_code == 3
    assert result.stdout.startswith(f"{job_id}\tnot terminated\t")
    assert "error: batch:TerminateJob failed" in result.stderr


@pytest.mark.usefixtures("job_id")
def test_a_user_signs_in_with_what_is_in_the_environment(
    sweep: Run, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow gives a token for it; a wrong password is told, and not shown."""
    monkeypatch.delenv("AIRFLOW_CLI_TOKEN")
    monkeypatch.setenv("AIRFLOW_USERNAME", "me")
    monkeypatch.setenv("AIRFLOW_PASSWORD", PASSWORD)
    assert sweep().exit_code == 0
    assert airflow.tokens == [TOKEN]

    monkeypatch.setenv("AIRFLOW_PASSWORD", f"{PASSWORD}?")
    result = sweep()
    assert result.exit_code == 3
    assert "no token for user 'me'" in result.stderr
    assert PASSWORD not in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--deployment", ""), "[batch_jobs] deployment is empty"),
        (("--airflow-token", ""), "Airflow has to know who is asking: set AIRFLOW_USERNAME and AIRFLOW_PASSWORD"),
        (("--airflow-url", "localhost:8080"), "http://"),
        (("--airflow-url", "http://me:secret@localhost"), "credentials do not belong"),
        (("--airflow-url", "http://[::1"), "Invalid IPv6 URL"),
        (("--airflow-url", "http://127.0.0.1:abc"), "Port could not be cast"),
        (("--airflow-url", "http://127.0.0.1\n"), "a space or a line break"),
        (("--grace", "-1"), "--grace"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(sweep: Run, arguments: tuple[str, ...], said: str) -> None:
    """Nothing is asked, and no secret is printed."""
    result = sweep(*arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", " ").split())
    assert TOKEN not in result.output
    assert "secret@" not in result.output


def test_without_the_official_client_it_says_what_to_install(sweep: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra: nothing else in the package needs it."""
    monkeypatch.setitem(sys.modules, "airflow_client.client", None)
    result = sweep()

    assert result.exit_code == 2
    assert "pip install apache-airflow-client" in result.stderr


def test_secrets_are_never_printed(sweep: Run, airflow: Airflow, job_id: str) -> None:
    """Neither with --help nor with an error."""
    del job_id
    airflow.status = 500
    for arguments in (("--help",), (), ("--airflow-token", TOKEN), ("--airflow-token", f"{TOKEN}\nx")):
        assert TOKEN not in sweep(*arguments).output
