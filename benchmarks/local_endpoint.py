"""What the local AWS costs and serves: start, memory, 10,000 scripted jobs, DescribeJobs, FilterLogEvents.

Run `uv run python benchmarks/local_endpoint.py`; it takes about half a minute and ends by itself.
"""

from __future__ import annotations

import http.client
import json
import resource
import time
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_batch_jobs.local import start_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_batch_jobs.local import LocalControl

JOBS = 10_000
CALL_SECONDS = 5.0
LOG_GROUP = "/aws/batch/job"


class RawClient:
    """Calls the endpoint over one connection, without boto3's own cost, and does not read the answers."""

    def __init__(self, aws: LocalControl) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(aws.endpoint_url).netloc)
        credential = f"AWS4-HMAC-SHA256 Credential={aws.access_key}/20260101/{aws.region}/batch/aws4_request, …"
        self._headers = {"authorization": credential.encode("ascii", "replace").decode()}

    def describe_jobs(self, ids: list[str]) -> bytes:
        """Call DescribeJobs."""
        return self._post("/v1/describejobs", {"jobs": ids}, {"content-type": "application/json"})

    def filter_log_events(self, streams: list[str], start: int) -> bytes:
        """Call FilterLogEvents."""
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "Logs_20140328.FilterLogEvents"}
        body = {"logGroupName": LOG_GROUP, "logStreamNames": streams, "startTime": start}
        return self._post("/", body, headers)

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> bytes:
        self._connection.request("POST", path, json.dumps(body), {**self._headers, **headers})
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise RuntimeError(f"{path} answered {answer.status}: {answer.read()!r}")
        return answer.read()


def calls_per_second(call: Callable[[], Any]) -> float:
    """Call for some seconds and return the calls per second."""
    began, calls = time.perf_counter(), 0
    while time.perf_counter() - began < CALL_SECONDS:
        call()
        calls += 1
    return calls / (time.perf_counter() - began)


def hundreds(items: list[str]) -> Iterator[list[str]]:
    """Yield the items by the hundred, forever."""
    every = cycle(items)
    while True:
        yield list(islice(every, 100))


def report(what: str, figure: str, target: str = "") -> None:
    """Print one line."""
    print(f"{what:<58} {figure:>14}   {target}", flush=True)


def measure_start() -> None:
    """Start it a few times, and measure how long that takes and how much memory it then has."""
    fastest = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        with start_process():
            fastest = min(fastest, time.perf_counter() - began)
    report("up, as a process of its own", f"{fastest:.2f} s", "target: < 1 s")
    report("memory when up", f"{peak_megabytes():.0f} MB", "target: < 60 MB")


def peak_megabytes() -> float:
    """Return the most memory that any ended child process had."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def measure_jobs() -> None:
    """Run scripted jobs, all at once, and ask about them."""
    with start_process(step_seconds=0.0) as aws:
        aws.register("scripted")
        aws.script(definition="scripted", running=3600, lines={"count": 3600, "rate": 1.0})
        began = time.perf_counter()
        ids = aws.submit("scripted:1", count=JOBS)
        aws.wait_for_status(ids[-1], "RUNNING", seconds=60)
        report(f"{JOBS:,} scripted jobs from the submit to RUNNING", f"{time.perf_counter() - began:.2f} s")
        client = RawClient(aws)
        some = hundreds(ids)
        began = time.perf_counter()
        size = max(len(client.describe_jobs(next(some))) for _ in range(JOBS // 100))
        first = JOBS / 100 / (time.perf_counter() - began)
        report("DescribeJobs of 100 ids, each job for the first time", f"{first:.0f} calls/s", "target: >= 200 calls/s")
        rate = calls_per_second(lambda: client.describe_jobs(next(some)))
        report("DescribeJobs of 100 ids, nothing changed since", f"{rate:.0f} calls/s", "target: >= 200 calls/s")
        report("  an answer of that", f"{size / 1024:.0f} KiB")
        measure_logs(aws, client, ids)
        began = time.perf_counter()
        aws.advance(4000)
        report(f"the end of {JOBS:,} jobs, all due at once", f"{time.perf_counter() - began:.2f} s")
    report(f"memory with {JOBS:,} jobs, at most", f"{peak_megabytes():.0f} MB")


def measure_logs(aws: LocalControl, client: RawClient, ids: list[str]) -> None:
    """Ask for the log lines of the last ten seconds, a hundred streams per call."""
    aws.advance(600)
    names = [aws.job(job_id)["container"]["logStreamName"] for job_id in ids[:1000]]
    some = hundreds(names)

    start = int((aws.now() - 10) * 1000)

    def read() -> bytes:
        return client.filter_log_events(next(some), start)

    events = len(json.loads(read())["events"])
    rate = calls_per_second(read)
    report(f"FilterLogEvents of 100 streams, {events:,} events a call", f"{rate:.0f} calls/s")
    report("  events", f"{rate * events:,.0f} /s")


if __name__ == "__main__":
    measure_start()
    measure_jobs()
