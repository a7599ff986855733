"""What a shell completes, as bash asks for it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from airflow_batch_jobs.cli.completion import ANSWER_SECONDS
from tests.cli.test_cli_jobs import environment

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws

NAME = "airflow-batch-jobs"
CODE = "from airflow_batch_jobs.cli import app, completion; completion.ANSWER_SECONDS = {}; app(prog_name={!r})"


def offered(env: dict[str, str], *words: str, patience_seconds: float = 50.0) -> list[str]:
    """Return what is offered for the last word; there must be nothing on stderr."""
    asked = {
        "_AIRFLOW_BATCH_JOBS_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join([NAME, *words]),
        "COMP_CWORD": str(len(words)),
    }
    code = CODE.format(patience_seconds, NAME)
    done = subprocess.run(
        [sys.executable, "-c", code], env={**env, **asked}, capture_output=True, text=True, check=False, timeout=120
    )
    assert not done.stderr
    return done.stdout.split()


@pytest.fixture
def env(aws: LocalAws) -> dict[str, str]:
    """The environment of a shell that works with a local AWS of two queues and three definitions."""
    aws.clients()("batch").create_job_queue(jobQueueName="science", priority=1)
    for name in ("align", "align", "sort", "align-all"):
        aws.register(name, ["true"])
    return environment(aws)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("queue", ""), ["default", "science"]),
        (("queue", "s"), ["science"]),
        (("list", "-q", "d"), ["default"]),
        (("submit", "x:1", "--queue", "s"), ["science"]),
        (("orphans", "-q", "s"), ["science"]),
        (("submit", ""), ["align:2", "align-all:1", "sort:1"]),
        (("submit", "al"), ["align:2", "align-all:1"]),
        (("submit", "align:"), ["align:1", "align:2"]),
        (("submit", "none"), []),
        (("lo",), ["local", "logs"]),
    ],
)
def test_queues_and_revisions_are_offered(env: dict[str, str], words: tuple[str, ...], expected: list[str]) -> None:
    """The newest revision of each definition, and all of the one that is followed by a colon."""
    assert offered(env, *words) == expected


def test_the_options_so_far_say_where_aws_is(env: dict[str, str]) -> None:
    """An address on the command line counts."""
    address = env.pop("AWS_ENDPOINT_URL")

    assert offered(env, "queue", "--endpoint-url", address, "s") == ["science"]


@pytest.mark.parametrize("options", [("--endpoint-url", "nonsense"), ("--profile", "nobody"), ("--region", "no such")])
def test_options_that_cannot_work_offer_nothing(env: dict[str, str], options: tuple[str, str]) -> None:
    """And say nothing: the command itself will."""
    assert offered(env, "queue", *options, "s") in ([], ["science"])


@pytest.mark.parametrize("kind", ["denied", "drop", "throttle", "server_error"])
def test_a_failure_offers_nothing_and_says_nothing(env: dict[str, str], aws: LocalAws, kind: str) -> None:
    """Whatever AWS answers."""
    aws.fault("DescribeJobQueues", kind)

    assert offered(env, "queue", "s") == []


@pytest.mark.long
def test_an_aws_that_is_silent_does_not_hang_the_shell(env: dict[str, str]) -> None:
    """It takes the connection and never answers, for which botocore waits a minute."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.getsockname()[1]}"
        began = time.monotonic()
        assert offered(env, "queue", "s", patience_seconds=ANSWER_SECONDS) == []
        assert time.monotonic() - began < 55  # of which three seconds are ours, and the rest Python's start
