"""Whose job it is: names by which a task instance's jobs are found, tags that tell which of them count."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.identity import (
    TAG_RESERVED,
    TAG_SIGNS,
    TAG_VALUE_LIMIT,
    TaskIdentity,
    TaskKey,
    new_job_name,
    owner_of,
    task_tags,
)

KEY = TaskKey("genomes.daily", "manual__2026-01-31T12:00:00+00:00", "prepare.align", 3)
IDENTITY = TaskIdentity(
    KEY,
    try_number=2,
    max_tries=4,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    deployment="prod",
)


def of(**changes: Any) -> TaskIdentity:
    """The identity of another task instance."""
    return replace(IDENTITY, key=replace(KEY, **changes))


def test_stored_generations_and_names_stay_readable() -> None:
    """They are stored in Airflow and in AWS: a running job must be found after an update of this package."""
    assert IDENTITY.generation == "3c0db79ac8e2f767"
    assert IDENTITY.job_name_prefix() == "genomes-daily-prepare-align-325435ff0acd"


def test_a_generation_lasts_until_a_user_clears_the_task() -> None:
    """A retry changes the try number alone."""
    assert replace(IDENTITY, try_number=3).generation == IDENTITY.generation
    cleared = [replace(IDENTITY, max_tries=5), replace(IDENTITY, traceparent="00-other")]
    for other in (*cleared, replace(IDENTITY, deployment="test"), of(map_index=4)):
        assert other.generation != IDENTITY.generation


def test_each_pass_of_a_loop_has_names_of_its_own() -> None:
    """Passes of a task have all else in common; outside of loops nothing changes."""
    passes = [of(loop_index=None), *(of(loop_index=number) for number in range(3))]
    assert len({each.job_name_prefix() for each in passes}) == len({each.generation for each in passes}) == 4
    assert str(passes[2].key) == f"{KEY.dag_id}.{KEY.task_id}[3], pass 1, of run {KEY.run_id}"


def test_a_pass_that_is_made_anew_is_another_generation() -> None:
    """Under the same name, so that the old one's job is found; a retry has the region of the first attempt."""
    one, other = (replace(of(loop_index=1), region_id=region) for region in ("region-1", "region-2"))
    assert one.generation == replace(one, try_number=3).generation != other.generation
    assert one.job_name_prefix() == other.job_name_prefix()


def test_one_prefix_finds_every_job_of_a_task_instance() -> None:
    """Whatever the generation; and no job of another task instance."""
    prefix = IDENTITY.job_name_prefix()
    assert replace(IDENTITY, try_number=3, max_tries=9, traceparent=None).job_name_prefix() == prefix
    assert IDENTITY.job_name_prefix("my name") == f"my-name-{prefix[-12:]}"
    others = [of(dag_id="d"), of(run_id="r"), of(task_id="t"), of(map_index=4), replace(IDENTITY, deployment="test")]
    for other in others:
        assert other.job_name_prefix("x") != IDENTITY.job_name_prefix("x")


def test_each_series_of_sends_has_a_name_of_its_own() -> None:
    """Legal, and cut in the text part only."""
    prefix = of(dag_id="d" * 250).job_name_prefix()
    name = new_job_name(prefix)
    assert re.fullmatch(r"d{108}-[0-9a-f]{12}-[0-9a-f]{6}", name)
    assert len(name) == 128
    assert new_job_name(prefix) != name


def test_tags_tell_whose_job_it_is() -> None:
    """Seven of them and the pass of a loop, with values that AWS accepts."""
    assert task_tags(IDENTITY) == {
        "airflow-dag-id": "genomes.daily",
        "airflow-run-id": "manual__2026-01-31T12:00:00+00:00",
        "airflow-task-id": "prepare.align",
        "airflow-map-index": "3",
        "airflow-try-number": "2",
        "airflow-generation": IDENTITY.generation,
        "airflow-deployment": "prod",
    }
    assert task_tags(IDENTITY, is_detached=True) == {**task_tags(IDENTITY), "airflow-detached": "true"}
    assert task_tags(of(loop_index=2)).items() > {"airflow-loop-index": "2", "airflow-map-index": "3"}.items()
    odd = task_tags(replace(of(run_id="a;b\tc" + "x" * 300), deployment=""))
    assert odd["airflow-run-id"] == "a_b_c" + "x" * 251
    assert odd["airflow-deployment"] == ""
    assert all(re.fullmatch(rf"[{TAG_SIGNS}]{{0,{TAG_VALUE_LIMIT}}}", value) for value in odd.values())


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        TaskKey("d", "r", "t"),
        TaskKey("a" * 250, "manual__2026-11-23T12:00:00.123456+00:00", "group.task"),
        TaskKey("dag-mit-Ümlaut", "лот 1", "t", 7),
        TaskKey("d", "r", "t", loop_index=0),
        TaskKey("d", "r", "t", 7, 12),
    ],
)
def test_a_job_names_its_owner(key: TaskKey) -> None:
    """What is read back is exactly what was written, whatever the name is cut to."""
    identity = TaskIdentity(key, deployment="here")
    name = new_job_name(identity.job_name_prefix("the user's own name for it"))
    assert owner_of(task_tags(identity), name, "here") == key


TEXTS = st.text(max_size=300) | st.text(max_size=5).map("Aws:{}".format)
KEYS = st.builds(TaskKey, TEXTS, TEXTS, TEXTS, st.integers(-1, 1_000_000), st.none() | st.integers(0, 1_000_000))


@given(key=KEYS, deployment=TEXTS, job_name=st.none() | TEXTS)
def test_names_and_tags_are_legal_and_lead_to_their_owner_or_to_nobody(
    key: TaskKey, deployment: str, job_name: str | None
) -> None:
    """Whatever a DAG, a run and a task are called; never to another task instance."""
    identity = TaskIdentity(key, deployment=deployment)
    name, tags = new_job_name(identity.job_name_prefix(job_name)), task_tags(identity)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", name)
    assert all(re.fullmatch(rf"[{TAG_SIGNS}]{{0,{TAG_VALUE_LIMIT}}}", value) for value in tags.values())
    assert not any(value.lower().startswith(TAG_RESERVED) for value in tags.values())
    is_exact = (tags["airflow-dag-id"], tags["airflow-run-id"], tags["airflow-task-id"]) == (
        key.dag_id,
        key.run_id,
        key.task_id,
    )
    assert owner_of(tags, name, deployment) == (key if is_exact else None)


@given(tags=st.dictionaries(st.sampled_from(sorted(task_tags(of(loop_index=0)))), TEXTS), job_name=TEXTS)
def test_a_job_of_somebody_elses_has_no_owner(tags: dict[str, str], job_name: str) -> None:
    """Its tags may hold anything."""
    assert owner_of(tags, job_name, "here") is None


def test_a_task_instance_is_named_as_airflow_shows_it() -> None:
    """With the index of a mapped one."""
    assert str(KEY) == "genomes.daily.prepare.align[3] of run manual__2026-01-31T12:00:00+00:00"
    assert str(TaskKey("d", "r", "t")) == "d.t of run r"
