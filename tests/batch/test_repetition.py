"""What a repetition makes of what AWS answers, whatever that is."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.repetition import Repetition

_MEMBERS = st.sampled_from(
    [
        "arrayProperties",
        "command",
        "container",
        "containerProperties",
        "environment",
        "jobDefinition",
        "name",
        "parameters",
        "propagateTags",
        "resourceRequirements",
        "retryStrategy",
        "schedulingPriority",
        "shareIdentifier",
        "size",
        "tags",
        "timeout",
        "type",
        "value",
    ]
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_MEMBERS, inner, max_size=4),
    max_leaves=12,
)
_ENTRIES = st.dictionaries(_MEMBERS, _ANYTHING)


@given(_ENTRIES, _ENTRIES)
def test_any_answer_makes_a_repetition(job: dict[str, Any], defined: dict[str, Any]) -> None:
    """What is of another kind than AWS's counts as left out."""
    made = Repetition.of(job, defined)

    assert all(isinstance(value, str) for value in made.parameters.values())
    assert made.container_overrides.keys() <= {"command", "environment", "resourceRequirements"}


def test_what_batch_adds_itself_is_not_asked_for() -> None:
    """AWS refuses variables of this name."""
    variable = {"name": "AWS_BATCH_JOB_ID", "value": "1"}
    assert not Repetition.of({"container": {"environment": [variable]}}, {}).container_overrides


def test_the_older_fields_of_a_definition_are_its_resources() -> None:
    """AWS shows them as resourceRequirements of the job."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    job = {"container": {"resourceRequirements": needs}}

    assert not Repetition.of(job, {"containerProperties": {"vcpus": 1, "memory": 128}}).container_overrides
    assert Repetition.of(job, {"containerProperties": {"vcpus": 1, "memory": 64}}).container_overrides == {
        "resourceRequirements": needs[1:]
    }
