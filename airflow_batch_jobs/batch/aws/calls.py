"""Service: the one way to call AWS, and botocore's description of what can be called."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow_batch_jobs.batch.aws.clients import KeptClients, Patience
from airflow_batch_jobs.batch.aws.explanation import explain
from airflow_batch_jobs.batch.aws.trouble import (
    Trouble,
    credential_action,
    http_status,
    is_bug,
    is_of_aws,
    trouble,
)
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from botocore.model import ServiceModel, Shape

    from airflow_batch_jobs.batch.aws.clients import ClientFactory

Answer = TypeVar("Answer")
Entry = TypeVar("Entry", bound="Hashable")

#: A list with more pages than this has no end: something hands out a token with every page.
_MOST_PAGES = 10_000
#: How often, after the first time, a list is read that always changes.
_MOST_ROUNDS = 5


def service(clients: ClientFactory, name: str, region: str | None = None, patience: Patience | None = None) -> Service:
    """Return a service of AWS. Makes no client yet.

    Args:
        clients: Makes the clients.
        name: `batch` or `logs`.
        region: The region; None for the clients' own.
        patience: How long to wait for an answer; the clients' own if None.
    """
    return Service(KeptClients.of(clients), name, region, patience)


@dataclass(frozen=True, slots=True)
class Service:
    """A service of AWS in one region, called in the calling thread.

    Whatever goes wrong on the way to the service, credentials included, or with its answer, becomes an `AwsError`;
    `trouble` tells what it means, and its cause what was raised. A bug propagates as itself. If the answer is that the
    credentials have expired, the next call is made with new ones; if it is that AWS does not accept them, or if there
    are none, the same call is made again, once, unless `Patience.ONCE` leaves that to the caller.

    Attributes:
        clients: Where its clients come from.
        name: As boto3 names it: `batch`.
        region: None for that of the connection.
        patience: How long an answer is waited for, and who repeats a call; None for what the clients have.
    """

    clients: KeptClients
    name: str
    region: str | None = None
    patience: Patience | None = None

    def call(self, operation: str, read: Callable[[dict[str, Any]], Answer], /, **request: Any) -> Answer:
        """Make one call.

        Args:
            operation: The client's method: `describe_jobs`.
            read: Gets the answer, and returns what is wanted from it. An answer that makes it fail is not from AWS.
            request: The request's fields, as AWS names them.

        Raises:
            AwsError: AWS refused, or something in between answered, or nothing did.
        """
        try:
            return self._call_once(operation, read, request)
        except AwsError as error:
            kind = trouble(error)
            if kind.retry or not kind.renew or self.patience is Patience.ONCE:
                raise
        # The keys may have been replaced since the client was made, or the host's metadata have been away when it was;
        # and what is rejected, or was not sent, has done nothing.
        return self._call_once(operation, read, request)

    def prepare(self, operation: str) -> Any:
        """Return the client for a call, which is made if need be: ahead of the call, where that makes a difference.

        Args:
            operation: The client's method: `describe_jobs`.

        Raises:
            AwsError: No client can be made.
        """
        with self._explained(operation):
            return self.clients.get(self.name, self.region, self.patience)

    def _call_once(
        self, operation: str, read: Callable[[dict[str, Any]], Answer], request: Mapping[str, Any]
    ) -> Answer:
        client = self.prepare(operation)
        with self._explained(operation, client):
            return _answer(getattr(client, operation), read, request)

    @contextmanager
    def _explained(self, operation: str = "", client: Any = None) -> Iterator[None]:
        """Explain what the block raises; the next call is made with new credentials if these do not hold any more."""
        try:
            yield
        except AwsError as error:
            self._renew_after(error, client)
            raise
        except Exception as error:
            if is_bug(error):
                raise
            explained = explain(error, self.action_of(operation) if operation else self.name, self.clients.caller)
            self._renew_after(explained, client)
            raise explained from error

    def _renew_after(self, error: AwsError, client: Any) -> None:
        if trouble(error).renew:
            self.clients.renew(client)

    def pages(
        self, operation: str, field: str, read: Callable[[dict[str, Any]], Entry], /, **request: Any
    ) -> list[Entry]:
        """Return the entries of a list in an operation's answers, from all pages, each once.

        What is in the list throughout is returned, also when other entries leave it meanwhile: a list of more than one
        page is read `until_nobody_leaves`.

        Args:
            operation: The client's method.
            field: The list, which every answer contains.
            read: Gets an entry, and returns what is wanted from it.
            request: The request's fields, as AWS names them.

        Raises:
            AwsError: As `call`; also if the pages have no end.
        """
        first = list(self._each_page(operation, field, read, request))
        if len(first) == 1:
            return list(dict.fromkeys(first[0]))
        return until_nobody_leaves(lambda: self.pages_once(operation, field, read, **request), chain(*first))

    def pages_once(
        self, operation: str, field: str, read: Callable[[dict[str, Any]], Entry], /, **request: Any
    ) -> Iterator[Entry]:
        """Yield the entries of all pages as `pages` returns them, but read once: some may be missing, or come twice.

        Args:
            operation: The client's method: `describe_jobs`.
            field: The list, which every answer contains.
            read: Gets an entry, and returns what is wanted from it.
            request: The request's fields, as AWS names them.

        Raises:
            AwsError: As for `pages`.
        """
        return chain.from_iterable(self._each_page(operation, field, read, request))

    def _each_page(
        self, operation: str, field: str, read: Callable[[dict[str, Any]], Entry], request: Mapping[str, Any]
    ) -> Iterator[list[Entry]]:
        seen: set[str] = set()

        def read_page(answer: dict[str, Any]) -> tuple[list[Entry], str | None]:
            if (token := answer.get("nextToken")) and (token in seen or len(seen) == _MOST_PAGES):
                raise ValueError("the pages have no end")
            return [read(entry) for entry in answer[field]], token

        page, token = self.call(operation, read_page, **request)
        yield page
        while token:
            seen.add(token)
            page, token = self.call(operation, read_page, nextToken=token, **request)
            yield page

    def action_of(self, operation: str) -> str:
        """Return the permission that a call needs, as IAM writes it: `batch:DescribeJobs`.

        Args:
            operation: The client's method: `describe_jobs`.
        """
        return action_of(self.name, operation)

    def region_name(self) -> str:
        """Return the region that the calls go to; makes the client to find out.

        Raises:
            AwsError: No client can be made.
        """
        with self._explained():
            return str(self.clients.get(self.name, self.region, self.patience).meta.region_name)


def until_nobody_leaves(look: Callable[[], Iterable[Entry]], seen: Iterable[Entry] | None = None) -> list[Entry]:
    """Return what a list that changes contains, all rounds together, each entry once, those of earlier rounds first.

    A token may stand for a position, so that an entry is passed over when one before it, which was read, leaves the
    list. A round after which nobody has left has therefore missed nobody. One that moves from list to list can be in
    none of them at the moment that it is read; so there are at least two rounds.

    Args:
        look: Reads the whole list. Called until all are still there that it had the time before, and not without end.
        seen: What a first round has had; None if there was none.
    """
    latest = dict.fromkeys(look() if seen is None else seen)
    found = dict(latest)
    for _ in range(_MOST_ROUNDS):
        before, latest = latest, dict.fromkeys(look())
        found |= latest
        if before.keys() <= latest.keys():
            break
    return list(found)


def action_of(service: str, operation: str) -> str:
    """Return the permission that a call of a service needs, as IAM writes it: `batch:DescribeJobs`."""
    return f"{_model(service).signing_name}:{_operations(service)[operation]}"


def submit_job_shape() -> Shape:
    """Return botocore's description of what SubmitJob takes. Loads botocore, not boto3."""
    return cast("Shape", _model("batch").operation_model("SubmitJob").input_shape)


@cache
def _model(name: str) -> ServiceModel:
    """Return the model that a service's clients are made from; reads no configuration."""
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


@cache
def _operations(name: str) -> Mapping[str, str]:
    """Return the operations of a service, by the names of the clients' methods."""
    from botocore import xform_name

    return {xform_name(operation): operation for operation in _model(name).operation_names}


def _answer(
    method: Callable[..., dict[str, Any]], read: Callable[[dict[str, Any]], Answer], request: Mapping[str, Any]
) -> Answer:
    """Call a client's method, and make sure that it is AWS that answers.

    Raises:
        botocore.exceptions.HTTPClientError: Something in between answered, or something that is not AWS's JSON.
    """
    from botocore.exceptions import ClientError, HTTPClientError
    from botocore.parsers import ResponseParserError

    try:
        return read(_not_a_web_page(method(**request)))
    except ClientError as error:
        if trouble(error) is Trouble.TRANSIENT and not (is_of_aws(error) or credential_action(error)):
            raise HTTPClientError(error=f"HTTP status {http_status(error)}, and not from AWS") from error
        raise
    except KeyError as error:
        raise HTTPClientError(error=f"the answer has no {error.args[0]}") from error
    except (ResponseParserError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise HTTPClientError(error=f"the answer is not from AWS ({error!r})") from error


def _not_a_web_page(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer, unless it is a web page, which botocore takes for an empty answer.

    Raises:
        ValueError: It is a web page.
    """
    metadata = answer.get("ResponseMetadata", {})
    if "RequestId" not in metadata and "html" in metadata.get("HTTPHeaders", {}).get("content-type", ""):
        raise ValueError("a web page")
    return answer
