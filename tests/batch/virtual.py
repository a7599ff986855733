"""Asyncio in virtual time, over a local AWS whose time passes with it."""

from __future__ import annotations

import asyncio
import selectors
from asyncio import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from airflow_batch_jobs.batch.watch import JobWatcher, LogLines, WatchOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from airflow_batch_jobs.batch.meter import Meter
    from airflow_batch_jobs.batch.watch import JobFollower
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws

Result = TypeVar("Result")
Answer = TypeVar("Answer")
Arguments = TypeVarTuple("Arguments")

#: How long a call takes, there and back, in virtual seconds.
LATENCY_SECONDS = 0.05
#: No clock stands still while somebody waits, however short that is: a float would swallow less than this.
_TICK_SECONDS = 1e-9


class _Selector(selectors.DefaultSelector):
    """Lets time pass instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            message = "everybody waits, and for nothing that could happen"
            raise AssertionError(message)
        if timeout > 0:
            self.now += max(_TICK_SECONDS, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """The virtual seconds that have passed."""
        return self._virtual.now

    def run_in_executor(self, _: object, func: Callable[[*Arguments], Answer], *args: *Arguments) -> Future[Answer]:
        """Run at once what Airflow 3.4 gives to a thread: threads know of no virtual time."""
        future: Future[Answer] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - raised where it is awaited
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualAws:
    """A frozen local AWS that lives in the running loop's virtual time.

    Its calls are made in the event loop, each taking `LATENCY_SECONDS`, and it keeps up with the loop's time. This
    machine's clock can be ahead of AWS's, or behind.
    """

    def __init__(self, aws: LocalAws, *, ahead_seconds: float = 0.0) -> None:
        self.aws = aws
        self._ahead = ahead_seconds
        self._start = aws.now() - asyncio.get_running_loop().time()

    def watcher(self, clients: Any = None, *, meter: Meter | None = None, **options: Any) -> JobWatcher:
        """Make a watcher of this AWS."""
        how = WatchOptions(**options)
        return JobWatcher(clients or self.aws.clients(), how, clock=self, run=self.call, meter=meter)

    async def call(self, work: Callable[[], Answer]) -> Answer:
        """Do blocking work as if it took its time."""
        await asyncio.sleep(LATENCY_SECONDS / 2)
        self.keep_up()
        try:
            return work()
        finally:
            await asyncio.sleep(LATENCY_SECONDS / 2)

    def keep_up(self) -> None:
        """Let as much time pass at AWS as has passed here."""
        self.aws.advance(max(0.0, self._start + asyncio.get_running_loop().time() - self.aws.now()))

    def now(self) -> datetime:
        """The wall-clock time of this machine."""
        return datetime.fromtimestamp(self._start + asyncio.get_running_loop().time() + self._ahead, tz=UTC)

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return asyncio.get_running_loop().time()

    def sleep(self, seconds: float) -> None:
        """Nothing in the event loop may block."""
        raise AssertionError(seconds)


async def follow_to_end(follower: JobFollower) -> list[Update]:
    """Consume a follower and return its updates."""
    async with follower:
        return [update async for update in follower]


async def consume(follower: JobFollower, updates: list[Update]) -> None:
    """Put a follower's updates into a list, each as soon as it is there."""
    async for update in follower:
        updates.append(update)  # noqa: PERF401 - what was handed out has to be there if this is cancelled


def lines_of(updates: Iterable[Update]) -> list[str]:
    """Return the log lines of updates, in the order they came in."""
    return [event.text() for update in updates if isinstance(update, LogLines) for event in update.events]


def lines_by_label(updates: Iterable[Update]) -> Mapping[str, list[str]]:
    """Return the log lines of updates by the label of their stream."""
    by_stream: dict[str, tuple[str, list[str]]] = {}
    for update in updates:
        if isinstance(update, LogLines):
            _, lines = by_stream.get(update.stream.key, ("", []))
            by_stream[update.stream.key] = update.stream.label, lines
            lines += [event.text() for event in update.events]
    return dict(by_stream.values())


async def run_beside(
    main: Coroutine[Any, Any, Result], *others: Coroutine[Any, Any, Any] | tuple[float, Callable[[], object]]
) -> Result:
    """Run a coroutine beside others, and beside what is to happen at a time, given as seconds and function."""

    async def later(seconds: float, happen: Callable[[], object]) -> None:
        await asyncio.sleep(seconds)
        happen()

    tasks = [asyncio.create_task(later(*each) if isinstance(each, tuple) else each) for each in others]
    try:
        return await main
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
