"""Plan: what a request makes of a revision."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.members import NOTHING
from airflow_batch_jobs.batch.overrides import overridden_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_batch_jobs.batch.overrides import OverriddenTask


@dataclass(frozen=True, slots=True)
class Plan:
    """A request for a job, beside the revision that it pins.

    Attributes:
        definition: The revision, as AWS describes it.
        request: The arguments of SubmitJob.
        tasks: What the job will run, with overrides that are a copy; of nodes that run the same, the task of one.
    """

    definition: Mapping[str, Any]
    request: Mapping[str, Any]
    tasks: tuple[OverriddenTask, ...]

    @classmethod
    def of(cls, definition: Mapping[str, Any], request: Mapping[str, Any]) -> Self:
        """Look at what a request makes of a revision."""
        return cls(definition, request, tuple(overridden_tasks(definition, deepcopy(dict(request)))))

    @property
    def name(self) -> str:
        """The revision as `name:revision`."""
        return str(parse_reference(self.request["jobDefinition"]))

    @property
    def parameters(self) -> Mapping[str, str]:
        """The value of each parameter: the request's, else the definition's default."""
        return {**(self.definition.get("parameters") or NOTHING), **self.request.get("parameters", NOTHING)}

    def ecs_tasks(self) -> Iterator[OverriddenTask]:
        """Yield the tasks that run on ECS."""
        return (task for task in self.tasks if not any(container.is_pods for container in task.containers))
