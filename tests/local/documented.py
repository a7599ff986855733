"""What the installed botocore's service models say: an answer's shape, an operation's errors, what is known at all.

The tests run with the oldest botocore that the package accepts as well, see tests/deploy/matrix.py.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore.validate import ParamValidator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.model import OperationModel

#: The model asks for it, and AWS leaves it out before a job has started.
_MAY_BE_ABSENT = {"startedAt"}
#: What the oldest botocore that the package accepts does not know yet: of a summary in ListJobs.
_LATER = {"isCancelled", "isTerminated", "statusSummary"}
_SCALARS = {"string": str, "boolean": bool, "integer": int, "long": int}


def differences(value: Any, shape: Any, where: str) -> Iterator[str]:
    """Yield what in a value is not as its shape in the service's model."""
    kind = shape.type_name
    if kind == "structure":
        for name in value.keys() - shape.members.keys() - _LATER:
            yield f"{where}: the model has no {name}"
        for name in set(shape.required_members) - value.keys() - _MAY_BE_ABSENT:
            yield f"{where}: {name} is missing"
        for name in value.keys() & shape.members.keys():
            yield from differences(value[name], shape.members[name], f"{where}.{name}")
    elif kind in {"list", "map"}:
        for item in value.values() if kind == "map" else value:
            yield from differences(item, shape.value if kind == "map" else shape.member, f"{where}[]")
    elif not isinstance(value, _SCALARS[kind]) or not _is_listed(value, shape):
        yield f"{where}: {value!r} is no {shape.name}"


def _is_listed(value: Any, shape: Any) -> bool:
    """Tell whether a value is one of its enumeration; AWS tells the actions of evaluateOnExit in lower case."""
    shown = value.upper() if shape.name == "RetryAction" else value
    return shown in shape.metadata.get("enum", [shown])


@cache
def operation_model(service: str, operation: str) -> OperationModel:
    """Return the model of an operation."""
    from botocore.session import Session

    return Session().get_service_model(service).operation_model(operation)


def documented_errors(service: str, operation: str) -> set[str]:
    """Return the codes of an operation's own errors, and of those that every operation has."""
    own = {
        str(error.metadata.get("error", {}).get("code", error.name))
        for error in operation_model(service, operation).error_shapes
    }
    return own | {"SerializationException", "ValidationError"}


def knows(service: str, operation: str, member: str = "") -> bool:
    """Tell whether the installed botocore knows an operation, and a member or a value of what is sent or answered."""
    from botocore.model import OperationNotFoundError

    try:
        model = operation_model(service, operation)
    except OperationNotFoundError:
        return False
    return not member or member in {*_members(model.input_shape), *_members(model.output_shape)}


def needs(service: str, operation: str, member: str = "") -> pytest.MarkDecorator:
    """Skip a test where the installed botocore does not know something, see `knows`."""
    is_known = knows(service, operation, member)
    return pytest.mark.skipif(not is_known, reason=f"this botocore does not know {operation} {member}".rstrip())


def needs_members(service: str, operation: str, parameters: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Skip a test where the installed botocore does not know a member of a request, and so would not send it."""
    shape = operation_model(service, operation).input_shape
    assert shape is not None
    found = ParamValidator().validate(parameters, shape)
    unknown = re.findall(r'Unknown parameter in [^:]*: "(\w+)"', found.generate_report())
    return pytest.mark.skipif(bool(unknown), reason=f"this botocore does not know {operation} {', '.join(unknown)}")


def _members(shape: Any, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the names of all members of a shape, however deep, and the values that they may have."""
    if shape is None or shape.name in above:
        return
    above |= {shape.name}
    yield from shape.metadata.get("enum", ())
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield name
            yield from _members(member, above)
    elif shape.type_name in {"list", "map"}:
        yield from _members(shape.member if shape.type_name == "list" else shape.value, above)
