"""The argument `definition`: a job definition in any of the forms that a DAG's author gives it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.definition.job_definition import JobDefinition
from airflow_batch_jobs.batch.definition.reference import parse_reference
from airflow_batch_jobs.batch.definition.values import is_late
from airflow_batch_jobs.errors import DefinitionError, NotPinnedError

if TYPE_CHECKING:
    from collections.abc import Mapping


class DefinitionArgument:
    """What a DAG's author gives as `definition`; it becomes a JobDefinition once everything is rendered.

    Args:
        given: A JobDefinition, a subclass of it, or text, which may be a template.
    """

    __slots__ = ("_given",)

    def __init__(self, given: JobDefinition | type[JobDefinition] | str) -> None:
        self._given = given

    @property
    def typed(self) -> JobDefinition | type[JobDefinition] | None:
        """The JobDefinition or its class; None for text, of which only AWS knows the parameters."""
        return None if isinstance(self._given, str) else self._given

    def reference(self) -> str:
        """Return the text that stands for the definition until it is rendered.

        Raises:
            NotPinnedError: It has no revision.
            DefinitionError: It is malformed, or not a definition at all.
        """
        given = self._given
        if isinstance(given, JobDefinition):
            return given.pinned_reference
        if isinstance(given, type) and issubclass(given, JobDefinition):
            return given.declared_reference()
        if not isinstance(given, str):
            raise DefinitionError(
                f"definition={type(given).__name__} is not a job definition. Pass a JobDefinition, its class, or a "
                'text like "align-reads:7"; what upstream tasks return goes through parameters=.'
            )
        if not is_late(given):
            reference = parse_reference(given)
            if reference.revision is None:
                raise NotPinnedError(reference.name)
        return given

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Check the parameters given beside it, as far as they are already known.

        Raises:
            ParameterError: A parameter is missing, unknown or of the wrong type.
            DefinitionError: All values are known and `validate()` refused them.
        """
        if (typed := self.typed) is None:
            return
        if isinstance(typed, JobDefinition):
            typed.check_with(parameters)
        else:
            typed.check_partial(parameters)

    def own_parameters(self) -> dict[str, Any]:
        """Return the values that the definition itself has, which may contain templates."""
        if (typed := self.typed) is None:
            return {}
        return typed.to_data() if isinstance(typed, JobDefinition) else typed.defaults()

    def complete(self, reference: str, parameters: Mapping[str, Any]) -> JobDefinition:
        """Return the definition with its rendered values.

        Args:
            reference: What `reference` gave, rendered.
            parameters: What `own_parameters` gave, rendered, and over it what is given beside it.

        Raises:
            ParameterError: A parameter is missing, unknown or of the wrong type.
            DefinitionError: The reference is malformed, or `validate()` refused the values.
        """
        if (typed := self.typed) is None:
            return JobDefinition.named(reference, parameters)
        if isinstance(typed, JobDefinition):
            return typed.with_parameters(parameters)
        return typed.from_parameters(parameters)
