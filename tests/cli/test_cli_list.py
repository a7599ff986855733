"""list, and ids of which only the beginning is given, against the local AWS."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer import BadParameter

from airflow_batch_jobs.batch.identity import DAG_TAG
from airflow_batch_jobs.cli import job_ids
from airflow_batch_jobs.cli.times import ago_or_at, moment
from tests.cli.test_cli_jobs import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws

    Run = Callable[..., Any]


@pytest.fixture
def sleeper(aws: LocalAws) -> str:
    """A definition whose jobs run for a long time."""
    aws.script(definition="sleeper", running=600)
    return aws.register("sleeper")


@pytest.fixture
def quick(aws: LocalAws) -> str:
    """A definition whose jobs end at once."""
    return aws.register("quick", ["true"])


def rows(result: Any) -> list[list[str]]:
    """Return the fields of the lines that a command printed."""
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_list_tells_where_a_job_is_and_whose(run: Run, aws: LocalAws, sleeper: str) -> None:
    """In a pipe: id, status, queue, name, DAG, and the time since when."""
    before = datetime.now(tz=UTC)
    [job_id] = aws.submit(sleeper, tags={DAG_TAG: "nightly"})
    aws.wait_for_status(job_id, "RUNNING")
    result = run("list")

    [[*known, since]] = rows(result)
    assert known == [job_id, "RUNNING", "default", "sleeper", "nightly"]
    assert before < datetime.fromisoformat(since) < datetime.now(tz=UTC)
    assert result.exit_code == 0


def test_list_shows_jobs_that_have_not_ended_unless_told_otherwise(
    run: Run, aws: LocalAws, sleeper: str, quick: str
) -> None:
    """By status, queue, a part of the name and the DAG; all that is given has to fit."""
    aws.clients()("batch").create_job_queue(jobQueueName="other", priority=1)
    [runs] = aws.submit(sleeper, tags={DAG_TAG: "nightly"})
    [elsewhere] = aws.submit(sleeper, jobQueue="other", jobName="Far")
    [ended] = aws.submit(quick, tags={DAG_TAG: "nightly"})
    for job_id, status in ((runs, "RUNNING"), (elsewhere, "RUNNING"), (ended, "SUCCEEDED")):
        aws.wait_for_status(job_id, status)

    def listed(*options: str) -> set[str]:
        return {fields[0] for fields in rows(run("list", *options))}

    assert listed() == {runs, elsewhere}
    assert listed("--status", "succeeded") == {ended}
    assert listed("-s", "SUCCEEDED", "-s", "RUNNING", "--dag", "nightly") == {ended, runs}
    assert listed("-q", "other") == {elsewhere}
    assert listed("--name", "far") == {elsewhere}
    assert listed("--name", "far", "--dag", "nightly") == set()


@pytest.mark.long
def test_no_job_is_lost_between_pages(run: Run, aws: LocalAws, sleeper: str) -> None:
    """AWS lists a thousand jobs a page, and describes a hundred a call."""
    found = aws.submit(sleeper, count=1_100)

    assert sorted(fields[0] for fields in rows(run("list"))) == sorted(found)


@pytest.mark.parametrize("width", [40, 60, 120])
@pytest.mark.parametrize("command", ["list", "status"])
def test_an_id_can_be_copied_whatever_the_width(
    run: Run, aws: LocalAws, sleeper: str, monkeypatch: pytest.MonkeyPatch, width: int, command: str
) -> None:
    """It is in one piece, the rest stays within the terminal, and without colours where none are wanted."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    [job_id] = aws.submit(sleeper, tags={DAG_TAG: "nightly"})
    aws.wait_for_status(job_id, "RUNNING")
    shown = run(command, *([job_id] if command == "status" else [])).stdout

    assert job_id in shown
    assert "RUNNING" in shown.replace("\n", "")
    assert "\x1b[3" not in shown
    assert max(map(len, re.sub(r"\x1b\[\d*m", "", shown).splitlines())) <= width


@pytest.mark.long
def test_a_reader_that_has_seen_enough_ends_a_list_quietly(aws: LocalAws, sleeper: str) -> None:
    """Also where a table is drawn, since a pager is taken for a terminal."""
    aws.submit(sleeper)
    for more in ({}, {"FORCE_COLOR": "1", "COLUMNS": "60"}):
        with subprocess.Popen(
            [*COMMAND, "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**environment(aws), **more}
        ) as process:
            assert process.stdout
            assert process.stderr
            process.stdout.close()
            assert not process.stderr.read()
        assert process.returncode == 128 + 13


@pytest.mark.parametrize("kind", ["denied", "throttle"])
def test_a_list_that_aws_does_not_give_is_an_error(
    run: Run, aws: LocalAws, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, with an exit code that scripts know."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    aws.fault("ListJobs", kind)
    result = run("list", "-q", "default")

    assert result.exit_code == 3
    assert result.stderr.startswith("error: batch:ListJobs failed")
    assert result.stderr.count("\n") == 1


def test_a_list_of_a_queue_that_is_none_is_an_error(run: Run) -> None:
    """AWS's own words."""
    result = run("list", "-q", "nowhere")

    assert result.exit_code == 1
    assert "nowhere" in result.stderr


@pytest.mark.parametrize("command", ["status", "logs", "terminate"])
def test_the_beginning_of_an_id_is_enough(run: Run, aws: LocalAws, sleeper: str, command: str) -> None:
    """Where an id is wanted, of any job that AWS lists."""
    [job_id] = aws.submit(sleeper)
    result = run(command, job_id[:8])

    assert result.exit_code == 0
    assert job_id in result.output


def test_a_child_is_named_behind_the_beginning(run: Run, aws: LocalAws, quick: str) -> None:
    """As behind a whole id."""
    [array] = aws.submit(quick, arrayProperties={"size": 2})
    aws.wait_for_status(array)

    assert rows(run("status", f"{array[:6]}:1"))[0][0] == f"{array}:1"


def test_a_whole_id_needs_no_search(run: Run, aws: LocalAws, quick: str) -> None:
    """A role that may not list jobs works with whole ids."""
    [job_id] = aws.submit(quick)
    aws.fault("ListJobs", "denied")

    assert run("status", job_id).exit_code == 0
    assert aws.counts().get("ListJobs", 0) == 0


def test_a_search_that_is_denied_says_what_it_is_for(run: Run, aws: LocalAws) -> None:
    """And how to do without."""
    aws.fault("ListJobs", "denied")
    result = run("status", "abcd")

    assert result.exit_code == 3
    assert "a whole id needs no search" in result.stderr
    assert "batch:ListJobs" in result.stderr


def test_a_beginning_of_several_ids_names_them(run: Run, aws: LocalAws, sleeper: str) -> None:
    """With status and name, and nothing is done to either."""
    by_beginning: dict[str, list[str]] = {}
    while not (alike := [ids for ids in by_beginning.values() if len(ids) > 1]):
        for job_id in aws.submit(sleeper, count=100):
            by_beginning.setdefault(job_id[:4], []).append(job_id)
    [ids, *_] = alike
    result = run("terminate", ids[0][:4])

    assert result.exit_code == 2
    assert f"{len(ids)} jobs have an id that begins with {ids[0][:4]}" in result.stderr
    assert all(job_id in result.stderr for job_id in ids)
    assert "sleeper" in result.stderr
    assert aws.counts().get("TerminateJob", 0) == 0


@pytest.mark.long
def test_a_beginning_that_no_id_has_is_an_unknown_job(run: Run, aws: LocalAws, sleeper: str) -> None:
    """As any other id that AWS does not know."""
    [job_id] = aws.submit(sleeper)
    other = "0000" if not job_id.startswith("0000") else "1111"
    result = run("status", other)

    assert result.exit_code == 1
    assert f"AWS Batch has no job {other}" in result.stderr
    assert "check --profile and --region" in result.stderr


def test_a_search_ends_in_bounded_time_and_says_so(
    run: Run, aws: LocalAws, sleeper: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One match does not count while others may be left."""
    monkeypatch.setattr(job_ids, "SEARCH_SECONDS", -1.0)
    [job_id] = aws.submit(sleeper)
    result = run("terminate", job_id[:8])

    assert result.exit_code == 3
    assert "give the whole id" in result.stderr
    assert aws.counts().get("TerminateJob", 0) == 0


@given(st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)))
def test_a_moment_is_read_as_it_is_written(time: datetime) -> None:
    """Whatever it is."""
    assert ago_or_at(moment(time)) == time


@given(st.text())
def test_whatever_is_no_time_is_refused(text: str) -> None:
    """With what to write instead."""
    try:
        assert ago_or_at(text)
    except BadParameter as error:
        assert "neither a span" in str(error)  # noqa: PT017 - a text may well be a time


def test_a_span_is_counted_from_now() -> None:
    """In days, hours, minutes and seconds."""
    now = datetime.now(tz=UTC)
    for text, seconds in (("90s", 90), ("1h30m", 5400), ("2d", 172_800)):
        time = ago_or_at(text)
        assert time
        assert abs((now - time).total_seconds() - seconds) < 5


@pytest.mark.parametrize("given", ["", "e2", "e2f", " "])
def test_a_beginning_of_fewer_than_four_characters_is_said_to_be_too_short(run: Run, aws: LocalAws, given: str) -> None:
    """There may be many such jobs, and AWS is not asked."""
    result = run("status", given)

    assert result.exit_code == 2
    assert f"'{given.strip()}' is too short for a job's id: give at least 4 characters" in result.stderr
    assert aws.counts() == {}


def test_an_id_in_capital_letters_is_found(run: Run, aws: LocalAws, sleeper: str) -> None:
    """Whole, and by its beginning."""
    [job_id] = aws.submit(sleeper)

    for written in (job_id.upper(), job_id.upper()[:8]):
        result = run("status", written)
        assert result.exit_code == 0, result.stderr
        assert job_id in result.stdout


@pytest.mark.parametrize(("options", "said"), [((), "give --status FAILED"), (("-s", "FAILED"), "No such job.")])
def test_a_list_without_a_job_says_so(run: Run, options: tuple[str, ...], said: str) -> None:
    """On stderr: a script that reads the list reads nothing."""
    result = run("list", *options)

    assert result.exit_code == 0
    assert result.stdout == ""
    assert said in result.stderr


def test_what_is_missing_is_named_in_a_shells_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody in a shell has an Airflow connection to correct."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    listed = run("list")
    assert "You must specify a region. Correct the AWS profile (--profile, --region)" in " ".join(listed.stderr.split())
