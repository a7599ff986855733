"""Reading: how a definition takes in the values that it is given."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, ValidationInfo, ValidatorFunctionWrapHandler
from pydantic_core import PydanticCustomError

from airflow_batch_jobs.batch.definition.problems import TEMPLATE_ERROR, aws_name, late_hint
from airflow_batch_jobs.batch.definition.values import is_template, member_types, readings
from airflow_batch_jobs.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

_TAKES_TEXT = frozenset({str, object, Any})


@dataclass(frozen=True, slots=True)
class Reading:
    """How values are to be read; passed through pydantic as its validation context.

    Attributes:
        revision: The revision that the new definition is pinned to.
        base: The definition's name or ARN without the revision, if no class names it.
        rendered: Templates have been rendered: what looks like one is the value itself.
        lenient: Text is accepted for types other than text, since a rendered template is text.
        late: The fields whose values come at run time.
    """

    revision: int | None
    base: str | None = None
    rendered: bool = False
    lenient: bool = False
    late: frozenset[str] = frozenset()


def read_field(
    cls: type[BaseModel], value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo[Reading]
) -> Any:
    """Check one field's value, or leave that for later; the outermost of the field's validators."""
    reading, field = info.context, str(info.field_name)
    if field in reading.late:
        return value
    if not isinstance(value, str):
        return handler(value)
    types = member_types(cls.model_fields[field].annotation)
    takes_text = not _TAKES_TEXT.isdisjoint(types)
    if is_template(value) and not reading.rendered:
        if takes_text:
            return value
        hint = late_hint(cls.__name__, aws_name(field, cls.model_fields[field]))
        # pydantic reads braces in a message as placeholders, so the text is passed as the value of one.
        raise PydanticCustomError(TEMPLATE_ERROR, "{hint}", {"hint": f"only text (str) takes a template. {hint}"})
    if takes_text or not reading.lenient:
        return handler(value)
    return _first_that_fits(value, types, handler)


def _first_that_fits(text: str, types: tuple[Any, ...], handler: ValidatorFunctionWrapHandler) -> Any:
    for value in readings(text, types):
        try:
            return handler(value)
        except ValidationError:
            continue
    return handler(text)


def by_field(fields: Mapping[str, FieldInfo], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by the names of their fields.

    Args:
        fields: The definition's fields.
        parameters: Values by the parameters' names in AWS, or by the fields' names. Of two values for one field, the
            later one counts.
    """
    names = {aws_name(field, info): field for field, info in fields.items()}
    return {names.get(name, name): value for name, value in parameters.items()}


def refuse_taken_names(cls: type, base: type) -> None:
    """Refuse fields whose names are attributes of the base class, which pydantic would only warn about.

    Raises:
        DefinitionError: There is one; the message names the way out.
    """
    for field, annotation in inspect.get_annotations(cls).items():
        if not field.startswith("_") and hasattr(base, field) and "ClassVar" not in str(annotation):
            raise DefinitionError(
                f"{cls.__name__}: no field can be called {field!r}, which {base.__name__} uses itself. "
                f'Call it {field}_ and keep the name in AWS: `{field}_: … = Field(alias="{field}")`.'
            )
