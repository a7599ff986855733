"""Counterparts: where each parameter of the Amazon provider's BatchOperator and BatchSensor went.

`docs/from-batch-operator.md` says the same in prose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterpart:
    """This package's counterpart of one of the provider's classes.

    Attributes:
        name: Our class.
        kept: Parameters with the same name and meaning here.
        renamed: Our name for a parameter.
        options: The field of SubmitJob that a parameter becomes, in `submit_options`.
        dropped: Parameters that have no counterpart, with what to do about a value; empty for nothing.
        gone: Attributes that our class does not have, besides those of the parameters.
    """

    name: str
    kept: frozenset[str]
    renamed: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    dropped: Mapping[str, str]
    gone: frozenset[str]

    @property
    def parameters(self) -> frozenset[str]:
        """All of the provider's parameters."""
        return self.kept | {*self.renamed, *self.options, *self.dropped}

    @property
    def absent(self) -> frozenset[str]:
        """The attributes of the provider's class that ours does not have."""
        return self.gone | {*self.renamed, *self.options, *self.dropped}


_AWS = frozenset({"aws_conn_id", "region_name", "verify", "botocore_config"})
_REGION = "region= was dropped: the provider ignores it. If it was meant, use region_name="
_MODULES = "airflow.providers.amazon.aws."

#: By the full name of the provider's class.
COUNTERPARTS = {
    f"{_MODULES}operators.batch.BatchOperator": Counterpart(
        name="BatchJobOperator",
        kept=_AWS | {"job_name", "job_queue", "container_overrides", "parameters", "deferrable", "poll_interval"},
        renamed={"job_definition": "definition", "wait_for_completion": "wait", "awslogs_enabled": "copy_logs"},
        options={
            "array_properties": "arrayProperties",
            "ecs_properties_override": "ecsPropertiesOverride",
            "eks_properties_override": "eksPropertiesOverride",
            "node_overrides": "nodeOverrides",
            "share_identifier": "shareIdentifier",
            "scheduling_priority_override": "schedulingPriorityOverride",
            "retry_strategy": "retryStrategy",
            "tags": "tags",
            "submit_job_timeout": "timeout",
        },
        dropped={
            "job_id": "job_id=, which BatchOperator overwrites, was dropped. If it made a dependency, write it with >>",
            "waiters": "waiters= was dropped: a custom waiter has no counterpart",
            "max_retries": "max_retries=, which limited the wait, was dropped. Limit it with execution_timeout=",
            "status_retries": "",
            "awslogs_fetch_interval": "",
            "region": _REGION,
        },
        gone=frozenset({"arn", "hook"}),
    ),
    f"{_MODULES}sensors.batch.BatchSensor": Counterpart(
        name="BatchJobSensor",
        kept=_AWS | {"job_id", "deferrable"},
        renamed={"poke_interval": "poll_interval"},
        dropped={
            "max_retries": "max_retries=, which limited the deferred wait, was dropped. Limit it with timeout=",
            "region": _REGION,
        },
        gone=frozenset({"hook"}),
    ),
}

#: The keys of the XComs in which the provider keeps its links.
LINK_KEYS = frozenset({"batch_job_details", "batch_job_definition", "batch_job_queue", "cloudwatch_events"})
