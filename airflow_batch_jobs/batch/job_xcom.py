"""The XCom `batch_job`: what is known of a task's job, as JSON of a bounded size.

A value is made of the job as AWS describes it and of what was seen of it before; what only the value that it replaces
knows is carried on. docs/batch-job-xcom.md says what each field means.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.changes.change import CHANGES
from airflow_batch_jobs.batch.detail import JobDetail, JobKind
from airflow_batch_jobs.batch.diagnosis import diagnose
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.job_history import REASON_LENGTH, joined, noted, since, written
from airflow_batch_jobs.batch.job_usage import attempts_of, began, requested, used
from airflow_batch_jobs.batch.status import FINAL, JobStatus
from airflow_batch_jobs.batch.storable import storable, time_of, within
from airflow_batch_jobs.batch.waiting import reason_to_wait

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from airflow_batch_jobs.batch.containers import Attempt
    from airflow_batch_jobs.batch.diagnosis import Diagnosis
    from airflow_batch_jobs.batch.job_history import SeenState
    from airflow_batch_jobs.batch.job_usage import Usage
    from airflow_batch_jobs.batch.log_stream import LogStream

#: What it may take up in bytes of JSON, so that it stays below 48 KiB with the attempt that it is marked with.
MOST_BYTES = 44 * 1024
#: What each of its lists, and its texts, may take up in bytes of JSON.
_LIST_BYTES = 20 * 1024
_NAMES_BYTES, _REASON_BYTES, _WHY_BYTES, _RESOURCES_BYTES, _TAGS_BYTES = 4_096, 2_100, 2_100, 1_024, 2_048
#: The most entries of its lists.
_MOST_ATTEMPTS, _MOST_FAILED, _MOST_STREAMS, _MOST_OF_AN_ATTEMPT = 10, 20, 50, 10
#: The lists that grow with the job, each with whether its newest entries are kept, and not its first, and where the
#: others are counted.
_LISTS: Mapping[str, tuple[bool, str]] = {
    "history": (True, ""),
    "attempts": (True, "attempts_left_out"),
    "log_streams": (True, "log_streams_left_out"),
    "failed_children": (False, "failed_children_left_out"),
}
#: What only those who wrote an earlier value know.
_CARRIED_ON = (CHANGES,)
#: Hours are rounded to so many digits.
_DIGITS = 4


def job_xcom(
    detail: JobDetail,
    as_of: datetime,
    *,
    history: Sequence[SeenState] = (),
    log_streams: Iterable[LogStream] = (),
    parts: Sequence[JobDetail] = (),
    diagnosis: Diagnosis | None = None,
) -> dict[str, Any]:
    """Return the value: JSON, times as ISO 8601 with `+00:00`.

    Args:
        detail: The job.
        as_of: When AWS was asked for it.
        history: What it went through, see `job_history`.
        log_streams: Its streams, including those of its parts; those in this entry if there are none.
        parts: The children of an array or the nodes of a multi-node job, as far as they were described.
        diagnosis: Why it failed, if that has been found out already.
    """
    if diagnosis is None and detail.status is JobStatus.FAILED:
        diagnosis = diagnose(detail, parts)
    history = history or noted((), detail, as_of)
    streams = tuple(log_streams) or detail.log_streams()
    attempts, failed = attempts_of(detail), [part for part in parts if part.status is JobStatus.FAILED]
    by_name = {stream.stream: stream for stream in (*detail.log_streams(), *streams)} if attempts else {}
    asks_for, hours = requested(detail), used(detail, parts, as_of)
    names = {
        "job_id": detail.job_id,
        "job_name": detail.job_name,
        "definition": detail.job_definition,
        "queue": detail.job_queue,
        "region": detail.region,
    }
    shown_attempts = _that_fit(map(partial(_attempt, by_name), reversed(attempts[-_MOST_ATTEMPTS:])))[::-1]
    shown_failed = _that_fit(map(_failed, failed[:_MOST_FAILED]))
    shown_streams = _that_fit(map(_stream, reversed(streams[-_MOST_STREAMS:])))[::-1]
    left_out = {
        "attempts_left_out": len(attempts) - len(shown_attempts),
        "failed_children_left_out": max(detail.children.get(JobStatus.FAILED, 0), len(failed)) - len(shown_failed),
        "log_streams_left_out": len(streams) - len(shown_streams),
    }
    status_reason = within(detail.status_reason, _REASON_BYTES)
    value = {
        **within(names, _NAMES_BYTES),
        "kind": detail.kind.value,
        "status": detail.status.value,
        "status_reason": status_reason,
        "as_of": written(as_of),
        "exit_code": detail.exit_code,
        "created_at": _iso(detail.created_at),
        "started_at": _iso(began(detail, parts)),
        "stopped_at": _iso(detail.stopped_at),
        "history": list(history),
        "attempts": shown_attempts,
        "max_attempts": detail.max_attempts,
        "timeout_seconds": detail.timeout_seconds,
        "resources": _resources(detail, asks_for) if detail.containers and not detail.nodes else None,
        "vcpu_hours": _rounded(hours.vcpus),
        "gb_hours": _rounded(hours.gib),
        "array_size": detail.array_size,
        "nodes": detail.nodes,
        "children": {status.value: count for status, count in detail.children.items()},
        "failed_children": shown_failed,
        "diagnosis": None if diagnosis is None else _told(diagnosis),
        "why_waiting": _why_waiting(detail, history, as_of),
        "is_terminated": detail.is_terminated,
        "stop_reason": status_reason if detail.is_terminated and detail.is_final else None,
        "log_streams": shown_streams,
        "tags": within(detail.tags, _TAGS_BYTES),
        **{name: many for name, many in left_out.items() if many > 0},
    }
    return fitted(value, MOST_BYTES)


def carried_on(value: Mapping[str, Any], stored: Any) -> dict[str, Any]:
    """Return a value together with what only the one that it replaces knows.

    That is earlier history, `changes`, and when the first child of an array began to run.

    Args:
        value: The new value.
        stored: The old one, whatever it is, of whatever version; of another job it counts for nothing.
    """
    if not isinstance(stored, Mapping) or stored.get("job_id") != value.get("job_id"):
        return dict(value)
    known = {name: stored[name] for name in _CARRIED_ON if name in stored}
    if value.get("kind") == JobKind.ARRAY_PARENT.value and value.get("started_at") is None:
        known_start = time_of(stored.get("started_at"))  # of a child, while not all were described again
        value = {**value, "started_at": _iso(known_start)}
    history = joined(stored.get("history"), value.get("history"))
    return fitted({**known, **value, "history": history}, MOST_BYTES)


def stopped(value: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """Return a value that says that the job has been terminated, of which AWS may not have told yet.

    Args:
        value: The value; that of a job which has ended stays as it is.
        reason: What AWS was given as the reason.
    """
    if value.get("status") in FINAL:
        return dict(value)
    end = JobDetail(job_id="", status=JobStatus.FAILED, is_terminated=True, status_reason=reason)
    told = {"is_terminated": True, "stop_reason": within(reason, _REASON_BYTES), "diagnosis": _told(diagnose(end))}
    return fitted({**value, **told, "why_waiting": None}, MOST_BYTES)


def is_older(value: Mapping[str, Any], stored: Any) -> bool:
    """Tell whether a value says of the same job what AWS said before the stored one was made."""
    if not isinstance(stored, Mapping) or stored.get("job_id") != value.get("job_id"):
        return False
    old, new = time_of(stored.get("as_of")), time_of(value.get("as_of"))
    return old is not None and new is not None and new < old


def fitted(value: Mapping[str, Any], most_bytes: int) -> dict[str, Any]:
    """Return the storable form of a value, its lists shortened until its JSON has at most so many bytes.

    Cut texts only where that is not enough, and then keep at least the job's id and status.
    """
    kept: dict[str, Any] = storable(value)
    while len(json.dumps(kept)) > most_bytes:
        lists = [name for name in _LISTS if isinstance(kept.get(name), list) and kept[name]]
        if not lists:
            least = {name: kept.get(name) for name in ("job_id", "status")}
            return within(kept, most_bytes) or within(least, most_bytes) or {}
        name = max(lists, key=lambda each: len(json.dumps(kept[each])))
        (newest, counter), before = _LISTS[name], kept[name]
        many = len(before) * 3 // 4
        kept[name] = before[len(before) - many :] if newest else before[:many]
        if counter:
            counted = kept.get(counter)
            kept[counter] = (counted if isinstance(counted, int) else 0) + len(before) - many
    return kept


def _that_fit(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first of some entries, as many as there is space for."""
    kept, size = [], 0
    for entry in entries:
        size += len(json.dumps(entry))
        if size > _LIST_BYTES:
            break
        kept.append(entry)
    return kept


def _attempt(streams: Mapping[str, LogStream], attempt: Attempt) -> dict[str, Any]:
    names = (result.log_stream_name for result in attempt.containers)
    own = (streams[name] for name in names if name in streams)
    return {
        "number": attempt.number,
        "started_at": _iso(attempt.started_at),
        "stopped_at": _iso(attempt.stopped_at),
        "exit_code": attempt.exit_code,
        "reason": excerpt(attempt.reason or attempt.status_reason, REASON_LENGTH),
        "log_streams": _that_fit(map(_stream, islice(own, _MOST_OF_AN_ATTEMPT))),
    }


def _stream(stream: LogStream) -> dict[str, str | None]:
    return {**stream.to_dict(), "started_at": _iso(stream.started_at)}


def _failed(part: JobDetail) -> dict[str, Any]:
    streams = part.log_streams()
    return {
        "job_id": part.job_id,
        "index": part.node_index if part.array_index is None else part.array_index,
        "exit_code": part.exit_code,
        "reason": excerpt(part.reason or part.status_reason, REASON_LENGTH),
        "log_stream": _stream(streams[-1]) if streams else None,
    }


def _told(diagnosis: Diagnosis) -> Any:
    words = {"cause": diagnosis.cause.value, "summary": diagnosis.summary, "remedy": diagnosis.remedy}
    return within(words, _WHY_BYTES)


def _why_waiting(detail: JobDetail, history: Sequence[SeenState], as_of: datetime) -> dict[str, Any] | None:
    """Say why a job does not start; it has waited since it came into its present state."""
    begun = time_of(since(history, detail.status))
    why = reason_to_wait(detail, (as_of - begun).total_seconds() if begun else 0.0)
    if why is None:
        return None
    return {**_told(why), "reason": within(detail.status_reason, _REASON_BYTES), "since": _iso(begun)}


def _resources(detail: JobDetail, asks_for: Usage) -> Any:
    """Return what the job asks for and where it runs; an array's is a child's."""
    name = detail.telling_container()
    spec = next((each for each in detail.containers if each.name == name), detail.containers[0])
    resources = {
        "vcpus": asks_for.vcpus,
        "memory_mib": None if asks_for.gib is None else round(asks_for.gib * 1024),
        "gpus": sum(each.gpus for each in detail.containers),
        "image": spec.image,
        "platform": detail.platform,
        "instance_type": detail.instance_type or None,
    }
    return within(resources, _RESOURCES_BYTES)


def _rounded(hours: float | None) -> float | None:
    return None if hours is None else round(hours, _DIGITS)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else written(moment)
