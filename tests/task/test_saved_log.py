"""SavedLog: what is kept about a running job's log in XComs, how often, and what happens if it cannot be."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import DeleteXCom, SetXCom
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.log_stream import milliseconds
from airflow_batch_jobs.batch.logs import LogEvent
from airflow_batch_jobs.batch.xcoms import CURSOR_XCOM
from airflow_batch_jobs.task.saved_log import SavedLog
from airflow_batch_jobs.task.supervisor import TaskInstance
from airflow_batch_jobs.task.triggerer import QUESTIONS_AT_ONCE, Triggerer
from tests.batch.virtual import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.task.api_server import ApiServer

CURSORS = {"r:g:s": {"floor": 1}}


def test_its_name_is_stored() -> None:
    """An earlier version has written it, and goes on with it after a rollback."""
    assert CURSOR_XCOM == "batch_job_log_cursor"


def saved_log(triggerer: Triggerer | None = None) -> SavedLog:
    """Make one for the job `j`."""
    return SavedLog("j", TaskInstance(TaskKey("d", "r", "t")), triggerer or Triggerer.here())


def line(seconds: float) -> LogEvent:
    """Return a line that is written some seconds from now."""
    at = milliseconds(datetime.now(tz=UTC) + timedelta(seconds=seconds))
    return LogEvent(at, "a line")


def cursors() -> dict[str, Any]:
    """Return how far the log is copied."""
    return CURSORS


@pytest.fixture(autouse=True)
def _an_answer_takes_a_second(api_server: ApiServer) -> None:
    api_server.seconds = 1.0


def test_a_log_goes_on_where_an_earlier_run_of_the_same_job_left_it(api_server: ApiServer) -> None:
    """The cursors of another job, that of an earlier attempt, do not count."""

    async def load(job_id: str) -> Mapping[str, Any]:
        api_server.xcoms[CURSOR_XCOM] = {"job_id": job_id, "streams": CURSORS}
        return await saved_log().load_cursors()

    assert run(load("j")) == CURSORS
    assert run(load("other")) == {}


@pytest.mark.parametrize(
    "partial", [{"*": {"floor": 1, "started_before": 2}}, {"r:g:s": {"floor": 1, "partial": True}}]
)
def test_a_place_that_is_not_exact_is_said_to_be_so(api_server: ApiServer, partial: dict[str, Any]) -> None:
    """A large log goes on further back than it was copied."""
    api_server.xcoms[CURSOR_XCOM] = {"job_id": "j", "streams": partial, "left": True}

    async def load() -> Mapping[str, Any]:
        return await saved_log().load_cursors()

    with capture_logs() as entries:
        assert run(load()) == partial
    assert ["lines may appear twice" in entry["event"] for entry in entries] == [True]


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"streams": None},
        {"streams": [1]},
        {"streams": {"r:g:s": None}},
        {"streams": CURSORS, "writers": 5},
        {"streams": CURSORS, "saved_at": "yesterday"},
        {"streams": CURSORS, "saved_at": "2026-11-23T12:00:00"},
    ],
)
def test_a_place_that_cannot_be_read_costs_lines_twice_and_a_line(api_server: ApiServer, saved: dict[str, Any]) -> None:
    """Another version may have written it, or somebody else."""
    api_server.xcoms[CURSOR_XCOM] = {"job_id": "j", **saved}

    async def main() -> Mapping[str, Any]:
        return await saved_log().load_cursors()

    with capture_logs() as entries:
        assert run(main()) == {}
    assert sum("cannot be read; lines may appear twice" in entry["event"] for entry in entries) == 1


def test_a_log_begins_anew_where_logs_are_remote(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow does not upload what a triggerer that is gone has written, and at the end shows only the remote log."""
    monkeypatch.setenv("AIRFLOW__LOGGING__REMOTE_LOGGING", "True")
    api_server.xcoms = {CURSOR_XCOM: {"job_id": "j", "streams": CURSORS, "left": True}}

    async def load() -> Mapping[str, Any]:
        return await saved_log().load_cursors()

    with capture_logs() as entries:
        assert run(load()) == {}
    assert ["copied from its beginning" in entry["event"] for entry in entries] == [True]


def test_a_log_begins_anew_where_its_own_triggerer_has_written_before() -> None:
    """Airflow opens the file of an attempt and a triggerer anew for each trigger; another triggerer's file stays."""

    async def copied(triggerer: Triggerer) -> Mapping[str, Any]:
        log = saved_log(triggerer)
        found = await log.load_cursors()
        await log.save(CURSORS, left=True)
        return found

    async def main() -> list[Mapping[str, Any]]:
        one, other = Triggerer(), Triggerer()
        return [await copied(each) for each in (one, one, other, other, one)]

    with capture_logs() as entries:
        assert run(main()) == [{}, {}, CURSORS, {}, {}]
    assert [entry["event"] for entry in entries] == [
        "The log is copied from its beginning: Airflow has emptied what an earlier trigger wrote here."
    ] * 3


def test_cursors_are_saved_every_half_minute_while_lines_flow(api_server: ApiServer) -> None:
    """However many lines there are."""

    async def main() -> None:
        log = saved_log()
        await log.load_cursors()
        for _ in range(100):
            await log.on_lines(cursors)
            await asyncio.sleep(1)

    run(main())
    assert len(api_server.told(SetXCom)) == 4
    stored = api_server.xcoms[CURSOR_XCOM]
    assert (stored["job_id"], stored["streams"], stored["left"]) == ("j", CURSORS, False)


@pytest.mark.parametrize(
    ("seconds_ago", "left", "says"), [(12, True, []), (12, False, [" 12 s ago"]), (None, None, [""])]
)
def test_a_log_whose_triggerer_was_killed_says_which_lines_may_come_twice(
    api_server: ApiServer, seconds_ago: int | None, *, left: bool | None, says: list[str]
) -> None:
    """After a clean handover nothing is said; what an older version stored does not say when it was saved."""
    how: dict[str, Any] = {}
    if seconds_ago is not None:
        how = {"left": left, "saved_at": (datetime.now(tz=UTC) - timedelta(seconds=seconds_ago)).isoformat()}
    api_server.xcoms = {CURSOR_XCOM: {"job_id": "j", "streams": CURSORS, **how}}

    async def main() -> Mapping[str, Any]:
        log = saved_log()
        found = await log.load_cursors()
        for seconds in (-1, 1):
            log.before_lines((line(seconds),))
        return found

    with capture_logs() as entries:
        assert run(main()) == CURSORS
    assert [entry["event"] for entry in entries] == [
        f"The log continues where an earlier triggerer saved its place{ago}; lines since then may appear twice."
        for ago in says
    ]


def test_nothing_is_said_of_a_job_that_was_quiet_until_its_triggerer_ended() -> None:
    """Its place was saved with its last line, and is exact: no line is older than the next triggerer."""

    async def main() -> None:
        earlier, later = saved_log(Triggerer()), saved_log(Triggerer())
        await earlier.on_lines(cursors)
        await earlier.save(CURSORS, left=True)
        assert await later.load_cursors() == CURSORS
        later.before_lines((line(120),))

    with capture_logs() as entries:
        run(main())
    assert entries == []


def test_a_place_that_was_left_is_claimed_with_the_first_lines(api_server: ApiServer) -> None:
    """Otherwise a kill soon after a clean handover would go unnoticed."""
    api_server.xcoms = {CURSOR_XCOM: {"job_id": "j", "streams": CURSORS, "left": True}}

    async def main() -> None:
        log = saved_log()
        await log.load_cursors()
        await log.on_lines(cursors)

    run(main())
    assert api_server.xcoms[CURSOR_XCOM]["left"] is False


def test_only_what_was_stored_is_deleted(api_server: ApiServer) -> None:
    """A deletion costs a question, and Airflow writes a line for what is not there."""

    async def main() -> None:
        log = saved_log()
        await log.load_cursors()
        await log.forget()

    run(main())
    assert not api_server.told(DeleteXCom)
    api_server.xcoms = {CURSOR_XCOM: {"job_id": "other", "streams": {}}}
    run(main())
    assert not api_server.xcoms


def test_an_api_server_that_is_away_costs_lines_twice_and_nothing_else(api_server: ApiServer) -> None:
    """The wait goes on, and its log says so."""
    api_server.failures = float("inf")

    async def main() -> Mapping[str, Any]:
        log = saved_log()
        found = await log.load_cursors()
        await asyncio.sleep(60)
        await log.on_lines(cursors)
        return found

    with capture_logs() as entries:
        assert run(main()) == {}
    assert [entry["event"] for entry in entries] == [
        "Where the log copy left off is not known; lines may appear twice: OSError('the API server is down')"
    ]


def test_many_tasks_ask_few_at_a_time(api_server: ApiServer) -> None:
    """A thousand that begin together leave room for asking whether a user stopped one."""

    async def main() -> None:
        triggerer = Triggerer.here()
        await asyncio.gather(*(saved_log(triggerer).load_cursors() for _ in range(100)))

    run(main())
    assert api_server.most_at_once == QUESTIONS_AT_ONCE


def test_all_triggers_of_a_full_triggerer_save_their_places_when_it_ends(api_server: ApiServer) -> None:
    """One after the other, as the supervisor answers; each waits for its turn, and none much longer than that."""
    api_server.seconds, api_server.is_serial = 1 / 60, True

    async def leave(triggerer: Triggerer) -> float:
        async with triggerer.goodbye():
            await saved_log(triggerer).save(CURSORS, left=True)
        return asyncio.get_running_loop().time()

    async def main() -> list[float]:
        triggerer = Triggerer.here()
        return await asyncio.gather(*(leave(triggerer) for _ in range(1_000)))

    ended = run(main())
    assert sum(isinstance(asked, SetXCom) for asked in api_server.asked) == 1_000
    assert max(ended) < 17


def test_a_triggerer_that_ends_waits_for_few_answers_a_moment_only(api_server: ApiServer) -> None:
    """None comes any more: Airflow has ended what would take it."""
    api_server.seconds = 3_600

    async def leave(triggerer: Triggerer) -> None:
        with suppress(TimeoutError):
            async with triggerer.goodbye():
                await saved_log(triggerer).save(CURSORS, left=True)

    async def main() -> float:
        triggerer = Triggerer.here()
        await asyncio.gather(*(leave(triggerer) for _ in range(5)))
        first = asyncio.get_running_loop().time()
        await asyncio.gather(*(leave(triggerer) for _ in range(5_000)))
        assert asyncio.get_running_loop().time() - first < 18
        return first

    assert run(main()) < 1.5


def test_a_place_that_is_saved_already_is_not_saved_again(api_server: ApiServer) -> None:
    """A trigger whose job has not written since leaves without a question."""

    async def main() -> None:
        log = saved_log()
        await log.on_lines(cursors)
        await log.save(CURSORS, left=True)
        assert len(api_server.asked) == 1
        await log.on_lines(cursors)
        await log.save(CURSORS, left=True)
        assert len(api_server.asked) == 2

    run(main())
