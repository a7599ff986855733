"""What users are told about values that are wrong, missing, unknown, or do not fit together."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest

from airflow_batch_jobs.batch.definition import Field, JobDefinition
from airflow_batch_jobs.errors import DefinitionError, ParameterError


class Align(JobDefinition, name="align-reads", revision=7):
    """A definition as users write it."""

    sample: str
    reference: str = "s3://refs/hg38.fa"
    threads: int = Field(default=4, ge=1)

    def validate(self) -> None:
        """Refuse what does not fit together."""
        if self.sample == "big" and self.threads < 8:
            raise ValueError("the big sample needs 8 threads")


def test_a_wrong_value_is_named_in_one_line() -> None:
    """The definition, the parameter, the value and the declared type; the data is in attributes."""
    with pytest.raises(ParameterError) as caught:
        Align.from_parameters({"sample": "x", "threads": "four"})
    error = caught.value
    assert str(error) == (
        "Parameter 'threads' of align-reads:7 cannot be 'four': input should be a valid integer, unable to parse "
        "string as an integer (declared as int)"
    )
    assert (error.definition, error.field, error.value) == ("align-reads:7", "threads", "four")


def test_a_constraint_is_part_of_the_error() -> None:
    """`Field(ge=1)` says what it wants."""
    with pytest.raises(
        ParameterError, match=r"'threads' of \S+ cannot be 0: input should be greater than or equal to 1"
    ):
        Align(sample="x", threads=0)


def test_a_missing_parameter_is_named() -> None:
    """With its type."""
    with pytest.raises(ParameterError, match=r"Parameter 'sample' of align-reads:7 is missing \(declared as str\)"):
        Align.from_parameters({})


def test_an_unknown_parameter_is_named_with_its_nearest() -> None:
    """And with all there are."""
    with pytest.raises(ParameterError) as caught:
        Align.from_parameters({"sample": "x", "Thread": 3})
    assert str(caught.value).endswith("is unknown; known are sample, reference, threads. Did you mean 'threads'?")
    assert caught.value.field == "Thread"


def test_several_problems_are_one_error() -> None:
    """In one line; the attributes are the first one's."""
    with pytest.raises(ParameterError) as caught:
        Align.from_parameters({"threads": 0, "bogus": 1})
    text = str(caught.value)
    assert "\n" not in text
    assert text.lower().count("parameter '") == 3
    assert caught.value.field == "sample"


def test_a_problem_inside_of_a_value_says_where() -> None:
    """The place in the list, and for a union what each kind wants."""

    class Nested(JobDefinition, name="nested", revision=1):
        """A definition with a list and a union."""

        items: tuple[int, ...] = ()
        size: Annotated[int, Field(ge=1)] | Literal["all"] | None = 1

    with pytest.raises(
        ParameterError, match=r"'items' of \S+ cannot be 'b' at \[1\]: .*\(declared as tuple\[int, ...\]\)"
    ):
        Nested.from_parameters({"items": [1, "b"]})
    with pytest.raises(
        ParameterError, match=r"'size' of \S+ cannot be 'x'.* \(declared as int \| Literal\['all'\] \| None\)"
    ):
        Nested.from_parameters({"size": "x"})


def test_validate_compares_values() -> None:
    """Its ValueError becomes ours, with the definition's name."""
    with pytest.raises(DefinitionError, match=r"^align-reads:7: the big sample needs 8 threads$"):
        Align(sample="big")
    assert Align(sample="big", threads=8).threads == 8


def test_an_error_that_validate_makes_itself_stays_as_it_is() -> None:
    """A definition may name the parameter to blame."""

    class Own(JobDefinition, name="own", revision=1):
        """A definition with an opinion."""

        def validate(self) -> None:
            raise ParameterError("own", "x", "is odd", 3)

    with pytest.raises(ParameterError, match="Parameter 'x' of own is odd"):
        Own()
