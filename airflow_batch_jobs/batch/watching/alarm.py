"""Alarm: lets an asyncio task sleep until something happens or some time has passed."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress


class Alarm:
    """Wakes the one task that waits for it; what rings while nobody waits is not lost."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """End the wait that goes on, or the next one."""
        self._rung.set()

    async def wait(self, seconds: float = math.inf) -> None:
        """Wait until it rings, at most so many seconds."""
        if math.isinf(seconds):
            await self._rung.wait()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._rung.wait()
        self._rung.clear()
