"""The pydantic model of a job's result: where it is declared, and what a result looks like that does not fit it."""

from __future__ import annotations

import json
import reprlib
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from airflow_batch_jobs.errors import DefinitionError, ResultError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: What a definition's class calls the model of its result.
RESULT = "Result"
#: How many problems of a result an error names.
_NAMED = 3

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


def result_model(given: Any, definition: Any) -> type[BaseModel] | None:
    """Return the model of a job's result; None if the job has none.

    Args:
        given: The argument `result`; None for the definition's own.
        definition: A JobDefinition or a subclass of it, whose class may have a `Result`; None if there is no class.

    Raises:
        DefinitionError: What is given or declared is no pydantic model.
    """
    owner = definition if isinstance(definition, type) or definition is None else type(definition)
    where = "result=" if given is not None or owner is None else f"{owner.__name__}.{RESULT}"
    model = getattr(owner, RESULT, None) if given is None else given
    if model is None or (isinstance(model, type) and issubclass(model, BaseModel)):
        return model
    raise DefinitionError(
        f"{where} is {_SHORT.repr(model)}, and no pydantic model. Write `class {RESULT}(BaseModel): …` with a "
        "field for each value that the job hands back."
    )


def read_result(model: type[BaseModel] | None, text: str, job_id: str) -> Any:
    """Return a result as its model has it; without a model, as its JSON has it.

    Args:
        model: The model.
        text: The result's JSON.
        job_id: The job that printed it.

    Raises:
        ResultError: It does not fit.
    """
    if model is None:
        return json.loads(text)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _unfit(model, error.errors(include_url=False), job_id) from error
    except Exception as error:
        problem = f"The result could not be read by {model.__qualname__} ({error!r})"
        raise ResultError(job_id, problem, "Mend the class.", value=text) from error


def dump_result(value: BaseModel, job_id: str) -> Any:
    """Return a result as JSON data: what a task returns.

    Raises:
        ResultError: Its class cannot write it as JSON.
    """
    try:
        return json.loads(value.model_dump_json())
    except Exception as error:
        problem = f"The result could not be written as JSON by {type(value).__qualname__} ({error!r})"
        raise ResultError(job_id, problem, "Mend the class.", value=value) from error


def _unfit(model: type[BaseModel], details: list[ErrorDetails], job_id: str) -> ResultError:
    """Return the error of a result that does not fit: its first problems, and the first one's field and value."""
    first = details[0]
    is_missing = first["type"] == "missing"
    more = f"; and {len(details) - _NAMED} more" if len(details) > _NAMED else ""
    return ResultError(
        job_id,
        f"The result does not fit: {'; '.join(map(_problem, details[:_NAMED]))}{more}",
        f"Correct what the job prints, or {model.__qualname__}.",
        field=_field(first),
        value=None if is_missing else first["input"],
    )


def _problem(detail: ErrorDetails) -> str:
    field = _field(detail)
    whose = f"field {field!r}" if field else "the whole"
    if detail["type"] == "missing":
        return f"{whose} is missing"
    return f"{whose} cannot be {_SHORT.repr(detail['input'])} ({' '.join(detail['msg'].split())})"


def _field(detail: ErrorDetails) -> str:
    return ".".join(map(str, detail["loc"]))
