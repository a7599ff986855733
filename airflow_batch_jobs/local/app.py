"""The HTTP face of the endpoint: a Starlette application on uvicorn."""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route, request_response

from airflow_batch_jobs.local.control import KEY_HEADER
from airflow_batch_jobs.local.faults import ConnectionDropped
from airflow_batch_jobs.local.surface import Surface
from airflow_batch_jobs.local.wire import Request, ServiceError, encode_failure, service_of, to_json

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest

    from airflow_batch_jobs.local.endpoint import Endpoint

#: Longer than clients keep an idle connection: otherwise one would now and then be closed during a request.
_KEEP_ALIVE_SECONDS = 3600
#: More than any operation takes, so that Batch can say itself that a request is too large.
_MOST_BODY_BYTES = 1024 * 1024
#: What is read of a request without a valid access key, before it is refused.
_MOST_UNKNOWN_BYTES = 64 * 1024
_TOO_LARGE = ServiceError("RequestEntityTooLargeException", f"The body has more than {_MOST_BODY_BYTES} bytes.", 413)
#: Turns of the event loop in which a connection that has just been accepted comes to be among those that are known.
_ACCEPT_TURNS = 3
_METHODS = ["GET", "POST", "PUT", "DELETE"]


class Server:
    """Serves an endpoint on a port."""

    def __init__(self, endpoint: Endpoint, host: str, port: int) -> None:
        """Take a port; nothing is served before `start`.

        Args:
            endpoint: What to serve.
            host: The address to listen on.
            port: The port; 0 for any that is free.
        """
        self._endpoint = endpoint
        self.surface = Surface(endpoint)
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        routes = [
            Route("/_local/{action}", self._control, methods=["POST"]),
            Route("/{path:path}", self._aws, methods=_METHODS),
        ]
        application = Starlette(routes=routes)
        # No route's pattern matches a path with a line break.
        application.router.default = request_response(self._aws)
        config = uvicorn.Config(
            application,
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        config.load()
        self._uvicorn = uvicorn.Server(config)
        self._uvicorn.lifespan = config.lifespan_class(config)

    async def start(self) -> None:
        """Serve, on the running event loop."""
        self._endpoint.start()
        await self._uvicorn.startup(sockets=[self._socket])

    async def close(self) -> None:
        """End every connection and every job's processes. Does not wait for requests in progress."""
        # A connection that has been accepted as its server closes is lost by asyncio, and never closed.
        asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        for server in self._uvicorn.servers:
            server.close()
        for connection in list(self._uvicorn.server_state.connections):
            connection.transport.abort()
        await self._endpoint.close()

    async def _aws(self, http: HttpRequest) -> Response:
        request = Request(
            method=http.method,
            path=http.scope["path"],
            headers={key.decode("latin-1"): value.decode("latin-1") for key, value in http.scope["headers"]},
            query=http.scope["query_string"].decode("latin-1"),
        )
        is_known = self._endpoint.account.holds(request.access_key)
        try:
            body = await _body(http, _MOST_BODY_BYTES if is_known else _MOST_UNKNOWN_BYTES)
            if body is None and is_known:
                answer = encode_failure(service_of(request), _TOO_LARGE)
            else:
                answer = await self._endpoint.answer(replace(request, body=body or b""))
        except ClientDisconnect:
            return Response(status_code=400)
        except ConnectionDropped:
            await self._drop(http)
            return Response(status_code=500)
        headers = {**answer.headers, "date": formatdate(self._endpoint.timeline.now(), usegmt=True)}
        if body is None:
            headers["connection"] = "close"
        return Response(answer.body, answer.status, headers, answer.content_type)

    async def _drop(self, http: HttpRequest) -> None:
        """Reset the connection of a request: what is answered afterwards goes nowhere."""
        for connection in list(self._uvicorn.server_state.connections):
            if connection.transport.get_extra_info("peername")[:2] == http.scope["client"]:
                connection.transport.abort()
        await asyncio.sleep(0)

    async def _control(self, http: HttpRequest) -> Response:
        given = http.headers.get(KEY_HEADER, "")
        if "origin" in http.headers or not secrets.compare_digest(given.encode(), self._key):
            return _problem(403, PermissionError(f"{KEY_HEADER} must carry the access key"))
        try:
            arguments: dict[str, Any] = await http.json()
            return _json(200, await self.surface.act(http.path_params["action"], arguments))
        except (LookupError, TypeError, ValueError, TimeoutError, ServiceError) as error:
            return _problem(400, error)

    @property
    def _key(self) -> bytes:
        return self._endpoint.account.access_key.encode()


async def _body(http: HttpRequest, most_bytes: int) -> bytes | None:
    """Return the body of a request; None if it has more bytes than that, of which the rest is not read."""
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > most_bytes:
            return None
    return bytes(body)


def _listen(host: str, port: int) -> socket.socket:
    # asyncio turns off Nagle's algorithm only on sockets that name TCP; without that, an answer takes 40 ms longer.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _json(status: int, value: Any) -> Response:
    return Response(to_json(value), status, media_type="application/json")


def _problem(status: int, error: Exception) -> Response:
    kinds = (TimeoutError, PermissionError, LookupError, TypeError, ValueError)
    kind = next((kind.__name__ for kind in kinds if isinstance(error, kind)), type(error).__name__)
    return _json(status, {"error": kind, "message": str(error)})
