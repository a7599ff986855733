"""Those who keep metrics and traces: a StatsD socket and an OTLP/HTTP collector on 127.0.0.1, and Airflow's Stats."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta


class Stats:
    """Airflow's Stats, that of a test.

    Attributes:
        told: What it was told: name, value, tags.
    """

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.told: list[tuple[str, float, dict[str, Any]]] = []
        self._before = before

    def incr(self, stat: str, count: int, *, tags: dict[str, Any]) -> None:
        """Count something."""
        self._before()
        self.told.append((stat, count, tags))

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, Any]) -> None:
        """Tell a time."""
        self._before()
        self.told.append((stat, dt.total_seconds(), tags))


class Statsd:
    """A StatsD server that sums nothing up.

    Attributes:
        lines: What has come so far: `airflow.batch_jobs.ended:1|c`.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._socket.getsockname()[1])

    @property
    def settings(self) -> dict[str, str]:
        """What has an Airflow send its metrics here, as environment."""
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.port),
        }

    def ours(self) -> dict[str, list[float]]:
        """Return the values of our metrics by their names, tags included, without Airflow's prefix."""
        found: dict[str, list[float]] = {}
        for line in tuple(self.lines):
            name, _, value = line.partition(":")
            if name.startswith("airflow.batch_jobs."):
                found.setdefault(name.removeprefix("airflow."), []).append(float(value.partition("|")[0]))
        return found

    def close(self) -> None:
        """Listen no more, once all that was sent has been read."""
        if not self._thread.is_alive():
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()

    def _receive(self) -> None:
        while datagram := self._socket.recv(65_536):
            self.lines += datagram.decode().splitlines()


class Otlp:
    """A collector of OpenTelemetry's.

    Attributes:
        metrics: The metrics that have come so far.
        spans: The spans.
    """

    def __init__(self) -> None:
        self.metrics: list[Any] = []
        self.spans: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def settings(self) -> dict[str, str]:
        """Where OpenTelemetry's SDK sends to, as environment."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        }

    def take(self, path: str, body: bytes) -> None:
        """Keep what an exporter has sent."""
        if path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics += [metric for scope in resource.scope_metrics for metric in scope.metrics]
        elif path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def statsd_server() -> Iterator[Statsd]:
    """Listen for StatsD for as long as the block takes."""
    server = Statsd()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def otlp_collector() -> Iterator[Otlp]:
    """Listen for OTLP for as long as the block takes."""
    collector = Otlp()
    try:
        yield collector
    finally:
        collector.close()


def attributes(of: Any) -> dict[str, Any]:
    """Return the attributes of a span, or of a point of a metric."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}
