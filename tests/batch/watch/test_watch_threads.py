"""JobWatcher in real time: its threads, and what it costs the event loop."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.aws import KeptClients, trouble
from airflow_batch_jobs.batch.watch import Ended, JobWatcher, WatchOptions, aws_calls
from airflow_batch_jobs.batch.watch.aws_calls import AwsCalls, in_thread
from airflow_batch_jobs.errors import CallAbortedError, EndpointError, ExhaustedError
from tests.batch.virtual import follow_to_end, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.batch.aws import ClientFactory, Service
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws

QUICK = WatchOptions(log_settle_seconds=0.5)


class MeasuredLoop(asyncio.SelectorEventLoop):
    """An event loop that keeps the longest time for which it was busy without looking at its sockets.

    It counts the time of its own thread, so that a machine with other things to do does not matter.
    """

    longest = 0.0

    def _run_once(self) -> None:
        before = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.longest = max(self.longest, time.thread_time() - before)


def test_a_real_job_is_followed_to_its_end(aws: LocalAws) -> None:
    """A process on this machine: its lines in order, its exit code, in real time."""
    reference = aws.register("count", ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done; exit 3"])
    [job_id] = aws.submit(reference)
    watcher = JobWatcher(aws.clients(), QUICK)
    updates = asyncio.run(follow_to_end(watcher.follow(job_id, poll_interval=0.2)))
    assert [line for line in lines_of(updates) if line.startswith("line")] == [f"line {n}" for n in range(1, 6)]
    end = updates[-1]
    assert isinstance(end, Ended)
    assert end.detail.exit_code == 3


def test_a_process_that_is_terminated_shows_its_last_words(aws: LocalAws) -> None:
    """What a job writes after SIGTERM is in its log."""
    script = "trap 'echo goodbye; exit 1' TERM; echo hello; while true; do sleep 0.05; done"
    [job_id] = aws.submit(aws.register("long", ["sh", "-c", script]))
    aws.wait_for_line(job_id, "hello")

    async def main() -> list[Update]:
        async with JobWatcher(aws.clients(), QUICK).follow(job_id, poll_interval=30) as follower:
            await follower.terminate("stop")
            return [update async for update in follower]

    updates = asyncio.run(main())
    assert [line for line in lines_of(updates) if line in {"hello", "goodbye"}] == ["hello", "goodbye"]
    assert isinstance(updates[-1], Ended)
    assert updates[-1].detail.is_terminated


@pytest.fixture
def without_collector() -> Iterator[None]:
    """No garbage collection: how long a full one takes depends on all that a process holds."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.long
@pytest.mark.usefixtures("without_collector")
def test_no_step_holds_the_event_loop(aws: LocalAws) -> None:
    """200 jobs, and one that floods: no step takes the loop longer than 50 ms."""
    aws.script(definition="many", running=2, lines={"count": 10, "rate": 10.0})
    aws.script(definition="flood", running=2, lines={"count": 30_000, "rate": 15_000.0})
    ids = [*aws.submit(aws.register("many"), count=200), *aws.submit(aws.register("flood"))]

    async def main() -> list[list[Update]]:
        watcher = JobWatcher(aws.clients(), WatchOptions(log_settle_seconds=0.5, log_lines_per_second=2_000))
        return await asyncio.gather(*(follow_to_end(watcher.follow(job_id, poll_interval=1)) for job_id in ids))

    loop = MeasuredLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        updates = runner.run(main())
    assert all(len(lines_of(each)) == 10 for each in updates[:-1])
    slowed_down_by_a_tracer = 1 if sys.gettrace() is None else 4
    assert loop.longest < 0.05 * slowed_down_by_a_tracer


def test_clients_are_built_once_and_not_in_the_loops_thread(aws: LocalAws) -> None:
    """However many jobs there are: one for looking at them, one for stops, one for the logs, each in a thread."""
    ids = aws.submit(aws.register("quick", ["echo", "hi"]), count=5)
    make, built = aws.clients(), []

    def clients(service: str, **how: Any) -> Any:
        built.append((service, threading.current_thread() is threading.main_thread()))
        return make(service, **how)

    async def main() -> None:
        watcher = JobWatcher(clients, QUICK)
        await asyncio.gather(*(follow_to_end(watcher.follow(job_id, poll_interval=0.2)) for job_id in ids))

    asyncio.run(main())
    assert sorted(built) == [("batch", False), ("batch", False), ("logs", False)]


def test_a_call_that_hangs_delays_neither_the_follower_nor_the_loop(aws: LocalAws) -> None:
    """Leaving does not wait for AWS, and neither does the end of the event loop."""
    [job_id] = aws.submit(aws.register("quick", ["echo", "hi"]))
    aws.fault("*", "latency", seconds=60)
    began = time.monotonic()

    async def main() -> None:
        async with JobWatcher(aws.clients(), QUICK).follow(job_id) as follower:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(follower), 0.5)

    asyncio.run(main())
    assert time.monotonic() - began < 30


def test_a_thread_hands_over_what_the_work_returns_and_raises() -> None:
    """Results and exceptions of every kind arrive where the work is awaited; one that comes too late does no harm."""

    def fail() -> None:
        raise KeyError("why")

    async def main() -> None:
        assert await in_thread(lambda: 7) == 7
        with pytest.raises(KeyError, match="why"):
            await in_thread(fail)
        release = threading.Event()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(release.wait), 0.05)
        release.set()
        await asyncio.sleep(0.05)

    asyncio.run(main())


@pytest.mark.long
def test_a_thread_that_the_system_refuses_ends_no_wait(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again, as AWS is when it does not answer."""
    start, refused = threading.Thread.start, list[str]()

    def refuse_some(thread: threading.Thread) -> None:
        if thread.name == "airflow-batch-jobs" and len(refused) < 3:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    aws.script(definition="long", running=2)
    ids = aws.submit(aws.register("long"), count=3)

    async def main() -> list[Any]:
        watcher = JobWatcher(aws.clients(), QUICK)
        followers = [watcher.follow(job_id, poll_interval=0.3, copy_logs=False) for job_id in ids]
        return await asyncio.gather(*map(follow_to_end, followers))

    monkeypatch.setattr(threading.Thread, "start", refuse_some)
    assert all(isinstance(updates[-1], Ended) for updates in asyncio.run(main()))
    assert len(refused) == 3


def test_work_whose_thread_is_refused_was_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what the machine lacks."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    begun: list[int] = []

    async def main() -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(ExhaustedError, match="No thread could be started: can't start new thread"):
            await in_thread(lambda: begun.append(1))

    asyncio.run(main())
    assert not begun


def test_what_ends_a_thread_or_a_task_arrives_as_an_error() -> None:
    """It says what was raised, and the task that waits for it is not cancelled; if that is cancelled, it stays so."""

    async def main() -> None:
        calls = AwsCalls(refuse_all)
        for end in (SystemExit(1), asyncio.CancelledError("by a library"), StopIteration(2), GeneratorExit()):

            def fail(end: BaseException = end) -> None:
                raise end

            with pytest.raises(CallAbortedError, match=re.escape(repr(end))) as caught:
                await calls.run(fail)
            assert caught.value.__cause__ is end
            assert trouble(caught.value).retry
        release = threading.Event()
        waiting = asyncio.create_task(calls.run(release.wait))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        release.set()

    asyncio.run(main())


def test_calls_that_hang_are_given_up_with_their_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more of them are made than threads can be spared, while other calls go on."""
    monkeypatch.setattr(aws_calls, "CALL_SECONDS", 0.05)
    monkeypatch.setattr(aws_calls, "MOST_HUNG", 2)
    opened, release = list[int](), threading.Event()

    def open_session() -> ClientFactory:
        opened.append(1)
        return lambda *_, **__: SimpleNamespace(meta=SimpleNamespace(events=SimpleNamespace(register=print)))

    hung: list[threading.Thread] = []

    def hang(service: Service) -> None:
        hung.append(threading.current_thread())
        service.prepare("filter_log_events")
        release.wait(20)

    async def main() -> None:
        calls = AwsCalls(KeptClients(open_session))
        for _ in range(2):
            with pytest.raises(EndpointError, match="hangs"):
                await calls.use("logs", None, hang)
        with pytest.raises(EndpointError, match="2 calls to AWS hang"):
            await calls.use("logs", None, hang)
        assert await calls.use("batch", None, lambda service: service.name) == "batch"
        assert len(opened) == 2
        release.set()
        for thread in hung:
            thread.join(20)
        assert await calls.use("logs", None, lambda service: service.name) == "logs"

    try:
        asyncio.run(main())
    finally:
        release.set()


def refuse_all(service: str, **_: Any) -> Any:
    """Make no client."""
    raise AssertionError(service)
