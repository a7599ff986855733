"""Walls below the threads, where clients are made and called: no wait ends there, and no stop is lost.

What is raised there may be no error at all, but something that ends a process or a task elsewhere.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.aws import KeptClients
from tests.batch.virtual import VirtualAws, follow_to_end, run
from tests.batch.watch.neighbours import LINES, is_whole
from tests.local.documented import needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.local.server import LocalAws


class PanicException(BaseException):
    """What a library that is written in Rust raises when it panics."""


ENDS: tuple[Callable[[], BaseException], ...] = (
    lambda: SystemExit(1),
    KeyboardInterrupt,
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
    StopIteration,
    StopAsyncIteration,
    GeneratorExit,
    lambda: BaseExceptionGroup("both", [SystemExit(1), ValueError("x")]),
    lambda: PanicException("called `Option::unwrap()` on a `None` value"),
)


class Below:
    """A place below the threads, where something is raised before it goes well again.

    Args:
        aws: The local AWS.
        place: `session`, where it is opened; `batch` or `logs`, where a client is made; or an operation.
        is_read: Whether the operation has been done, and it is its answer that cannot be read.
    """

    def __init__(self, aws: LocalAws, place: str, *, is_read: bool = False) -> None:
        self._make, self._place, self._is_read = aws.clients(), place, is_read
        self.to_raise: deque[Callable[[], BaseException]] = deque()

    def clients(self) -> KeptClients:
        """Return clients that are made and called in this place."""
        return KeptClients(self._open)

    def meet(self, place: str) -> None:
        """Raise what is next, if this is the place."""
        if place == self._place and self.to_raise:
            make = self.to_raise.popleft()
            raise make()

    def _open(self) -> ClientFactory:
        self.meet("session")
        return self._client

    def _client(self, service: str, **how: Any) -> Any:
        self.meet(service)
        return BelowClient(self, self._make(service, **how), is_read=self._is_read)


class BelowClient:
    """A client whose calls raise, or answers that do."""

    def __init__(self, below: Below, client: Any, *, is_read: bool) -> None:
        self._below, self._client, self._is_read = below, client, is_read
        self.meta = client.meta

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**request: Any) -> Any:
            if not self._is_read:
                self._below.meet(name)
            return BelowAnswer(method(**request), lambda: self._below.meet(name) if self._is_read else None)

        return call


class BelowAnswer(dict[str, Any]):
    """An answer that something is raised in."""

    def __init__(self, answer: dict[str, Any], meet: Callable[[], None]) -> None:
        super().__init__(answer)
        self._meet = meet

    def get(self, key: str, default: Any = None) -> Any:
        """Read a field."""
        self._meet()
        return super().get(key, default)


FOLLOWING = (
    ("session", False),
    ("batch", False),
    ("logs", False),
    *((name, is_read) for name in ("describe_jobs", "filter_log_events", "list_jobs") for is_read in (False, True)),
)


@pytest.mark.parametrize(("place", "is_read"), FOLLOWING)
def test_what_would_end_a_process_or_a_task_ends_no_wait(frozen_aws: LocalAws, place: str, *, is_read: bool) -> None:
    """It is raised in one call after another, in more than there may be at once, and all is asked again."""
    script: dict[str, Any] = {"starting": 0, "running": 12, "lines": {"count": LINES, "rate": 1.0}}
    frozen_aws.script(definition="talk", **script)
    frozen_aws.script(definition="fail", starting=0, running=1, attempts=[1])
    ids = frozen_aws.submit(frozen_aws.register("talk"), count=2)
    [array] = frozen_aws.submit(frozen_aws.register("fail"), arrayProperties={"size": 2})

    async def main() -> tuple[list[Any], Any, int]:
        below = Below(frozen_aws, place, is_read=is_read)
        below.to_raise.extend(ENDS)
        watcher = VirtualAws(frozen_aws).watcher(below.clients())
        failing = watcher.follow(array, copy_logs=False)
        async with asyncio.timeout(900):
            *ends, listed = await asyncio.gather(
                *(follow_to_end(watcher.follow(each)) for each in ids), follow_to_end(failing)
            )
        return ends, listed[-1], len(below.to_raise)

    ends, listed, left = run(main())
    assert all(map(is_whole, ends))
    assert len(listed.parts) == 2
    assert not left


STOPPING = (
    ("batch", False),
    *(("terminate_job", is_read) for is_read in (False, True)),
    *(pytest.param("terminate_jobs", is_read, marks=needs("batch", "TerminateJobs")) for is_read in (False, True)),
)


@pytest.mark.parametrize(("place", "is_read"), STOPPING)
def test_what_would_end_a_process_or_a_task_keeps_no_stop(frozen_aws: LocalAws, place: str, *, is_read: bool) -> None:
    """Each job is terminated in the first seconds, and whoever asked for that hears of it."""
    frozen_aws.script(definition="long", running=36_000)
    ids = frozen_aws.submit(frozen_aws.register("long"), count=4 * len(ENDS))

    async def main() -> float:
        virtual = VirtualAws(frozen_aws)
        for end in ENDS:
            below = Below(frozen_aws, place, is_read=is_read)
            watcher = virtual.watcher(below.clients())
            if place == "terminate_jobs":
                await watcher.terminate(ids.pop(), "first")  # from now on it is known what botocore can do
            below.to_raise.append(end)
            stopped = {ids.pop(): "r" for _ in range(3)}
            assert not await watcher.terminate_all(stopped)
            assert not below.to_raise
        return asyncio.get_running_loop().time()

    assert run(main()) < 10 * len(ENDS)
    assert all(job.get("isTerminated") for job in frozen_aws.jobs() if job["jobId"] not in ids)
