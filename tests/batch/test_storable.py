"""Whatever AWS says of a job can be encoded, stored and handed on, and has a bounded size."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.aws import explain
from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.detail import JobDetail
from airflow_batch_jobs.batch.diagnosis import diagnose
from airflow_batch_jobs.batch.storable import not_storable, storable, within
from airflow_batch_jobs.batch.summary import summarize
from airflow_batch_jobs.batch.waiting import why_waiting
from airflow_batch_jobs.errors import BatchJobsError, ParameterError, RequestError
from tests.batch.conftest import JOB_ID, Entries, request_for

HALF, NUL = "\ud83d", "\0"
#: Text with everything that JSON's escapes can make.
texts = st.text(st.characters(categories=None) | st.sampled_from([HALF, NUL, "\ude00"]), max_size=20)
numbers = st.integers() | st.sampled_from([2**63, -(2**70), 10**400]) | st.floats()
leaves = st.none() | st.booleans() | numbers | texts | st.just("x" * 100_000)
anything = st.recursive(
    leaves, lambda each: st.lists(each, max_size=3) | st.dictionaries(texts, each, max_size=3), max_leaves=6
)
entries = Entries()
SHAPES = (
    entries.single(tags={"a": "b"}, parameters={"p": "q"}, dependsOn=[{"jobId": "z"}], timeout={}, retryStrategy={}),
    entries.failed(137, "OutOfMemoryError: killed"),
    entries.array({"RUNNING": 2, "FAILED": 1}),
    entries.child(3),
    entries.multi_node(2),
    entries.node(1),
    entries.eks(),
    entries.multi_container({"main": {"exitCode": 1, "logStreamName": "a/main/1"}, "side": {}}),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where something stands in a structure."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [each for key, item in members for each in ((*path, key), *places(item, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], item: Any) -> Any:
    """Return a structure with another value in one place."""
    if not path:
        return item
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], item)
    return copy


@st.composite
def odd_entries(draw: st.DrawFn) -> dict[str, Any]:
    """An entry of any shape with anything in some of its places."""
    entry: dict[str, Any] = draw(st.sampled_from(SHAPES))
    for _ in range(draw(st.integers(1, 3))):
        entry = changed(entry, draw(st.sampled_from(places(entry))), draw(anything))
    return entry


def assert_storable(value: Any) -> int:
    """Check that every encoder on the way takes a value; return the size of its JSON."""
    msgspec.msgpack.encode(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    assert NUL not in text
    assert "\\u0000" not in text
    text.encode()
    return len(json.dumps(value))


@given(odd_entries())
def test_whatever_an_entry_holds_what_is_told_of_it_can_be_stored(entry: dict[str, Any]) -> None:
    """Its diagnosis, its summary: without half characters, and numbers that no encoder takes."""
    detail = JobDetail.from_response(entry, "eu-central-1")
    told: tuple[Any, ...] = (diagnose(detail).to_dict(), summarize(detail), str(why_waiting(detail, 1e6)))
    assert assert_storable([*told, detail.logs_elsewhere(), [stream.key for stream in detail.log_streams()]]) < 2**18
    assert len(detail.part_ids()) <= 10_000


@given(odd_entries())
def test_an_odd_member_costs_no_other_one(entry: dict[str, Any]) -> None:
    """What can be read of the entry still is."""
    detail = JobDetail.from_response({**entry, "status": "FAILED", "jobId": JOB_ID}, "")
    assert (detail.status, detail.job_id) == ("FAILED", JOB_ID)


def test_half_a_character_of_a_reason_costs_that_half_alone() -> None:
    """A reason that AWS cut in the middle of a character is told with U+FFFD at its end."""
    reason = f"CannotStartContainerError: exec: {HALF}"
    detail = entries.read(entries.failed(2**70, reason, jobName=f"a{NUL}b"))
    assert (detail.reason, detail.job_name, detail.exit_code) == (f"{reason[:-1]}\ufffd", "a\ufffdb", None)


def test_numbers_of_parts_are_bounded_as_aws_bounds_them() -> None:
    """An absurd count makes no list: an array has at most 10,000 children, a multi-node job 1,000 nodes."""
    array = entries.read(entries.array({"RUNNING": 10**12}, arrayProperties={"size": 10**12}))
    assert len(array.part_ids()) == 10_000
    nodes = entries.read(changed(entries.multi_node(2), ("nodeProperties", "numNodes"), 10**12))
    assert len(nodes.part_ids()) == 1_000


@given(anything, st.integers(2_000, 100_000))
def test_any_value_has_a_storable_form_of_any_size(value: Any, most: int) -> None:
    """Cut only as far as need be."""
    whole, cut = storable(value), within(value, most)
    size = assert_storable(whole)
    assert assert_storable(cut) <= most
    assert size > most or cut == whole


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**65), 2**65)
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    ),
    st.integers(0, 25),
)
def test_what_of_json_data_is_not_storable_is_found(data: Any, depth: int) -> None:
    """If and only if something would be stored otherwise; the way to it leads there."""
    for _ in range(depth):
        data = {"in": [data]}
    found = list(not_storable(data))
    assert bool(found) is (storable(data) != data)
    for path, value, _ in found:
        there = data
        for step in path:
            is_name = isinstance(there, dict) and step == value
            there = step if is_name else there[step]
        assert there == value


def test_a_value_without_a_storable_form_is_left_out() -> None:
    """Something nested without end, an object that has no text, a value that is still too large when it is cut."""

    class Odd:
        """Cannot say what it is."""

        def __str__(self) -> str:
            raise RuntimeError

    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert_storable(storable(deep))
    assert storable({1: Odd(), "t": (1, {2})}) == {"1": "Odd", "t": [1, [2]]}
    assert within([["x" * 64] * 64] * 64, 1_000) is None


@given(texts)
def test_an_error_of_aws_can_be_stored_and_so_can_its_cause(message: str) -> None:
    """Logs show both; botocore's own text is AWS's."""
    cause = ClientError({"Error": {"Code": "ClientException", "Message": message}}, "DescribeJobs")
    error = explain(cause, "batch:DescribeJobs")
    assert_storable([str(error), str(cause)])
    assert_storable(str(BatchJobsError(message)))


def test_half_a_character_in_a_request_is_an_error_that_names_the_field() -> None:
    """A file name that is not UTF-8 becomes such a text in Python; AWS is not sent what is no text."""
    with pytest.raises(ParameterError, match=r"Parameter 'sample' of \S+ holds half of a character"):
        JobDefinition.named("align:7", {"sample": HALF}).to_dict()
    with pytest.raises(RequestError, match="jobQueue: holds half of a character"):
        request_for("align:7", job_queue=HALF).validate()
    with pytest.raises(RequestError, match=r"parameters: has the key .* which is not text"):
        request_for("align:7", parameters={HALF: "x"}).validate()
