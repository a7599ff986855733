"""What a worker and a triggerer hand each other: stored formats, which outlive restarts and upgrades."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args, get_type_hints
from uuid import UUID

import pytest
from airflow.jobs.triggerer_job_runner import TriggerEventEntry, messages
from airflow.sdk.execution_time.comms import SetTaskStateStore, SetXCom, _RequestFrame
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs import errors
from airflow_batch_jobs.batch.diagnosis import Cause, Diagnosis
from airflow_batch_jobs.batch.identity import TaskKey
from airflow_batch_jobs.batch.storable import storable
from airflow_batch_jobs.task.handover import Outcome, WaitPlan
from airflow_batch_jobs.task.pushed_job import PushedJob
from airflow_batch_jobs.task.record import TaskStateWaits
from airflow_batch_jobs.task.supervisor import TaskInstance
from airflow_batch_jobs.triggers import BatchJobTrigger, JobEvent
from tests.batch.test_storable import anything, assert_storable, texts

if TYPE_CHECKING:
    from tests.task.api_server import ApiServer

#: An event as version 0.1.0 fires it.
EVENT: dict[str, Any] = {
    "job": {"job_id": "1a2b", "job_name": "align", "status": "FAILED", "exit_code": 3, "status_reason": "why"},
    "summary": "FAILED in 3 s",
    "diagnosis": {"cause": "exit code", "summary": "It failed (exit code 3).", "remedy": "Read its log."},
    "unread": [
        {
            "label": "attempt 2",
            "group": "/aws/batch/job",
            "region": "eu-central-1",
            "stream": "align/default/1",
            "cursor": {"floor": 5, "newest": 9, "keys": [1, 2], "numbered": [9, 1]},
        }
    ],
    "timed_out": False,
    "error": None,
    "rendered": None,
}
#: Text that can be stored, as long as real summaries are.
words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)


def test_a_plan_passes_over_what_it_does_not_know() -> None:
    """A newer version may have stored more."""
    assert WaitPlan.from_dict({"job_id": "1a2b", "later": 1}) == WaitPlan(job_id="1a2b")


def test_a_plan_checks_its_interval_where_it_arrives() -> None:
    """A stored trigger is older than the check at parse time; it fails alone, before it joins the others."""
    assert WaitPlan.from_dict({"job_id": "1", "poll_interval": "10"}).poll_interval == 10
    with pytest.raises(ValueError, match="poll_interval must be a number above 0, not -1"):
        WaitPlan.from_dict({"job_id": "1", "poll_interval": -1})


@pytest.mark.parametrize(
    "name", [name for name, kind in get_type_hints(WaitPlan).items() if datetime in get_args(kind)]
)
@pytest.mark.parametrize(
    "value", ["soon", "", "2026-11-26T09:00:00", 1_795_680_000, ["2026"], "2026-11-26T09:00:00+99:00"]
)
def test_a_time_that_is_none_is_named_where_it_arrives(name: str, value: Any) -> None:
    """Of the stored ones each has its offset; Airflow fails the trigger alone, with that error."""
    with pytest.raises(ValueError, match=f"^{name} must be a time such as 2026-11-26T09:00:00"):
        WaitPlan.from_dict({"job_id": "1", name: value})
    with pytest.raises(TypeError, match=f"^{name} must be a time such as "):
        BatchJobTrigger("1", **{name: value})
    given: dict[str, Any] = {name: datetime(2026, 11, 26, 9, tzinfo=UTC)}
    assert getattr(BatchJobTrigger("1", **given).plan, name) == given[name]


def test_an_event_is_read_as_it_was_fired() -> None:
    """The worker learns from it how the job ended, and why."""
    outcome = Outcome.from_event({**EVENT, "later": 1})
    assert outcome.to_event().items() >= EVENT.items()
    with pytest.raises(errors.JobFailedError) as raised:
        outcome.raise_for_status()
    assert raised.value.diagnosis == Diagnosis(Cause.EXIT_CODE, "It failed (exit code 3).", "Read its log.")
    assert (raised.value.job_id, raised.value.exit_code, raised.value.status_reason) == ("1a2b", 3, "why")


def test_a_diagnosis_of_a_newer_version_is_still_told() -> None:
    """A cause that this version does not know loses its name, not its words."""
    told = Diagnosis.from_dict({"cause": "meteorite", "summary": "It was hit.", "remedy": "Duck."})
    assert told == Diagnosis(Cause.UNKNOWN, "It was hit.", "Duck.")


def test_an_error_crosses_to_the_worker() -> None:
    """What made waiting impossible is raised on the worker as it was in the triggerer."""
    denied = errors.AccessDeniedError("no", action="batch:DescribeJobs", code="AccessDenied")
    with pytest.raises(errors.AccessDeniedError, match="no") as raised:
        Outcome.from_event(Outcome.of_error("1a2b", denied).to_event()).raise_for_error()
    assert (raised.value.action, raised.value.code) == ("batch:DescribeJobs", "AccessDenied")
    with pytest.raises(errors.JobNotFoundError, match="1a2b"):
        Outcome.from_event(Outcome.of_error("1a2b", errors.JobNotFoundError("1a2b")).to_event()).raise_for_error()


@given(
    plan=st.builds(
        WaitPlan,
        job_id=st.text(),
        poll_interval=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
        copy_logs=st.booleans(),
        terminate_on_kill=st.booleans(),
        deadline=st.none() | st.datetimes(timezones=st.just(UTC)),
        submitted_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        rendered=st.none() | st.dictionaries(st.text(), st.text()),
        resumed=st.integers(min_value=0),
        begins_at=st.none() | st.datetimes(timezones=st.just(UTC)),
        on_retry=st.lists(st.dictionaries(st.text(), st.text() | st.booleans())),
    )
)
def test_a_plan_is_read_as_it_was_stored(plan: WaitPlan) -> None:
    """Through JSON, as in Airflow's database."""
    assert WaitPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


@given(summary=words, status=words, later=st.dictionaries(st.text(min_size=12), st.integers()))
def test_whatever_a_newer_version_adds_an_event_is_read(summary: str, status: str, later: dict[str, int]) -> None:
    """A state that this version does not know is neither success nor failure."""
    outcome = Outcome(job={"job_id": "1a2b", "status": status}, summary=summary)
    read = Outcome.from_event(json.loads(json.dumps({**later, **outcome.to_event()})))
    assert read == outcome
    assert (read.succeeded, read.failed) == (status == "SUCCEEDED", status == "FAILED")


@given(
    st.builds(
        Outcome,
        job=st.dictionaries(texts, anything, max_size=3).map(lambda more: {**more, "job_id": "1a2b"}),
        summary=texts | st.just("\U0001f600" * 9_999),
        diagnosis=st.none() | st.dictionaries(st.sampled_from(["cause", "summary", "remedy"]), texts),
        unread=st.lists(st.dictionaries(texts, anything, max_size=2), max_size=3),
        error=st.none()
        | st.fixed_dictionaries({"type": st.just("AwsError"), "message": texts | st.just("x" * 99_999)}),
        rendered=st.none() | st.dictionaries(texts, anything, max_size=3),
    )
)
def test_any_event_is_small_and_airflow_can_hand_it_on(outcome: Outcome) -> None:
    """By its own encoder: what that does not take ends a triggerer, with all that wait in it."""
    event = outcome.to_event()
    assert assert_storable(event) < 48 * 1024
    sent = messages.TriggerStateChanges(events=[TriggerEventEntry(1, JobEvent(payload=event), None)], finished=[1])
    _RequestFrame(id=1, body=sent.model_dump()).as_bytes()
    assert Outcome.from_event(event).job_id == "1a2b"
    assert (event["error"] is None) == (outcome.error is None)


@given(job_id=texts, rendered=st.dictionaries(texts, anything, max_size=3))
def test_a_trigger_can_be_stored_whatever_it_waits_for(job_id: str, rendered: dict[str, Any]) -> None:
    """Its kwargs cross the same way when a task defers."""
    _, kwargs = BatchJobTrigger(job_id, rendered=rendered).serialize()
    assert_storable(kwargs)


@given(anything)
def test_airflow_takes_whatever_is_storable(value: Any) -> None:
    """As an XCom and in the task state store."""
    where = {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1}
    for body in (
        SetXCom(key="batch_job", value=storable(value), **where),
        SetTaskStateStore(ti_id=UUID(int=1), key="batch_job", value=storable(value) or {}, expires_at=None),
    ):
        _RequestFrame(id=1, body=body.model_dump()).as_bytes()


def test_whatever_is_written_into_airflows_stores_can_be_stored(api_server: ApiServer) -> None:
    """An XCom from a triggerer, one from a worker, a plan."""
    odd = {"job_id": "1a2b", "status_reason": "\ud83d", "exit_code": 2**70}
    stored: dict[str, Any] = {}
    asyncio.run(TaskInstance(TaskKey("d", "r", "t")).set_xcom("ours", odd))
    ti: Any = SimpleNamespace(xcom_push=stored.__setitem__, try_number=1, max_tries=0)
    PushedJob(ti).push(odd)
    store: Any = SimpleNamespace(set=stored.__setitem__)
    TaskStateWaits(store, 1).write(WaitPlan(job_id="\ud83d"))
    assert len(stored) == 2
    assert_storable([api_server.xcoms, stored])
