"""One call of an operation, as the services see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_batch_jobs.local.faults import Changes


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        parameters: Its parameters, whose form has been checked.
        changes: What injected faults change in its answer.
        access_key: The caller's access key.
        size_bytes: The size of its body.
        first_revision: The revision that a definition begins with, if this registers its first one.
    """

    parameters: dict[str, Any]
    changes: Changes
    access_key: str
    size_bytes: int
    first_revision: int = 1


#: An operation's output by member name, or its JSON.
Result = Mapping[str, Any] | bytes
Operations = Mapping[str, Callable[[Call], Result]]
