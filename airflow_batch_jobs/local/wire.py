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

from airflow_batch_jobs.local.model import load_service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_batch_jobs.local.model import Operation

_CREDENTIAL = re.compile(r"Credential=([^/,=\s]+)/[^/]*/([^/]*)/([^/]*)/")


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


def identify(request: Request) -> Operation:
    """Tell which operation of which service a request asks for.

    Raises:
        ServiceError: It is not an operation of Batch, Logs or STS.
    """
    service = service_of(request)
    if service == "logs":
        prefix, _, name = request.headers["x-amz-target"].partition(".")
        if prefix == load_service("logs").target_prefix:
            return _named("logs", name)
        raise _unknown(request.headers["x-amz-target"])
    if service == "sts":
        return _named("sts", parse_qs(request.body.decode("utf-8", "replace")).get("Action", [""])[0])
    path = "/v1/tags/{resourceArn}" if request.path.startswith("/v1/tags/") else request.path
    operation = load_service("batch").paths.get((request.method, path))
    if operation is None:
        raise _unknown(f"{request.signed_for or 'HTTP'} {request.method} {request.path}")
    return operation


def _named(service: str, name: str) -> Operation:
    operation = load_service(service).operations.get(name)
    if operation is None:
        raise _unknown(f"{service} {name}")
    return operation


def _unknown(what: str) -> ServiceError:
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
    if operation.service == "sts":
        parameters = _form_parameters(operation, request)
    else:
        parameters = _json_parameters(operation, request)
    for problem in load_service(operation.service).problems(operation, parameters):
        raise _malformed(operation.service, problem)
    return parameters


def _json_parameters(operation: Operation, request: Request) -> dict[str, Any]:
    try:
        parameters = json.loads(request.body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"The body is not JSON: {error}") from error
    if not isinstance(parameters, dict):
        raise ServiceError("SerializationException", "The body is not a JSON object")
    if "{resourceArn}" in operation.path:
        parameters["resourceArn"] = request.path.removeprefix("/v1/tags/")
        if request.query:
            parameters |= parse_qs(request.query)
    return parameters


def _form_parameters(operation: Operation, request: Request) -> dict[str, Any]:
    form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
    parameters: dict[str, Any] = {}
    for key, value in form.items():
        kind = load_service("sts").member_shape(operation, key).get("type")
        if kind == "string":
            parameters[key] = value
        elif kind == "integer" and value.isdecimal():
            parameters[key] = int(value)
    return parameters


def _malformed(service: str, problem: str) -> ServiceError:
    if service == "batch":
        return client_exception(problem)
    sentence = f"1 validation error detected: {problem}"
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
            f"<Message>{escape(failure.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
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
    return escape(str(value))
