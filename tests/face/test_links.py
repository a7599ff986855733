"""The links of a task instance into the AWS console."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.links import JOB_LINKS, definition_url, job_url, log_stream_url, queue_url

JOB = {
    "job_id": "1a2b",
    "region": "eu-central-1",
    "definition": "arn:aws:batch:eu-central-1:123456789012:job-definition/align:7",
    "queue": "arn:aws:batch:eu-central-1:123456789012:job-queue/default",
}


def test_job_definition_and_queue_have_their_pages_in_the_jobs_region() -> None:
    """The addresses carry the id, the revision and the region."""
    base = "https://console.aws.amazon.com/batch/home?region=eu-central-1"
    assert job_url(JOB) == f"{base}#jobs/detail/1a2b"
    assert definition_url(JOB) == f"{base}#job-definition/detail/{JOB['definition']}"
    assert queue_url(JOB) == f"{base}#queues/detail/{JOB['queue']}"


def test_a_log_stream_is_quoted_as_the_console_wants_it() -> None:
    """CloudWatch's console reads slashes in names as $252F."""
    stream = {"group": "/aws/batch/job", "region": "eu-central-1", "stream": "align/default/0f"}
    assert log_stream_url(stream).endswith(
        "#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/align$252Fdefault$252F0f"
    )


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "us-east-1", "console.aws.amazon.com"),
        ("aws", "us-gxv-1", "console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
        ("aws-eusc", "eusc-de-east-1", "eusc-de-east-1.console.amazonaws-eusc.eu"),
    ],
)
def test_each_partition_has_a_console_of_its_own(partition: str, region: str, host: str) -> None:
    """China, GovCloud and the European Sovereign Cloud are not reached through the common console."""
    owner = f"arn:{partition}:batch:{region}:123456789012"
    stream = {"group": "g", "region": region, "stream": "s"}
    job = {
        "job_id": "1a2b",
        "region": region,
        "definition": f"{owner}:job-definition/align:7",
        "queue": f"{owner}:job-queue/default",
        "log_streams": [stream],
    }
    for link in JOB_LINKS:
        assert link.leads_to(job).startswith(f"https://{host}/"), link.name
        assert f"/home?region={region}#" in link.leads_to(job)


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1"])
def test_a_console_that_is_not_public_has_no_link(region: str) -> None:
    """A link to the common console would lead to nothing."""
    assert job_url({**JOB, "region": region}) == ""


def test_a_queue_of_another_region_is_found_in_that() -> None:
    """Its ARN says where it is, whatever region the job was asked in."""
    queue = "arn:aws-cn:batch:cn-north-1:123456789012:job-queue/default"
    assert queue_url({**JOB, "queue": queue}) == (
        f"https://console.amazonaws.cn/batch/home?region=cn-north-1#queues/detail/{queue}"
    )


def test_a_queue_given_by_its_name_has_the_arn_of_its_definitions_account() -> None:
    """Right after the submit nobody has asked AWS for the queue; a page of a bare name does not exist."""
    assert queue_url({**JOB, "queue": "default"}) == queue_url(JOB)
    assert definition_url({**JOB, "definition": "align:7"}) == definition_url(JOB)
    nameless = {**JOB, "queue": "default", "definition": "align:7"}
    assert queue_url(nameless) == definition_url(nameless) == ""
    assert queue_url({**JOB, "queue": None}) == ""


@pytest.mark.parametrize(
    ("known", "page"),
    [
        ({"kind": "single"}, "jobs/detail/1a2b"),
        ({"kind": "multi-container"}, "jobs/detail/1a2b"),
        ({"kind": "eks"}, "jobs/detail/1a2b"),
        ({"kind": "array parent"}, "jobs/array-job/1a2b"),
        ({"kind": "array child", "job_id": "1a2b:7"}, "jobs/detail/1a2b:7"),
        ({"kind": "multi-node"}, "jobs/mnp-job/1a2b"),
        ({"kind": "node", "job_id": "1a2b#3"}, "jobs/mnp-job/1a2b"),
        ({}, "jobs/detail/1a2b"),
        ({"children": {"RUNNING": 3}}, "jobs/array-job/1a2b"),
        ({"nodes": 4}, "jobs/mnp-job/1a2b"),
    ],
)
def test_each_kind_of_job_has_its_page(known: dict[str, Any], page: str) -> None:
    """As the console has them; what an older version wrote has no kind, but the numbers of children and nodes."""
    assert job_url({**JOB, **known}) == f"https://console.aws.amazon.com/batch/home?region=eu-central-1#{page}"


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_no_name_leaves_its_place(job_id: str, group: str, stream: str) -> None:
    """Whatever stands in a name, the address has one host, one query and one fragment, without a space in it."""
    streams = [{"group": group, "region": "eu-central-1", "stream": stream}]
    job = {**JOB, "job_id": job_id or "x", "log_streams": streams}
    for link in JOB_LINKS:
        parts = urlsplit(link.leads_to(job))
        assert (parts.netloc, parts.query) == ("console.aws.amazon.com", "region=eu-central-1")
        assert re.fullmatch(r"[\w/:$%.~-]+", parts.fragment, re.ASCII)
    _, place = link.leads_to(job).split("/log-group/")
    quoted = [part.replace("$", "%") for part in place.split("/log-events/")]
    assert [unquote(unquote(part)) for part in quoted] == [group, stream]


def test_each_link_leads_to_its_page_and_the_log_to_the_newest_stream() -> None:
    """A job that has no log yet has no link to it."""
    streams = [{"group": "g", "region": "eu-central-1", "stream": name} for name in ("old", "new")]
    job, definition, queue, log = JOB_LINKS
    assert [job.url(JOB), definition.url(JOB), queue.url(JOB)] == [job_url(JOB), definition_url(JOB), queue_url(JOB)]
    assert log.url({**JOB, "log_streams": streams}) == log_stream_url(streams[1])
    assert log.url(JOB) == ""


@pytest.mark.parametrize(("status", "leads_to"), [("FAILED", "3"), ("SUCCEEDED", "9"), ("RUNNING", "9")])
def test_the_log_of_a_failed_array_is_its_first_failed_childs(status: str, leads_to: str) -> None:
    """The newest stream may be that of a child that succeeded."""
    streams = [{"group": "g", "region": "eu-central-1", "stream": f"child-{index}"} for index in range(10)]
    children = [{"index": 2, "log_stream": None}, {"index": 3, "log_stream": streams[3]}, {"index": 4}]
    job = {**JOB, "kind": "array parent", "status": status, "log_streams": streams, "failed_children": children}
    *_, log = JOB_LINKS
    assert log.url(job).endswith(f"/log-events/child-{leads_to}")
    assert log.url({**job, "failed_children": children[:1]}).endswith("/log-events/child-9")


@pytest.mark.parametrize("value", [None, "s3://bucket/xcom", {"job_id": "1a2b"}, {"region": "eu-central-1"}, []])
def test_what_is_no_job_leads_nowhere(value: Any) -> None:
    """A deployment's own XCom backend may keep it elsewhere."""
    assert {link.leads_to(value) for link in JOB_LINKS} == {""}
