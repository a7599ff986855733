"""KeptClients: each client made once, from one session, and made anew when its credentials have expired."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.aws import ClientFactory, KeptClients, Patience, clients, service, session_clients
from airflow_batch_jobs.errors import CredentialsError, EndpointError

if TYPE_CHECKING:
    from airflow_batch_jobs.local.server import LocalAws


class Sessions:
    """Opens sessions of a local AWS, and keeps what each was asked to make."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.opened: list[list[str]] = []

    def open(self) -> ClientFactory:
        """Open another one."""
        make, made = self.aws.access.open_session(), list[str]()
        self.opened.append(made)

        def clients(service: str, **how: Any) -> Any:
            made.append(service)
            return make(service, **how)

        return clients


def known(clients: KeptClients, patience: Patience | None = None) -> list[str]:
    """Call DescribeJobs once."""
    batch = service(clients, "batch", patience=patience)
    return batch.call("describe_jobs", lambda answer: [job["jobId"] for job in answer["jobs"]], jobs=["x"])


def test_threads_share_one_client_of_one_session(aws: LocalAws) -> None:
    """However many ask at once."""
    sessions = Sessions(aws)
    clients = KeptClients(sessions.open)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: known(clients), range(20))) == [[]] * 20
    assert sessions.opened == [["batch"]]
    assert aws.counts()["DescribeJobs"] == 20


def test_a_client_of_another_patience_region_or_service_is_another_one(aws: LocalAws) -> None:
    """All of them are of the same session."""
    sessions = Sessions(aws)
    clients = KeptClients(sessions.open)
    wanted = [
        ("batch", None, None),
        ("batch", None, Patience.URGENT),
        ("batch", "eu-west-1", None),
        ("logs", None, None),
    ]
    made = [clients.get(*each) for each in wanted]
    assert len(set(map(id, made))) == 4
    assert [clients.get(*each) for each in wanted] == made
    assert made[2].meta.region_name == "eu-west-1"
    assert sessions.opened == [["batch", "batch", "batch", "logs"]]


@pytest.mark.parametrize(
    ("patience", "seconds", "attempts"),
    [(Patience.ONCE, (60, 60), 1), (Patience.PACED, (5, 20), 1), (Patience.URGENT, (2, 4), 1)],
)
def test_a_patience_is_seconds_and_attempts(
    aws: LocalAws, patience: Patience, seconds: tuple[int, int], attempts: int
) -> None:
    """Seconds to connect and to answer."""
    config = KeptClients(aws.clients).get("batch", None, patience).meta.config
    assert (config.connect_timeout, config.read_timeout) == seconds
    assert config.retries["total_max_attempts"] == attempts


def test_a_client_that_hangs_while_it_is_made_holds_up_no_other(aws: LocalAws) -> None:
    """Neither one that exists, nor one that is made meanwhile."""
    hanging, released = threading.Event(), threading.Event()

    def open_session() -> ClientFactory:
        make = aws.clients()

        def clients(service: str, **how: Any) -> Any:
            if service == "logs":
                hanging.set()
                assert released.wait(20)
            return make(service, **how)

        return clients

    clients = KeptClients(open_session)
    known(clients)
    with ThreadPoolExecutor(1) as thread:
        logs = thread.submit(clients.get, "logs")
        assert hanging.wait(20)
        assert known(clients) == known(clients, Patience.URGENT) == []
        assert not logs.done()
        released.set()
        assert logs.result(20).meta.region_name == aws.region


@pytest.mark.parametrize("what", ["session", "client"])
def test_what_hangs_while_it_is_made_is_made_by_another(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """After a while, and with another session if it is a client: the first one's lock may be what it hangs at."""
    monkeypatch.setattr(clients, "_HANG_SECONDS", 0.1)
    sessions, hanging, released = Sessions(aws), threading.Event(), threading.Event()

    def hang() -> None:
        if not hanging.is_set():
            hanging.set()
            assert released.wait(20)

    def open_session() -> ClientFactory:
        make, making = sessions.open(), threading.Lock()
        if what == "session":
            hang()

        def make_one(service: str, **how: Any) -> Any:
            with making:
                if what == "client":
                    hang()
                return make(service, **how)

        return make_one

    kept = KeptClients(open_session)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(known, kept)
        assert hanging.wait(20)
        assert known(kept) == known(kept, Patience.URGENT) == []
        assert not first.done()
        released.set()
        assert first.result(20) == []
    assert len(sessions.opened) == 2


def test_tries_that_hang_are_few(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a thread. Whoever comes then hears of it."""
    monkeypatch.setattr(clients, "_HANG_SECONDS", 0.01)
    monkeypatch.setattr(clients, "_MORE_SECONDS", 0.01)
    monkeypatch.setattr(clients, "MOST_HUNG", 3)
    released, opened = threading.Event(), []

    def open_session() -> ClientFactory:
        opened.append(1)
        assert released.wait(20)
        return aws.clients()

    kept = KeptClients(open_session)
    with ThreadPoolExecutor(3) as threads:
        hung = [threads.submit(known, kept) for _ in range(3)]
        while len(opened) < 3:
            time.sleep(0.01)
        with pytest.raises(EndpointError, match="3 tries to make a client for AWS hang"):
            known(kept, Patience.URGENT)
        released.set()
        assert [each.result(20) for each in hung] == [[]] * 3
    assert known(kept, Patience.URGENT) == []


def test_a_session_makes_one_client_at_a_time(monkeypatch: pytest.MonkeyPatch, aws: LocalAws) -> None:
    """boto3's sessions are not made for several threads."""
    import boto3

    session, busy, most = boto3.Session("x", "x", region_name=aws.region), threading.Semaphore(1), []
    make = session.client

    def client(*what: Any, **how: Any) -> Any:
        most.append(busy.acquire(blocking=False))
        made = make(*what, **how)
        busy.release()
        return made

    monkeypatch.setattr(session, "client", client)
    clients = session_clients(session, endpoint_url=aws.endpoint_url)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(clients.get, ["batch"] * 4, ["eu-west-1", "eu-west-2", "eu-west-3", "us-east-1"]))
    assert most == [True] * 4


def test_expired_credentials_open_another_session_for_the_next_call(aws: LocalAws) -> None:
    """The call that failed is its caller's to repeat."""
    sessions = Sessions(aws)
    clients = KeptClients(sessions.open)
    known(clients)
    aws.fault("DescribeJobs", "expired", times=1)
    with pytest.raises(CredentialsError, match="batch:DescribeJobs failed: ExpiredToken"):
        known(clients)
    assert known(clients) == []
    assert sessions.opened == [["batch"], ["batch"]]


def test_calls_that_expire_together_open_one_session(aws: LocalAws) -> None:
    """Whoever comes late finds the clients replaced already."""
    sessions = Sessions(aws)
    clients = KeptClients(sessions.open)
    old = clients.get("batch"), clients.get("logs")
    for client in old:
        clients.renew(client)
        clients.get("batch")
    assert len(sessions.opened) == 2
    assert clients.get("batch") is not old[0]


def test_what_could_not_be_made_is_made_the_next_time(aws: LocalAws) -> None:
    """A session that could not be opened is opened when it is wanted again."""
    failures = [OSError("no connection")]

    def open_session() -> ClientFactory:
        if failures:
            raise failures.pop()
        return aws.clients()

    clients = KeptClients(open_session)
    with pytest.raises(EndpointError, match="no connection"):
        known(clients)
    assert known(clients) == []


def test_kept_clients_are_a_factory_of_themselves(aws: LocalAws) -> None:
    """Without a configuration of one's own the kept client comes back."""
    from botocore.config import Config

    clients = KeptClients(aws.clients)
    assert KeptClients.of(clients) is clients
    assert clients("batch") is clients.get("batch")
    assert clients("batch", config=Config(read_timeout=7)).meta.config.read_timeout == 7


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InvalidSignatureException"])
def test_keys_that_were_replaced_are_looked_up_anew(aws: LocalAws, code: str) -> None:
    """The call is made again at once: what is rejected has done nothing."""
    sessions = Sessions(aws)
    clients = KeptClients(sessions.open)
    known(clients)
    aws.fault("DescribeJobs", "error", code=code, status=403, message="no", times=1)
    assert known(clients) == []
    assert len(sessions.opened) == 2


def test_keys_that_are_rejected_again_end_it(aws: LocalAws) -> None:
    """They are looked up once more, not for ever."""
    sessions = Sessions(aws)
    clients = KeptClients(sessions.open)
    aws.fault("DescribeJobs", "error", code="UnrecognizedClientException", status=403, message="no")
    with pytest.raises(CredentialsError, match="valid credentials"):
        known(clients)
    assert aws.counts()["DescribeJobs"] == 2
