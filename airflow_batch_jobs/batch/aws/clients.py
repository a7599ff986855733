"""Clients made once: making one takes longer than most calls, and with some credentials a call of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.config import Config

    from airflow_batch_jobs.batch.aws.trouble import ClientFactory


def kept_clients(clients: ClientFactory) -> ClientFactory:
    """Return a factory that makes each client once, as long as no configuration is asked for.

    For one thread, and for no longer than the credentials hold: it never makes a client anew.
    """
    made: dict[tuple[str, str | None], Any] = {}

    def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        if config is not None:
            return clients(service, region_name=region_name, config=config)
        if (service, region_name) not in made:
            made[service, region_name] = clients(service, region_name=region_name)
        return made[service, region_name]

    return make
