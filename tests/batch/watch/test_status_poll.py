"""Descriptions: one `JobDetail` for as long as AWS says the same, whatever shape the job has."""

from __future__ import annotations

import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.aws import Patience, service
from airflow_batch_jobs.batch.aws.clients import pass_json_on
from airflow_batch_jobs.batch.aws.clock import SystemClock
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.watch.aws_time import AwsTime
from airflow_batch_jobs.batch.watch.status_poll import Descriptions

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


def new_descriptions() -> Descriptions:
    """Return descriptions that have described nothing yet."""
    return Descriptions(AwsTime(SystemClock()))


def test_a_job_that_aws_describes_in_the_same_words_is_the_same_detail(frozen_aws: LocalAws) -> None:
    """It is read once for all the polls in which nothing changes."""
    frozen_aws.script(definition="talk", starting=0, running=60)
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"))
    frozen_aws.advance(10)
    batch, descriptions = service(frozen_aws.clients(), "batch", patience=Patience.PACED), new_descriptions()
    first = descriptions.ask(batch, [job_id])[job_id]
    frozen_aws.advance(10)
    assert descriptions.ask(batch, [job_id])[job_id] is first
    frozen_aws.advance(60)
    last = descriptions.ask(batch, [job_id])[job_id]
    assert isinstance(first, JobDetail)
    assert isinstance(last, JobDetail)
    assert (first.status, last.status) == (JobStatus.RUNNING, JobStatus.SUCCEEDED)


def test_an_array_whose_children_move_is_another_detail(frozen_aws: LocalAws) -> None:
    """Its own status stays PENDING while its children's do not."""
    frozen_aws.script(definition="talk", starting=0, running=60)
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"), arrayProperties={"size": 3})
    batch, descriptions = service(frozen_aws.clients(), "batch", patience=Patience.PACED), new_descriptions()
    first = descriptions.ask(batch, [job_id])[job_id]
    frozen_aws.advance(30)
    second = descriptions.ask(batch, [job_id])[job_id]
    assert isinstance(first, JobDetail)
    assert isinstance(second, JobDetail)
    assert first.children != second.children


def test_nothing_is_kept_of_a_job_that_nobody_follows(frozen_aws: LocalAws) -> None:
    """A watcher that lives for months holds the jobs of the day only."""
    [job_id] = frozen_aws.submit(frozen_aws.register("talk"))
    descriptions = new_descriptions()
    detail = weakref.ref(descriptions.ask(service(frozen_aws.clients(), "batch"), [job_id])[job_id])
    gc.collect()
    assert detail() is None


def everything(aws: LocalAws) -> list[dict[str, Any]]:
    """Return SubmitJob's parameters for a job of every shape that the local AWS knows."""
    batch = aws.clients()("batch")
    container = {"image": "i", "command": ["c"], "vcpus": 1, "memory": 128}
    ranges = [{"targetNodes": "0:1", "container": container}]
    batch.register_job_definition(
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges},
    )
    single = aws.register("single", retryStrategy={"attempts": 2}, tags={"a": "b"}, parameters={"x": "1"})
    aws.script(definition="single", starting=0, attempts=[1, 0], lines=3)
    return [
        {"jobDefinition": single, "timeout": {"attemptDurationSeconds": 600}},
        {"jobDefinition": single, "arrayProperties": {"size": 2}},
        {"jobDefinition": "nodes:1"},
    ]


@pytest.mark.parametrize("seconds", [2, 30, 600])
def test_the_json_that_is_passed_on_says_what_botocores_parser_says(frozen_aws: LocalAws, seconds: float) -> None:
    """Of jobs of every shape, in every stage, a detail is the same whoever read the answer."""
    batch = frozen_aws.clients()("batch")
    ids = [batch.submit_job(jobName="j", jobQueue="default", **each)["jobId"] for each in everything(frozen_aws)]
    ids += [f"{ids[1]}:0", f"{ids[2]}#1"]
    frozen_aws.advance(seconds)
    parsed = {job["jobId"]: JobDetail.from_response(job, "r") for job in batch.describe_jobs(jobs=ids)["jobs"]}

    def read(answer: dict[str, Any]) -> dict[str, JobDetail]:
        return {job["jobId"]: JobDetail.from_response(job, "r") for job in answer["jobs"]}

    paced = service(frozen_aws.clients(), "batch", patience=Patience.PACED)
    passed_on = paced.call("describe_jobs", read, jobs=ids)
    assert len(parsed) == len(ids)
    assert passed_on == parsed


@pytest.mark.parametrize(
    ("status", "body"), [(404, b'{"message": "gone"}'), (200, b"<html>"), (200, b"[1]"), (200, b"\xff")]
)
def test_what_is_no_answer_is_left_to_botocore(status: int, body: bytes) -> None:
    """Errors, and whatever is not a JSON object, are reported as botocore reports them."""
    response, extra = {"status_code": status, "body": body}, dict[str, Any]()
    pass_json_on(response_dict=response, customized_response_dict=extra)
    assert response["body"] == body
    assert not extra


def test_an_answer_is_not_parsed_twice() -> None:
    """Nothing is left for botocore to read."""
    jobs = {"jobs": [{"jobId": "1"}]}
    response, extra = {"status_code": 200, "body": json.dumps(jobs).encode()}, dict[str, Any]()
    pass_json_on(response_dict=response, customized_response_dict=extra)
    assert response["body"] == b"{}"
    assert extra == jobs
