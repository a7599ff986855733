"""CheckedPartial: what is mapped, with a look at the names of all its arguments when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from airflow.sdk.definitions.mappedoperator import OperatorPartial

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.definitions.mappedoperator import MappedOperator


class CheckedPartial(OperatorPartial):
    """Checks the arguments that are common to all tasks together with those that a task is mapped over.

    Does not check what only a run knows: the names in an upstream task's result that `expand_kwargs` takes.
    """

    _check: Callable[[Mapping[str, Any]], object]
    _given: Mapping[str, Any]

    @classmethod
    def of(cls, made: OperatorPartial, check: Callable[[Mapping[str, Any]], object], given: Mapping[str, Any]) -> Self:
        """Return Airflow's own with a check.

        Args:
            made: Airflow's.
            check: Raises an error for the arguments of a task.
            given: The arguments that are common to all, as the author gave them.
        """
        made._expand_called = True  # noqa: SLF001 - Airflow warns of one that nobody expands; this takes its place
        checked = cls(operator_class=made.operator_class, kwargs=made.kwargs, params=made.params)
        checked._check = check
        checked._given = {**given, **{name: made.kwargs.get(name) for name in ("dag", "task_group")}}
        return checked

    def expand(self, **mapped_kwargs: Any) -> MappedOperator:
        """Map over lists or mappings, by argument."""
        self._look_at(mapped_kwargs)
        return super().expand(**mapped_kwargs)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> MappedOperator:
        """Map over arguments, by task."""
        for each in kwargs if isinstance(kwargs, Sequence) else ():
            if isinstance(each, Mapping):
                self._look_at(each)
        return super().expand_kwargs(kwargs, strict=strict)

    def _look_at(self, arguments: Mapping[str, Any]) -> None:
        self._expand_called = True  # also if that is refused, which is all that there is to say then
        self._check({**self._given, **arguments})
