"""The pydantic model of a job's result: where it is declared, and what a result looks like that does not fit it."""

from __future__ import annotations

import json
import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.numbers import shown
from airflow_batch_jobs.batch.storable import not_storable
from airflow_batch_jobs.batch.xcoms import XCOMS
from airflow_batch_jobs.errors import DefinitionError, ResultError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic_core import ErrorDetails

#: What a definition's class calls the model of its result.
RESULT = "Result"
#: The most XComs of fields that a model does not declare.
_MOST_EXTRAS = 100
#: What an XCom of a field may be called. Airflow puts the name into a URL as it is, and a job may print any.
_XCOM_NAME = re.compile("[0-9A-Za-z_][0-9A-Za-z_.-]{0,511}")
#: How many problems of a result an error names.
_NAMED = 3
#: The most characters of a reason, which a validator may give.
_LONGEST_REASON = 200


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
    if model is None:
        return None
    if isinstance(model, type) and issubclass(model, JobDefinition):
        name = model.__name__
        raise DefinitionError(f"{where} is the job definition {name}, not a model of a result. Pass {name}.Result.")
    if isinstance(model, type) and issubclass(model, BaseModel) and model is not BaseModel:
        return model
    raise DefinitionError(
        f"{where} is {shown(model)}, not a pydantic model. Write `class {RESULT}(BaseModel): …` with a "
        "field for each value that the job hands back."
    )


def task_model(given: Any, definition: Any, *, waits: bool) -> type[BaseModel] | None:
    """Return the model of a task's result; None if the task returns its job's id.

    Args:
        given: The argument `result`; None for the definition's own.
        definition: As for `result_model`.
        waits: Whether the task waits for its job.

    Raises:
        DefinitionError: What is given or declared cannot be the result of a task.
    """
    model = result_model(given, definition)
    if model is None:
        return None
    if taken := sorted(XCOMS & {*model.model_fields, *model.model_computed_fields}):
        name = taken[0]
        raise DefinitionError(
            f"{model.__qualname__} has a field {name!r}, but the task already has an XCom of that name. Call the field "
            f'{name}_, and keep the name in the job\'s line: `{name}_: … = Field(alias="{name}")`.'
        )
    if not waits:
        raise DefinitionError(
            f"wait=False returns before the job has its result, a {model.__qualname__}. Use wait=True, or a "
            "definition without a Result."
        )
    return model


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
        problem = f"The result could not be read by {model.__qualname__} ({shown(error)})"
        raise ResultError(job_id, problem, "Fix the class.", value=text) from error


def dump_result(value: BaseModel, job_id: str) -> Any:
    """Return a result as JSON data: what a task returns.

    Raises:
        ResultError: Its class cannot write it as JSON, or has a number that JSON does not have, or something that
            Airflow does not keep.
    """
    try:
        data = json.loads(value.model_dump_json())
        lost = next(_lost(value.model_dump(), data), None)
    except Exception as error:
        problem = f"The result could not be written as JSON by {type(value).__qualname__} ({shown(error)})"
        raise ResultError(job_id, problem, "Fix the class.", value=value) from error
    if lost is not None:
        path, number = lost
        field = ".".join(map(str, path))
        raise ResultError(
            job_id,
            f"The result does not fit: {_cannot_be(field, repr(number), 'JSON has no such number')}",
            _remedy(type(value)),
            field=field,
            value=number,
        )
    for path, given, why in not_storable(data):
        field = ".".join(map(str, path))
        problem = _cannot_be(field, _told(type(value), given), f"Airflow keeps {why}")
        raise ResultError(
            job_id, f"The result does not fit: {problem}", "Hand it over as text.", field=field, value=given
        )
    return data


def fields_of(data: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a result that become XComs of their own: each by its name in the class, and in the data.

    Left out are names with anything else than ASCII letters, digits, `_`, `-` and `.`, which could be an XCom of
    another task, and those of the task's other XComs.

    Args:
        data: The result as JSON data.
        model: What it was read as.
    """
    in_data = {
        name: name if name in data else field.serialization_alias or field.alias or name
        for name, field in model.model_fields.items()
    }
    declared = {*in_data.values(), *model.model_computed_fields}
    extras = islice((name for name in data if name not in declared), _MOST_EXTRAS)
    found = {name: data[place] for name, place in in_data.items() if place in data}
    found |= {name: value for name, value in data.items() if name in declared}
    found |= {name: data[name] for name in extras}
    return {name: value for name, value in found.items() if name not in XCOMS and _XCOM_NAME.fullmatch(name)}


def _lost(value: Any, data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], float]]:
    """Yield the numbers in a value that are none, and that its JSON data does not have as text either."""
    if isinstance(value, float):
        if not math.isfinite(value) and not isinstance(data, str):
            yield path, value
    elif isinstance(value, dict) and isinstance(data, dict):
        for key, item in value.items():
            yield from _lost(item, data.get(str(key), ""), (*path, key))
    elif isinstance(value, (list, tuple, set, frozenset)) and isinstance(data, list):
        for index, (item, one) in enumerate(zip(value, data, strict=False)):
            yield from _lost(item, one, (*path, index))


def _unfit(model: type[BaseModel], details: list[ErrorDetails], job_id: str) -> ResultError:
    """Return the error of a result that does not fit: its first problems, and the first one's field and value."""
    first = details[0]
    is_told = first["type"] != "missing" and not model.model_config.get("hide_input_in_errors")
    more = f"; and {len(details) - _NAMED} more" if len(details) > _NAMED else ""
    return ResultError(
        job_id,
        f"The result does not fit: {'; '.join(_problem(model, each) for each in details[:_NAMED])}{more}",
        _remedy(model),
        field=_field(first),
        value=first["input"] if is_told else None,
    )


def _remedy(model: type[BaseModel]) -> str:
    return f"Correct what the job prints, or {model.__qualname__}."


def _problem(model: type[BaseModel], detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return f"{_whose(_field(detail))} is missing"
    value = _told(model, detail["input"])
    return _cannot_be(_field(detail), value, excerpt(" ".join(detail["msg"].split()), _LONGEST_REASON))


def _told(model: type[BaseModel], value: Any) -> str:
    return "what it is" if model.model_config.get("hide_input_in_errors") else shown(value)


def _cannot_be(field: str, value: str, why: str) -> str:
    return f"{_whose(field)} cannot be {value} ({why})"


def _whose(field: str) -> str:
    return f"field {field!r}" if field else "the whole"


def _field(detail: ErrorDetails) -> str:
    return ".".join(map(str, detail["loc"]))
