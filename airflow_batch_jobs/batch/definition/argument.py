"""The argument `definition`: a job definition in any of the forms that a DAG's author gives it in."""

from __future__ import annotations

from airflow_batch_jobs.batch.definition.job_definition import JobDefinition
from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.definition.values import is_late
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError


def reference_of(definition: JobDefinition | type[JobDefinition] | str) -> str:
    """Return the text that stands for a definition until it is rendered.

    Raises:
        NotPinnedError: It has no revision.
        DefinitionError: It is malformed, or not a definition at all.
    """
    if isinstance(definition, JobDefinition):
        return definition.pinned_reference
    if isinstance(definition, type) and issubclass(definition, JobDefinition):
        return definition.declared_reference()
    if not isinstance(definition, str):
        raise DefinitionError(
            f"definition={definition!r} is not a job definition. Pass a JobDefinition, its class, or a text like "
            '"align-reads:7"; what upstream tasks return goes through parameters=.'
        )
    if not is_late(definition):
        reference = parse_reference(definition)
        if reference.revision is None:
            raise NotPinnedError(reference.name)
    return definition
