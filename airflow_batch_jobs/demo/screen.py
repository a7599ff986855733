"""What the demo shows: one line per event, with the time since the start."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATES = {
    "success": "green",
    "SUCCEEDED": "green",
    "failed": "red",
    "FAILED": "red",
    "running": "cyan",
    "RUNNING": "cyan",
    "deferred": "magenta",
}


class Screen:
    """Writes with colours and a spinner to a terminal, and plain lines to anything else."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._begun_at = time.monotonic()

    def title(self, text: str) -> None:
        """Begin a part of the demo."""
        self._console.print()
        self._console.print(Text(text, "bold"), soft_wrap=True)

    def step(self, text: str) -> None:
        """Say what was done."""
        self._line("", "", Text(text))

    def state(self, kind: str, name: str, state: str, more: str = "") -> None:
        """Say that a task or a job has a new state."""
        shown = Text(state, _STATES.get(state, "yellow"))
        self._line(kind, name, shown.append(f"  {more}", "dim") if more else shown)

    def log(self, name: str, text: str) -> None:
        """Show a line of a task's log."""
        self._line("log", name, Text(text, "dim"))

    def check(self, text: str) -> None:
        """Say what was checked and found to be true."""
        self._line("", "", Text.assemble(("✓ ", "bold green"), text))

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """On a terminal, show a spinner while something takes long."""
        if self._console.is_terminal:
            with self._console.status(text):
                yield
        else:
            yield

    def _line(self, kind: str, name: str, text: Text) -> None:
        seconds = time.monotonic() - self._begun_at
        line = Text.assemble((f"{seconds:6.1f} s  ", "dim"))
        if kind:
            line.append(f"{kind:<5}", "bold").append(f"{name:<18}")
        self._console.print(line.append_text(text), soft_wrap=True)
