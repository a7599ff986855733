"""AwsCalls: boto3 clients, built and called in threads so that the event loop never waits for them."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from airflow_batch_jobs.batch.aws import Trouble, error_code, trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.config import Config

    from airflow_batch_jobs.batch.aws import ClientFactory

Answer = TypeVar("Answer")

#: What goes away when one asks again, later or with other credentials.
PASSING = frozenset({Trouble.THROTTLED, Trouble.TRANSIENT, Trouble.EXPIRED})


class Runner(Protocol):
    """Runs blocking work beside the event loop."""

    async def __call__(self, work: Callable[[], Answer]) -> Answer:
        """Do the work and return what it returns, or raise what it raises."""


def call_config(*, urgent: bool = False) -> Config:
    """Return how to connect, and that nothing is repeated: who calls does that, knowing how fast he may.

    Args:
        urgent: Give up after seconds, since somebody waits for the call.
    """
    from botocore.config import Config

    connect, read = (2, 4) if urgent else (5, 20)
    return Config(connect_timeout=connect, read_timeout=read, retries={"mode": "standard", "total_max_attempts": 1})


def ask(client: Any, operation: str, field: str | None = None, **request: Any) -> dict[str, Any]:
    """Make one call, in the calling thread, and see that it is AWS that answers.

    Args:
        client: A boto3 client.
        operation: The client's method.
        field: What every answer of the operation contains, if there is such a thing.
        request: The request's fields, as AWS names them.

    Raises:
        botocore.exceptions.HTTPClientError: Something in between answered, or nobody that speaks AWS's JSON. botocore
            takes an HTML page for an empty answer, and stumbles over other JSON.
    """
    from botocore.exceptions import ClientError, HTTPClientError

    method = getattr(client, operation)
    try:
        with aws_answers():
            answer: dict[str, Any] = method(**request)
    except ClientError as error:
        code = error_code(error)
        if trouble(error) is Trouble.REFUSED and code.isdecimal():
            raise HTTPClientError(error=f"HTTP status {code}, and not from AWS") from error
        raise
    if field is not None and field not in answer:
        raise HTTPClientError(error=f"the answer has no {field}")
    return answer


@contextmanager
def aws_answers() -> Iterator[None]:
    """Take what stumbles over an answer for a sign that it is not AWS's.

    Raises:
        botocore.exceptions.HTTPClientError: It is not.
    """
    from botocore.exceptions import HTTPClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (ResponseParserError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise HTTPClientError(error=f"the answer is not AWS's ({error!r})") from error


def pass_json_on(*, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_rest: Any) -> None:
    """Give botocore's parser nothing to do where the answer is used as the JSON that it is, as a before-parse handler.

    The parser walks its model through every member of every job, which takes eight times as long as reading the JSON.
    Errors, and whatever is no JSON object, are left to it.
    """
    if response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES:
        return
    with suppress(ValueError):
        answer = json.loads(response_dict["body"])
        if isinstance(answer, dict):
            customized_response_dict.update(answer)
            response_dict["body"] = b"{}"


async def in_thread(work: Callable[[], Answer]) -> Answer:
    """Do blocking work in a thread of its own, and wait for it without holding the event loop.

    The thread is a daemon and belongs to no pool: a call that hangs delays neither the loop's end nor the process's.
    Its context is empty, so nothing it logs goes to the task that happens to be running.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def run() -> None:
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - it travels on where the work is awaited
            settle(done.set_exception, error)
        else:
            settle(done.set_result, answer)

    def settle(set_it: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle_now, set_it, outcome)

    def settle_now(set_it: Callable[[Any], None], outcome: Any) -> None:
        if not done.done():
            set_it(outcome)

    threading.Thread(target=run, name="airflow-batch-jobs", daemon=True).start()
    return await done


class AwsCalls:
    """Calls AWS with clients that are built once for each service and region.

    Args:
        clients: Makes the clients.
        run: Runs blocking work; in a thread of its own when None.
    """

    def __init__(self, clients: ClientFactory, run: Runner | None = None) -> None:
        self._clients = clients
        self._run: Runner = run or in_thread
        self._made: dict[tuple[str, str | None, bool], Any] = {}
        self._making = threading.Lock()

    async def call(
        self, service: str, region: str | None, work: Callable[[Any], Answer], *, urgent: bool = False
    ) -> Answer:
        """Let work use a client, in a thread.

        Args:
            service: `batch` or `logs`.
            region: The client's region; None for the factory's own.
            work: Gets the client; its parsing of the answer is done in the thread as well.
            urgent: Give up after seconds, for what somebody waits for.
        """
        return await self._run(lambda: work(self._client(service, region, urgent=urgent)))

    def renew(self) -> None:
        """Build new clients from now on: the credentials of the old ones have expired."""
        self._made = {}

    def _client(self, service: str, region: str | None, *, urgent: bool) -> Any:
        with self._making:  # boto3 sessions may not make two clients at once
            made, key = self._made, (service, region, urgent)
            if key not in made:
                client = self._clients(service, region_name=region, config=call_config(urgent=urgent))
                client.meta.events.register("before-parse.batch.DescribeJobs", pass_json_on)
                made[key] = client
            return made[key]
