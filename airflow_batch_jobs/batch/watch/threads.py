"""AwsCalls: calls to AWS in threads, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_batch_jobs.batch.aws.calls import Service
from airflow_batch_jobs.batch.aws.clients import KeptClients, Patience
from airflow_batch_jobs.errors import ExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws.clients import ClientFactory

Answer = TypeVar("Answer")


class Runner(Protocol):
    """Runs blocking work beside the event loop."""

    async def __call__(self, work: Callable[[], Answer]) -> Answer:
        """Do the work and return what it returns, or raise what it raises."""


async def in_thread(work: Callable[[], Answer]) -> Answer:
    """Do blocking work in a thread of its own, and wait for it without blocking the event loop.

    The thread is a daemon and belongs to no pool: a call that hangs delays neither the loop's end nor the process's.
    Its context is empty, so nothing it logs goes to the task that happens to be running.

    Raises:
        ExhaustedError: The system starts no thread; `work` was not begun.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def run() -> None:
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where the work is awaited
            settle(done.set_exception, error)
        else:
            settle(done.set_result, answer)

    def settle(set_it: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing waits any more
            loop.call_soon_threadsafe(settle_now, set_it, outcome)

    def settle_now(set_it: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            set_it(outcome)

    try:
        threading.Thread(target=run, name="airflow-batch-jobs", daemon=True).start()
    except (RuntimeError, MemoryError) as error:
        raise ExhaustedError(
            f"No thread could be started: {error}. This machine is out of threads or memory; give it more."
        ) from error
    return await done


class AwsCalls:
    """Lets functions call AWS beside the event loop.

    Args:
        clients: Makes the clients.
        run: Runs blocking work; in a thread of its own if None.

    Attributes:
        clients: The same clients, kept and paced.
        run: Runs blocking work.
    """

    def __init__(self, clients: ClientFactory, run: Runner | None = None) -> None:
        self.clients = KeptClients.of(clients).with_patience(Patience.PACED)
        self.run: Runner = run or in_thread

    async def use(
        self, name: str, region: str | None, work: Callable[[Service], Answer], *, urgent: bool = False
    ) -> Answer:
        """Let a function use a service, in a thread.

        Args:
            name: `batch` or `logs`.
            region: The region; None for the clients' own.
            work: Gets the service, and runs in the thread.
            urgent: Give up after a few seconds, because something is waiting for the answer.
        """
        used = Service(self.clients, name, region, Patience.URGENT if urgent else None)
        return await self.run(lambda: work(used))
