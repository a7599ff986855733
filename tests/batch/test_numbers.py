"""Numbers as users give them."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.numbers import LEAST, MOST, positive, reasonable


@pytest.mark.parametrize(
    ("value", "read"), [(5, 5), (0.2, 0.2), ("10", 10), (" 1e1 ", 10), (timedelta(minutes=1), 60), (10**300, 10**300)]
)
def test_a_number_is_read_in_whatever_way_it_is_given(value: Any, read: float) -> None:
    """As a number, as text, as a span of time."""
    assert positive(value, "n") == read


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "", "soon", True, None, [], timedelta(), 10**400])
def test_anything_else_is_refused_by_name(value: Any) -> None:
    """The message says what was given."""
    with pytest.raises(ValueError, match="poll_interval must be a number above 0, not "):
        positive(value, "poll_interval")


def test_zero_may_do() -> None:
    """Where nothing is divided by it."""
    assert positive(0, "n", or_zero=True) == positive("0", "n", or_zero=True) == 0
    with pytest.raises(ValueError, match="from 0"):
        positive(-0.1, "n", or_zero=True)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.timedeltas(), st.lists(st.integers())))
def test_what_is_returned_is_always_finite_and_above_zero(value: Any) -> None:
    """Or nothing is returned."""
    try:
        number = positive(value, "n")
    except ValueError:
        return
    assert 0 < number < math.inf


@pytest.mark.parametrize("value", [1e10, "1e308", 10**300, 1e-300, timedelta.max])
def test_a_number_beyond_all_reason_is_refused_by_name(value: Any) -> None:
    """Those between are accepted, and 0 where it will do."""
    with pytest.raises(ValueError, match=r"^poll_interval must be between 0.000001 and 1,000,000,000, not "):
        reasonable(value, "poll_interval")
    assert [reasonable(each, "n") for each in (LEAST, "5", MOST)] == [LEAST, 5, MOST]
    assert reasonable(0, "n", or_zero=True) == 0


def test_a_number_of_thousands_of_digits_is_refused_by_name() -> None:
    """Python does not write it."""
    with pytest.raises(ValueError, match=r"^n must be a number above 0, not a value of type int$"):
        positive(10**5_000, "n")
