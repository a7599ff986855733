"""ListJobs: which jobs, in which order, how many per page."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.local.pages import list_id, page_of
from tests.local.documented import needs

if TYPE_CHECKING:
    from airflow_batch_jobs.local import LocalAws

FILTER_CASES = [
    ("JOB_NAME", "a-1", ["a-1"]),
    ("JOB_NAME", "A-1", ["a-1"]),
    ("JOB_NAME", "a", []),
    ("JOB_NAME", "a*", ["A-2", "a-1"]),
    ("JOB_NAME", "*", ["b-1", "A-2", "a-1"]),
    ("JOB_DEFINITION", "align", ["A-2", "a-1"]),
    ("JOB_DEFINITION", "al*", ["b-1", "A-2", "a-1"]),
    ("JOB_DEFINITION", "arn:aws:batch:us-east-1:123456789012:job-definition/align:2", ["A-2"]),
    ("JOB_DEFINITION", "ALIGN", []),
]


@pytest.fixture
def jobs(frozen_aws: LocalAws) -> None:
    """Three jobs, a second between each, of three definitions."""
    for name in ("align", "align", "alter"):
        frozen_aws.register(name)
    frozen_aws.script(running=5)
    for name, definition in (("a-1", "align:1"), ("A-2", "align:2"), ("b-1", "alter:1")):
        frozen_aws.submit(definition, jobName=name)
        frozen_aws.advance(1)


def names(batch: Any, **how: Any) -> list[str]:
    """Return the names of the jobs listed."""
    return [one["jobName"] for one in batch.list_jobs(**{"jobQueue": "default", **how})["jobSummaryList"]]


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(("name", "value", "found"), FILTER_CASES)
def test_a_filter_finds_jobs_of_any_status_newest_first(
    frozen_batch: Any, name: str, value: str, found: list[str]
) -> None:
    """Names match in either case, with a star at the end; jobStatus does not count beside a filter."""
    assert names(frozen_batch, filters=[{"name": name, "values": [value]}], jobStatus="FAILED") == found


@pytest.mark.usefixtures("jobs")
def test_jobs_are_found_by_when_they_were_created(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """In milliseconds."""
    moment = str(frozen_aws.jobs()[1]["createdAt"])
    assert names(frozen_batch, filters=[{"name": "BEFORE_CREATED_AT", "values": [moment]}]) == ["a-1"]
    assert names(frozen_batch, filters=[{"name": "AFTER_CREATED_AT", "values": [moment]}]) == ["b-1"]
    with pytest.raises(frozen_batch.exceptions.ClientException, match="milliseconds"):
        names(frozen_batch, filters=[{"name": "AFTER_CREATED_AT", "values": ["yesterday"]}])


@pytest.mark.usefixtures("jobs")
def test_without_filter_and_status_running_jobs_are_listed(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """With a status, those."""
    frozen_aws.advance(1)
    assert names(frozen_batch) == ["A-2", "a-1"]
    assert names(frozen_batch, jobStatus="STARTING") == ["b-1"]


@pytest.mark.usefixtures("jobs")
def test_a_summary_has_what_a_detail_has(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Status, times, definition and exit code."""
    frozen_aws.advance(100)
    [summary] = frozen_batch.list_jobs(jobQueue="default", filters=[{"name": "JOB_NAME", "values": ["a-1"]}])[
        "jobSummaryList"
    ]
    [detail] = frozen_batch.describe_jobs(jobs=[summary["jobId"]])["jobs"]
    shared = summary.keys() & detail.keys() - {"container"}
    assert shared >= {"jobArn", "status", "statusReason", "createdAt", "startedAt", "stoppedAt", "jobDefinition"}
    assert {key: summary[key] for key in shared} == {key: detail[key] for key in shared}
    assert summary["container"] == {"exitCode": 0}
    assert not summary.keys() & {"isCancelled", "isTerminated"}


@needs("batch", "ListJobs", "statusSummary")
def test_an_array_is_listed_with_what_its_children_do(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """As DescribeJobs tells it."""
    frozen_aws.register("align")
    frozen_aws.script(definition="align", running=10)
    [array] = frozen_aws.submit("align:1", arrayProperties={"size": 2})
    frozen_aws.advance(6)
    [summary] = frozen_batch.list_jobs(jobQueue="default", jobStatus="PENDING")["jobSummaryList"]
    assert summary["arrayProperties"] == frozen_aws.job(array)["arrayProperties"]
    children = frozen_batch.list_jobs(arrayJobId=array)["jobSummaryList"]
    assert [child["arrayProperties"] for child in children] == [{"index": 0}, {"index": 1}]


@needs("batch", "ListJobs", "isTerminated")
def test_a_summary_tells_that_a_job_was_stopped(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """As a detail does; of other jobs it says nothing."""
    frozen_aws.register("align")
    [job_id] = frozen_aws.submit("align:1", jobName="ended")
    frozen_batch.terminate_job(jobId=job_id, reason="no longer wanted")
    [summary] = frozen_batch.list_jobs(jobQueue="default", filters=[{"name": "JOB_NAME", "values": ["ended"]}])[
        "jobSummaryList"
    ]
    assert summary["isCancelled"]
    assert summary["isTerminated"]


def test_pages_go_on_where_they_left_off(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Jobs submitted meanwhile come before and shift nothing."""
    frozen_aws.register("align")
    frozen_aws.submit("align:1", count=120)
    every = [{"name": "JOB_NAME", "values": ["*"]}]
    first = frozen_batch.list_jobs(jobQueue="default", filters=every)
    assert len(first["jobSummaryList"]) == 100
    frozen_aws.submit("align:1", count=5)
    second = frozen_batch.list_jobs(jobQueue="default", filters=every, nextToken=first["nextToken"])
    assert "nextToken" not in second
    ids = [one["jobId"] for one in first["jobSummaryList"] + second["jobSummaryList"]]
    assert len(set(ids)) == 120


def test_a_page_has_a_thousand_jobs_or_a_hundred_with_a_filter(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Also where no maxResults asks for them; with a filter maxResults may be larger than what comes."""
    frozen_aws.register("align")
    frozen_aws.script(running=60)
    frozen_aws.submit("align:1", count=150)
    [parent] = frozen_aws.submit("align:1", arrayProperties={"size": 150})
    frozen_aws.advance(6)
    assert len(names(frozen_batch)) == len(names(frozen_batch, maxResults=1000)) == 150
    assert len(names(frozen_batch, jobQueue="", arrayJobId=parent)) == 150
    assert len(names(frozen_batch, filters=[{"name": "JOB_NAME", "values": ["*"]}], maxResults=1000)) == 100
    for wrong in (0, 1001):
        with pytest.raises(frozen_batch.exceptions.ClientException, match="between 1 and 1000"):
            names(frozen_batch, maxResults=wrong)
    with pytest.raises(frozen_batch.exceptions.ClientException, match="between 1 and 100,"):
        frozen_batch.describe_job_definitions(maxResults=101)


def test_what_leaves_a_list_takes_nothing_with_it(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """A token leads on from its place, also when the job or revision that it stands for is gone by then."""
    frozen_aws.register("align")
    frozen_aws.script(running=60, stopping=0)
    frozen_aws.script(job_name="n", running=60, stopping=0)
    ids = [frozen_aws.submit("align:1", jobName=f"n{number}")[0] for number in range(6)]
    frozen_aws.advance(6)
    first = frozen_batch.list_jobs(jobQueue="default", maxResults=2)
    for job_id in ids[3:]:
        frozen_batch.terminate_job(jobId=job_id, reason="no longer wanted")
    frozen_aws.advance(1)
    assert names(frozen_batch, maxResults=2, nextToken=first["nextToken"]) == ["n2", "n1"]
    for _ in range(4):
        frozen_aws.register("align")
    asked: dict[str, Any] = {"jobDefinitionName": "align", "status": "ACTIVE", "maxResults": 2}
    page = frozen_batch.describe_job_definitions(**asked)
    for shown in page["jobDefinitions"]:
        frozen_batch.deregister_job_definition(jobDefinition=shown["jobDefinitionArn"])
    rest = frozen_batch.describe_job_definitions(**asked, nextToken=page["nextToken"])["jobDefinitions"]
    assert [one["revision"] for one in rest] == [3, 2]


def test_a_token_of_another_list_is_refused(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """Of another operation, name or status: AWS knows whose each of its tokens is."""
    for _ in range(2):
        frozen_aws.register("align")
    frozen_aws.submit("align:1")
    token = frozen_batch.describe_job_definitions(maxResults=1)["nextToken"]
    with pytest.raises(frozen_batch.exceptions.ClientException, match="nextToken"):
        names(frozen_batch, jobStatus="SUBMITTED", nextToken=token)
    with pytest.raises(frozen_batch.exceptions.ClientException, match="nextToken"):
        frozen_batch.describe_job_queues(nextToken=token)
    with pytest.raises(frozen_batch.exceptions.ClientException, match="nextToken"):
        frozen_batch.describe_job_definitions(jobDefinitionName="align", nextToken=token)
    for _ in range(2):
        frozen_aws.submit("align:1")
    of_submitted = frozen_batch.list_jobs(jobQueue="default", jobStatus="SUBMITTED", maxResults=1)["nextToken"]
    assert len(names(frozen_batch, jobStatus="SUBMITTED", nextToken=of_submitted)) == 2
    with pytest.raises(frozen_batch.exceptions.ClientException, match="nextToken"):
        names(frozen_batch, jobStatus="RUNNING", nextToken=of_submitted)
    with pytest.raises(frozen_batch.exceptions.ClientException, match="nextToken"):
        names(frozen_batch, nextToken="é")


@given(place=st.recursive(st.integers() | st.text() | st.none(), st.lists, max_leaves=4))
def test_any_other_text_is_no_token(place: Any) -> None:
    """A ValueError, which each service answers as its own error; a place that no item has leads on as well."""
    of = list_id("ListJobs", {})
    token = base64.urlsafe_b64encode(json.dumps([of, *place] if isinstance(place, list) else place).encode()).decode()
    items = [("a", 1), ("b", 2)]
    for is_descending in (False, True):
        try:
            shown, _ = page_of(
                items[::-1] if is_descending else items,
                lambda item: item,
                of=of,
                size=2,
                token=token,
                is_descending=is_descending,
            )
        except ValueError:
            return
        assert sorted(shown) == [
            item for item in items if (item < tuple(place)) is is_descending and item != tuple(place)
        ]


def test_an_arrays_children_are_listed_by_their_parent_alone(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """The queue's list has the parent."""
    frozen_aws.register("align")
    frozen_aws.script(running=60)
    [parent] = frozen_aws.submit("align:1", arrayProperties={"size": 3})
    frozen_aws.advance(6)
    listed = frozen_batch.list_jobs(arrayJobId=parent)["jobSummaryList"]
    assert [one["arrayProperties"]["index"] for one in listed] == [0, 1, 2]
    [summary] = frozen_batch.list_jobs(jobQueue="default", jobStatus="PENDING")["jobSummaryList"]
    assert summary["arrayProperties"]["size"] == 3


def test_a_share_identifier_goes_with_a_status(frozen_aws: LocalAws, frozen_batch: Any) -> None:
    """It is the one filter that does."""
    frozen_batch.create_job_queue(jobQueueName="fair", priority=1, schedulingPolicyArn="arn:x")
    frozen_aws.register("align")
    frozen_aws.submit("align:1", jobQueue="fair", shareIdentifier="team", schedulingPriorityOverride=1)
    filters = [{"name": "SHARE_IDENTIFIER", "values": ["team"]}]
    assert names(frozen_batch, jobQueue="fair", filters=filters, jobStatus="RUNNING") == []
    assert names(frozen_batch, jobQueue="fair", filters=filters, jobStatus="SUBMITTED") == ["align"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"jobQueue": ""}, "Exactly one"),
        ({"arrayJobId": "x"}, "Exactly one"),
        ({"jobQueue": "nobody"}, "not found"),
        ({"filters": [{"name": "JOB_NAME", "values": ["a"]}, {"name": "JOB_NAME", "values": ["b"]}]}, "one filter"),
        ({"filters": [{"name": "TAG", "values": ["a"]}]}, "TAG"),
        ({"jobQueue": "", "arrayJobId": "x", "filters": [{"name": "JOB_NAME", "values": ["a"]}]}, "jobQueue"),
        ({"jobStatus": "DONE"}, "enum"),
    ],
)
def test_what_cannot_be_combined_is_refused(batch: Any, given: dict[str, Any], problem: str) -> None:
    """With a ClientException that says why."""
    with pytest.raises(batch.exceptions.ClientException, match=problem):
        names(batch, **given)
