"""The protocols of the three services: from HTTP requests to parameters, from results and errors to HTTP answers.

Batch speaks rest-json, Logs json (the operation in `X-Amz-Target`), STS query (a form, answered in XML).
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from airflow_batch_jobs.batch.first_revision import HEADER as FIRST_REVISION
from airflow_batch_jobs.batch.first_revision import MOST
from airflow_batch_jobs.local.model import load_service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.local.model import Operation, Service

_CREDENTIAL = re.compile(r"Credential=([^/,=\s]+)/[^/]*/([^/]*)/([^/]*)/")
_INTEGER = re.compile("-?[0-9]{1,18}")
#: What XML cannot carry.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request; header names are lower case, the path is decoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    query: str = ""

    @property
    def access_key(self) -> str:
        """The access key it was signed with; empty if it was not signed."""
        match = _CREDENTIAL.search(self.headers.get("authorization", ""))
        return match[1] if match else ""

    @property
    def first_revision(self) -> int:
        """The revision that a definition begins with: 1 unless its header is another number that AWS could have."""
        number = self.headers.get(FIRST_REVISION, "")
        return int(number) if re.fullmatch("[1-9][0-9]{0,9}", number) and int(number) <= MOST else 1

    @property
    def signed_for(self) -> str:
        """The service it was signed for, as SigV4 names it; empty if it was not signed."""
        match = _CREDENTIAL.search(self.headers.get("authorization", ""))
        return match[3] if match else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class ServiceError(Exception):
    """What a service answers instead of a result.

    Attributes:
        code: AWS's error code.
        message: A sentence in AWS's style.
        status: The HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code = code
        self.message = message
        self.status = status
        super().__init__(f"{code}: {message}")


def client_exception(problem: str) -> ServiceError:
    """Return the error with which Batch refuses a request."""
    return ServiceError("ClientException", f"Error executing request, Exception : {problem}, RequestId: {uuid.uuid4()}")


def invalid_parameter(problem: str) -> ServiceError:
    """Return the error with which Logs refuses a request."""
    return ServiceError("InvalidParameterException", problem)


def service_of(request: Request) -> str:
    """Tell which service's protocol a request speaks: `batch`, `logs` or `sts`."""
    if "x-amz-target" in request.headers:
        return "logs"
    is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return "sts" if is_form and request.path == "/" else "batch"


def find(request: Request) -> Operation | None:
    """Return the operation that a request asks for; None if Batch, Logs and STS have no such operation."""
    service = service_of(request)
    if service == "logs":
        prefix, _, name = request.headers["x-amz-target"].partition(".")
        return load_service("logs").operations.get(name) if prefix == load_service("logs").target_prefix else None
    if service == "sts":
        return load_service("sts").operations.get(_form(request).get("Action", ""))
    path = "/v1/tags/{resourceArn}" if request.path.startswith("/v1/tags/") else request.path
    return load_service("batch").paths.get((request.method, path))


def unknown(request: Request) -> ServiceError:
    """Return the error for a request that is no operation of Batch, Logs or STS."""
    service = service_of(request)
    if service == "logs":
        what = request.headers["x-amz-target"]
    elif service == "sts":
        what = f"sts {_form(request).get('Action', '')}"
    else:
        what = f"{request.signed_for or 'HTTP'} {request.method} {request.path}"
    return ServiceError("UnknownOperationException", f"The local AWS has no operation {what}.", 404)


def unserved(operation: Operation) -> ServiceError:
    """Return the error for an operation that AWS has but the local AWS does not."""
    return ServiceError(
        "UnknownOperationException", f"The local AWS does not serve {operation.service}:{operation.name}.", 404
    )


def parameters_of(operation: Operation, request: Request) -> dict[str, Any]:
    """Read the parameters of an operation from a request.

    Raises:
        ServiceError: They do not match the service's model.
    """
    service = load_service(operation.service)
    parameters = (
        _form_parameters(operation, request) if operation.service == "sts" else _json_parameters(operation, request)
    )
    try:
        problems = list(service.problems(operation, parameters))
    except RecursionError as error:
        raise ServiceError("SerializationException", "The body is nested too deeply") from error
    if problems:
        raise _malformed(operation.service, problems)
    return service.trimmed(operation, parameters)


def _json_parameters(operation: Operation, request: Request) -> dict[str, Any]:
    try:
        parameters = json.loads(request.body or b"{}", parse_constant=_no_constant)
        # Half a surrogate pair cannot be written again: nobody could read an answer that repeats it.
        json.dumps(parameters, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ServiceError("SerializationException", f"The body is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise ServiceError("SerializationException", "The body is not a JSON object")
    if "{resourceArn}" in operation.path:
        parameters |= parse_qs(request.query)
        parameters["resourceArn"] = request.path.removeprefix("/v1/tags/")
    return parameters


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _form(request: Request) -> dict[str, str]:
    fields = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {key: values[0] for key, values in fields.items()}


def _form_parameters(operation: Operation, request: Request) -> dict[str, Any]:
    parameters: dict[str, Any] = _from_form(load_service("sts"), operation.input_shape, _form(request), "") or {}
    return parameters


def _from_form(service: Service, shape_name: str, form: Mapping[str, str], name: str) -> Any:
    """Return the value that a form has for a shape: `Tags.member.1.Key=…`; None if it has none."""
    shape = service.shape(shape_name)
    if shape["type"] == "structure":
        members = {
            key: _from_form(service, member["shape"], form, f"{name}.{key}" if name else key)
            for key, member in shape["members"].items()
        }
        return {key: value for key, value in members.items() if value is not None} or None
    if shape["type"] == "list":
        items: list[Any] = []
        item_shape = shape["member"]["shape"]
        while (item := _from_form(service, item_shape, form, f"{name}.member.{len(items) + 1}")) is not None:
            items.append(item)
        return items or None
    text = form.get(name)
    return int(text) if shape["type"] == "integer" and text and _INTEGER.fullmatch(text) else text


def _malformed(service: str, problems: list[str]) -> ServiceError:
    count = len(problems)
    sentence = f"{count} validation error{'' if count == 1 else 's'} detected: {'; '.join(problems)}"
    if service == "batch":
        return client_exception(sentence)
    return invalid_parameter(sentence) if service == "logs" else ServiceError("ValidationError", sentence)


def encode(operation: Operation, result: Mapping[str, Any] | bytes) -> Answer:
    """Write an operation's result as its service does.

    Args:
        operation: The operation.
        result: Its output by member name, or its JSON.
    """
    request_id = str(uuid.uuid4())
    if operation.service == "sts" and not isinstance(result, bytes):
        name, namespace = operation.name, load_service("sts").namespace
        body = (
            f'<{name}Response xmlns="{namespace}"><{name}Result>{_xml(result)}</{name}Result>'
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>"
        )
        return Answer(200, body.encode(), "text/xml", {"x-amzn-requestid": request_id})
    body_json = result if isinstance(result, bytes) else to_json(result)
    content_type = "application/x-amz-json-1.1" if operation.service == "logs" else "application/json"
    return Answer(200, body_json, content_type, {"x-amzn-requestid": request_id})


def encode_failure(service: str, failure: ServiceError) -> Answer:
    """Write an error as a service does, so that boto3 raises it as a ClientError of that code.

    Args:
        service: `batch`, `logs` or `sts`.
        failure: The error.
    """
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-requestid": request_id}
    if service == "sts":
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{failure.code}</Code>"
            f"<Message>{_text(failure.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return Answer(failure.status, body.encode(), "text/xml", headers)
    if service == "logs":
        body_json = to_json({"__type": failure.code, "message": failure.message})
        return Answer(failure.status, body_json, "application/x-amz-json-1.1", headers)
    headers["x-amzn-errortype"] = failure.code
    return Answer(failure.status, to_json({"message": failure.message}), "application/json", headers)


def to_json(value: Any) -> bytes:
    """Write JSON as short as possible."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def _xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{key}>{_xml(item)}</{key}>" for key, item in value.items())
    return _text(str(value))


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("?", text))
