"""AwsCalls: calls to AWS in threads, so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.aws.calls import Service
from airflow_batch_jobs.batch.aws.clients import MOST_HUNG, KeptClients, Patience
from airflow_batch_jobs.errors import AwsError, CallAbortedError, EndpointError, ExhaustedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws.clients import ClientFactory

Answer = TypeVar("Answer")

#: How long a call may take, together with the making of its client: longer than any timeout of the client's own.
CALL_SECONDS = 30.0
URGENT_CALL_SECONDS = 15.0
#: What would steer whoever waits, among the ordinary errors.
_CONTROL_FLOW = (CancelledError, StopIteration, StopAsyncIteration)


class Runner(Protocol):
    """Runs blocking work beside the event loop."""

    async def __call__(self, work: Callable[[], Answer]) -> Answer:
        """Do the work and return what it returns, or raise what it raises, which is always an error."""


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
            resolve(done.set_exception, error)
        else:
            resolve(done.set_result, answer)

    def resolve(set_it: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing waits any more
            loop.call_soon_threadsafe(resolve_now, set_it, outcome)

    def resolve_now(set_it: Callable[[Any], None], outcome: Any) -> None:
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

    A call that hangs is given up after a while and its thread left alone. What was asked can then be asked again, of
    another session if need be.

    Args:
        clients: Makes the clients.
        run: Runs blocking work; in a thread of its own if None.

    Attributes:
        clients: The same clients, kept and paced.
        made: How often each service was called; whoever reads it may empty it.
        throttled: How often each said that this was too often; likewise.
    """

    def __init__(self, clients: ClientFactory, run: Runner | None = None) -> None:
        self.clients = KeptClients.of(clients).with_patience(Patience.PACED)
        self.made: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self._run: Runner = run or in_thread
        self._hung: dict[tuple[str, str | None, bool], list[_Work[Any]]] = {}

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Do blocking work beside the event loop, and return what it returns, or raise what it raises.

        Raises:
            CallAbortedError: It raised what would end this process, the event loop or an asyncio task. None of them is
                the work's to end.
        """
        return await self._run(_Work(work))

    async def use(
        self, name: str, region: str | None, work: Callable[[Service], Answer], *, urgent: bool = False
    ) -> Answer:
        """Let a function use a service, in a thread.

        Args:
            name: `batch` or `logs`.
            region: The region; None for the clients' own.
            work: Gets the service, and runs in the thread.
            urgent: Give up after a few seconds, because something is waiting for the answer.

        Raises:
            EndpointError: It takes too long, or too many others that do are still at it.
            CallAbortedError: As from `run`.
        """
        used = Service(self.clients, name, region, Patience.URGENT if urgent else None)
        hung = self._still_hung((name, region, urgent))
        call, session = _Work(partial(work, used)), self.clients.session
        limit = asyncio.timeout(URGENT_CALL_SECONDS if urgent else CALL_SECONDS)
        self.made[name] += 1
        try:
            async with limit:
                return await self._run(call)
        except TimeoutError as error:
            if not limit.expired():
                raise
            if not call.is_over:
                hung.append(call)
                self.clients.leave(session)
            raise EndpointError(
                "A call to AWS, or the source of its credentials, hangs. Check the network and the secrets backend."
            ) from error
        except AwsError as error:
            self.throttled[name] += trouble(error) is Trouble.THROTTLED
            raise

    def _still_hung(self, key: tuple[str, str | None, bool]) -> list[_Work[Any]]:
        """Return the calls that were given up and have not returned.

        Raises:
            EndpointError: There must not be any more.
        """
        hung = self._hung.setdefault(key, [])
        hung[:] = [each for each in hung if not each.is_over]
        if len(hung) >= MOST_HUNG:
            raise EndpointError(f"{len(hung)} calls to AWS hang. Check the network, and restart this process.")
        return hung


class _Work(Generic[Answer]):
    """Blocking work that raises nothing that would end whoever waits for it.

    Attributes:
        is_over: Whether it has returned or raised.
    """

    def __init__(self, work: Callable[[], Answer]) -> None:
        self._work = work
        self.is_over = False

    def __call__(self) -> Answer:
        try:
            return self._work()
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, _CONTROL_FLOW):
                raise
            raise CallAbortedError(
                f"{error!r} ended a call to AWS. A library or plugin has raised it: fix or replace that one."
            ) from error
        finally:
            self.is_over = True
