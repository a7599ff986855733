"""submit, status, logs and terminate, against the local AWS."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.cli import console, jobs, tables
from tests.batch.conftest import Entries

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws

    Run = Callable[..., Any]


#: The command line as a process.
COMMAND = (sys.executable, "-c", "from airflow_batch_jobs.cli import app; app()")


def environment(aws: LocalAws) -> dict[str, str]:
    """Return the environment of a process that works with a local AWS."""
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": aws.access_key,
        "AWS_SECRET_ACCESS_KEY": aws.secret_key,
    }


@pytest.fixture
def shell(aws: LocalAws) -> str:
    """A definition that runs a shell script given as a parameter."""
    return aws.register("shell", ["sh", "-c", "Ref::script"])


def test_submit_prints_the_id_and_nothing_else(run: Run, aws: LocalAws, shell: str) -> None:
    """A script can take stdout as the job's id."""
    result = run("submit", shell, "-q", "default", "-p", "script=echo a=b")

    assert result.exit_code == 0
    job = aws.wait_for_status(result.stdout.removesuffix("\n"))
    assert job["parameters"] == {"script": "echo a=b"}
    assert job["jobDefinition"].endswith("shell:1")


@pytest.mark.long
@pytest.mark.parametrize(("script", "exit_code"), [("true", 0), ("exit 3", 1)])
def test_submit_wait_exits_as_the_job_ends(run: Run, shell: str, script: str, exit_code: int) -> None:
    """With --wait the exit code says whether the job has succeeded."""
    assert run("submit", shell, "-q", "default", "-p", f"script={script}", "--wait").exit_code == exit_code


@pytest.mark.long
def test_submit_wait_says_why_the_job_failed(run: Run, shell: str) -> None:
    """The diagnosis is one line on stderr."""
    result = run("submit", shell, "-q", "default", "-p", "script=exit 3", "--wait")

    assert "exit code 3" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.long
def test_submit_follow_prints_the_lines_on_stdout_and_the_rest_on_stderr(run: Run, shell: str) -> None:
    """With --follow stdout is the job's log, complete and in order."""
    result = run("submit", shell, "-q", "default", "-p", "script=for i in 1 2 3; do echo line $i; done", "--follow")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1:] == ["line 1", "line 2", "line 3"]
    assert "Submitted" in result.stderr
    assert "SUCCEEDED" in result.stderr


@pytest.mark.long
@pytest.mark.parametrize("command", ["submit", "logs"])
def test_following_a_log_that_is_elsewhere_says_where(run: Run, aws: LocalAws, command: str) -> None:
    """Once, before anything is waited for."""
    pod = {"podProperties": {"containers": [{"name": "main", "image": "i", "command": ["true"]}]}}
    aws.clients()("batch").register_job_definition(jobDefinitionName="pod", type="container", eksProperties=pod)
    arguments = ("pod:1", "-q", "default") if command == "submit" else aws.submit("pod:1")
    result = run(command, *arguments, "--follow")

    assert result.exit_code == 0
    [line] = [line for line in result.stderr.splitlines() if "is in EKS" in line]
    assert line.startswith("The log of ")
    assert result.stderr.splitlines()[-1].startswith("Job ")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("shell", "-q", "default"), 2, "has no revision"),
        (("shell:latest", "-q", "default"), 2, "'latest' is not a revision"),
        (("shell:1", "-q", "default", "-p", "script"), 2, "NAME=VALUE"),
        (("shell:1", "-q", "default", "-p", "=true"), 2, "NAME=VALUE"),
        (("shell:1", "-q", "default", "-p", "script=true", "-p", "script=false"), 2, "'script' has two values"),
        (("shell:1", "-q", "default"), 2, "Ref::script"),
        (("shell:9", "-q", "default", "-p", "script=true"), 1, "The newest ACTIVE one is 1"),
        (("shell:1", "-q", "nowhere", "-p", "script=true"), 1, "Existing queues: default"),
        (("shell:1",), 2, "--queue"),
    ],
)
def test_submit_refuses_clearly_and_starts_nothing(
    run: Run, aws: LocalAws, shell: str, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    """What is wrong is said in one line, with an exit code for scripts, before anything runs."""
    del shell
    result = run("submit", *arguments)

    assert result.exit_code == exit_code
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert aws.jobs() == []


@pytest.mark.parametrize("kind", ["denied", "drop", "throttle", "server_error"])
def test_no_answer_from_aws_exits_with_3(run: Run, aws: LocalAws, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script can tell that AWS was not to be asked from a job that failed."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    aws.fault("DescribeJobs", kind)
    result = run("status", "some-id")

    assert result.exit_code == 3
    assert result.stderr.startswith("error: batch:DescribeJobs failed")
    assert result.stderr.count("\n") == 1


def test_nobody_listens_at_the_endpoint(run: Run) -> None:
    """An endpoint that is down is reported as such."""
    result = run("status", "some-id", "--endpoint-url", "http://127.0.0.1:1")

    assert result.exit_code == 3
    assert "http://127.0.0.1:1" in result.stderr


@pytest.mark.parametrize(
    "option", [("--endpoint-url", "localhost"), ("--endpoint-url", "http://host:99999"), ("--profile", "nobody")]
)
def test_unusable_aws_options_are_usage_errors(run: Run, option: tuple[str, str]) -> None:
    """An address without a scheme, or with no such port, and an unknown profile are found at once."""
    result = run("status", "some-id", *option)

    assert result.exit_code == 2
    assert option[0] in result.stderr


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--region", "no such region"), "no such region"),
        (("--endpoint-url", "http://"), "Invalid endpoint: http://"),
    ],
)
def test_settings_that_cannot_work_are_usage_errors(run: Run, option: tuple[str, str], said: str) -> None:
    """What AWS's own library says of them, in one line."""
    result = run("status", "some-id", *option)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_configuration_file_that_is_none_is_told(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "config").write_text("this is no configuration")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    result = run("status", "some-id")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: Getting credentials failed: Unable to parse config file: ")
    assert result.stderr.count("\n") == 1


def test_status_tells_a_line_a_job_without_a_terminal(run: Run, aws: LocalAws, shell: str) -> None:
    """Fields are separated by tabs, and a failed job makes the exit code 1."""
    good, bad = (aws.submit(shell, parameters={"script": script})[0] for script in ("true", "exit 7"))
    for job_id in (good, bad):
        aws.wait_for_status(job_id)
    result = run("status", good, bad)

    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[:5] for row in rows] == [
        [good, "SUCCEEDED", "shell:1", "default", "0"],
        [bad, "FAILED", "shell:1", "default", "7"],
    ]
    assert "exit code 7" in rows[1][5]
    assert result.exit_code == 1


def test_status_names_the_child_that_failed(run: Run, aws: LocalAws, shell: str) -> None:
    """For an array it says which children failed, and why."""
    script = "exit $AWS_BATCH_JOB_ARRAY_INDEX"
    [job_id] = aws.submit(shell, parameters={"script": script}, arrayProperties={"size": 2})
    aws.wait_for_status(job_id)

    assert "1 of 2 children failed; child 1: " in run("status", job_id).stdout


def test_status_of_a_further_attempt_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Of how many, and how the one before ended; its exit code is not the job's as long as that lives."""
    entries = Entries()
    ended = {"exitCode": 75, "logStreamName": "align/default/1"}
    attempts = [{**entries.attempt(1), "container": ended, "statusReason": "Essential container in task exited"}]
    again = {"attempts": attempts, "retryStrategy": {"attempts": 3}, "container": {**entries.container(), **ended}}
    living = (entries.running(**again), entries.waiting("RUNNABLE", **again))
    tables.say_statuses([(entries.read(entry), ()) for entry in living])

    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(row[1], row[4]) for row in rows] == [("RUNNING", ""), ("RUNNABLE", "")]
    assert all(row[5].startswith("attempt 2 of 3 (exit code 75): ") for row in rows)
    console.note_standing(entries.read(living[0]))
    assert "is RUNNING: attempt 2 of 3 (exit code 75)" in capsys.readouterr().err.replace("\n", " ")


def test_status_names_every_job_that_aws_does_not_know(run: Run, aws: LocalAws, shell: str) -> None:
    """Each once, beside the others."""
    [job_id] = aws.submit(shell, parameters={"script": "true"})
    result = run("status", "the-one", job_id, "the-two", "the-one")

    assert result.exit_code == 1
    assert result.stdout.startswith(job_id)
    first, second = result.stderr.splitlines()
    assert "the-one" in first
    assert "the-two" in second


def test_a_result_that_cannot_be_written_is_on_stderr(aws: LocalAws, shell: str) -> None:
    """The job is submitted: whoever has to do with it needs its id."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "submit", shell, "-q", "default", "-p", "script=true"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(aws),
            check=False,
        )
    [job] = aws.jobs()

    assert done.returncode == 3
    assert done.stderr == (
        f"error: stdout cannot be written (No space left on device). It would have been: {job['jobId']}\n"
    )


def test_a_reader_that_has_seen_enough_ends_it_quietly(aws: LocalAws, shell: str) -> None:
    """As a signal does, by which a shell's own commands end."""
    [job_id] = aws.submit(shell, parameters={"script": "seq 100000"})
    aws.wait_for_status(job_id)
    with subprocess.Popen(
        [*COMMAND, "logs", job_id], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(aws)
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert not process.stderr.read()
    assert process.returncode == 128 + signal.SIGPIPE


def test_status_of_an_unknown_job_is_a_failure(run: Run) -> None:
    """An id that AWS does not know is named."""
    result = run("status", "no-such-job")

    assert result.exit_code == 1
    assert "no-such-job" in result.stderr


def test_logs_labels_the_lines_of_several_streams(run: Run, aws: LocalAws, shell: str) -> None:
    """Each attempt's lines begin with its label; one stream has no labels."""
    [twice] = aws.submit(shell, parameters={"script": "echo hi; exit 1"}, retryStrategy={"attempts": 2})
    [once] = aws.submit(shell, parameters={"script": "echo hi"})
    for job_id in (once, twice):
        aws.wait_for_status(job_id)

    assert run("logs", once).stdout.splitlines()[1:] == ["hi"]
    lines = run("logs", twice).stdout.splitlines()
    assert [line for line in lines if line.endswith("hi")] == ["[attempt 1] hi", "[attempt 2] hi"]


@pytest.mark.long
def test_logs_follow_ends_with_the_job(run: Run, aws: LocalAws, shell: str) -> None:
    """Followed lines come as they are written, until the job's end, whatever that is."""
    [job_id] = aws.submit(shell, parameters={"script": "echo one; sleep 1; echo two; exit 1"})
    result = run("logs", job_id, "--follow")

    assert result.stdout.splitlines()[1:] == ["one", "two"]
    assert result.exit_code == 0


@pytest.mark.parametrize("follow", [(), ("--follow",)])
def test_logs_of_a_job_that_never_started_say_why(run: Run, aws: LocalAws, follow: tuple[str, ...]) -> None:
    """There is no line to print, so stderr has the reason; asking for the log has worked."""
    never = {"exit_code": None, "starts": False, "reason": "CannotPullContainerError: pull access denied"}
    aws.script(definition="never", attempts=[never])
    [job_id] = aws.submit(aws.register("never"))
    aws.wait_for_status(job_id)
    result = run("logs", job_id, *follow)

    assert result.exit_code == 0
    assert not result.stdout
    assert result.stderr.startswith(f"Job {job_id} failed: ")
    assert "pull access denied" in result.stderr
    assert result.stderr.count("\n") == 1


def test_logs_of_a_job_that_waits_say_what_for(run: Run, aws: LocalAws, shell: str) -> None:
    """Its state, with AWS's reason or the jobs it depends on."""
    aws.script(definition="stuck", runnable=600, runnable_reason="MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too big")
    [stuck] = aws.submit(aws.register("stuck"))
    aws.wait_for_status(stuck, "RUNNABLE")
    [waiting] = aws.submit(shell, parameters={"script": "true"}, dependsOn=[{"jobId": stuck}])
    aws.wait_for_status(waiting, "PENDING")

    said = run("logs", stuck).stderr
    assert said.startswith(f"Job {stuck} is RUNNABLE: The job is too large for all allowed instance types")
    assert said.endswith("(MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too big)\n")
    assert run("logs", waiting).stderr == f"Job {waiting} is PENDING: it is waiting for {stuck}\n"


def test_logs_that_have_lines_are_all_that_is_printed(run: Run, aws: LocalAws, shell: str) -> None:
    """Also of a job that has failed: `status` tells more."""
    [job_id] = aws.submit(shell, parameters={"script": "echo one; exit 1"})
    aws.wait_for_status(job_id)

    assert not run("logs", job_id).stderr


def test_what_a_job_waits_for_is_said_while_its_log_is_followed(
    run: Run, aws: LocalAws, shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its states once, and how it ended; the lines alone are on stdout."""
    gate, say = tmp_path / "gate", console.note

    def note(text: str) -> None:
        say(text)
        if "it is waiting for" in text:
            gate.touch()

    monkeypatch.setattr(console, "note", note)
    [first] = aws.submit(shell, parameters={"script": f"until [ -e {gate} ]; do sleep 0.05; done"})
    [job_id] = aws.submit(shell, parameters={"script": "echo one"}, dependsOn=[{"jobId": first}])
    result = run("logs", job_id, "--follow")

    assert result.stdout.splitlines()[1:] == ["one"]
    *states, end = result.stderr.splitlines()
    assert f"Job {job_id} is PENDING: it is waiting for {first}" in states
    assert len(set(states)) == len(states)
    assert end.startswith(f"Job {job_id} SUCCEEDED in ")


@pytest.mark.parametrize("option", ["--wait", "--follow"])
def test_a_failure_is_told_once(run: Run, shell: str, option: str) -> None:
    """As an error with its diagnosis, and not as the job's last state before that."""
    result = run("submit", shell, "-q", "default", "-p", "script=exit 3", option)

    assert [line for line in result.stderr.splitlines() if "FAILED" in line or "failed" in line] == [
        line for line in result.stderr.splitlines() if line.startswith("error: Job ")
    ]
    assert result.stderr.count("Essential container") <= 1


def test_logs_are_printed_without_what_steers_a_terminal(run: Run, aws: LocalAws, shell: str) -> None:
    """Colours, bells and invalid UTF-8 in a line do no harm."""
    [job_id] = aws.submit(shell, parameters={"script": r"printf '\033[31mred\033[0m \007bell \377\n'"})
    aws.wait_for_status(job_id)

    assert run("logs", job_id).stdout.splitlines()[1:] == ["red bell \ufffd"]


def test_terminate_stops_a_job_and_keeps_the_reason(run: Run, aws: LocalAws, shell: str) -> None:
    """The reason becomes the job's status reason."""
    [job_id] = aws.submit(shell, parameters={"script": "sleep 60"})
    aws.wait_for_status(job_id, "RUNNING")
    result = run("terminate", job_id, "--reason", "wrong input")

    assert result.exit_code == 0
    assert aws.wait_for_status(job_id)["statusReason"] == "wrong input"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("some-id#1",), "its job is some-id"),
        (("some-id", "--reason", ""), "1 to 1,024 characters"),
        (("some-id", "--reason", "x" * 1025), "1 to 1,024 characters"),
    ],
)
def test_terminate_refuses_what_aws_does_not_do(run: Run, arguments: tuple[str, ...], said: str) -> None:
    """AWS takes a node's id, and nothing happens; no reason, or one that is too long, it refuses."""
    result = run("terminate", *arguments)

    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", "").split())


def test_terminate_leaves_a_job_that_has_ended(run: Run, aws: LocalAws, shell: str) -> None:
    """A job that has ended is reported as such, and that is not an error."""
    [job_id] = aws.submit(shell, parameters={"script": "true"})
    aws.wait_for_status(job_id)
    result = run("terminate", job_id)

    assert result.exit_code == 0
    assert "has ended already" in result.stderr
    assert aws.counts().get("TerminateJob", 0) == 0


@pytest.mark.long
def test_result_prints_one_line_of_json(run: Run, shell: str) -> None:
    """Of a job that has one; submit --wait prints it after the id."""
    script = """echo 'batch-job-result: {"bam": "s3://é",  "n": [1]}'; echo done"""
    waited = run("submit", shell, "-q", "default", "-p", f"script={script}", "--wait")

    job_id, result = waited.stdout.splitlines()
    assert (waited.exit_code, result) == (0, '{"bam": "s3://é", "n": [1]}')
    assert run("result", job_id).stdout == f"{result}\n"
    assert run("result", job_id[:8]).stdout == f"{result}\n"


@pytest.mark.parametrize("text", ["\ud800", "s3://é"])
def test_a_result_that_stdout_cannot_write_is_escaped(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], text: str
) -> None:
    """Half a character, and a terminal that is not UTF-8: JSON loses nothing by it."""
    stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", stdout)
    jobs._say_result({"bam": text})
    assert json.loads(capfdbinary.readouterr().out) == {"bam": text}


@pytest.mark.long
def test_submit_wait_says_of_a_result_that_is_none_that_it_is_none(run: Run, aws: LocalAws, shell: str) -> None:
    """On stderr; the job has succeeded all the same, also if its log cannot be read. One without a result is silent."""
    half = run("submit", shell, "-q", "default", "-p", "script=echo 'batch-job-result: {'", "--wait")
    assert (half.exit_code, len(half.stdout.splitlines())) == (0, 1)
    assert "The result is not JSON: it ends too early" in half.stderr.replace("\n", " ")
    none = run("submit", shell, "-q", "default", "-p", "script=true", "--wait")
    assert (none.exit_code, "result" in none.stderr) == (0, False)
    aws.fault("FilterLogEvents", "denied")
    assert run("submit", shell, "-q", "default", "-p", "script=true", "--wait").exit_code == 0


@pytest.mark.long
def test_result_of_a_job_without_one_is_an_error(run: Run, aws: LocalAws, shell: str) -> None:
    """So is that of one that failed or runs; each says so on stderr, and before that what it waits for."""
    for script, status, told in (
        ("echo 'batch-job-result: {'", "SUCCEEDED", "The result is not JSON"),
        ("exit 3", "FAILED", "exit code 3"),
        ("sleep 60", "RUNNING", "has no result yet; wait until it has ended."),
        ("echo 'batch-job-result: {\"x\": 1e400}'", "SUCCEEDED", "1e400 is too large for a number"),
    ):
        [job_id] = aws.submit(shell, parameters={"script": script})
        aws.wait_for_status(job_id, status)
        result = run("result", job_id)
        assert (result.exit_code, result.stdout) == (1, "")
        assert told in result.stderr.replace("\n", " ")
        assert ("waiting for the last lines of its log" in result.stderr) == (status == "SUCCEEDED")
    assert run("result", "no-such-job").exit_code == 1


def test_result_of_an_array_that_failed_names_the_child(run: Run, aws: LocalAws, shell: str) -> None:
    """In the words of `status`."""
    script = "exit $AWS_BATCH_JOB_ARRAY_INDEX"
    [job_id] = aws.submit(shell, parameters={"script": script}, arrayProperties={"size": 2})
    aws.wait_for_status(job_id)
    result = run("result", job_id)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "1 of 2 children failed; child 1: " in result.stderr


@pytest.mark.parametrize("form", ["{arn}", " {id}", "{id}\r", "{id}\n", "{arn}\r\n"])
def test_an_id_is_taken_as_it_was_copied(run: Run, aws: LocalAws, shell: str, form: str) -> None:
    """As an ARN, or with blanks and line ends: AWS knows a job by its bare id alone."""
    job_id = run("submit", shell, "-q", "default", "-p", "script=true").stdout.strip()
    arn = aws.wait_for_status(job_id)["jobArn"]
    given = form.format(id=job_id, arn=arn)

    assert run("status", given).stdout.startswith(f"{job_id}\tSUCCEEDED")
    assert run("logs", given).exit_code == 0
    assert run("terminate", given).exit_code == 0
    assert run("submit", "--like", given).exit_code == 0
    assert "is not submitted alone" in run("submit", "--like", f"{arn}:3").output


def test_an_error_keeps_the_words_before_a_carriage_return(run: Run) -> None:
    """Which only a progress bar draws again."""
    result = run("status", "there is\rno such id")
    assert "no job there is no such id in this account" in result.stderr
