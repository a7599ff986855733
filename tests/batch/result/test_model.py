"""The model of a result: where it is declared, and what does not fit it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field, field_validator

from airflow_batch_jobs.batch.definition import JobDefinition
from airflow_batch_jobs.batch.result.model import dump_result, fields_of, read_result, result_model
from airflow_batch_jobs.errors import DefinitionError, ResultError

#: Any JSON, of whatever shape.
DATA = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


class Align(JobDefinition, name="align", revision=1):
    """A definition with a result."""

    sample: str

    class Result(BaseModel):
        """What it hands back."""

        bam: str
        counts: list[int] = []
        on: date | None = None


class Plain(JobDefinition, name="plain", revision=1):
    """A definition without one."""


class Other(BaseModel):
    """Another result."""

    vcf: str


def test_a_definition_declares_its_result_and_an_argument_overrides_that() -> None:
    """By the class or an instance; a subclass inherits it, and it is no parameter of the job."""

    class Longer(Align):
        """Inherits it."""

    assert result_model(None, Align) is Align.Result
    assert result_model(None, Align(sample="s")) is Align.Result
    assert result_model(None, Longer) is Align.Result
    assert result_model(Other, Align) is Other
    assert result_model(Other, None) is Other
    assert result_model(None, Plain) is None
    assert result_model(None, None) is None
    assert Align(sample="s").parameters == ("sample",)


def test_what_is_no_model_is_refused() -> None:
    """A class that forgot BaseModel, an instance of a model, a dict; the error says which."""

    class Forgot(JobDefinition, name="forgot", revision=1):
        """Its Result is another kind of class."""

        @dataclass
        class Result:
            """No model."""

            bam: str

    with pytest.raises(DefinitionError, match=r"^Forgot.Result is .* not a pydantic model"):
        result_model(None, Forgot)
    for given_result in (Other(vcf="x"), {"bam": str}, "Align", Plain(), dict):
        with pytest.raises(DefinitionError, match=r"^result= is .* not a pydantic model"):
            result_model(given_result, Align)
    with pytest.raises(DefinitionError, match=r"is the job definition Align, not .* Pass Align\.Result"):
        result_model(Align, None)
    with pytest.raises(DefinitionError, match="not a pydantic model"):
        result_model(BaseModel, None)


def test_a_result_is_read_as_json() -> None:
    """A date is a text there; what a task returns is JSON again. Without a model it is what it is."""
    read = read_result(Align.Result, '{"bam": "x", "on": "2026-01-31", "more": 1}', "j")
    assert read == Align.Result(bam="x", on=date(2026, 1, 31))
    assert dump_result(read, "j") == {"bam": "x", "counts": [], "on": "2026-01-31"}
    assert read_result(None, '{"more": [1]}', "j") == {"more": [1]}
    assert dump_result(read_result(RootModel[list[str]], '["a"]', "j"), "j") == ["a"]


@pytest.mark.parametrize(
    ("text", "field", "value", "problem"),
    [
        ("{}", "bam", None, "field 'bam' is missing"),
        ('{"bam": 3}', "bam", 3, "field 'bam' cannot be 3 (Input should be a valid string)"),
        ('{"bam": "x", "counts": [1, "two"]}', "counts.1", "two", "field 'counts.1' cannot be 'two'"),
        ("[1]", "", [1], "the whole cannot be [1]"),
    ],
)
def test_an_error_names_field_and_value(text: str, field: str, value: Any, problem: str) -> None:
    """In the message and as attributes; and says what to correct."""
    with pytest.raises(ResultError) as raised:
        read_result(Align.Result, text, "j")
    error = raised.value
    assert (error.job_id, error.field, error.value, error.is_missing) == ("j", field, value, False)
    assert problem in str(error)
    assert "Correct what the job prints, or Align.Result. The job has succeeded" in str(error)


def test_a_long_list_of_problems_and_a_long_value_are_cut() -> None:
    """A message is for a person."""
    text = json.dumps({"bam": "x" * 100_000, "counts": ["y" * 100_000] * 1000})
    with pytest.raises(ResultError, match="and 997 more") as raised:
        read_result(Align.Result, text, "j")
    assert len(str(raised.value)) < 1_000


def test_whatever_a_class_raises_is_an_error_of_the_result() -> None:
    """A validator is anybody's code."""

    class Broken(BaseModel):
        """Looks up what is not there."""

        bam: str

        @field_validator("bam")
        @classmethod
        def look_up(cls, value: str) -> str:
            """Fail."""
            return {"x": "y"}[value]

    with pytest.raises(ResultError, match=r"could not be read by .*Broken \(KeyError\('z'\)\)"):
        read_result(Broken, '{"bam": "z"}', "j")


class Measured(BaseModel):
    """Numbers in every place."""

    x: float = 0
    more: list[float] = []
    by_name: dict[str, float] = {}


@given(
    st.sampled_from(["x", "more.1", "by_name.p"]),
    st.sampled_from(['"NaN"', '"Infinity"', '"-Infinity"', '"1e400"', "1" + "0" * 400]),
)
def test_a_number_that_json_does_not_have_is_no_result(place: str, number: str) -> None:
    """As text it fits a float; what a task returns would be null."""
    texts = {
        "x": f'{{"x": {number}}}',
        "more.1": f'{{"more": [1, {number}]}}',
        "by_name.p": f'{{"by_name": {{"p": {number}}}}}',
    }
    with pytest.raises(ResultError, match=r"JSON has no such number|Input should be") as raised:
        dump_result(read_result(Measured, texts[place], "j"), "j")
    assert raised.value.field == place


def test_a_model_that_writes_such_numbers_as_text_is_left_to_it() -> None:
    """Text is JSON; a null that a model means is one."""

    class Named(BaseModel):
        """Writes them as text."""

        model_config = ConfigDict(ser_json_inf_nan="strings")

        x: float
        y: float | None = None

    assert dump_result(read_result(Named, '{"x": "NaN"}', "j"), "j") == {"x": "NaN", "y": None}


class Many(BaseModel):
    """Fields of all kinds."""

    model_config = ConfigDict(extra="allow", serialize_by_alias=True)

    x: int = Field(alias="the-x")
    y: int = 0

    @computed_field  # type: ignore[prop-decorator]  # as pydantic has it
    @property
    def double(self) -> int:
        """Twice as much."""
        return self.x * 2


def test_each_field_is_an_xcom_by_its_name_in_the_class_and_in_the_data() -> None:
    """Computed and extra ones as well, but never another XCom of the task."""
    data = dump_result(read_result(Many, '{"the-x": 3, "more": 1, "batch_job": 7, "": 1}', "j"), "j")
    assert data == {"the-x": 3, "y": 0, "double": 6, "more": 1, "batch_job": 7, "": 1}
    assert fields_of(data, Many) == {"x": 3, "the-x": 3, "y": 0, "double": 6, "more": 1}
    crowd = {"y": 1, **{f"extra-{number}": number for number in range(1000)}}
    assert len(fields_of(crowd, Many)) == 101


@pytest.mark.parametrize(
    "name", ["../other/return_value", "a/../b", "x?y", "x#y", "#1", "a%20b", ".", "..", "\n", "a\n", "größe", "x" * 513]
)
def test_a_name_that_airflow_would_read_otherwise_is_no_xcom(name: str) -> None:
    """It goes into a URL as it is, where it could name an XCom of another task; the value stays in the result."""
    data = dump_result(read_result(Many, json.dumps({"the-x": 3, name: 7}), "j"), "j")
    assert data[name] == 7
    assert fields_of(data, Many) == {"x": 3, "the-x": 3, "y": 0, "double": 6}


def test_what_a_model_hides_is_not_told() -> None:
    """Neither in the message nor as an attribute."""

    class Hidden(BaseModel):
        """Says so."""

        model_config = ConfigDict(hide_input_in_errors=True)

        token: int

    with pytest.raises(ResultError) as raised:
        read_result(Hidden, '{"token": "hunter2"}', "j")
    assert "hunter2" not in str(raised.value)
    assert raised.value.value is None


def test_a_long_reason_is_cut() -> None:
    """A validator can say anything."""

    class Talkative(BaseModel):
        """Says much."""

        bam: str

        @field_validator("bam")
        @classmethod
        def look(cls, value: str) -> str:
            """Fail."""
            raise ValueError(value * 10_000)

    with pytest.raises(ResultError) as raised:
        read_result(Talkative, '{"bam": "much"}', "j")
    assert len(str(raised.value)) < 1_000


@given(st.text() | DATA.map(json.dumps))
def test_any_text_is_a_result_or_an_error_of_ours(text: str) -> None:
    """And every message is text."""
    try:
        dump_result(read_result(Align.Result, text, "j"), "j")
    except ResultError as error:
        str(error).encode()
