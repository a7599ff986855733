"""Where the revisions of a job definition begin: AWS counts from 1, and a local AWS from where it is told to.

It is told by a header of RegisterJobDefinition, of which AWS itself takes no notice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.config import Config

    from airflow_batch_jobs.batch.aws import ClientFactory

#: The header: the revision that a definition begins with, unless it has one.
HEADER = "x-local-first-revision"
#: AWS counts in 32 bits.
MOST = 2**31 - 1


def beginning_at(clients: ClientFactory, first: Mapping[str, int]) -> ClientFactory:
    """Return a factory of clients that tell a local AWS which revision each definition begins with.

    Args:
        clients: Makes the clients.
        first: The first revision of each definition, by its name.
    """

    def tell(params: dict[str, Any], **_: Any) -> None:
        name = json.loads(params["body"])["jobDefinitionName"]
        if name in first:
            params["headers"][HEADER] = str(first[name])

    def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        client = clients(service, region_name=region_name, config=config)
        client.meta.events.register("before-call.batch.RegisterJobDefinition", tell)
        return client

    return make
