"""Which lines logs prints, and how; against the local AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.batch.logs import LogEvent
from airflow_batch_jobs.batch.logs.window import LogWindow
from airflow_batch_jobs.cli.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws

    Run = Callable[..., Any]


def ended(aws: LocalAws, **script: Any) -> str:
    """Return a job that has ended, with ten lines in each attempt."""
    aws.script(definition="talk", running=0.1, lines={"count": 10, "rate": 1000.0}, **script)
    [job_id] = aws.submit(aws.register("talk"))
    aws.wait_for_status(job_id)
    return job_id


def test_tail_prints_the_last_lines_of_each_stream(run: Run, aws: LocalAws) -> None:
    """Of each attempt, for one."""
    job_id = ended(aws, attempts=[1, 0])

    assert run("logs", job_id, "--tail", "2").stdout.splitlines() == [
        "[attempt 1] line 9",
        "[attempt 1] line 10",
        "[attempt 2] line 9",
        "[attempt 2] line 10",
    ]
    assert run("logs", job_id, "--tail", "0").stdout == ""


@pytest.mark.parametrize("tail", ["0", "3", "100"])
def test_following_goes_on_from_the_tail(run: Run, aws: LocalAws, tail: str) -> None:
    """No line comes twice, and none that is older."""
    job_id = ended(aws)
    result = run("logs", job_id, "--follow", "--tail", tail)

    assert result.stdout.splitlines() == [f"line {number}" for number in range(1, 11)][-int(tail) or 10 :]


def test_new_lines_all_come_after_a_tail(aws: LocalAws, tmp_path: Path) -> None:
    """Also with none of the old ones."""
    go = tmp_path / "go"
    command = ["sh", "-c", f"for i in 1 2 3; do echo old $i; done; until test -e {go}; do sleep 0.05; done; echo new"]
    [job_id] = aws.submit(aws.register("talk", command))
    aws.wait_for_line(job_id, "old 3")
    lines = (event.text() for _, event in BatchJob.from_id(job_id, clients=aws.clients()).logs(follow=True, tail=1))

    assert next(lines) == "old 3"
    go.touch()
    assert list(lines) == ["new"]


def test_since_leaves_out_what_is_older(run: Run, aws: LocalAws) -> None:
    """A time, to the millisecond, or a span; followed or not."""
    job_id = ended(aws)
    lines = list(BatchJob.from_id(job_id, clients=aws.clients()).logs())
    since = moment(lines[4][1].time)
    wanted = [event.text() for _, event in lines if event.timestamp >= lines[4][1].timestamp]

    assert 0 < len(wanted) < 10
    assert run("logs", job_id, "--since", since).stdout.splitlines() == wanted
    assert run("logs", job_id, "--since", since, "--follow").stdout.splitlines() == wanted
    assert run("logs", job_id, "--since", since, "--tail", "1").stdout.splitlines() == wanted[-1:]
    assert len(run("logs", job_id, "--since", "1h").stdout.splitlines()) == 10


def test_a_time_stands_before_the_label(run: Run, aws: LocalAws) -> None:
    """In UTC, fit to be sorted, and fit to be given to --since."""
    job_id = ended(aws, attempts=[1, 0])
    first, *_ = run("logs", job_id, "--timestamps").stdout.splitlines()
    time, label = first.split(" ", 1)

    assert label == "[attempt 1] line 1"
    assert time.endswith("Z")
    assert abs(datetime.fromisoformat(time) - datetime.now(tz=UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize("since", ["yesterday", "10", "m", "", "9999999999d"])
def test_a_since_that_is_none_is_refused(run: Run, since: str) -> None:
    """With what it may be."""
    result = run("logs", "some-id", "--since", since)

    assert result.exit_code == 2
    assert "is neither a span, such as 10m or 1h30m" in " ".join(result.stderr.replace("│", "").split())


def test_a_line_that_comes_late_is_wanted_unless_it_is_older_than_the_tail() -> None:
    """A stream whose end was not read has all its lines wanted."""
    stream, other = (LogStream("", "g", "r", name) for name in ("s", "o"))
    window = LogWindow(tail=2)
    window._read[stream.key] = 100, frozenset({"b", "c"})

    assert [window.wants(stream, LogEvent(time, "", name)) for time, name in ((99, "a"), (100, "b"), (105, "c"))] == [
        False
    ] * 3
    assert window.wants(stream, LogEvent(104, "", "late"))
    assert window.wants(other, LogEvent(1, "", "a"))


@pytest.mark.parametrize(("kind", "shown"), [("error", 2), ("denied", 0)])
@pytest.mark.parametrize("options", [(), ("--tail", "5")])
def test_a_stream_that_cannot_be_read_costs_no_other(
    run: Run, aws: LocalAws, options: tuple[str, ...], kind: str, shown: int
) -> None:
    """Unless the reason is one that all streams of its log group share; the error comes last."""
    aws.script(definition="talk", running=0.1, lines={"count": 2, "rate": 1000.0}, attempts=[1, 1, 0])
    [job_id] = aws.submit(aws.register("talk"))
    aws.wait_for_status(job_id)
    how = {"code": "OperationAbortedException", "status": 400} if kind == "error" else {}
    aws.fault("FilterLogEvents", kind, times=1, **how)

    result = run("logs", job_id, *options)

    assert [line for line in result.stdout.splitlines() if line.endswith("line 2")] == [
        f"[attempt {number}] line 2" for number in (2, 3)[:shown]
    ]
    assert result.exit_code != 0
    assert "logs:FilterLogEvents failed" in result.stderr


def test_a_log_that_may_not_be_read_has_one_exit_code(run: Run, aws: LocalAws) -> None:
    """Followed or not."""
    aws.script(definition="talk", running=0.1, lines={"count": 2, "rate": 1000.0})
    [job_id] = aws.submit(aws.register("talk"))
    aws.wait_for_status(job_id)
    aws.fault("FilterLogEvents", "denied")

    for options in ((), ("--follow",)):
        result = run("logs", job_id, *options)
        assert "logs:FilterLogEvents failed" in result.stderr
        assert result.exit_code == 3
