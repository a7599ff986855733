"""The spans of a job and its attempts, in the trace of its task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from airflow_batch_jobs.batch.diagnosis import diagnose
from airflow_batch_jobs.task.handover import WaitPlan
from airflow_batch_jobs.task.trace import tell_job
from airflow_batch_jobs.task.wait import JobWait
from tests.batch.conftest import CREATED, Entries
from tests.batch.virtual import VirtualAws, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_batch_jobs.local.server import LocalAws

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
CARRIER = {"traceparent": f"00-{TRACE:032x}-{SPAN:016x}-01"}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """Tells of a job where Airflow writes traces, and returns the spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)

    def spans(entry: Any = None) -> list[Any]:
        if entry is not None:
            job = Entries().read(entry)
            tell_job(job, diagnose(job) if job.status.value == "FAILED" else None, CARRIER)
        return list(exporter.get_finished_spans())

    return spans


def seconds(span: Any) -> tuple[float, float]:
    """Return when a span began and ended, in seconds after the job's submit."""
    return tuple(at / 1e9 - CREATED.timestamp() for at in (span.start_time, span.end_time))


def test_a_job_is_a_span_of_its_tasks_trace(traced: Callable[..., list[Any]]) -> None:
    """From its submit to its end, beside those of the worker and the trigger; each attempt is one below it."""
    attempts = [Entries().attempt(1, exitCode=3), Entries().attempt(2)]
    first, second, job = traced(Entries().single(attempts=attempts, stoppedAt=attempts[1]["stoppedAt"]))
    assert (job.name, job.context.trace_id, job.parent.span_id) == ("batch_job.align-reads", TRACE, SPAN)
    assert seconds(job) == pytest.approx((0, 500))
    assert {attempt.parent.span_id for attempt in (first, second)} == {job.context.span_id}
    assert [seconds(attempt) for attempt in (first, second)] == [pytest.approx((12, 200)), pytest.approx((312, 500))]
    assert [attempt.attributes["batch.attempt.exit_code"] for attempt in (first, second)] == [3, 0]
    assert [span.status.status_code for span in (first, second, job)] == [
        StatusCode.ERROR,
        StatusCode.UNSET,
        StatusCode.UNSET,
    ]
    assert job.attributes["batch.job.queue"] == "science"
    assert job.attributes["batch.job.definition"] == "align-reads:7"


def test_the_span_of_a_job_that_failed_says_why(traced: Callable[..., list[Any]]) -> None:
    """In the words of the diagnosis."""
    *_, job = traced(Entries().failed(137, "OutOfMemoryError: killed"))
    assert job.status.status_code is StatusCode.ERROR
    assert job.status.description == "The container ran out of memory (exit code 137)."
    assert job.attributes["batch.job.cause"] == "out of memory"


@pytest.mark.parametrize(
    "entry",
    [
        Entries().array({"SUCCEEDED": 3}, status="SUCCEEDED", stoppedAt=Entries().single()["stoppedAt"]),
        Entries().eks(1, "Error"),
        Entries().waiting("FAILED", stoppedAt=Entries().single()["stoppedAt"]),
        Entries().waiting("FAILED"),
        Entries().single(createdAt=0),
    ],
)
def test_whatever_aws_tells_of_a_job_makes_spans_or_none(entry: Any, traced: Callable[..., list[Any]]) -> None:
    """A job of which AWS tells neither a begin nor an end is none; one that never ran has no attempts."""
    for span in traced(entry):
        assert span.start_time <= span.end_time


def test_the_wait_writes_the_span_at_the_end(traced: Callable[..., list[Any]], frozen_aws: LocalAws) -> None:
    """Once."""
    frozen_aws.register("job")
    frozen_aws.script(definition="job", running=60)
    waited(frozen_aws)
    assert [span.name for span in traced()] == ["batch_job.attempt", "batch_job.job"]


def test_a_trace_that_cannot_be_kept_hurts_no_wait(
    monkeypatch: pytest.MonkeyPatch, frozen_aws: LocalAws, caplog: pytest.LogCaptureFixture
) -> None:
    """The process's log says so."""

    class Broken(SpanProcessor):
        def on_start(self, *_: object, **__: object) -> None:
            raise RuntimeError("no collector")

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Broken())
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    frozen_aws.register("job")
    waited(frozen_aws)
    assert "The span of a job is lost: RuntimeError('no collector')" in messages(caplog)


def waited(aws: LocalAws) -> None:
    """Wait for a job."""
    [job_id] = aws.submit("job:1")

    async def main() -> None:
        async with JobWait(WaitPlan(job_id=job_id), VirtualAws(aws).watcher(), carrier=CARRIER) as wait:
            assert (await wait.outcome()).succeeded

    run(main())


def messages(caplog: pytest.LogCaptureFixture) -> Iterable[str]:
    """Return what was logged."""
    return [record.getMessage() for record in caplog.records]
