"""The requests that reached the endpoint, for tests to look at; only the newest are kept."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Any

_MOST_REQUESTS = 20_000
_MOST_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class Recorded:
    """One request.

    Attributes:
        time: When it came, in seconds since the epoch, by the endpoint's clock.
        operation: `SubmitJob`; empty if there is no such operation.
        parameters: Its parameters; empty if it was refused before they were read.
        outcome: `ok`, an error's code, `dropped`, or `not AWS`.
        took_effect: Whether the operation was carried out, whatever became of its answer.
    """

    time: float
    operation: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    outcome: str = "ok"
    took_effect: bool = False


class Record:
    """The newest requests, and how many there were of each operation."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._kept: deque[tuple[Recorded, bytes]] = deque()
        self._size_bytes = 0

    def add(self, request: Recorded) -> None:
        """Note a request."""
        self.counts[request.operation] += 1
        # As JSON, a hundred job ids take a third of the memory.
        parameters = json.dumps(request.parameters).encode()
        self._kept.append((replace(request, parameters={}), parameters))
        self._size_bytes += len(parameters)
        while len(self._kept) > _MOST_REQUESTS or self._size_bytes > _MOST_BYTES:
            self._size_bytes -= len(self._kept.popleft()[1])

    def requests(self, operation: str = "") -> list[Recorded]:
        """Return the requests that are kept, oldest first; only those of an operation if it is given."""
        return [
            replace(request, parameters=json.loads(parameters))
            for request, parameters in self._kept
            if operation in {"", request.operation}
        ]

    def clear(self) -> None:
        """Forget all requests and counts."""
        self.counts.clear()
        self._kept.clear()
        self._size_bytes = 0
