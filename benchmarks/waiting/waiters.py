"""One process that waits for jobs in one of three ways, and what that costs it.

`run.py` starts it, with any interpreter that has what the way needs: the provider's way needs aiobotocore, the
floor boto3, and every way psutil. It therefore imports nothing of this repository at its top.

It reads an order from its standard input (a JSON object: `way`, `copy_logs`, `keeper`, `connection`, `sample_after`,
`give_up_after`, `poll_seconds`), waits for the job `keeper` until everything is loaded and every client is there,
prints `ready`, reads the ids of the jobs (a JSON list), lets the keeper go, waits for the jobs, and prints one JSON
object. All times are seconds since the epoch.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from array import array
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

#: A call of DescribeJobs takes at most this many ids.
MOST_IDS = 100
FINAL = frozenset({"SUCCEEDED", "FAILED"})

TICK_SECONDS = 0.01
#: Shorter gaps are what timers and other processes of the machine make.
LEAST_GAP_SECONDS = 0.005
#: How long the process does nothing but tick, and then waits for the keeper, before it is measured.
IDLE_SECONDS = 1.5
WARM_SECONDS = 4.0

JOB_SOURCE = "batch.job"
OWN_SOURCE = "airflow_batch_jobs"


class Ticker:
    """Wakes every 10 ms and notes by how much it was late: that is how long the event loop was held.

    Attributes:
        gaps: When each gap ended, and its length, one after the other.
    """

    def __init__(self) -> None:
        self.gaps = array("d")
        self._forgiven_at = 0.0

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            now = time.perf_counter()
            gap = now - max(before + TICK_SECONDS, self._forgiven_at)
            if gap >= LEAST_GAP_SECONDS:
                self.gaps.extend((time.time(), gap))

    def forgive(self) -> None:
        """Do not count what has held the loop until now: the measurement itself has."""
        self._forgiven_at = time.perf_counter()


class Collections:
    """Notes Python's garbage collections: each holds every thread, for longer the more objects there are.

    Attributes:
        pauses: When each collection ended, and its length, one after the other; short ones are left out.
    """

    def __init__(self, pauses: array[float] | None = None) -> None:
        self.pauses = array("d") if pauses is None else pauses
        self._began = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _info: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        elif now - self._began >= LEAST_GAP_SECONDS:
            self.pauses.extend((time.time(), now - self._began))


class Seen:
    """What was seen of the jobs, and when.

    Attributes:
        events: When the wait for a job was over, by its id.
        ends: When its end was known, by its id; only if that comes before the end of the wait.
        lines: When a line was logged, and when it was written, one after the other.
    """

    def __init__(self) -> None:
        self.events: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.lines = array("d")

    def log(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Take note of a log line, as a processor of structlog."""
        source, written = entry.get("logger"), entry.get("timestamp")
        if source == JOB_SOURCE and isinstance(written, str):
            self.lines.extend((time.time(), datetime.fromisoformat(written).timestamp()))
        elif source == OWN_SOURCE and str(entry.get("event")).split(maxsplit=1)[0].rstrip(":") in FINAL:
            task = asyncio.current_task()
            if task is not None:
                self.ends[task.get_name()] = time.time()
        return entry


def write_logs_nowhere(seen: Seen) -> None:
    """Render all log lines as JSON, as a triggerer does, and write them to the null device."""
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    logging.basicConfig(stream=nowhere, level=logging.INFO, force=True)
    with suppress(ImportError):
        import structlog

        def name_source(logger: Any, _method: str, entry: Any) -> Any:
            return {**entry, "logger": getattr(logger, "source", "")}

        class Source(structlog.PrintLogger):
            def __init__(self, source: str = "") -> None:
                super().__init__(nowhere)
                self.source = source

        structlog.configure(
            processors=[name_source, seen.log, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=lambda *names: Source(*names[:1]),
            cache_logger_on_first_use=True,
        )


def trigger_maker(order: dict[str, Any]) -> Callable[[str], Any]:
    """Return what makes a trigger for a job, of the provider or of this package."""
    poll_seconds = order["poll_seconds"]
    if order["way"] == "provider":
        from airflow.providers.amazon.aws.triggers.batch import BatchJobTrigger as ProviderTrigger

        return lambda job_id: ProviderTrigger(job_id=job_id, waiter_delay=int(poll_seconds))
    from airflow_batch_jobs.triggers import BatchJobTrigger

    return lambda job_id: BatchJobTrigger(job_id, poll_interval=poll_seconds, copy_logs=order["copy_logs"])


class Triggers:
    """Waits with one trigger and one asyncio task for each job, as a triggerer does."""

    def __init__(self, order: dict[str, Any], seen: Seen) -> None:
        self._make = trigger_maker(order)
        self._seen = seen
        self._keeper = asyncio.create_task(self._run(order["keeper"]))

    async def run(self, job_ids: list[str]) -> None:
        """Wait for the jobs."""
        tasks = []
        for job_id in job_ids:
            await asyncio.sleep(0)
            tasks.append(asyncio.create_task(self._run(job_id), name=job_id))
        for _ in range(10):  # until every trigger waits: what they share must not end with the keeper
            await asyncio.sleep(0)
        self._keeper.cancel()
        await asyncio.gather(*tasks)

    async def _run(self, job_id: str) -> None:
        async for _event in self._make(job_id).run():
            self._seen.events[job_id] = time.time()


class Floor:
    """Waits with one boto3 client and one loop: every job that has not ended, a hundred ids a call, every 5 s."""

    def __init__(self, order: dict[str, Any], seen: Seen) -> None:
        import boto3

        connection = json.loads(order["connection"])
        self._client = boto3.client(
            "batch",
            aws_access_key_id=connection["login"],
            aws_secret_access_key=connection["password"],
            region_name=connection["extra"]["region_name"],
            endpoint_url=connection["extra"]["endpoint_url"],
        )
        self._poll_seconds = order["poll_seconds"]
        self._seen = seen
        self._keeper = asyncio.create_task(asyncio.to_thread(self._describe, [order["keeper"]]))

    async def run(self, job_ids: list[str]) -> None:
        """Wait for the jobs."""
        await self._keeper
        loop = asyncio.get_running_loop()
        due = loop.time()
        waiting = dict.fromkeys(job_ids)
        while waiting:
            ids = list(waiting)
            for first in range(0, len(ids), MOST_IDS):
                for job_id in await asyncio.to_thread(self._describe, ids[first : first + MOST_IDS]):
                    self._seen.events[job_id] = time.time()
                    del waiting[job_id]
            due += self._poll_seconds
            await asyncio.sleep(max(0.0, due - loop.time()))

    def _describe(self, job_ids: list[str]) -> list[str]:
        """Return which of the jobs have ended."""
        jobs = self._client.describe_jobs(jobs=job_ids)["jobs"]
        return [job["jobId"] for job in jobs if job["status"] in FINAL]


class Measurement:
    """What one wait costs the process it is made in."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._order = order
        self._process = psutil.Process()
        self._ticker = Ticker()
        self._collections = Collections()
        self._seen = Seen()

    async def run(self, say: TextIO) -> None:
        """Get ready, wait for the jobs and say what was measured."""
        ticking = asyncio.create_task(self._ticker.run())
        idle_cpu = await _cpu_per_second()
        waiter = Floor(self._order, self._seen) if self._order["way"] == "floor" else Triggers(self._order, self._seen)
        write_logs_nowhere(self._seen)  # Airflow's import has set up its own
        await asyncio.sleep(WARM_SECONDS)
        rss = self._memory()
        print("ready", file=say, flush=True)
        job_ids = json.loads(await asyncio.to_thread(sys.stdin.readline))
        self._ticker.gaps = array("d")
        self._collections.pauses = array("d")
        self._seen.lines = array("d")
        sampling = asyncio.create_task(self._sample())
        began, cpu = time.time(), time.process_time()
        finished = True
        try:
            async with asyncio.timeout(self._order["give_up_after"]):
                await waiter.run(job_ids)
        except TimeoutError:
            finished = False
        ended, cpu = time.time(), time.process_time() - cpu
        ticking.cancel()
        sampling.cancel()
        sample = sampling.result() if sampling.done() and not sampling.cancelled() else None
        result = {
            "began": began,
            "ended": ended,
            "finished": finished,
            "cpu": cpu - (sample["cpu"] if sample else 0.0),
            "idle_cpu": idle_cpu,
            "rss": rss,
            "sample": sample,
            "gaps": self._ticker.gaps.tolist(),
            "pauses": self._collections.pauses.tolist(),
            "events": self._seen.events,
            "ends": self._seen.ends,
            "lines": self._seen.lines.tolist(),
        }
        print(json.dumps(result), file=say, flush=True)

    async def _sample(self) -> dict[str, float]:
        """Look at the memory while all jobs are waited for."""
        await asyncio.sleep(self._order["sample_after"])
        cpu = time.process_time()
        rss = self._memory()
        return {"at": time.time(), "rss": rss, "cpu": time.process_time() - cpu}

    def _memory(self) -> int:
        """Return the resident bytes, without garbage."""
        gc.callbacks.clear()
        gc.collect()
        self._collections = Collections(self._collections.pauses)
        rss: int = self._process.memory_info().rss
        self._ticker.forgive()
        return rss


async def _cpu_per_second() -> float:
    """Return the CPU seconds a second of a process that does nothing but tick."""
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(IDLE_SECONDS)
    return (time.process_time() - cpu) / (time.perf_counter() - began)


def main() -> None:
    """Do as the order says."""
    say = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed is not an answer
    order = json.loads(sys.stdin.readline())
    asyncio.run(_measured(order, say))
    say.flush()
    os._exit(0)  # does not wait for the threads of a call that hangs


async def _measured(order: dict[str, Any], say: TextIO) -> None:
    await Measurement(order).run(say)


if __name__ == "__main__":
    main()
