"""Whatever a client sends, the answer is a documented one, and everything else can still be described."""

from __future__ import annotations

import http.client
import json
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs import local
from airflow_batch_jobs.local import LocalAws
from airflow_batch_jobs.local.endpoint import Endpoint, Settings
from tests.local.documented import differences, documented_errors, needs, operation_model
from tests.local.generated import DEFINITIONS, VALID, Call, calls

STATUSES = ["SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"]


class World:
    """A local AWS with a definition and a job of each kind, and a connection to it that sends anything."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.names: dict[str, str] = {}
        self._connection = http.client.HTTPConnection(urlsplit(aws.endpoint_url).netloc, timeout=60)
        aws.script(running=5, lines=3)
        for name, properties in DEFINITIONS.items():
            self.ok("batch", "RegisterJobDefinition", {"jobDefinitionName": name, **properties})
        self.names |= {name: aws.submit(f"{name}:1")[0] for name in ("task", "pod", "nodes", "pods")}
        self.names["job"] = aws.submit("plain:1", jobName="j")[0]
        self.names["array"] = aws.submit("plain:1", arrayProperties={"size": 2})[0]
        aws.advance(4)
        self.names["stream"] = aws.job(self.names["job"])["container"]["logStreamName"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def answer(self, service: str, operation: str, parameters: Any) -> tuple[int, bytes, str]:
        """Send a request and return the answer's status and body, and its error's code."""
        model = operation_model(service, operation)
        body = json.dumps(parameters).encode()
        for name, value in self.names.items():
            body = body.replace(f"{{{name}}}".encode(), value.encode())
        method, path = model.http["method"], model.http["requestUri"]
        signature = f"AWS4-HMAC-SHA256 Credential={self.aws.access_key}/20260101/us-east-1/{service}/aws4_request"
        headers = {"authorization": signature}
        if service == "logs":
            headers["x-amz-target"] = f"Logs_20140328.{operation}"
        elif service == "sts":
            headers["content-type"] = "application/x-www-form-urlencoded"
            body = urlencode({"Action": operation, **_fields(json.loads(body))}, errors="replace").encode()
        elif "{resourceArn}" in path:
            sent = json.loads(body) if isinstance(parameters, dict) else {}
            path = path.format(resourceArn=quote(str(sent.pop("resourceArn", "x")), errors="replace") or "x")
            if "tagKeys" in sent:
                path += "?" + urlencode({"tagKeys": sent.pop("tagKeys")}, doseq=True, errors="replace")
            body = json.dumps(sent).encode()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        return response.status, content, _code(service, response, content)

    def ok(self, service: str, operation: str, parameters: Any) -> Any:
        """Send a request that cannot be refused and return its answer, held against the model."""
        status, body, _ = self.answer(service, operation, parameters)
        assert status == 200, (operation, body)
        answer = json.loads(body)
        shape = operation_model(service, operation).output_shape
        assert not list(differences(answer, shape, operation))
        return answer

    def check(self, call: Call) -> None:
        """Send a request; its answer must be a documented one."""
        status, body, code = self.answer(*call)
        if status == 200:
            shape = operation_model(call.service, call.operation).output_shape
            if call.service != "sts" and shape:
                assert not list(differences(json.loads(body), shape, call.operation))
        else:
            assert 400 <= status < 500, body
            assert code in documented_errors(call.service, call.operation), (code, body)

    def check_all_others(self) -> None:
        """Describe and list every job, definition and queue."""
        ids = [job["jobId"] for job in self.aws.jobs()]
        parts = [f"{self.names['nodes']}#{node}" for node in range(3)]
        asked = (ids + parts)[:100]
        assert len(self.ok("batch", "DescribeJobs", {"jobs": asked})["jobs"]) == len(asked)
        listed = [
            one["jobId"]
            for status in STATUSES
            for one in self.ok("batch", "ListJobs", {"jobQueue": "default", "jobStatus": status})["jobSummaryList"]
        ]
        assert {name for key, name in self.names.items() if key != "stream"} <= set(listed)
        names = {one["jobDefinitionName"] for one in self.ok("batch", "DescribeJobDefinitions", {})["jobDefinitions"]}
        assert names >= DEFINITIONS.keys()
        self.ok("batch", "DescribeJobQueues", {})
        self.ok("logs", "FilterLogEvents", {"logGroupName": "/aws/batch/job"})


def _fields(value: Any, name: str = "") -> dict[str, str]:
    """Write a value as the fields of a form, as the query protocol does."""
    if isinstance(value, dict):
        parts = [(f"{name}.{key}" if name else key, one) for key, one in value.items()]
    elif isinstance(value, list):
        parts = [(f"{name}.member.{index}", one) for index, one in enumerate(value, 1)]
    else:
        return {name: str(value)}
    return {key: text for part, one in parts for key, text in _fields(one, part).items()}


def _code(service: str, response: http.client.HTTPResponse, body: bytes) -> str:
    """Return the error code of an answer; empty if it is none."""
    if response.status == 200:
        return ""
    if service == "sts":
        return ET.fromstring(body).findtext("Error/Code", "")  # noqa: S314 - the endpoint's own
    return response.headers.get("x-amzn-errortype") or str(json.loads(body).get("__type", ""))


@pytest.mark.long
@given(st.lists(calls(), min_size=1, max_size=30), st.sampled_from([0, 1, 3, 20]))
@settings(max_examples=200, deadline=None)
def test_any_request_is_answered_and_disturbs_nobody(made: list[Call], seconds: int) -> None:
    """Valid, mutated or made up from the model: 200 or a documented error, now and when the jobs have moved on."""
    with LocalAws(step_seconds=1.0, is_frozen=True) as aws, World(aws) as world:
        for call in made:
            world.check(call)
        world.check_all_others()
        aws.advance(seconds)
        world.check_all_others()


def test_a_line_break_in_a_path_is_as_any_other_character() -> None:
    """It is part of an ARN that nobody has."""
    with LocalAws(is_frozen=True) as aws, World(aws) as world:
        world.check(Call("batch", "ListTagsForResource", {"resourceArn": "arn:\n"}))


@pytest.mark.parametrize(("service", "operation"), [pytest.param(*each, marks=needs(*each)) for each in VALID])
def test_the_valid_requests_are_valid(service: str, operation: str) -> None:
    """Otherwise the mutated ones would be refused for another reason than their mutation; tokens are made up."""
    with LocalAws(step_seconds=1.0, is_frozen=True) as aws, World(aws) as world:
        for parameters in VALID[service, operation]:
            sent = {key: value for key, value in parameters.items() if key != "nextToken"}
            status, body, _ = world.answer(service, operation, sent)
            assert status == 200, body


def test_every_operation_that_is_served_is_tried() -> None:
    """The day one more is served, it is tried here as well."""
    served = Endpoint(Settings())._services
    assert {(service, name) for service, operations in served.items() for name in operations} == VALID.keys()


def test_the_operations_that_are_served_are_listed() -> None:
    """In the package's docstring, for who wants to know whether it has what they need."""
    assert local.__doc__ is not None
    listed = local.__doc__.partition("It serves, ")[2].partition(". Any other")[0]
    services = [part.partition(": ") for part in " ".join(listed.split()).split("; ")]
    named = [
        (name.removeprefix("of ").lower(), each) for name, _, operations in services for each in operations.split(", ")
    ]
    assert sorted(named) == sorted(VALID)
