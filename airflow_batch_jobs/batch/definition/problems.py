"""What is wrong with a definition's values, one line each."""

from __future__ import annotations

import difflib
from types import NoneType
from typing import TYPE_CHECKING, Any, get_origin

from airflow_batch_jobs.batch.definition.values import member_types
from airflow_batch_jobs.batch.numbers import shown
from airflow_batch_jobs.errors import DefinitionError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

#: The type of the error for a template in a field that does not take one.
TEMPLATE_ERROR = "template_refused"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` with the known name nearest to an unknown one; nothing if none is near."""
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name nearest to an unknown one; empty if none is near."""
    plain = {_plain(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return plain[near[0]] if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def late_hint(definition: str, parameter: str) -> str:
    """Say where to pass a value that is known only at run time.

    Args:
        definition: The definition as Python code: the name of its class, or a text in quotation marks.
        parameter: The parameter's name in AWS.
    """
    return (
        "Give what is known only at run time to the operator: "
        f"BatchJobOperator(definition={definition}, parameters={{{parameter!r}: …}})."
    )


def aws_name(field: str, info: FieldInfo) -> str:
    """Return a parameter's name in AWS: the field's alias if it has one."""
    return info.serialization_alias or info.alias or field


def explain(error: ValidationError, definition: str, fields: Mapping[str, FieldInfo]) -> DefinitionError:
    """Turn pydantic's error into one of this package: all problems on one line, the first one's data in the attributes.

    Args:
        error: What pydantic raised.
        definition: What to call the definition.
        fields: The definition's fields.
    """
    details = error.errors(include_url=False)
    for detail in details:
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, DefinitionError):
            return cause
        if not detail["loc"]:
            return DefinitionError(f"{definition}: {_message(detail)}")
    first, *others = _by_parameter(details, fields).items()
    name, (problem, value) = first
    more = "".join(f"; parameter {other!r} {text}" for other, (text, _) in others)
    return ParameterError(definition, name, problem + more, value)


def _by_parameter(details: Iterable[ErrorDetails], fields: Mapping[str, FieldInfo]) -> dict[str, tuple[str, Any]]:
    """Return one problem and its value for each parameter; the branches of a union are one problem."""
    found: dict[str, tuple[str, Any]] = {}
    for detail in details:
        field = str(detail["loc"][0])
        name = aws_name(field, fields[field]) if field in fields else field
        if name in found:
            text, value = found[name]
            found[name] = (f"{text}, or: {_message(detail)}", value)
        else:
            found[name] = _problem(detail, field, fields)
    return found


def _problem(detail: ErrorDetails, field: str, fields: Mapping[str, FieldInfo]) -> tuple[str, Any]:
    if detail["type"] == "extra_forbidden":
        known = [aws_name(name, info) for name, info in fields.items()]
        has = f"known are {', '.join(known)}" if known else "the definition has none"
        return f"is unknown; {has}.{did_you_mean(field, known)}", detail["input"]
    declared = f"declared as {_type_name(fields[field].annotation)}" if field in fields else "undeclared"
    if detail["type"] == "missing" and len(detail["loc"]) == 1:
        return f"is missing ({declared})", None
    if detail["type"] == TEMPLATE_ERROR:
        return f"is {shown(detail['input'])}: {detail['msg']}", detail["input"]
    inside = "".join(f"[{part!r}]" for part in detail["loc"][1:])
    at = f" at {inside}" if inside else ""
    return f"cannot be {shown(detail['input'])}{at}: {_message(detail)} ({declared})", detail["input"]


def _message(detail: ErrorDetails) -> str:
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Exception):
        return " ".join(str(cause).split())
    text = detail["msg"]
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _type_name(annotation: Any) -> str:
    return " | ".join(map(_member_name, member_types(annotation)))


def _member_name(kind: Any) -> str:
    if kind is NoneType:
        return "None"
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind).replace("typing.", "")
