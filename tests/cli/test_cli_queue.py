"""queue, against the local AWS."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from airflow_batch_jobs.batch.queue_snapshot import _places, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.local.server import LocalAws

    Run = Callable[..., Any]

BLOCKED = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too big"


@pytest.fixture
def line(aws: LocalAws) -> tuple[str, str, str]:
    """Two jobs that stay RUNNABLE for a reason, and one that waits for the first of them."""
    aws.script(definition="stuck", runnable=600, runnable_reason=BLOCKED)
    stuck = aws.register("stuck")
    (first,), (second,) = aws.submit(stuck, jobName="one"), aws.submit(stuck, jobName="two")
    [waiting] = aws.submit(stuck, jobName="three", dependsOn=[{"jobId": first}])
    for job_id, status in ((first, "RUNNABLE"), (second, "RUNNABLE"), (waiting, "PENDING")):
        aws.wait_for_status(job_id, status)
    return first, second, waiting


def test_what_waits_is_shown_with_its_reason(run: Run, line: tuple[str, str, str]) -> None:
    """In a pipe: id, place, status, since when, name and why; the oldest first, the summary on stderr."""
    result = run("queue", "default")

    rows = [row.split("\t") for row in result.stdout.splitlines()]
    first, second, waiting = line
    assert [(row[0], row[2], row[4]) for row in rows] == [
        (first, "RUNNABLE", "one"),
        (second, "RUNNABLE", "two"),
        (waiting, "PENDING", "three"),
    ]
    assert rows[0][5] == rows[1][5]
    assert re.fullmatch(rf"The job is too large for .* \({BLOCKED}\)", rows[0][5])
    assert rows[2][5] == f"it is waiting for {first}"
    assert all(datetime.fromisoformat(row[3]) < datetime.now(tz=UTC) for row in rows)
    assert result.stderr == "Queue default is ENABLED: 1 PENDING, 2 RUNNABLE\n"
    assert result.exit_code == 0


def test_the_places_are_those_that_aws_tells(run: Run, aws: LocalAws) -> None:
    """With all slots taken, the others stand in line; jobs that run do not wait."""
    aws.script(definition="sleeper", running=600, uses_slot=True)
    sleeper = aws.register("sleeper")
    for job_id in aws.submit(sleeper, count=4):
        aws.wait_for_status(job_id, "RUNNING")
    first, second = (aws.submit(sleeper)[0] for _ in range(2))
    for job_id in (first, second):
        aws.wait_for_status(job_id, "RUNNABLE")
    result = run("queue", "default")

    assert [row.split("\t")[:3] for row in result.stdout.splitlines()] == [
        [first, "1", "RUNNABLE"],
        [second, "2", "RUNNABLE"],
    ]
    assert result.stderr == "Queue default is ENABLED: 2 RUNNABLE, 4 RUNNING\n"


def test_no_more_are_shown_than_wanted_and_all_are_counted(run: Run, line: tuple[str, str, str]) -> None:
    """The summary says how many are left out."""
    result = run("queue", "default", "--limit", "1")

    assert [row.split("\t")[0] for row in result.stdout.splitlines()] == [line[0]]
    assert result.stderr.endswith("1 PENDING, 2 RUNNABLE. Not shown: 2 that wait\n")


def test_a_queue_in_which_nothing_is(run: Run) -> None:
    """Nothing on stdout, and a summary."""
    result = run("queue", "default")

    assert result.exit_code == 0
    assert not result.stdout
    assert result.stderr == "Queue default is ENABLED: no jobs\n"


def test_a_queue_that_is_disabled_is_shown_as_such(run: Run, aws: LocalAws) -> None:
    """It takes no jobs, and may have some."""
    aws.clients()("batch").create_job_queue(jobQueueName="closed", priority=1, state="DISABLED")

    assert run("queue", "closed").stderr == "Queue closed is DISABLED: no jobs\n"


def test_a_queue_that_is_none_is_an_error(run: Run) -> None:
    """Which names those that there are."""
    result = run("queue", "nowhere")

    assert result.exit_code == 1
    assert "Existing queues: default" in result.stderr


def test_without_the_permission_for_places_the_rest_is_shown(
    run: Run, aws: LocalAws, line: tuple[str, str, str]
) -> None:
    """And what is missing is named."""
    aws.fault("GetJobQueueSnapshot", "denied")
    result = run("queue", "default")

    assert result.exit_code == 0
    assert [row.split("\t")[0] for row in result.stdout.splitlines()] == [*line]
    assert "It is not known which job is first. " in result.stderr
    assert "batch:GetJobQueueSnapshot" in result.stderr


@pytest.mark.parametrize("width", ["40", "60", "102"])
def test_the_whole_is_readable_on_a_narrow_terminal(
    run: Run, line: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    """With the ids in one piece, and nothing cut off."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", width)
    result = run("queue", "default")
    shown = result.stdout

    assert all(job_id in shown for job_id in line)
    assert "…" not in shown
    summary = Text.from_ansi(result.stderr[result.stderr.rindex("Queue default") :]).plain
    assert max(map(len, summary.splitlines())) <= int(width)


def test_a_job_is_counted_once(aws: LocalAws, line: tuple[str, str, str]) -> None:
    """However often it is listed."""
    found = snapshot(aws.clients(), "default", 10)

    assert sum(found.counts.values()) == len(line)


def test_each_share_has_a_line_of_its_own() -> None:
    """Where a queue divides its quota among shares."""
    jobs = [{"jobArn": f"arn:aws:batch:r:1:job/{number}"} for number in "ab"]
    answer = {"frontOfQuotaShares": {"quotaShares": {"lab": jobs}}, "frontOfQueue": {"jobs": []}}

    assert dict(_places(answer)) == {"a": "1 of lab", "b": "2 of lab"}


_ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["frontOfQueue", "frontOfQuotaShares", "jobs", "quotaShares", "jobArn"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["frontOfQueue", "frontOfQuotaShares"]), _ANYTHING))
def test_any_answer_has_places_or_none(answer: dict[str, Any]) -> None:
    """What is of another kind than AWS's counts as left out."""
    assert all(job_id and place for job_id, place in _places(answer))
