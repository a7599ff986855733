"""Did a user stop the task? The decisions of both kill paths, as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.orphans import GONE
from airflow_batch_jobs.task.stop import Verdict, in_triggerer, is_newer, on_worker

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text() | st.sampled_from(["job_id", "try_number"]), each),
)
MINE = {"job_id": "mine", "max_tries": 1, "try_number": 1}


@pytest.mark.parametrize("state", ["success", "failed", "skipped", "removed", "upstream_failed", GONE])
def test_a_final_or_absent_state_terminates_the_job_of_a_deferred_task(state: str) -> None:
    """Nothing waits for the job of a task that is final or gone."""
    assert in_triggerer(state, MINE, "mine", 1) is Verdict.TERMINATE


@pytest.mark.parametrize(
    ("stored", "verdict"),
    [
        pytest.param(MINE, Verdict.LEAVE, id="another triggerer watches this very job"),
        pytest.param(None, Verdict.LEAVE, id="nothing is known"),
        pytest.param({}, Verdict.LEAVE, id="nothing is known, as an empty XCom"),
        pytest.param({"job_id": "new", "max_tries": 1, "try_number": 2}, Verdict.TERMINATE, id="a retry's job"),
        pytest.param({"job_id": "new", "max_tries": 2, "try_number": 2}, Verdict.TERMINATE, id="a job after a clear"),
        pytest.param({"job_id": "new", "max_tries": 0, "try_number": 2}, Verdict.TERMINATE, id="fewer retries since"),
        pytest.param({"job_id": "old", "max_tries": 2, "try_number": 0}, Verdict.LEAVE, id="a stale worker's XCom"),
        pytest.param({"job_id": "new"}, Verdict.LEAVE, id="an XCom that does not say whose it is"),
    ],
)
def test_a_deferred_task_loses_its_job_only_to_a_newer_attempts(
    stored: dict[str, object] | None, verdict: Verdict
) -> None:
    """A triggerer that stalled gets the same cancellation as a user's stop, and must leave a healthy job alone."""
    assert in_triggerer("deferred", stored, "mine", 1) is verdict


@given(stored=JSON)
def test_an_xcom_that_nobody_of_us_wrote_terminates_nothing_unless_it_names_a_later_attempt(stored: object) -> None:
    """XComs are not fenced, and anyone may use their key."""
    is_later = isinstance(stored, dict) and isinstance(stored.get("try_number"), int) and stored["try_number"] > 1
    verdict = in_triggerer("deferred", stored, "mine", 1)
    assert verdict is Verdict.LEAVE or is_later
    assert is_newer(stored, 1) is is_later


def test_a_retry_keeps_its_job() -> None:
    """A task that is up for retry will adopt the job."""
    assert in_triggerer("up_for_retry", MINE, "mine", 1) is Verdict.LEAVE


@pytest.mark.parametrize("state", ["scheduled", "queued", "running", "restarting", None])
def test_a_state_on_the_way_decides_nothing_yet(state: str | None) -> None:
    """Between two attempts only the next state tells whether this was a clear or a handover."""
    assert in_triggerer(state, MINE, "mine", 1) is Verdict.ASK_AGAIN


@pytest.mark.parametrize(
    ("state", "retry_left", "verdict"),
    [
        ("success", True, Verdict.TERMINATE),
        ("failed", True, Verdict.TERMINATE),
        (GONE, True, Verdict.TERMINATE),
        (None, True, Verdict.LEAVE),
        (None, False, Verdict.TERMINATE),
        ("restarting", True, Verdict.TERMINATE),
        ("running", True, Verdict.LEAVE),
        ("running", False, Verdict.TERMINATE),
        ("unknown", True, Verdict.LEAVE),
        ("unknown", False, Verdict.TERMINATE),
    ],
)
def test_sigterm_on_a_worker_ends_the_job_unless_a_retry_will_adopt_it(
    state: str | None, *, retry_left: bool, verdict: Verdict
) -> None:
    """An evicted worker leaves its job to the next attempt; a user's stop never does."""
    assert on_worker(state, retry_left=retry_left) is verdict
