"""Serving a local AWS: in a thread of this process, or in the foreground."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

from airflow_batch_jobs.local.access import Access
from airflow_batch_jobs.local.control import Control
from airflow_batch_jobs.local.endpoint import Endpoint, Settings
from airflow_batch_jobs.local.surface import Surface, to_plain
from airflow_batch_jobs.local.wire import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class LocalAws(Control):
    """A local AWS in a thread of this process, as a context manager."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **settings: Any) -> None:
        """Set it up. It starts when the context is entered.

        Args:
            host: The address to listen on. Whoever can reach it and knows the key can run commands here.
            port: The port; 0 for any that is free.
            **settings: The attributes of `Settings`.
        """
        self._host = host
        self._port = port
        self._settings = Settings(**settings)
        self._surface: Surface
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._is_ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="local-aws", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_ready.wait()
        if self._problem:
            self._thread.join()
            raise self._problem
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._problem:
            raise self._problem

    def _send(self, action: str, arguments: dict[str, Any] | None = None) -> Any:
        act = self._surface.act(action, to_plain(arguments or {}))
        try:
            return to_plain(asyncio.run_coroutine_threadsafe(act, self._loop).result())
        except ServiceError as refusal:
            raise RuntimeError(str(refusal)) from refusal

    def _run(self) -> None:
        try:
            asyncio.run(serve(self._settings, self._host, self._port, self._ready))
        except BaseException as error:  # noqa: BLE001 - it is raised when the context is entered
            self._problem = error
            self._is_ready.set()

    def _ready(self, access: Access, surface: Surface, stop: asyncio.Event) -> None:
        self.access, self._surface, self._stop = access, surface, stop
        self._loop = asyncio.get_running_loop()
        self._is_ready.set()


async def serve(
    settings: Settings, host: str, port: int, on_ready: Callable[[Access, Surface, asyncio.Event], None]
) -> None:
    """Serve until told to stop.

    Args:
        settings: How the local AWS is set up.
        host: The address to listen on.
        port: The port; 0 for any that is free.
        on_ready: Called once, when it answers requests, with how to reach it, its control surface, and what ends it.
    """
    # Only a server needs Starlette and uvicorn, not a client.
    from airflow_batch_jobs.local.app import Server

    endpoint = Endpoint(settings)
    server = Server(endpoint, host, port)
    await server.start()
    try:
        stop = asyncio.Event()
        account = endpoint.account
        shown_host = f"[{host}]" if ":" in host else host
        url = f"http://{shown_host}:{server.port}"
        on_ready(Access(url, account.access_key, account.secret_key, account.region, account.id), server.surface, stop)
        await stop.wait()
    finally:
        await server.close()
