"""Values that are known only at run time: where they are allowed, and when each is checked."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, field_validator

from airflow_batch_jobs.batch.definition import Field, JobDefinition, is_late
from airflow_batch_jobs.errors import DefinitionError, ParameterError


def _lower(text: str) -> str:
    if text != text.lower():
        raise ValueError("must be in small letters")
    return text


class Align(JobDefinition, name="align-reads", revision=7):
    """A definition with every kind of check on its text."""

    sample: str = Field(pattern=r"^NA\d+$", max_length=8)
    group: Annotated[str, AfterValidator(_lower)] | None = None
    reference: str = "s3://refs/{{ params.genome }}.fa"
    threads: int = Field(default=4, ge=1)
    inputs: tuple[str, ...] = ()

    @field_validator("reference")
    @classmethod
    def _on_s3(cls, value: str) -> str:
        if not value.startswith("s3://") or "{" in value:
            raise ValueError("must be on S3")
        return value

    def validate(self) -> None:
        """Refuse what does not fit together."""
        if self.sample == "NA1" and self.threads > 1:
            raise ValueError("NA1 takes one thread")


class XComArg:
    """Stands for what `airflow.sdk` makes of a task's result."""

    def __repr__(self) -> str:
        return "XComArg(upstream)"


class PlainXComArg(XComArg):
    """A task's result itself."""


XComArg.__module__ = "airflow.sdk.definitions.xcom_arg"


@pytest.mark.parametrize(
    "value",
    ["{{ ds }}", "a {% if x %}b{% endif %}", ["x", "{{ ds }}"], {"k": ("{{ ds }}",)}, PlainXComArg(), [XComArg()]],
)
def test_templates_and_results_are_late(value: Any) -> None:
    """However deep they are nested."""
    assert is_late(value)


@pytest.mark.parametrize("value", ["x", "{ds}", "}}", 5, None, ["x"], {"k": "v"}, object()])
def test_all_else_is_known(value: Any) -> None:
    """Braces alone do not make a template."""
    assert not is_late(value)


def test_a_template_waits_with_every_check_on_it() -> None:
    """Constraints, annotated and own validators, and `validate()` see no template."""
    align = Align(sample="{{ dag_run.conf['sample'] }}", group="{{ GROUP }}", threads=2)
    assert align.to_dict()["sample"] == "{{ dag_run.conf['sample'] }}"
    assert align.reference == "s3://refs/{{ params.genome }}.fa"
    rendered = align.with_parameters({"sample": "NA2", "group": "x", "reference": "s3://refs/hg38.fa"})
    assert rendered.to_dict()["sample"] == "NA2"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("sample", "XX1", "'sample' of align-reads:7 cannot be 'XX1': string should match pattern"),
        (
            "sample",
            "NA12345678",
            "'sample' of align-reads:7 cannot be 'NA12345678': string should have at most 8 characters",
        ),
        ("group", "Upper", "'group' of align-reads:7 cannot be 'Upper': must be in small letters"),
        ("reference", "/local", "'reference' of align-reads:7 cannot be '/local': must be on S3"),
        ("threads", "0", "'threads' of align-reads:7 cannot be '0': input should be greater"),
    ],
)
def test_what_a_template_is_rendered_to_is_checked(name: str, text: str, problem: str) -> None:
    """Naming the parameter and the value."""
    rendered = {"sample": "NA2", "reference": "s3://x", name: text}
    with pytest.raises(ParameterError, match=f"Parameter {problem}"):
        Align(sample="{{ x }}").with_parameters(rendered)
    with pytest.raises(ParameterError, match=f"Parameter {problem}"):
        Align.from_parameters(rendered)


def test_values_are_compared_after_rendering() -> None:
    """`validate()` runs once all values are known."""
    align = Align(sample="{{ x }}", threads=2)
    with pytest.raises(DefinitionError, match="align-reads:7: NA1 takes one thread"):
        align.with_parameters({"sample": "NA1", "reference": "s3://x"})


def test_after_rendering_braces_are_data() -> None:
    """No check is skipped because of what came from upstream."""
    with pytest.raises(ParameterError, match=r"'sample' of \S+ cannot be '{{ x }}': string should match"):
        Align(sample="{{ x }}").with_parameters({"reference": "s3://x"})
    free = JobDefinition.named("free:1", {"x": "{{ ds }}"}).with_parameters({"y": "{{ kept }}"})
    assert free.to_dict() == {"x": "{{ ds }}", "y": "{{ kept }}"}


def test_a_template_in_a_list_of_text_waits() -> None:
    """Its items are text."""
    align = Align(sample="NA1", threads=2, reference="s3://x", inputs=("{{ ds }}/a", "b"))
    assert align.to_data()["inputs"] == ["{{ ds }}/a", "b"]
    with pytest.raises(DefinitionError, match="NA1 takes one thread"):
        align.with_parameters({"inputs": ["2026/a", "b"]})


def test_a_template_where_no_text_is_declared_is_refused() -> None:
    """With the place where it belongs."""
    with pytest.raises(ParameterError) as caught:
        Align(sample="NA2", threads="{{ params.threads }}")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Parameter 'threads' of align-reads:7 is '{{ params.threads }}': only text (str) takes a template. Give what "
        "is known only at run time to the operator: BatchJobOperator(definition=Align, parameters={'threads': …})."
    )


@pytest.mark.parametrize("value", [XComArg(), PlainXComArg(), [XComArg()], {"k": (XComArg(),)}])
def test_a_tasks_result_is_refused_in_the_constructor(value: Any) -> None:
    """With the place where it belongs; also without a class."""
    with pytest.raises(
        ParameterError, match=r"'sample' of \S+ is a task's result or .*definition=Align, parameters={'sample'"
    ):
        Align(sample=value)
    with pytest.raises(
        ParameterError, match=r"'x' of \S+ is a task's result or .*definition=\"free:1\", parameters={'x'"
    ):
        JobDefinition.named("free:1", {"x": value})


def test_known_values_are_checked_beside_late_ones() -> None:
    """At parse time the literal values are what can be wrong."""
    late = {"sample": XComArg(), "threads": "{{ params.threads }}", "inputs": ["{{ ds }}"]}
    Align.check_partial(late)
    with pytest.raises(ParameterError, match=r"'threads' of \S+ cannot be 0"):
        Align.check_partial({**late, "threads": 0})
    with pytest.raises(ParameterError, match=r"'sample' of \S+ is missing"):
        Align.check_partial({"threads": "{{ params.threads }}"})
    with pytest.raises(ParameterError, match=r"'treads' of \S+ is unknown; .* Did you mean 'threads'"):
        Align.check_partial({**late, "treads": "{{ x }}"})


def test_a_text_that_would_be_accepted_later_is_accepted_at_parse_time() -> None:
    """A literal is read as a rendered one will be."""
    Align.check_partial({"sample": "{{ x }}", "threads": "4", "inputs": '["a"]'})
    with pytest.raises(ParameterError, match=r"'threads' of \S+ cannot be 'four'"):
        Align.check_partial({"sample": "{{ x }}", "threads": "four"})


def test_known_values_are_compared_at_parse_time_if_all_are_known() -> None:
    """`validate()` needs them all."""
    known = {"sample": "NA1", "threads": 2, "reference": "s3://x"}
    with pytest.raises(DefinitionError, match="NA1 takes one thread"):
        Align.check_partial(known)
    Align.check_partial({**known, "inputs": XComArg()})


def test_an_instance_checks_what_comes_over_its_own_values() -> None:
    """Its own values count where none override them; errors name its revision."""
    align = Align(sample="NA1", threads=1, reference="s3://x").at_revision(9)
    align.check_with({"inputs": XComArg(), "threads": 2})
    with pytest.raises(DefinitionError, match="align-reads:9: NA1 takes one thread"):
        align.check_with({"threads": "2"})
    with pytest.raises(ParameterError, match="Parameter 'threads' of align-reads:9 cannot be 0"):
        align.check_with({"inputs": XComArg(), "threads": 0})


def test_a_literal_of_a_wrong_kind_is_found_in_a_definition_without_a_class() -> None:
    """It has no declared parameters, but its values still need a text."""
    named = JobDefinition.named("free:1", {"z": "{{ ds }}"})
    named.check_with({"x": XComArg(), "y": 1})
    with pytest.raises(ParameterError, match="Parameter 'y' of free:1 is bytes"):
        named.check_with({"x": XComArg(), "y": b"1"})


def test_defaults_can_be_templates() -> None:
    """They are rendered beside what is given."""
    assert Align.defaults()["reference"] == "s3://refs/{{ params.genome }}.fa"
    assert "sample" not in Align.defaults()
    assert Align.from_parameters({"sample": "NA2", "reference": "s3://x"}).reference == "s3://x"


def test_validators_of_a_base_class_wait_too() -> None:
    """Whichever class of the line declares them."""

    class Longer(Align):
        """The same with a check of its own."""

        @field_validator("sample", mode="before")
        @classmethod
        def _even(cls, value: str) -> str:
            if int(value[-1]) % 2:
                raise ValueError("must be even")
            return value

    assert Longer(sample="{{ x }}").sample == "{{ x }}"
    with pytest.raises(ParameterError, match="must be even"):
        Longer.from_parameters({"sample": "NA3", "reference": "s3://x"})
