"""`@task.batch_job`: a function that decides at run time which job to run, with which parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_type_hints

from airflow.sdk.bases.decorator import DecoratedOperator, determine_kwargs, task_decorator_factory
from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION
from airflow.sdk.definitions.context import context_merge

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.definition.argument import DefinitionArgument
from airflow_batch_jobs.batch.result.model import result_model
from airflow_batch_jobs.errors import DefinitionError
from airflow_batch_jobs.operators import BatchJobOperator
from airflow_batch_jobs.task.arguments import check_mapped, refuse_foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import ClassVar

    from airflow.sdk import Context
    from airflow.sdk.bases.decorator import TaskDecorator
    from pydantic import BaseModel


class _BatchJobDecoratedOperator(DecoratedOperator, BatchJobOperator):
    """Runs the job of the definition that a function returns. What the function returns is never a template."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *BatchJobOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **BatchJobOperator.template_fields_renderers,
    }
    custom_operator_name = "@task.batch_job"
    _late_fields = ("definition", "parameters")
    overwrite_rtif_after_execution = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., JobDefinition],
        job_queue: str,
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        for name in ("definition", "parameters"):
            if name in kwargs:
                raise DefinitionError(f"@task.batch_job takes no {name}=: the function returns a JobDefinition.")
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            job_queue=job_queue,
            definition="",
            **kwargs,
        )

    def _take_definition(self, definition: Any) -> None:
        """Leave the definition open: only the function knows it."""
        del definition
        self._definition = DefinitionArgument("")
        self.definition = SET_DURING_EXECUTION

    def _take_result(self) -> None:
        """Take the `Result` of the class that the function says it returns, unless there is a `result`."""
        if self.result is None:
            self.result = _declared_result(self.python_callable)
        super()._take_result()

    def _complete(self, render: Callable[[Any], Any]) -> None:
        """Leave the parameters open as well."""
        from airflow_batch_jobs.task.masking import mask_secrets

        del render
        mask_secrets(self.container_overrides, self.submit_options)

    def execute(self, context: Context) -> Any:
        """Call the function, then run the job of the definition that it returns.

        Raises:
            DefinitionError: The function did not return a JobDefinition.
            BatchJobsError: See `airflow_batch_jobs.errors`.
        """
        if self._refusal is None:
            try:
                self._show(self._returned(context).plain(), self._late_fields)
            except Exception as error:  # noqa: BLE001 - a user's function can raise anything
                self._refusal = error  # as for fields that cannot be rendered
        self._send_rendered_fields()
        return BatchJobOperator.execute(self, context)

    def _returned(self, context: Context) -> JobDefinition:
        """Call the function."""
        from airflow_batch_jobs.task.masking import mask_secrets

        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        definition = self.python_callable(*self.op_args, **kwargs)
        if not isinstance(definition, JobDefinition):
            raise DefinitionError(
                f"{self.python_callable.__name__} returned a value of type {type(definition).__name__}; a "
                "@task.batch_job function returns a JobDefinition."
            )
        own = result_model(None, definition)
        if own is not None and self.result is None:
            kind = type(definition).__name__
            raise DefinitionError(
                f"{self.python_callable.__name__} returned a {kind}, whose Result this task does not expect. Annotate "
                f"the function with `-> {kind}`, or give result={kind}.Result."
            )
        mask_secrets(definition.to_data())
        # Anything that looks like a template here is a value, and is checked as one.
        return definition.with_parameters({})


def _declared_result(function: Callable[..., Any]) -> type[BaseModel] | None:
    """Return the `Result` of the definition's class that a function is annotated to return; None if there is none."""
    try:
        returned = get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - an annotation may name what only a type checker knows
        return None
    is_class = isinstance(returned, type) and issubclass(returned, JobDefinition)
    return result_model(None, returned) if is_class else None


def batch_job_task(python_callable: Callable[..., JobDefinition] | None = None, **kwargs: Any) -> TaskDecorator:
    """Turn a function that returns a `JobDefinition` into a task that runs it.

    Args:
        python_callable: The function; its arguments may be upstream results, and may be mapped with `.expand()`.
        **kwargs: `job_queue` and whatever else `BatchJobOperator` takes, except `definition` and `parameters`.

    Raises:
        DefinitionError: What is declared as a result cannot be one.
        TypeError: An argument has the name that it has in the Amazon provider; the error has ours.
        ValueError: Something in `on_retry` is no change.
    """
    check_mapped(_BatchJobDecoratedOperator, kwargs)
    refuse_foreign(_BatchJobDecoratedOperator, kwargs, is_whole=False)
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_BatchJobDecoratedOperator, **kwargs
    )
