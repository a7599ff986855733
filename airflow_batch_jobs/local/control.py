"""Controlling a local AWS: scripts, faults, time, and the requests that reached it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.local.access import Access
from airflow_batch_jobs.local.record import Recorded
from airflow_batch_jobs.local.scripted import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_batch_jobs.batch.aws import ClientFactory

#: The header that carries the access key of a control request.
KEY_HEADER = "x-local-key"


class Control(ABC):
    """What one can do with a local AWS, in this process or another.

    Attributes:
        access: How it is reached: its address, keys, region and account.
    """

    access: Access

    @property
    def endpoint_url(self) -> str:
        """Its address."""
        return self.access.endpoint_url

    @property
    def access_key(self) -> str:
        """The access key that every request needs."""
        return self.access.access_key

    @property
    def secret_key(self) -> str:
        """The secret key."""
        return self.access.secret_key

    @property
    def region(self) -> str:
        """The region in its ARNs."""
        return self.access.region

    @property
    def account(self) -> str:
        """Its account id."""
        return self.access.account

    def clients(self) -> ClientFactory:
        """Return a factory of boto3 clients for it, whatever the environment and `~/.aws` say."""
        return self.access.clients()

    def airflow_connection(self) -> str:
        """Return an Airflow connection to it, as `AIRFLOW_CONN_AWS_DEFAULT` takes it."""
        return self.access.airflow_connection()

    def script(self, **parts: Any) -> None:
        """Let jobs submitted from now on follow a timetable instead of running a process.

        Of several scripts that match a job, the newest counts.

        Args:
            **parts: The attributes of a `Script`. An attempt may be given as its exit code, lines as their number or
                as a list of texts, a delivery as its delay in seconds.
        """
        self._send("script", {key: plain(value) for key, value in parts.items()})

    def fault(self, operation: str, kind: str, **how: Any) -> None:
        """Let something go wrong from now on.

        Args:
            operation: The calls it hits: `SubmitJob`, `batch.*`, `*`.
            kind: What goes wrong: the value of a `FaultKind`.
            **how: The other attributes of a `Fault`: `times`, `share`, `after`, `seconds`, `rate`, …
        """
        self._send("fault", {"operation": operation, "kind": kind, **how})

    def clear_faults(self) -> None:
        """End all faults."""
        self._send("clear_faults")

    def requests(self, operation: str = "") -> list[Recorded]:
        """Return the requests that reached the endpoint, oldest first; only those of an operation if it is given.

        Args:
            operation: As AWS names it: `SubmitJob`; empty for all.
        """
        return [Recorded(**one) for one in self._send("requests", {"operation": operation})]

    def counts(self) -> dict[str, int]:
        """Return how many calls of each operation reached the endpoint."""
        counts: dict[str, int] = self._send("counts")
        return counts

    def clear_requests(self) -> None:
        """Forget the requests that reached the endpoint."""
        self._send("clear_requests")

    def register(self, name: str, command: Sequence[str] = ("true",), **more: Any) -> str:
        """Register a revision of a definition and return `name:revision`.

        Args:
            name: The definition's name.
            command: What its container runs.
            **more: `container` for more container properties; any other parameters of RegisterJobDefinition.
        """
        reference: str = self._send("register", {"name": name, "command": list(command), **more})
        return reference

    def submit(self, definition: str, count: int = 1, **more: Any) -> list[str]:
        """Submit jobs and return their ids.

        Args:
            definition: What they run.
            count: How many.
            **more: Other parameters of SubmitJob.
        """
        ids: list[str] = self._send("submit", {"definition": definition, "count": count, **more})
        return ids

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as DescribeJobs shows it.

        Args:
            job_id: The whole id, of an array's child with its index: `…:3`.
        """
        job: dict[str, Any] = self._send("job", {"job_id": job_id})
        return job

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs as DescribeJobs shows them, oldest first, array children too."""
        jobs: list[dict[str, Any]] = self._send("jobs")
        return jobs

    def now(self) -> float:
        """Return the endpoint's time, in seconds since the epoch."""
        return float(self._send("now"))

    def advance(self, seconds: float) -> None:
        """Let time pass at once for everything but processes: each thing due by then happens at its own time.

        Args:
            seconds: How far, in seconds.
        """
        self._send("advance", {"seconds": seconds})

    def wait_for_status(self, job_id: str, *statuses: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a job is in one of these states, or final, and return it as DescribeJobs shows it.

        Args:
            job_id: The job.
            *statuses: The states; none to wait for a final one.
            seconds: How long to wait at most, in real time.

        Raises:
            TimeoutError: It did not get there in time.
        """
        arguments = {"job_id": job_id, "statuses": list(statuses), "seconds": seconds}
        job: dict[str, Any] = self._send("wait_for_status", arguments)
        return job

    def wait_for_line(self, job_id: str, text: str, seconds: float = 60.0) -> None:
        """Wait until a job has written a line that contains a text.

        Args:
            job_id: The job.
            text: A part of the line.
            seconds: How long to wait at most, in real time.

        Raises:
            TimeoutError: It did not write one in time.
        """
        self._send("wait_for_line", {"job_id": job_id, "text": text, "seconds": seconds})

    @abstractmethod
    def _send(self, action: str, arguments: dict[str, Any] | None = None) -> Any:
        """Let the endpoint carry out an action and return its answer."""


class LocalControl(Control):
    """Controls a local AWS in another process, over HTTP."""

    def __init__(self, endpoint_url: str, key: str, *, secret_key: str = "", region: str = "us-east-1") -> None:
        """Name the endpoint.

        Args:
            endpoint_url: Its address.
            key: Its access key.
            secret_key: What its clients sign with; may be empty, since signatures are not checked.
            region: The region in its ARNs.
        """
        self.access = Access(endpoint_url, key, secret_key or key, region, "123456789012")

    def _send(self, action: str, arguments: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - the caller names the address
            f"{self.endpoint_url}/_local/{action}",
            json.dumps(arguments or {}).encode(),
            {"content-type": "application/json", KEY_HEADER: self.access_key},
        )
        wait_seconds = (arguments or {}).get("seconds", 0.0) + _ANSWER_SECONDS
        try:
            with _opener.open(request, timeout=wait_seconds) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                problem = json.loads(error.read())
            raise _ERRORS.get(problem["error"], RuntimeError)(problem["message"]) from None


#: How long an answer may take beyond the wait that was asked for.
_ANSWER_SECONDS = 30.0

_ERRORS: dict[str, type[Exception]] = {
    error.__name__: error for error in (LookupError, TypeError, ValueError, TimeoutError, PermissionError)
}

#: A proxy in the environment is not meant for an endpoint on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
