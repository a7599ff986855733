"""KeptClients: the boto3 clients of one connection, each made once; and `session_clients`, for a boto3 session."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from copy import copy
from enum import Enum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_batch_jobs.batch.aws.explanation import Caller
from airflow_batch_jobs.errors import EndpointError

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from botocore.config import Config

    from airflow_batch_jobs.batch.aws.outage import Outage

Made = TypeVar("Made")

#: How long what is made may take before another caller makes it as well, and what each that hangs adds to that.
_HANG_SECONDS = 10.0
_MORE_SECONDS = 5.0
_LONGEST_HANG_SECONDS = 30.0
#: What hangs holds a thread, so this is how much of it there may be.
MOST_HUNG = 100


class ClientFactory(Protocol):
    """Makes boto3 clients with one set of credentials; passed in by whoever knows where those come from.

    Several threads may call it at once. A boto3 session must not make two clients at once: `session_clients` sees to
    that.
    """

    def __call__(self, service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        """Make a client.

        Args:
            service: `batch`, `logs` or `sts`.
            region_name: The region; None for the credentials' own.
            config: Merged over the factory's own botocore configuration.
        """


class Patience(Enum):
    """How long a client waits for an answer, and whether it retries by itself."""

    #: As the connection is configured, or by botocore's defaults.
    CONFIGURED = "configured"
    #: As long, but without retries: the caller decides whether the call may be repeated.
    ONCE = "once"
    #: Without retries, for seconds: the caller keeps the pace, and repeats the call.
    PACED = "paced"
    #: Without retries, for a few seconds: something is waiting for the answer.
    URGENT = "urgent"

    @property
    def is_callers(self) -> bool:
        """Whether the caller repeats whatever fails."""
        return self in {Patience.PACED, Patience.URGENT}

    def config(self) -> Config | None:
        """Return botocore's configuration; None for the factory's own."""
        from botocore.config import Config

        if self is Patience.CONFIGURED:
            return None
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})
        timeouts = {Patience.PACED: (5, 20), Patience.URGENT: (2, 4)}
        if self not in timeouts:
            return once
        connect, read = timeouts[self]
        return once.merge(Config(connect_timeout=connect, read_timeout=read))


class KeptClients:
    """The clients of one connection to AWS, each made once for all threads, from one session.

    Is a `ClientFactory` itself. A client that takes long to make holds up the callers that want the same one, and none
    that uses another. If it hangs, one of them makes it as well, after ten seconds and with another session.

    Args:
        open_session: Opens a session and returns what makes its clients; called again once AWS does not accept the
            credentials any more.
        on_made: Called with the service of each client that is made.
        outage: Waits out what keeps a client from being made, if the client's patience leaves that to botocore.
        caller: Tells as whom AWS is called, for messages.

    Attributes:
        patience: The patience of the clients that are asked for without one.
    """

    def __init__(
        self,
        open_session: Callable[[], ClientFactory],
        on_made: Callable[[str], object] = lambda _: None,
        *,
        outage: Outage | None = None,
        caller: Callable[[], Caller] = Caller,
    ) -> None:
        self._newest = _Newest(open_session)
        self._on_made = on_made
        self._outage = outage
        self._caller = caller
        self.patience = Patience.CONFIGURED

    @classmethod
    def of(cls, clients: ClientFactory) -> KeptClients:
        """Return kept clients as they are; keep those of any other factory from now on.

        Args:
            clients: Makes clients, or keeps them already.
        """
        return clients if isinstance(clients, cls) else cls(lambda: clients)

    def with_patience(self, patience: Patience) -> KeptClients:
        """Return the same clients with another default patience.

        Args:
            patience: How long an answer is waited for, and who repeats a call, where a caller does not say.
        """
        others = copy(self)
        others.patience = patience
        return others

    def __call__(self, service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        """Return the kept client; a new one if a configuration is given."""
        if config is None:
            return self.get(service, region_name)
        return self._newest.session.make.get()(service, region_name=region_name, config=config)

    @property
    def caller(self) -> Caller:
        """As whom AWS is called, as far as that is known."""
        return self._caller()

    def get(self, service: str, region: str | None = None, patience: Patience | None = None) -> Any:
        """Return a client; it is made in the calling thread the first time.

        Args:
            service: As boto3 names it: `batch`.
            region: None for that of the connection.
            patience: How long an answer is waited for, and who repeats a call; None for what these clients have.
        """
        session, key = self._newest.session, (service, region, patience or self.patience)
        once = session.clients.get(key)
        if once is None:
            make, again = partial(self._make, session, *key), partial(self._make_anew, session, *key)
            once = session.clients.setdefault(key, _Once(make, again))
        if self._outage is None or key[2].is_callers:
            return once.get()
        return self._outage.wait_out(once.get)

    def renew(self, expired: Any = None) -> None:
        """Make clients from a new session from now on.

        Args:
            expired: The client whose credentials AWS does not accept: nothing happens if it has already been replaced.
        """
        self._newest.renew(expired)

    @property
    def session(self) -> object:
        """What stands for the session in use, for `leave`."""
        return self._newest.session

    def leave(self, session: object) -> None:
        """Make clients from a new session from now on, unless that is so already: the calls of this one hang.

        A session that is being opened is kept, since `get` sees to it that it is.

        Args:
            session: The session whose calls hang.
        """
        self._newest.leave(session)

    def _make(self, session: _Session, service: str, region: str | None, patience: Patience) -> Any:
        client = session.make.get()(service, region_name=region, config=patience.config())
        if patience is Patience.PACED:
            client.meta.events.register("before-parse.batch.DescribeJobs", pass_json_on)
        self._on_made(service)
        return client

    def _make_anew(self, session: _Session, service: str, region: str | None, patience: Patience) -> Any:
        """Make a client while an earlier try hangs, which may be what holds up the other clients of its session."""
        return self._make(self._newest.leave(session), service, region, patience)


class _Once(Generic[Made]):
    """Something that is made when it is first asked for; other callers wait meanwhile.

    Whoever has waited for too long makes it as well, and what is there first is kept. What hangs is left alone.

    Args:
        make: Makes it, in the calling thread.
        make_again: Makes it while an earlier try hangs; as `make` does if None.

    Attributes:
        made: What was made; None if there is nothing yet.
    """

    def __init__(self, make: Callable[[], Made], make_again: Callable[[], Made] | None = None) -> None:
        self._make = make
        self._make_again = make_again or make
        self._changed = threading.Condition()
        self._tries: dict[object, float] = {}
        self.made: Made | None = None

    def get(self) -> Made:
        """Return it.

        Raises:
            EndpointError: So many tries hang that there is no other.
        """
        mine, made = object(), self.made
        if made is not None:
            return made
        with self._changed:
            self._wait()
            if self.made is not None:
                return self.made
            make = self._make_again if self._tries else self._make
            self._tries[mine] = time.monotonic()
        try:
            made = make()
        finally:
            with self._changed:
                del self._tries[mine]
                if self.made is None:
                    self.made = made
                self._changed.notify_all()
        return made

    def _wait(self) -> None:
        """Wait until it is there, or the caller is to make it."""
        while self.made is None and self._tries:
            patience = min(_HANG_SECONDS + _MORE_SECONDS * (len(self._tries) - 1), _LONGEST_HANG_SECONDS)
            left = max(self._tries.values()) + patience - time.monotonic()
            if left > 0:
                self._changed.wait(left)
            elif len(self._tries) < MOST_HUNG:
                return
            else:
                raise EndpointError(
                    f"{len(self._tries)} tries to make a client for AWS hang. Check the secrets backend, and restart "
                    "this process."
                )


class _Session:
    """A session and its clients."""

    def __init__(self, open_session: Callable[[], ClientFactory]) -> None:
        self.make = _Once(open_session)
        self.clients: dict[tuple[str, str | None, Patience], _Once[Any]] = {}

    def has(self, client: Any) -> bool:
        return any(once.made is client for once in list(self.clients.values()))


class _Newest:
    """The session in use at the moment."""

    def __init__(self, open_session: Callable[[], ClientFactory]) -> None:
        self._open_session = open_session
        self._renewing = threading.Lock()
        self.session = _Session(open_session)

    def renew(self, expired: Any) -> None:
        with self._renewing:
            if expired is None or self.session.has(expired):
                self.session = _Session(self._open_session)

    def leave(self, session: object) -> _Session:
        """Return another session than one that hangs, or that very one while it is being opened."""
        with self._renewing:
            if self.session is session and self.session.make.made is not None:
                self.session = _Session(self._open_session)
            return self.session


def session_clients(
    session: boto3.Session | None = None, region_name: str | None = None, endpoint_url: str | None = None
) -> KeptClients:
    """Return the clients of a boto3 session.

    Args:
        session: A new default session if None.
        region_name: The region; the session's own if None.
        endpoint_url: The address of all services, in place of AWS's own addresses.
    """

    def open_session() -> ClientFactory:
        import boto3

        return clients_of_session(session or boto3.Session(), region_name, endpoint_url)

    return KeptClients(open_session)


def clients_of_session(session: boto3.Session, region_name: str | None, endpoint_url: str | None) -> ClientFactory:
    """Return what makes the clients of an open boto3 session, one at a time.

    Args:
        session: The session.
        region_name: The region; the session's own if None.
        endpoint_url: The address of all services; AWS's own if None.
    """
    own_region, making = region_name, threading.Lock()

    def make(service: str, *, region_name: str | None = None, config: Config | None = None) -> Any:
        with making:  # a session may not make two clients at once
            return session.client(  # type: ignore[call-overload]
                service, region_name=region_name or own_region, endpoint_url=endpoint_url, config=config
            )

    return make


def pass_json_on(*, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_rest: Any) -> None:
    """Pass the JSON of an answer on as it is, in a before-parse handler, so that botocore's parser has nothing to do.

    The parser walks its model through every member of every job, which takes eight times as long as reading the JSON.
    Errors, and anything that is not a JSON object, are left to it.
    """
    if response_dict["status_code"] >= HTTPStatus.MULTIPLE_CHOICES:
        return
    with suppress(ValueError):
        answer = json.loads(response_dict["body"])
        if isinstance(answer, dict):
            customized_response_dict.update(answer)
            response_dict["body"] = b"{}"
