"""A thousand tasks stopped at once in two triggerers, where AWS allows 25 TerminateJob calls a second.

Run `uv run python benchmarks/stopping.py`; it takes about three minutes and ends by itself. The triggerers are
processes that run this package's triggers and cancel them as Airflow does. A stand-in for their supervisors answers 50
questions a second, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local import start_process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.local import LocalControl

RATE = 25.0
TRIGGERERS = 2
#: How long a stopped trigger has, with its job's last lines.
LIFE_SECONDS = 45.0
#: How long the triggers wait before they are stopped.
WAIT_SECONDS = 20.0
QUESTIONS_PER_SECOND = 50
#: What TerminateJobs may do, by what the case is called.
CASES = {
    "TerminateJobs shares the rate": [("TerminateJob*", "throttle", {"rate": RATE})],
    "TerminateJobs is denied": [
        ("TerminateJob", "throttle", {"rate": RATE}),
        ("TerminateJobs", "denied", {}),
    ],
}


def main() -> None:
    """Measure each case and print a row for it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--jobs", type=int, default=1_000)
    options.add_argument("--triggerer", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.triggerer:
        asyncio.run(triggerer(json.loads(sys.stdin.readline())))
        return
    print(
        f"| {chosen.jobs:,} stops, {RATE:.0f} calls/s | jobs running after {LIFE_SECONDS:.0f} s | last terminated, s |"
    )
    print("|---|---|---|", flush=True)
    for name, faults in CASES.items():
        with start_process(step_seconds=0.01) as aws:
            measure(aws, name, chosen.jobs, faults)


def measure(aws: LocalControl, name: str, jobs: int, faults: list[tuple[str, str, dict[str, Any]]]) -> None:
    """Stop that many tasks in some triggerers, and print what became of their jobs."""
    aws.script(definition="job", running=3600, stopping=1, lines={"count": 3600, "rate": 0.1})
    ids = aws.submit(aws.register("job"), count=jobs)
    with triggerers(aws, [ids[number::TRIGGERERS] for number in range(TRIGGERERS)]) as processes:
        for operation, kind, how in faults:
            aws.fault(operation, kind, **how)
        aws.clear_requests()
        for process in processes:
            tell(process, "stop")
        began = time.monotonic()
        left, last = jobs, None
        while (passed := time.monotonic() - began) < LIFE_SECONDS:
            left = sum(not job.get("isTerminated") for job in aws.jobs())
            if not left:
                last = passed
                break
            time.sleep(0.5)
        said = [json.loads(answer(process)) for process in processes]
    calls = {operation: aws.counts().get(operation, 0) for operation in ("TerminateJob", "TerminateJobs")}
    print(f"| {name} | {left} | {'-' if last is None else f'{last:.1f}'} | {calls} {said}", flush=True)


@contextmanager
def triggerers(aws: LocalControl, shares: list[list[str]]) -> Iterator[list[subprocess.Popen[str]]]:
    """Run a process for each share of the jobs, and wait until all wait for their jobs."""
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW_CONN_AWS_DEFAULT": aws.airflow_connection(),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        command = [sys.executable, __file__, "--triggerer"]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in shares
        ]
        try:
            for process, share in zip(processes, shares, strict=True):
                tell(process, json.dumps(share))
            for process in processes:
                answer(process)
            yield processes
        finally:
            for process in processes:
                process.kill()
                process.communicate()


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Send a process a line."""
    if process.stdin:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> str:
    """Return the next line of a process."""
    return process.stdout.readline() if process.stdout else ""


class Supervisor:
    """Answers questions one after the other: every task instance has the same state, and no XCom."""

    def __init__(self) -> None:
        self.state = "deferred"
        self._line = asyncio.Lock()

    async def asend(self, message: Any) -> Any:
        """Answer a question."""
        from airflow.sdk.execution_time.comms import GetTaskStates, GetXCom, OKResponse, TaskStatesResult, XComResult

        async with self._line:
            await asyncio.sleep(1 / QUESTIONS_PER_SECOND)
        match message:
            case GetTaskStates():
                states = dict.fromkeys(message.task_ids or (), self.state)
                return TaskStatesResult(task_states=dict.fromkeys(message.run_ids or (), states))
            case GetXCom():
                return XComResult(key=message.key, value=None)
        return OKResponse(ok=True)


async def triggerer(job_ids: list[str]) -> None:
    """Wait for jobs until the next line of the standard input, then stop all of their tasks."""
    import structlog
    from airflow.sdk.execution_time import task_runner

    from airflow_batch_jobs.triggers import BatchJobTrigger

    lines: list[str] = []

    def keep(_logger: Any, _method: str, entry: Any) -> Any:
        lines.append(str(entry.get("event")))
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    logging.disable(logging.CRITICAL)
    supervisor = task_runner.SUPERVISOR_COMMS = Supervisor()  # type: ignore[assignment]
    tasks: set[asyncio.Task[None]] = set()
    for number, job_id in enumerate(job_ids):
        trigger = BatchJobTrigger(job_id)
        named: Any = SimpleNamespace(dag_id="dag", run_id="run", task_id=f"task-{number}", map_index=-1)
        trigger.task_instance = named
        tasks.add(asyncio.create_task(run(trigger)))
    await asyncio.sleep(WAIT_SECONDS)
    print("waiting", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    supervisor.state = "failed"
    began, threads = time.monotonic(), 0
    while tasks:
        for task in tasks:
            task.cancel("user-action")
        for _ in range(20):
            _, tasks = await asyncio.wait(tasks, timeout=0.05)
            threads = max(threads, threading.active_count())
            if not tasks:
                break
    failed = sum("could not be terminated" in line for line in lines)
    unknown = sum("does not say whether a user stopped" in line for line in lines)
    print(
        json.dumps(
            {
                "ended": round(time.monotonic() - began, 1),
                "threads": threads,
                "not terminated": failed,
                "state unknown": unknown,
            }
        ),
        flush=True,
    )


async def run(trigger: Any) -> None:
    """Run a trigger as a triggerer does."""
    try:
        async for _ in trigger.run():
            pass
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(trigger.on_kill(), 30)
    finally:
        with suppress(Exception):
            await trigger.cleanup()


if __name__ == "__main__":
    main()
