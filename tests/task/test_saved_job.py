"""SavedJob: when a waiting task's XCom `batch_job` is written, how often, and whose it never overwrites."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.execution_time.comms import GetXCom, SetXCom

from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.xcoms import JOB_XCOM
from airflow_batch_jobs.links import BatchJobLogLink
from airflow_batch_jobs.task.saved_job import GATHER_SECONDS, SavedJob
from airflow_batch_jobs.task.supervisor import TaskInstance, UnansweredError
from airflow_batch_jobs.task.triggerer import WRITES_PER_SECOND, Triggerer
from tests.batch.virtual import run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from tests.task.api_server import ApiServer

SUBMITTED = {"job_id": "j", "region": "us-east-1", "status": "SUBMITTED", "try_number": 1, "max_tries": 0}
STREAM = {"label": "", "group": "g", "region": "us-east-1", "stream": "s"}


def saved_job(task: str = "t", *, is_there: bool = True, try_number: int = 1) -> SavedJob:
    """Return what keeps a task's XCom."""
    triggerer, attempt = Triggerer.here(), {"try_number": try_number, "max_tries": 0}
    instance = TaskInstance(TaskKey("d", "r", task))
    return SavedJob(instance, attempt, triggerer.job_turns, triggerer.questions, is_there=is_there)


def running(**more: Any) -> Mapping[str, Any]:
    """Return what is known of a job that runs."""
    return {"job_id": "j", "status": "RUNNING", "history": [], **more}


@pytest.fixture(autouse=True)
def _submitted(api_server: ApiServer) -> None:
    api_server.seconds, api_server.xcoms = 0.05, {JOB_XCOM: SUBMITTED}


def news(
    job: Callable[[], Mapping[str, Any]], seconds: float = 5.0, **how: Any
) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return what tells of urgent news, and waits for so long."""

    async def main() -> None:
        saved = saved_job(**how)
        saved.on_news(job, is_urgent=True)
        await asyncio.sleep(seconds)
        await saved.close()

    return main


def test_what_is_urgent_is_written_at_once_with_the_link_to_its_log(api_server: ApiServer) -> None:
    """Marked as this attempt's, after a look at what is there, and with what that knows."""
    api_server.xcoms[JOB_XCOM] = {**SUBMITTED, "changes": ["more memory"]}
    run(news(lambda: running(region="us-east-1", log_streams=[STREAM]))())
    written = {"log_streams": [STREAM], "changes": ["more memory"], "try_number": 1, "max_tries": 0}
    assert api_server.xcoms[JOB_XCOM] == {**running(region="us-east-1"), **written}
    assert "log-events/s" in api_server.xcoms[BatchJobLogLink().xcom_key]
    assert [type(asked) for asked in api_server.asked] == [GetXCom, SetXCom, SetXCom]


def test_the_link_to_a_job_leads_to_the_page_of_its_kind_once_that_is_known(api_server: ApiServer) -> None:
    """Only the definition tells a multi-node job from another, so at the submit nobody knows; written once."""

    async def main() -> None:
        saved = saved_job()
        for _ in range(3):
            saved.on_news(lambda: running(region="us-east-1", kind="multi-node"), is_urgent=True)
            await asyncio.sleep(5)
        await saved.close()

    run(main())
    links = [each.value for each in api_server.told(SetXCom) if each.key != JOB_XCOM]
    assert links == ["https://console.aws.amazon.com/batch/home?region=us-east-1#jobs/mnp-job/j"]


@pytest.mark.parametrize(
    ("stored", "is_there", "is_written"),
    [
        pytest.param({"job_id": "j2", "try_number": 2}, True, False, id="a newer attempt's"),
        pytest.param({"job_id": "j", "try_number": 2}, True, False, id="a newer attempt's, which adopted the job"),
        pytest.param(None, True, False, id="gone, since a newer attempt has begun"),
        pytest.param(None, False, True, id="a sensor's, which pushes none"),
        pytest.param({"job_id": "j0", "try_number": 1}, True, True, id="an older attempt's"),
        pytest.param({"job_id": "j", "attempts": 1}, True, True, id="one of an earlier version"),
        pytest.param("s3://bucket/key", True, True, id="a custom backend's raw reference"),
    ],
)
def test_the_xcom_of_a_newer_attempt_is_left_alone(
    api_server: ApiServer, stored: Any, *, is_there: bool, is_written: bool
) -> None:
    """For good: nothing is asked or told any more."""
    api_server.xcoms = {JOB_XCOM: stored}

    async def main() -> bool:
        saved = saved_job(is_there=is_there)
        for _ in range(3):
            saved.on_news(running, is_urgent=True)
            await asyncio.sleep(5)
        asked = len(api_server.asked)
        await saved.close()
        assert asked == (6 if is_written else 1)
        return await saved.save(running())

    assert run(main()) is is_written
    assert bool(api_server.told(SetXCom)) is is_written
    assert is_written or api_server.xcoms == {JOB_XCOM: stored}


def test_many_tasks_write_few_xcoms_a_second(api_server: ApiServer) -> None:
    """A hundred jobs that begin to run together are all written, one at a time, each as it is by then."""
    times: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def job() -> Mapping[str, Any]:
            times.append(loop.time())
            return running(region="us-east-1", log_streams=[{**STREAM, "stream": f"{len(times)}"}])

        every = [saved_job(f"t{number}") for number in range(100)]
        for saved in every * 2:
            saved.on_news(job, is_urgent=True)
        await asyncio.sleep(100)

    run(main())
    assert len(times) == 100
    written = api_server.told(SetXCom)
    assert len({each.task_id for each in written if each.key == JOB_XCOM}) == 100
    assert len(written) == 200
    assert times[-1] - times[0] >= (len(written) - 2) / WRITES_PER_SECOND
    assert api_server.most_at_once == 1


def test_what_nobody_waits_for_is_gathered(api_server: ApiServer) -> None:
    """An array's counts change at every look; what was last is written all the same."""

    async def main() -> int:
        saved = saved_job()
        saved.on_news(lambda: running(children={"RUNNING": 0}), is_urgent=True)
        for number in range(100):
            await asyncio.sleep(1)
            saved.on_news(lambda number=number: running(children={"RUNNING": number}), is_urgent=False)  # type: ignore[misc]
        written = len(api_server.told(SetXCom))
        await asyncio.sleep(GATHER_SECONDS)
        return written

    assert run(main()) == 4
    assert api_server.xcoms[JOB_XCOM]["children"] == {"RUNNING": 99}


def test_a_state_that_passes_is_not_written(api_server: ApiServer) -> None:
    """A job that is soon running has been RUNNABLE and STARTING before; that is in its history."""

    async def main() -> None:
        saved = saved_job()
        for status in ("RUNNABLE", "STARTING"):
            saved.on_news(lambda status=status: running(status=status), is_urgent=False)  # type: ignore[misc]
            await asyncio.sleep(5)
        saved.on_news(running, is_urgent=True)
        await asyncio.sleep(GATHER_SECONDS * 2)

    run(main())
    assert [each.value["status"] for each in api_server.told(SetXCom)] == ["RUNNING"]


@pytest.mark.parametrize("failures", [1, 2])
def test_an_api_server_that_is_away_is_asked_again_later(api_server: ApiServer, failures: int) -> None:
    """Nothing else comes of it."""
    api_server.failures = failures
    run(news(running, GATHER_SECONDS * 2.5)())
    assert (api_server.xcoms[JOB_XCOM]["status"] == "RUNNING") is (failures < 3)


def test_what_is_there_and_newer_stays_until_this_is_newer(api_server: ApiServer) -> None:
    """A triggerer that stalled knows what was; and a worker's clock may be ahead."""
    times = iter(["2026-11-23T06:00:00+00:00", "2026-11-23T06:02:00+00:00"])
    api_server.xcoms[JOB_XCOM] = {**SUBMITTED, "as_of": "2026-11-23T06:01:00+00:00"}
    run(news(lambda: running(as_of=next(times)))())
    assert api_server.xcoms[JOB_XCOM]["status"] == "SUBMITTED"
    times = iter(["2026-11-23T06:00:00+00:00", "2026-11-23T06:02:00+00:00"])
    run(news(lambda: running(as_of=next(times)), GATHER_SECONDS + 5)())
    assert api_server.xcoms[JOB_XCOM]["status"] == "RUNNING"


def test_a_job_that_cannot_be_told_of_costs_no_other_its_turn(api_server: ApiServer) -> None:
    """Each writer is behind its own wall."""

    def broken() -> Mapping[str, Any]:
        raise RuntimeError

    async def main() -> None:
        saved_job("broken").on_news(broken, is_urgent=True)
        await news(running)()

    run(main())
    assert api_server.xcoms[JOB_XCOM]["status"] == "RUNNING"


def test_nothing_is_written_after_the_end(api_server: ApiServer) -> None:
    """What is being written is waited for, and what is to be written is dropped: the worker writes the end."""
    api_server.seconds = 3.0

    async def main() -> float:
        saved, other = saved_job(), saved_job("other")
        saved.on_news(running, is_urgent=True)
        other.on_news(running, is_urgent=True)
        await asyncio.sleep(1)
        await asyncio.gather(saved.close(), other.close())
        ended = asyncio.get_running_loop().time()
        saved.on_news(running, is_urgent=True)
        await asyncio.sleep(60)
        return ended

    assert run(main()) == pytest.approx(6)
    assert [each.task_id for each in api_server.told(SetXCom)] == ["t"]


def test_a_stop_before_the_first_look_is_told_with_what_is_there(api_server: ApiServer) -> None:
    """Airflow may cancel a trigger before its first step; of another job nothing is taken."""

    async def main(**stored: Any) -> Any:
        api_server.xcoms[JOB_XCOM] = {**SUBMITTED, "job_name": "align", **stored}
        assert await saved_job().save_stopped({"job_id": "j"}, "a user did it")
        return api_server.xcoms[JOB_XCOM]

    told = run(main())
    assert (told["job_name"], told["status"], told["is_terminated"]) == ("align", "SUBMITTED", True)
    assert (told["stop_reason"], told["diagnosis"]["cause"]) == ("a user did it", "terminated")
    other = run(main(job_id="other"))
    assert ("job_name" in other, other["job_id"], other["stop_reason"]) == (False, "j", "a user did it")


def test_the_last_write_says_if_it_cannot_be_made(api_server: ApiServer) -> None:
    """A task that would end here is ended by a worker then."""
    api_server.failures = 1

    async def main() -> None:
        await saved_job().save(running())

    with pytest.raises(UnansweredError):
        run(main())
