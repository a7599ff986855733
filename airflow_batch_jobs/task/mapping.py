"""CheckedPartial: what is mapped, with a look at the names of all its arguments when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk.definitions.mappedoperator import OperatorPartial

from airflow_batch_jobs.task.arguments import check_mapped, refuse_mapped

if TYPE_CHECKING:
    from airflow.sdk.definitions.mappedoperator import MappedOperator


class CheckedPartial(OperatorPartial):
    """Checks the arguments that are common to all tasks together with those that a task is mapped over.

    Does not check what only a run knows: an upstream task's result that a task is mapped over.
    """

    _kind: type
    _given: Mapping[str, Any]

    @classmethod
    def of(cls, made: OperatorPartial, kind: type, given: Mapping[str, Any]) -> Self:
        """Return Airflow's own with a check.

        Args:
            made: Airflow's.
            kind: The class that is mapped.
            given: The arguments that are common to all, as the author gave them.
        """
        made._expand_called = True  # noqa: SLF001 - Airflow warns of one that nobody expands; this takes its place
        checked = cls(operator_class=made.operator_class, kwargs=made.kwargs, params=made.params)
        checked._kind = kind
        checked._given = {**given, **{name: made.kwargs.get(name) for name in ("dag", "task_group")}}
        return checked

    def expand(self, **mapped_kwargs: Any) -> MappedOperator:
        """Map over lists or mappings, by argument."""
        self._look_at(mapped_kwargs)
        for name, values in mapped_kwargs.items():
            for value in values if isinstance(values, (list, tuple)) else ():
                check_mapped(self._kind, {**self._given, name: value})
        return super().expand(**mapped_kwargs)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """Map over arguments, by task."""
        for each in kwargs if isinstance(kwargs, Sequence) else ():
            if isinstance(each, Mapping):
                self._look_at(each)
                check_mapped(self._kind, {**self._given, **each})
        return super().expand_kwargs(kwargs, strict=strict)

    def _look_at(self, arguments: Mapping[str, Any]) -> None:
        self._expand_called = True  # also if that is refused, which is all that there is to say then
        refuse_mapped(self._kind, {**self._given, **arguments})
