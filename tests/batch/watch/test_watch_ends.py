"""A job that has ended ends its wait within five minutes, whatever CloudWatch Logs does, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch.watch import Ended, LogLines
from tests.batch.virtual import VirtualAws, consume, follow_to_end, lines_of, run, run_beside
from tests.batch.watch.scripted import numbered, submitted, talking

if TYPE_CHECKING:
    from airflow_batch_jobs.batch.watch.updates import Update
    from airflow_batch_jobs.local.server import LocalAws

Page = dict[str, Any]
Answering = Callable[[Callable[[], Page], dict[str, Any]], Page]

MISSING = {"code": "ResourceNotFoundException", "status": 400, "message": "The specified log group does not exist."}
UNREADABLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("drop", {}),
    ("server_error", {}),
    ("throttle", {}),
    ("not_json", {}),
    ("expired", {}),
    ("denied", {}),
    ("error", {"code": "InvalidParameterException", "status": 400}),
    ("error", MISSING),
)


class Logs:
    """CloudWatch with answers of another kind."""

    def __init__(self, client: Any, answer: Answering) -> None:
        self._client, self._answer, self.meta = client, answer, client.meta

    def filter_log_events(self, **request: Any) -> Page:
        """Answer a request."""
        return self._answer(lambda: self._client.filter_log_events(**request), request)


def clients(aws: LocalAws, answer: Answering) -> Callable[..., Any]:
    """Return a factory of clients of an AWS whose CloudWatch answers differently."""
    make = aws.clients()

    def made(service: str, **how: Any) -> Any:
        client = make(service, **how)
        return Logs(client, answer) if service == "logs" else client

    return made


def same_token(ask: Callable[[], Page], request: dict[str, Any]) -> Page:
    """One token for every page, and no events after the first."""
    return {"events": [] if "nextToken" in request else ask()["events"], "nextToken": "T"}


def new_tokens(ask: Callable[[], Page], request: dict[str, Any]) -> Page:
    """A new token with every page, and no events after the first."""
    number = int(request.get("nextToken", 0))
    return {"events": [] if number else ask()["events"], "nextToken": str(number + 1)}


def same_events(ask: Callable[[], Page], request: dict[str, Any]) -> Page:
    """A new token with every page, and always the same events."""
    number = int(request.get("nextToken", 0))
    return {**_without_token(ask, request), "nextToken": str(number + 1)}


def new_events(ask: Callable[[], Page], request: dict[str, Any]) -> Page:
    """A new token and a new event with every page."""
    page = same_events(ask, request)
    number, name = int(page["nextToken"]), request["logStreamNames"][0]
    at = max((event["timestamp"] for event in page["events"]), default=request["startTime"]) + number
    page["events"].append({"logStreamName": name, "timestamp": at, "message": f"more {at}", "eventId": f"more {at}"})
    return page


def stale_tokens(ask: Callable[[], Page], _request: dict[str, Any]) -> Page:
    """A token with every page, and none is known afterwards."""
    return {**ask(), "nextToken": "unknown"}


def _without_token(ask: Callable[[], Page], request: dict[str, Any]) -> Page:
    request.pop("nextToken", None)
    return ask()


async def end_of(virtual: VirtualAws, updates: list[Update]) -> tuple[Ended, float]:
    """Return the last update, and how many seconds after the job's end it came."""
    end = updates[-1]
    assert isinstance(end, Ended)
    assert end.detail.stopped_at is not None
    virtual.keep_up()
    return end, virtual.aws.now() - end.detail.stopped_at.timestamp()


@pytest.mark.long
@pytest.mark.parametrize(("kind", "how"), UNREADABLE)
@pytest.mark.parametrize("begin", [0, 20])
def test_a_log_that_cannot_be_read_holds_up_no_end(
    frozen_aws: LocalAws, kind: str, how: dict[str, Any], begin: float
) -> None:
    """The end comes, says which stream is not complete, and hands over none that nobody could read."""
    [job_id] = talking(frozen_aws)

    async def main() -> tuple[Ended, float]:
        virtual = VirtualAws(frozen_aws)
        follower = virtual.watcher().follow(job_id)
        fault = (begin, lambda: frozen_aws.fault("FilterLogEvents", kind, **how))
        return await end_of(virtual, await run_beside(follow_to_end(follower), fault))

    end, seconds = run(main())
    assert seconds < 290
    [(stream, why)] = end.incomplete.items()
    assert stream.key == end.detail.log_streams()[0].key
    assert why.startswith("CloudWatch Logs ")
    assert not end.unread


@pytest.mark.long
@pytest.mark.parametrize("answer", [same_token, new_tokens, same_events, new_events, stale_tokens])
def test_pages_without_end_end_nevertheless(frozen_aws: LocalAws, answer: Answering) -> None:
    """What was read is handed out, and the end says that there may be more."""
    [job_id] = talking(frozen_aws)

    async def main() -> tuple[list[Update], Ended, float]:
        virtual = VirtualAws(frozen_aws)
        updates = await follow_to_end(virtual.watcher(clients(frozen_aws, answer)).follow(job_id))
        return updates, *await end_of(virtual, updates)

    updates, end, seconds = run(main())
    assert seconds < 290
    assert set(numbered(30)) <= set(lines_of(updates)) or end.unread
    assert end.incomplete or end.unread


@pytest.mark.long
@pytest.mark.parametrize("answer", [same_token, new_tokens, same_events, new_events, stale_tokens])
def test_pages_without_end_starve_no_other_job(frozen_aws: LocalAws, answer: Answering) -> None:
    """The lines of a neighbour in the same log group stay fresh beside them."""
    [odd] = submitted(frozen_aws, running=3600, lines={"count": 50, "rate": 1.0})
    frozen_aws.script(definition="quiet", running=120, lines={"count": 115, "rate": 1.0})
    [quiet] = frozen_aws.submit(frozen_aws.register("quiet"))
    odd_stream: list[str] = []

    def one_of_them(ask: Callable[[], Page], request: dict[str, Any]) -> Page:
        odd_stream[:] = odd_stream or [frozen_aws.job(odd)["container"]["logStreamName"]]
        return answer(ask, request) if odd_stream[0] in request["logStreamNames"] else ask()

    async def main() -> list[float]:
        virtual, ages = VirtualAws(frozen_aws), []
        watcher = virtual.watcher(clients(frozen_aws, one_of_them))
        async with watcher.follow(odd) as follower:
            waste = asyncio.create_task(consume(follower, []))
            async with watcher.follow(quiet) as neighbour:
                async for update in neighbour:
                    if isinstance(update, LogLines):
                        ages += [(virtual.now() - event.time).total_seconds() for event in update.events]
            waste.cancel()
        return ages

    ages = sorted(run(main()))
    assert len(ages) >= 115
    assert ages[len(ages) // 2] < 10
    assert ages[-1] < 60


@pytest.mark.long
@pytest.mark.parametrize("ahead_seconds", [-600, 600, 1_800])
def test_a_clock_that_is_wrong_by_minutes_costs_no_line_and_no_minute(
    frozen_aws: LocalAws, ahead_seconds: float
) -> None:
    """Late lines come, those of a flood too, and the end as soon as with a right clock."""
    [talker] = talking(frozen_aws, delivery={"delay": 3, "spread": 1})
    late = {"delay": 2, "spread": 4}
    frozen_aws.script(definition="flood", running=30, lines={"count": 6_000, "rate": 200.0}, delivery=late)
    [flood] = frozen_aws.submit(frozen_aws.register("flood"))

    async def main() -> list[tuple[list[Update], float]]:
        virtual = VirtualAws(frozen_aws, ahead_seconds=ahead_seconds)
        watcher = virtual.watcher()

        async def followed(job_id: str) -> tuple[list[Update], float]:
            updates = await follow_to_end(watcher.follow(job_id, submitted_at=virtual.now()))
            return updates, (await end_of(virtual, updates))[1]

        return list(await asyncio.gather(followed(talker), followed(flood)))

    (few, soon), (many, later) = run(main())
    assert sorted(lines_of(few)) == sorted(numbered(30))
    assert sorted(lines_of(many)) == sorted(numbered(6_000))
    assert soon < 25
    assert later < 40


def test_lines_of_a_running_job_stay_fresh_with_a_wrong_clock(frozen_aws: LocalAws) -> None:
    """A clock half an hour ahead does not make the next lines look too old to ask for."""
    [job_id] = submitted(frozen_aws, running=120, lines={"count": 11, "rate": 0.1})

    async def main() -> list[float]:
        virtual, ages = VirtualAws(frozen_aws, ahead_seconds=1_800), []
        async with virtual.watcher().follow(job_id) as follower:
            async for update in follower:
                if isinstance(update, LogLines):
                    ages += [(virtual.now() - event.time).total_seconds() - 1_800 for event in update.events]
        return ages

    assert max(run(main())) < 10
