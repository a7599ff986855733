"""SavedLog: what is kept of a running job's log in XComs, how often, and what happens when that cannot be."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from airflow_batch_jobs.batch.log_stream import LogStream
from airflow_batch_jobs.task.saved_log import SavedLog
from airflow_batch_jobs.task.supervisor import CURSOR_XCOM
from airflow_batch_jobs.task.triggerer import QUESTIONS_AT_ONCE, Triggerer
from tests.batch.watch.virtual import run

if TYPE_CHECKING:
    from collections.abc import Mapping

CURSORS = {"r:g:s": {"floor": 1}}
STREAM = LogStream("", "g", "us-east-1", "s")


class XComs:
    """The XComs of one task instance, each question taking a second."""

    def __init__(self, stored: Mapping[str, Any] | None = None, *, is_away: bool = False) -> None:
        self.stored = dict(stored or {})
        self.is_away = is_away
        self.writes = 0
        self.asking = 0
        self.most_asking = 0

    async def get_xcom(self, key: str) -> Any:
        """Return a stored value."""
        await self._answer()
        return self.stored.get(key)

    async def set_xcom(self, key: str, value: Any) -> None:
        """Store a value."""
        await self._answer()
        self.writes += 1
        self.stored[key] = value

    async def delete_xcom(self, key: str) -> None:
        """Delete a value; one that is not there is an error."""
        await self._answer()
        del self.stored[key]

    async def _answer(self) -> None:
        self.asking += 1
        self.most_asking = max(self.most_asking, self.asking)
        await asyncio.sleep(1)
        self.asking -= 1
        if self.is_away:
            raise TimeoutError


class Wait:
    """A wait of which some lines were written."""

    def cursors(self) -> dict[str, Any]:
        """Return where the log stands."""
        return CURSORS


def saved_log(xcoms: Any, triggerer: Triggerer | None = None) -> SavedLog:
    """Make one for the job `j`."""
    return SavedLog("j", xcoms, triggerer or Triggerer.here())


def test_a_log_goes_on_where_an_earlier_run_of_the_same_job_left_it() -> None:
    """Cursors of another job, of an attempt before, are none."""

    async def load(job_id: str) -> Mapping[str, Any]:
        xcoms = XComs({CURSOR_XCOM: {"job_id": job_id, "streams": CURSORS}})
        return await saved_log(xcoms).load_cursors()

    assert run(load("j")) == CURSORS
    assert run(load("other")) == {}


def test_a_log_begins_anew_where_logs_are_remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow does not upload what a triggerer that is gone has written, and shows the remote log alone at the end."""
    monkeypatch.setenv("AIRFLOW__LOGGING__REMOTE_LOGGING", "True")
    xcoms = XComs({CURSOR_XCOM: {"job_id": "j", "streams": CURSORS, "left": True}})

    async def load() -> Mapping[str, Any]:
        return await saved_log(xcoms).load_cursors()

    with capture_logs() as entries:
        assert run(load()) == {}
    assert ["copied from its beginning" in entry["event"] for entry in entries] == [True]


def test_cursors_are_saved_every_half_minute_while_lines_flow() -> None:
    """However many lines there are."""
    xcoms, wait = XComs(), Wait()

    async def main() -> None:
        log = saved_log(xcoms)
        await log.load_cursors()
        for _ in range(100):
            await log.on_lines(wait)  # type: ignore[arg-type]  # all that is asked of a wait
            await asyncio.sleep(1)

    run(main())
    assert xcoms.writes == 4
    stored = xcoms.stored[CURSOR_XCOM]
    assert (stored["job_id"], stored["streams"], stored["left"]) == ("j", CURSORS, False)


@pytest.mark.parametrize(
    ("seconds_ago", "left", "says"), [(12, True, []), (12, False, [" 12 s ago"]), (None, None, [""])]
)
def test_a_log_whose_triggerer_was_killed_says_which_lines_may_come_twice(
    seconds_ago: int | None, *, left: bool | None, says: list[str]
) -> None:
    """After a clean hand-over nothing is said; what an older version stored does not say when."""
    how: dict[str, Any] = {}
    if seconds_ago is not None:
        how = {"left": left, "saved_at": (datetime.now(tz=UTC) - timedelta(seconds=seconds_ago)).isoformat()}
    xcoms = XComs({CURSOR_XCOM: {"job_id": "j", "streams": CURSORS, **how}})

    async def main() -> Mapping[str, Any]:
        return await saved_log(xcoms).load_cursors()

    with capture_logs() as entries:
        assert run(main()) == CURSORS
    assert [entry["event"] for entry in entries] == [
        f"The log goes on where an earlier triggerer saved its place{ago}; lines since then may come twice."
        for ago in says
    ]


def test_a_place_that_was_left_is_claimed_with_the_first_lines() -> None:
    """Else a kill soon after a clean hand-over would go unnoticed."""
    xcoms = XComs({CURSOR_XCOM: {"job_id": "j", "streams": CURSORS, "left": True}})

    async def main() -> None:
        log = saved_log(xcoms)
        await log.load_cursors()
        await log.on_lines(Wait())  # type: ignore[arg-type]  # all that is asked of a wait

    run(main())
    assert xcoms.stored[CURSOR_XCOM]["left"] is False


def test_only_what_was_stored_is_deleted() -> None:
    """A deletion costs a question, and Airflow writes a line for what is not there."""

    async def main(xcoms: XComs) -> int:
        log = saved_log(xcoms)
        await log.load_cursors()
        await log.forget()
        return len(xcoms.stored)

    assert run(main(XComs())) == 0
    assert run(main(XComs({CURSOR_XCOM: {"job_id": "other", "streams": {}}}))) == 0


def test_an_api_server_that_is_away_costs_lines_twice_and_nothing_else() -> None:
    """The wait goes on, and its log says so."""
    xcoms = XComs(is_away=True)

    async def main() -> Mapping[str, Any]:
        log = saved_log(xcoms)
        cursors = await log.load_cursors()
        await asyncio.sleep(60)
        await log.on_lines(Wait())  # type: ignore[arg-type]  # as above
        assert await log.on_streams((STREAM,))
        return cursors

    with capture_logs() as entries:
        assert run(main()) == {}
    assert [entry["event"] for entry in entries] == [
        "Where the log was left is not known, lines may come twice: TimeoutError()"
    ]


def test_many_tasks_ask_few_at_a_time_and_write_few_links_a_second() -> None:
    """A thousand that begin together leave room for the question whether a user stopped one."""
    xcoms = XComs()

    async def main() -> int:
        triggerer = Triggerer.here()
        logs = [saved_log(xcoms, triggerer) for _ in range(100)]
        await asyncio.gather(*(log.load_cursors() for log in logs))
        return sum(await asyncio.gather(*(log.on_streams((STREAM,)) for log in logs)))

    assert run(main()) == 1
    assert xcoms.most_asking == QUESTIONS_AT_ONCE
