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
    """

    service: str
    name: str
    method: str
    path: str
    input_shape: str


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
            )
            for key, raw in model["operations"].items()
        }
        self.paths = {(operation.method, operation.path): operation for operation in self.operations.values()}
        self._shapes: _Shapes = {key: _without_documentation(shape) for key, shape in model["shapes"].items()}

    def problems(self, operation: Operation, parameters: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with the form of a request, one sentence each, as the service would."""
        if operation.input_shape:
            yield from self._check(parameters, self._shapes[operation.input_shape], "")

    def member_shape(self, operation: Operation, member: str) -> Mapping[str, Any]:
        """Return the raw shape of one member of an operation's input; empty if there is no such member."""
        member_of = self._shapes[operation.input_shape].get("members", {}).get(member)
        return self._shapes[member_of["shape"]] if member_of else {}

    def _check(self, value: Any, shape: Mapping[str, Any], where: str) -> Iterator[str]:
        kind = shape["type"]
        if not _is_a(kind, value):
            yield f"{where or 'The request'} must be a {kind}"
            return
        yield from _check_bounds(value, shape, where)
        if kind == "structure":
            yield from self._check_members(value, shape, where)
        elif kind == "list":
            for index, item in enumerate(value):
                yield from self._check(item, self._shapes[shape["member"]["shape"]], f"{where}.{index + 1}.member")
        elif kind == "map":
            for key, item in value.items():
                yield from self._check(key, self._shapes[shape["key"]["shape"]], f"{where}.key")
                yield from self._check(item, self._shapes[shape["value"]["shape"]], f"{where}.{key}")

    def _check_members(self, value: Mapping[str, Any], shape: Mapping[str, Any], where: str) -> Iterator[str]:
        prefix = f"{where}." if where else ""
        for required in shape.get("required", ()):
            if value.get(required) is None:
                yield f"{prefix}{required} must not be null"
        for name, member in shape.get("members", {}).items():
            if value.get(name) is not None:
                yield from self._check(value[name], self._shapes[member["shape"]], f"{prefix}{name}")


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


def _is_a(kind: str, value: Any) -> bool:
    return isinstance(value, _PYTHON_TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")


def _check_bounds(value: Any, shape: Mapping[str, Any], where: str) -> Iterator[str]:
    size = value if isinstance(value, (int, float)) else len(value)
    what = "value" if isinstance(value, (int, float)) else "length"
    if "min" in shape and size < shape["min"]:
        yield f"{where} must have {what} greater than or equal to {shape['min']}"
    if "max" in shape and size > shape["max"]:
        yield f"{where} must have {what} less than or equal to {shape['max']}"
    # AWS accepts evaluateOnExit's actions in either case.
    if "enum" in shape and value not in shape["enum"] and value.upper() not in shape["enum"]:
        yield f"{where} must satisfy enum value set: [{', '.join(shape['enum'])}]"
    if "pattern" in shape and isinstance(value, str) and not _pattern(shape["pattern"]).fullmatch(value):
        yield f"{where} must satisfy regular expression pattern: {shape['pattern']}"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


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
