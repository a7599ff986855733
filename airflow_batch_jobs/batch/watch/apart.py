"""Work in an event loop that belongs to none of the triggers in it."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def start_apart(work: Coroutine[Any, Any, None], name: str | None = None) -> asyncio.Task[None]:
    """Start work outside the context of the trigger that happens to be running, to whose log its lines would go.

    Does not keep the task alive: whoever starts it does.
    """
    return asyncio.get_running_loop().create_task(work, name=name, context=Context())
