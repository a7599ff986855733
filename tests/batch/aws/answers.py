"""Clients that get whatever answer a test makes up."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.config import Config

from airflow_batch_jobs.local.access import Access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Raw(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_how: Any) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()


class SameAnswer:
    """Makes clients that get the same answer to every request, or what a function answers, without a wire."""

    def __init__(
        self, status: int = 200, body: bytes = b"", answer: Callable[[dict[str, Any]], Any] | None = None
    ) -> None:
        self.status, self.body, self.answer = status, body, answer
        self.headers = {"content-type": "application/json"}
        self._make = Access("http://127.0.0.1:1", "x", "x", "us-east-1", "1").clients()

    def __call__(self, service: str, *, region_name: str | None = None, config: Any = None) -> Any:
        """Make a client."""
        once = Config(retries={"total_max_attempts": 1})
        client = self._make(service, region_name=region_name, config=once.merge(config) if config else once)
        client.meta.events.register("before-send", self._answer)
        return client

    def _answer(self, request: Any, **_how: Any) -> AWSResponse:
        headers: Any = self.headers
        body = json.dumps(self.answer(json.loads(request.body))).encode() if self.answer else self.body
        return AWSResponse(request.url, self.status, headers, Raw(body))
