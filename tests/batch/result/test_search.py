"""ResultSearch and BatchJob.result: which line of which log counts, against the local AWS."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.job import BatchJob
from airflow_batch_jobs.batch.result.search import LATE_SECONDS, LEAST_LATE_SECONDS, ResultSearch
from airflow_batch_jobs.errors import (
    AccessDeniedError,
    CallOrderError,
    EndpointError,
    JobFailedError,
    JobNotFoundError,
    ResultError,
)
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from airflow_batch_jobs.local.server import LocalAws

#: What docker splits a line at.
PIECE = 16 * 1024


class Align(JobDefinition, name="align", revision=1):
    """A definition with a result."""

    class Result(BaseModel):
        """What it hands back."""

        bam: str


def result(value: Any) -> str:
    """Return the line of a result."""
    return f"batch-job-result: {json.dumps(value)}"


def pieces(line: str) -> list[str]:
    """Return what docker makes of a line."""
    return [line[start : start + PIECE] for start in range(0, len(line), PIECE)]


@pytest.fixture
def ended(frozen_aws: LocalAws) -> Callable[..., BatchJob]:
    """Runs a scripted job to its end; its sleeps move the time."""

    def run(lines: Any = (), options: dict[str, Any] | None = None, **script: Any) -> BatchJob:
        frozen_aws.script(definition="align", running=30, lines=lines, **script)
        if not any(entry.operation == "RegisterJobDefinition" for entry in frozen_aws.requests()):
            frozen_aws.register("align", ["align"])
        job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
        job.submit("default", **(options or {}))
        job.wait()
        frozen_aws.clear_requests()
        return job

    return run


def test_the_result_is_one_line_of_the_log(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """Found by CloudWatch, however long the log is: one call, and one page."""
    job = ended([*map(str, range(100)), result({"bam": "s3://x"}), "the end"])
    assert job.result() == Align.Result(bam="s3://x")
    [request] = frozen_aws.requests("FilterLogEvents")
    assert request.parameters["filterPattern"] == '"batch-job-result:"'
    assert request.parameters["logStreamNames"] == [job.log_stream_name()]
    assert not frozen_aws.requests("TerminateJob") + frozen_aws.requests("SubmitJob")


def test_the_last_of_two_results_counts(ended: Callable[..., BatchJob]) -> None:
    """Also where both are of one millisecond; a program may correct itself."""
    texts = [result({"bam": "first"}), "between", result({"bam": "second"})]
    assert ended(texts).result().bam == "second"
    assert ended({"texts": texts, "offsets": [1.0, 1.0, 1.0]}).result().bam == "second"


def test_the_last_attempt_counts(ended: Callable[..., BatchJob]) -> None:
    """What a failed attempt handed over was of no use."""
    lines = {"count": 2, "text": 'batch-job-result: {{"bam": "{attempt}"}}'}
    assert ended(lines, attempts=[1, 1, 0]).result().bam == "3"


def test_a_result_of_a_middle_attempt_alone_does_not_count(aws: LocalAws) -> None:
    """The message says so."""
    script = 'if [ "$AWS_BATCH_JOB_ATTEMPT" = 1 ]; then echo "batch-job-result: {}"; exit 1; fi'
    aws.register("align", ["sh", "-c", script])
    job = BatchJob(Align(), clients=aws.clients())
    job.submit("default", retryStrategy={"attempts": 2})
    job.wait(poll_interval=0.05)
    with pytest.raises(ResultError, match=r"one of an earlier attempt, .* does not count"):
        job.result(settle_seconds=0, late_seconds=0)


@pytest.mark.parametrize("second", ["true", "echo 'batch-job-result: {}'"])
def test_any_container_may_hand_the_result_over_but_not_two(aws: LocalAws, tmp_path: Path, second: str) -> None:
    """Which of two is meant cannot be known."""
    said = tmp_path / "said"
    first = """echo 'batch-job-result: {"bam": "x"}'"""
    commands = {
        "main": f"{first}; until test -e {said}; do sleep 0.05; done",
        "sidecar": f"{second}; touch {said}",
    }
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    containers = [
        {"name": name, "image": "i", "command": ["sh", "-c", command], "resourceRequirements": needs}
        for name, command in commands.items()
    ]
    properties = {"taskProperties": [{"containers": [containers[0], {**containers[1], "essential": False}]}]}
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="align", type="container", ecsProperties=properties
    )
    job = BatchJob(Align(), clients=aws.clients())
    job.submit("default")
    job.wait(poll_interval=0.05)
    if second == "true":
        assert job.result(settle_seconds=0).bam == "x"
        return
    with pytest.raises(ResultError, match=r"There is a result of container main and container sidecar. Let one"):
        job.result(settle_seconds=0, late_seconds=0)


def test_the_result_of_a_multi_node_job_is_its_main_nodes(aws: LocalAws) -> None:
    """As its end is."""
    command = ["sh", "-c", 'echo "batch-job-result: {\\"bam\\": \\"$AWS_BATCH_JOB_NODE_INDEX\\"}"']
    container = {"image": "i", "command": command, "vcpus": 1, "memory": 64}
    properties = {
        "numNodes": 2,
        "mainNode": 1,
        "nodeRangeProperties": [{"targetNodes": "0:1", "container": container}],
    }
    aws.clients()("batch").register_job_definition(
        jobDefinitionName="align", type="multinode", nodeProperties=properties
    )
    job = BatchJob(Align(), clients=aws.clients())
    job.submit("default")
    job.wait(poll_interval=0.05)
    assert job.result(settle_seconds=0).bam == "1"


def test_a_log_outside_of_cloudwatch_has_no_result(aws: LocalAws) -> None:
    """Which is said at once."""
    aws.register("align", ["true"], container={"logConfiguration": {"logDriver": "syslog"}})
    job = BatchJob(Align(), clients=aws.clients())
    job.submit("default")
    job.wait(poll_interval=0.05)
    with pytest.raises(ResultError, match=r"goes to the syslog log driver.* A result needs the awslogs log driver"):
        job.result()


def test_without_a_line_it_waits_a_minute_and_says_what_to_print(
    frozen_aws: LocalAws, ended: Callable[..., BatchJob]
) -> None:
    """Log lines may arrive late; a job that ended long ago is not waited for as long."""
    job = ended(["a batch-job-result: {} that does not begin its line"])
    ended_at = frozen_aws.now()
    with pytest.raises(ResultError, match=r"^No line of the log begins with `batch-job-result:`. Print one") as raised:
        job.result()
    assert raised.value.is_missing
    assert LATE_SECONDS - 10 <= frozen_aws.now() - ended_at <= LATE_SECONDS + 10
    frozen_aws.advance(3600)
    asked_at = frozen_aws.now()
    with pytest.raises(ResultError):
        job.result()
    assert frozen_aws.now() - asked_at <= LEAST_LATE_SECONDS + 5


def test_a_line_that_arrives_late_is_found(ended: Callable[..., BatchJob]) -> None:
    """Half a minute after the end."""
    assert ended([result({"bam": "late"})], delivery=50).result().bam == "late"


def test_a_wait_for_lines_is_told_once_before_it(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """And not at all where the line is there, and has settled."""
    waits: list[float] = []
    job = ended([result({"bam": "late"})], delivery=50)
    ended_at = frozen_aws.now()
    job.result(on_wait=lambda: waits.append(frozen_aws.now() - ended_at))
    job.result(on_wait=lambda: waits.append(frozen_aws.now() - ended_at))
    assert len(waits) == 1
    assert waits[0] < LEAST_LATE_SECONDS


def test_a_second_line_that_arrives_late_counts(ended: Callable[..., BatchJob]) -> None:
    """Nothing is looked for before lines have settled."""
    job = ended([result({"bam": "first"}), result({"bam": "second"})], delivery=17)
    assert job.result(settle_seconds=20).bam == "second"


@pytest.mark.parametrize("length", [PIECE // 2, PIECE - 40, PIECE, 3 * PIECE, 200_000])
def test_what_docker_has_split_is_put_together(ended: Callable[..., BatchJob], length: int) -> None:
    """Whether or not other lines follow; one that ends where a piece does is not mixed with the next line."""
    line = result({"bam": "x" * length})
    assert len(ended(["before", *pieces(line), "after"]).result().bam) == length
    fitted = result({"bam": "x" * (2 * PIECE - len(result({"bam": ""})))})
    assert [len(piece) for piece in pieces(fitted)] == [PIECE, PIECE]
    assert ended([*pieces(fitted), "after"]).result().bam.startswith("xxx")
    assert ended(pieces(fitted)).result().bam.startswith("xxx")


def test_a_result_longer_than_256_kib_is_refused(ended: Callable[..., BatchJob]) -> None:
    """In pieces, or in one event of CloudWatch's largest."""
    line = result({"bam": "x" * 1_000_000})
    for lines in ([line], pieces(line)):
        with pytest.raises(ResultError, match=r"longer than 262,144 bytes. Write it to S3"):
            ended(lines).result(late_seconds=0)


def test_half_of_a_long_line_is_an_error(ended: Callable[..., BatchJob]) -> None:
    """Its end never came, or something else stands in between."""
    first, *rest = pieces(result({"bam": "x" * 40_000}))
    for lines in ([first], [first, "something else", *rest]):
        with pytest.raises(ResultError, match="The result is not JSON"):
            ended(lines).result()


def test_half_of_a_short_line_is_an_error_at_once(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """No line that may still come is a part of it."""
    job = ended(['batch-job-result: {"bam": "s3:'])
    begun = frozen_aws.now()
    with pytest.raises(ResultError, match="The result is not JSON: it ends too early"):
        job.result()
    assert frozen_aws.now() - begun < LEAST_LATE_SECONDS


def test_what_does_not_fit_names_field_and_value(ended: Callable[..., BatchJob]) -> None:
    """Such as after the class has changed; another class may fit, and without one any JSON does."""

    class Old(BaseModel):
        """What it was."""

        bai: int

    job = ended([result({"bai": 3})])
    with pytest.raises(ResultError) as raised:
        job.result(late_seconds=0)
    assert raised.value.field == "bam"
    assert job.result(Old) == Old(bai=3)


def test_a_job_from_an_id_has_what_its_json_has(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """No class is known then."""
    job = ended([result({"any": [1, None]})])
    again = BatchJob.from_id(str(job.job_id), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    assert again.result() == {"any": [1, None]}


def test_an_array_gives_a_list_by_index(frozen_aws: LocalAws) -> None:
    """With one call for a hundred children; one without a result is named."""
    for index in range(120):
        frozen_aws.script(definition="align", running=30, array_index=index, lines=[result({"bam": str(index)})])
    frozen_aws.register("align", ["align"])
    job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    job.submit("default", arrayProperties={"size": 120})
    job.wait()
    frozen_aws.clear_requests()
    assert [each.bam for each in job.result()] == [str(index) for index in range(120)]
    assert frozen_aws.counts()["FilterLogEvents"] == 2


def test_the_results_of_an_array_have_a_bound_together(frozen_aws: LocalAws) -> None:
    """Each of them may be short enough."""
    frozen_aws.script(definition="align", running=30, lines=[result({"bam": "x" * 250_000})])
    frozen_aws.register("align", ["align"])
    job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    job.submit("default", arrayProperties={"size": 17})
    job.wait()
    with pytest.raises(ResultError, match=r"results of the children are longer than 4,194,304 bytes") as raised:
        job.result()
    assert raised.value.job_id == job.job_id


def test_a_child_without_a_result_is_named(frozen_aws: LocalAws) -> None:
    """By its id."""
    frozen_aws.script(definition="align", running=30, lines=[result({"bam": "x"})])
    frozen_aws.script(definition="align", running=30, lines=["nothing"], array_index=2)
    frozen_aws.register("align", ["align"])
    job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    job.submit("default", arrayProperties={"size": 3})
    job.wait()
    with pytest.raises(ResultError) as raised:
        job.result(late_seconds=0)
    assert raised.value.job_id == f"{job.job_id}:2"


def test_a_job_that_has_not_ended_or_failed_has_no_result(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """The errors are those of its state."""
    with pytest.raises(JobFailedError):
        ended([result({"bam": "x"})], attempts=[1]).result()
    job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    with pytest.raises(CallOrderError):
        job.result()
    job.submit("default")
    with pytest.raises(CallOrderError, match="has no result yet"):
        job.result()


def test_cloudwatch_is_waited_for_when_it_is_away(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """For five minutes; then the error is that of the outage, which a retry may outlive."""
    job = ended([result({"bam": "x"})])
    frozen_aws.fault("FilterLogEvents", "throttle", times=3)
    frozen_aws.fault("FilterLogEvents", "server_error", times=2)
    frozen_aws.fault("FilterLogEvents", "empty_page", times=1)
    assert job.result().bam == "x"
    frozen_aws.fault("FilterLogEvents", "drop")
    begun = frozen_aws.now()
    with pytest.raises(EndpointError):
        job.result()
    assert 300 <= frozen_aws.now() - begun < 400


@pytest.mark.parametrize("count", [0, 1])
def test_pages_without_end_have_one(frozen_aws: LocalAws, ended: Callable[..., BatchJob], count: int) -> None:
    """CloudWatch may hand out a token for ever, also with the same line again."""

    def clients(service: str, **given: Any) -> Any:
        client = frozen_aws.clients()(service, **given)
        if service == "logs":
            ask = client.filter_log_events

            def ask_again(**request: Any) -> dict[str, Any]:
                request.pop("nextToken", None)
                return {"events": ask(**request)["events"][:count], "nextToken": str(frozen_aws.now())}

            client.filter_log_events = ask_again
        return client

    job_id = str(ended([result({"bam": "x"})]).job_id)
    with pytest.raises(EndpointError, match="page after page"):
        BatchJob.from_id(job_id, clients=clients, clock=FrozenClock(frozen_aws)).result()


def test_who_may_not_read_the_log_learns_it_at_once(frozen_aws: LocalAws, ended: Callable[..., BatchJob]) -> None:
    """The error names the permission."""
    job = ended([result({"bam": "x"})])
    frozen_aws.fault("FilterLogEvents", "denied")
    with pytest.raises(AccessDeniedError, match="logs:FilterLogEvents"):
        job.result()
    assert frozen_aws.counts()["FilterLogEvents"] == 1


def test_a_child_that_aws_has_forgotten_is_named(frozen_aws: LocalAws) -> None:
    """It forgets jobs after some days."""
    frozen_aws.script(definition="align", running=30, lines=[result({"bam": "x"})])
    frozen_aws.register("align", ["align"])
    job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    job.submit("default", arrayProperties={"size": 2})
    job.wait()
    detail = job.detail()
    frozen_aws.fault("DescribeJobs", "omit")
    with pytest.raises(JobNotFoundError) as raised:
        ResultSearch(frozen_aws.clients(), detail, clock=FrozenClock(frozen_aws)).read(Align.Result)
    assert raised.value.job_id == f"{job.job_id}:0"


def test_a_stream_that_was_never_written_costs_the_others_nothing(frozen_aws: LocalAws) -> None:
    """CloudWatch refuses a call with one such stream."""
    frozen_aws.script(definition="align", running=30, lines=[result({"bam": "x"})])
    frozen_aws.register("align", ["align"])
    job = BatchJob(Align(), clients=frozen_aws.clients(), clock=FrozenClock(frozen_aws))
    job.submit("default", arrayProperties={"size": 5})
    job.wait()
    search = ResultSearch(frozen_aws.clients(), job.detail(), clock=FrozenClock(frozen_aws))
    streams = [stream for part in search._parts() for stream in part.last_log_streams()]
    assert len(search._last_lines([*streams, replace(streams[0], stream="never")])) == 5
    assert not search._last_lines([replace(streams[0], group="nowhere")])
