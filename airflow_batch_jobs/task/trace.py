"""A job and its attempts as spans of its task's trace, beside those of the worker and the trigger."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from airflow_batch_jobs.batch.job_usage import attempts_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.diagnosis import Diagnosis

#: The process's own: what concerns no job in particular belongs in no task's log.
_LOG = logging.getLogger(__name__)


def is_traced() -> bool:
    """Tell whether this process writes traces: Airflow sets that up by `[traces] otel_on`."""
    return not isinstance(trace.get_tracer_provider(), (trace.ProxyTracerProvider, trace.NoOpTracerProvider))


def tell_job(job: JobDetail, diagnosis: Diagnosis | None, carrier: Mapping[str, str] | None) -> None:
    """Write the span of a job that has ended, from its submit to its end, with one for each of its attempts.

    Does not wait for a collector, and never fails.

    Args:
        job: The job; an array or a multi-node job as a whole.
        diagnosis: Why it failed; None if it succeeded.
        carrier: The task instance's trace context, as Airflow has it; None for a trace of its own.
    """
    if not is_traced() or job.created_at is None or job.stopped_at is None:
        return
    try:
        _tell_job(job, diagnosis, TraceContextTextMapPropagator().extract(carrier or {}))
    except Exception as error:  # noqa: BLE001 - what keeps traces can raise anything, and no task may suffer from it
        _LOG.warning("The span of a job is lost: %r", error)


def _tell_job(job: JobDetail, diagnosis: Diagnosis | None, parent: Context) -> None:
    about = {
        "batch.job.id": job.job_id,
        "batch.job.name": job.job_name,
        "batch.job.queue": job.queue_name,
        "batch.job.definition": job.definition_reference,
        "batch.job.status": job.status.value,
        "batch.job.status_reason": job.status_reason,
        "cloud.region": job.region,
    }
    if diagnosis is not None:
        about["batch.job.cause"] = diagnosis.cause.value
    span = _begin(f"batch_job.{job.definition_name}", job.created_at, parent, about)
    within = trace.set_span_in_context(span, parent)
    for attempt in attempts_of(job):
        if attempt.started_at is None:
            continue
        of_attempt: dict[str, str | int] = {
            "batch.attempt.number": attempt.number,
            "batch.attempt.status_reason": attempt.status_reason,
        }
        if attempt.exit_code is not None:
            of_attempt["batch.attempt.exit_code"] = attempt.exit_code
        run = _begin("batch_job.attempt", attempt.started_at, within, of_attempt)
        if attempt.exit_code:
            run.set_status(trace.StatusCode.ERROR, attempt.reason or f"exit code {attempt.exit_code}")
        run.end(_nanoseconds(attempt.stopped_at or job.stopped_at))
    if diagnosis is not None:
        span.set_status(trace.StatusCode.ERROR, diagnosis.summary)
    span.end(_nanoseconds(job.stopped_at))


def _begin(name: str, at: datetime | None, parent: Context, about: Mapping[str, str | int]) -> Span:
    tracer = trace.get_tracer("airflow_batch_jobs")
    return tracer.start_span(name, parent, start_time=_nanoseconds(at), attributes=dict(about))


def _nanoseconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000_000) * 1_000
