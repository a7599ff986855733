"""What the endpoint forgets, so that it can run for long."""

from __future__ import annotations

import pytest

from airflow_batch_jobs.local import LocalAws
from airflow_batch_jobs.local.record import Record, Recorded
from airflow_batch_jobs.local.streams import Streams, Window, WrittenStream


def test_the_oldest_finished_jobs_are_forgotten() -> None:
    """With their log streams, and an array with its children; running jobs stay."""
    with LocalAws(keep_finished=5, step_seconds=0.0, is_frozen=True) as aws:
        aws.register("align")
        aws.script(definition="align", running=5, lines=1)
        aws.script(job_name="long", running=1000)
        [running] = aws.submit("align:1", jobName="long")
        [array] = aws.submit("align:1", arrayProperties={"size": 3})
        aws.advance(1)
        stream = aws.job(f"{array}:0")["container"]["logStreamName"]
        aws.advance(10)
        [second] = aws.submit("align:1")
        aws.advance(10)
        assert len(aws.jobs()) == 6
        [third] = aws.submit("align:1")
        aws.advance(10)
        assert [job["jobId"] for job in aws.jobs()] == [running, second, third]
        logs = aws.clients()("logs")
        with pytest.raises(logs.exceptions.ResourceNotFoundException):
            logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream)


def written(streams: Streams, name: str, texts: list[str]) -> WrittenStream:
    """Write a stream."""
    stream = WrittenStream(streams.next_number(), "g", name, 0)
    streams.add(stream)
    for text in texts:
        streams.write(stream, text, 0)
    return stream


def texts_of(streams: Streams, name: str) -> list[str]:
    """Read a stream."""
    return [event.text for event in (streams.group("g") or {})[name].read(Window(0, 10, 10))]


def test_complete_streams_make_room_for_new_lines() -> None:
    """The oldest first."""
    streams = Streams(most_bytes=1000)
    for name in ("a", "b"):
        streams.complete(written(streams, name, ["x" * 400]))
    assert list(streams.group("g") or {}) == ["a", "b"]
    written(streams, "c", ["x" * 400])
    assert list(streams.group("g") or {}) == ["b", "c"]


def test_a_stream_alone_loses_its_own_oldest_lines() -> None:
    """When there is nothing else to forget."""
    streams = Streams(most_bytes=1000)
    written(streams, "a", [f"{number:0100d}" for number in range(50)])
    kept = texts_of(streams, "a")
    assert kept == [f"{number:0100d}" for number in range(50 - len(kept), 50)]
    assert 3 <= len(kept) <= 8


def test_requests_are_kept_by_number_and_size() -> None:
    """The counts go on."""
    record = Record()
    for number in range(300):
        record.add(Recorded(time=number, operation="DescribeJobs", parameters={"jobs": ["x" * 100_000]}))
    kept = record.requests()
    assert 50 < len(kept) < 100
    assert kept[-1].time == 299
    assert record.counts["DescribeJobs"] == 300
