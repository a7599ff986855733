"""What a shell offers for a queue and a definition: what AWS has, if it tells in time, and nothing otherwise.

Typer calls these while a person waits with a finger on the Tab key: they never fail, never write, and never hang.
"""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import typer  # noqa: TC002 - Typer reads the annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_batch_jobs.batch.aws import ClientFactory

Found = TypeVar("Found")

#: How long the shell waits for AWS, seconds. What has come by then is offered.
ANSWER_SECONDS = 3.0


def queues(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the queues that begin like this."""
    from airflow_batch_jobs.batch.listing import queue_names

    return sorted(name for name in _in_time(ctx, queue_names) if name.startswith(incomplete))


def definitions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the newest ACTIVE revision of each definition; all of one whose name is followed by a colon."""
    from airflow_batch_jobs.batch.listing import active_revisions

    name, has_colon, _ = incomplete.partition(":")
    found = _in_time(ctx, lambda clients: active_revisions(clients, name if has_colon else ""))
    offered = sorted(found) if has_colon else sorted(dict(sorted(found)).items())
    return [text for each, revision in offered if (text := f"{each}:{revision}").startswith(incomplete)]


def _in_time(ctx: typer.Context, look: Callable[[ClientFactory], Iterable[Found]]) -> list[Found]:
    """Return what AWS tells within `ANSWER_SECONDS`, of the account that the options so far lead to."""
    found: list[Found] = []

    def work() -> None:
        from airflow_batch_jobs.cli.aws_options import clients_of

        # Whatever it is: a message in the middle of a command line helps nobody.
        with suppress(Exception):
            options = (ctx.params.get(name) for name in ("region", "profile", "endpoint_url"))
            found.extend(look(clients_of(*options)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # A daemon, so that the process can end before it.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(ANSWER_SECONDS)
    return list(found)
