"""What AWS's own service models, which come with botocore, say about the operations served here."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Shapes = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service.

    Attributes:
        service: `batch`, `logs` or `sts`.
        name: As AWS writes it: `SubmitJob`.
        method: The HTTP method.
        path: The path, with `{…}` for a parameter.
        input_shape: The name of the input's shape; empty for none.
        is_signed: Whether its requests carry an access key.
    """

    service: str
    name: str
    method: str
    path: str
    input_shape: str
    is_signed: bool


class Service:
    """The model of one service: its operations, and the shapes of their input."""

    def __init__(self, name: str, model: Mapping[str, Any]) -> None:
        self.name = name
        self.namespace: str = model["metadata"].get("xmlNamespace", "")
        self.target_prefix: str = model["metadata"].get("targetPrefix", "")
        self.operations = {
            key: Operation(
                service=name,
                name=key,
                method=raw["http"]["method"],
                path=raw["http"]["requestUri"],
                input_shape=raw.get("input", {}).get("shape", ""),
                is_signed=raw.get("authtype") != "none",
            )
            for key, raw in model["operations"].items()
        }
        self.paths = {(operation.method, operation.path): operation for operation in self.operations.values()}
        self._shapes: _Shapes = {key: _without_documentation(shape) for key, shape in model["shapes"].items()}

    def problems(self, operation: Operation, parameters: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with the form of a request, one sentence each, in AWS's words."""
        if operation.input_shape:
            yield from self._check(parameters, operation.input_shape, "")

    def trimmed(self, operation: Operation, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return a checked request without members that are null or not in the model: AWS ignores both."""
        trimmed: dict[str, Any] = self._trim(parameters, operation.input_shape) if operation.input_shape else {}
        return trimmed

    def shape(self, name: str) -> Mapping[str, Any]:
        """Return the raw shape with a name."""
        return self._shapes[name]

    def _trim(self, value: Any, name: str) -> Any:
        shape = self._shapes[name]
        if shape["type"] == "structure":
            members = shape["members"]
            return {
                key: self._trim(item, members[key]["shape"])
                for key, item in value.items()
                if item is not None and key in members
            }
        if shape["type"] == "list":
            return [self._trim(item, shape["member"]["shape"]) for item in value]
        if shape["type"] == "map":
            return {key: self._trim(item, shape["value"]["shape"]) for key, item in value.items()}
        return value

    def _check(self, value: Any, name: str, where: str) -> Iterator[str]:
        shape = self._shapes[name]
        kind = shape["type"]
        if not _is_a(kind, value):
            yield f"{where or 'The request'} must be a{'n' if kind == 'integer' else ''} {kind}"
            return
        for constraint in _broken_constraints(value, shape, name):
            yield _constraint("" if name in _NOT_SHOWN else f" '{_java(value)}'", where, constraint)
        if kind == "structure":
            yield from self._check_members(value, shape, where)
        elif kind == "list":
            for index, item in enumerate(value):
                yield from self._check(item, shape["member"]["shape"], f"{where}.{index + 1}.member")
        elif kind == "map":
            for key, item in value.items():
                yield from self._check(key, shape["key"]["shape"], f"{where}.key")
                yield from self._check(item, shape["value"]["shape"], f"{where}.{key}")

    def _check_members(self, value: Mapping[str, Any], shape: Mapping[str, Any], where: str) -> Iterator[str]:
        prefix = f"{where}." if where else ""
        for required in shape.get("required", ()):
            if value.get(required) is None:
                yield _constraint(" null", prefix + _lower(required), "must not be null")
        for name, member in shape.get("members", {}).items():
            if value.get(name) is not None:
                yield from self._check(value[name], member["shape"], prefix + _lower(name))


_PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
}
_BITS = {"integer": 31, "long": 63}
#: Shapes whose values AWS does not repeat in a refusal.
_NOT_SHOWN = frozenset({"LogGroupIdentifier"})
#: Enumerations that AWS takes in any case.
_ANY_CASE = frozenset({"RetryAction"})
#: In place of a pattern that only Java understands.
_ANYTHING = re.compile(".*", re.DOTALL)


def _is_a(kind: str, value: Any) -> bool:
    if not isinstance(value, _PYTHON_TYPES[kind]) or isinstance(value, bool) != (kind == "boolean"):
        return False
    return not isinstance(value, int) or kind not in _BITS or -(1 << _BITS[kind]) <= value < 1 << _BITS[kind]


def _constraint(shown: str, where: str, constraint: str) -> str:
    return f"Value{shown} at '{where}' failed to satisfy constraint: Member {constraint}"


def _lower(name: str) -> str:
    """Write a member's name as AWS does in a refusal: STS says `roleSessionName` of its RoleSessionName."""
    return name[:1].lower() + name[1:]


def _java(value: Any) -> str:
    """Write a value as AWS does in a refusal: Java's way."""
    if isinstance(value, list):
        return f"[{', '.join(map(_java, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _broken_constraints(value: Any, shape: Mapping[str, Any], name: str) -> Iterator[str]:
    size = value if isinstance(value, (int, float)) else len(value)
    what = "value" if isinstance(value, (int, float)) else "length"
    if "min" in shape and size < shape["min"]:
        yield f"must have {what} greater than or equal to {shape['min']}"
    if "max" in shape and size > shape["max"]:
        yield f"must have {what} less than or equal to {shape['max']}"
    if "enum" in shape and (value.upper() if name in _ANY_CASE else value) not in shape["enum"]:
        yield f"must satisfy enum value set: [{', '.join(shape['enum'])}]"
    if "pattern" in shape and isinstance(value, str) and not _pattern(shape["pattern"]).fullmatch(value):
        yield f"must satisfy regular expression pattern: {shape['pattern']}"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern of a model; one that only Java understands matches everything."""
    text = text.replace(r"\p{L}\p{Z}\p{N}", r"\w\s")
    try:
        return re.compile(text)
    except re.error:
        return _ANYTHING


@cache
def load_service(name: str) -> Service:
    """Load the newest model of a service from the installed botocore.

    Does not import botocore's own loader: that brings an HTTP client and its 6 MB with it.
    """
    versions = resources.files("botocore") / "data" / name
    newest = max((entry for entry in versions.iterdir() if entry.is_dir()), key=lambda entry: entry.name)
    packed = newest / "service-2.json.gz"
    if packed.is_file():
        return Service(name, json.loads(gzip.decompress(packed.read_bytes())))
    return Service(name, json.loads((newest / "service-2.json").read_bytes()))


def _without_documentation(shape: Mapping[str, Any]) -> dict[str, Any]:
    slim = {key: value for key, value in shape.items() if key != "documentation"}
    if "members" in slim:
        slim["members"] = {
            name: {key: value for key, value in member.items() if key != "documentation"}
            for name, member in slim["members"].items()
        }
    return slim
