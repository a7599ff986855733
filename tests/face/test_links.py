"""The links of a task instance into the AWS console."""

from __future__ import annotations

import pytest

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
    ("region", "host"),
    [("cn-north-1", "console.amazonaws.cn"), ("us-gov-west-1", "console.amazonaws-us-gov.com")],
)
def test_other_partitions_have_consoles_of_their_own(region: str, host: str) -> None:
    """China and GovCloud are not reached through the common console."""
    assert job_url({**JOB, "region": region}).startswith(f"https://{host}/")


def test_each_link_leads_to_its_page_and_the_log_to_the_newest_stream() -> None:
    """A job that has no log yet has no link to it."""
    streams = [{"group": "g", "region": "eu-central-1", "stream": name} for name in ("old", "new")]
    job, definition, queue, log = JOB_LINKS
    assert [job.url(JOB), definition.url(JOB), queue.url(JOB)] == [job_url(JOB), definition_url(JOB), queue_url(JOB)]
    assert log.url({**JOB, "log_streams": streams}) == log_stream_url(streams[1])
    assert log.url(JOB) == ""
