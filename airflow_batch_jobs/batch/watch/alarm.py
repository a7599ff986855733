"""Alarm: lets an asyncio task sleep until something happens or some time has passed."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress


class Alarm:
    """Wakes the one task that waits for it; a ring while no task waits is not lost.

    A task checks for something to do before it waits: a ring may coincide with its cancellation. Thousands of tasks
    wait at a time, so this is lighter than an `asyncio.Event`, which keeps a queue of waiting tasks.
    """

    __slots__ = ("_is_rung", "_waiter")

    def __init__(self) -> None:
        self._is_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """End the current wait, or the next one."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        else:
            self._is_rung = True

    def rings(self) -> asyncio.Future[None]:
        """Return a future to be awaited at once; it is done when the alarm rings."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self._is_rung:
            self._waiter.set_result(None)
        self._is_rung = False
        return self._waiter

    async def wait(self, seconds: float = math.inf) -> None:
        """Wait until it rings, at most this many seconds."""
        if math.isinf(seconds):
            await self.rings()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.rings()
