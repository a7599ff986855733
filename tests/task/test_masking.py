"""Which values of a request have names that may look secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.task.masking import named_values

TEXTS = st.text()
JSON = st.recursive(st.none() | st.integers() | TEXTS, lambda each: st.lists(each) | st.dictionaries(TEXTS, each))


def test_every_text_has_a_name() -> None:
    """Wherever it stands in a request."""
    request = {
        "environment": [{"name": "MODE", "value": "fast"}],
        "nested": {"list": [{"key": "text"}, "unnamed"], "number": 1},
    }
    assert set(named_values(request)) == {("MODE", "fast"), ("name", "MODE"), ("value", "fast"), ("key", "text")}


@pytest.mark.long
@given(before=st.dictionaries(TEXTS, JSON), after=JSON)
def test_a_name_is_found_among_anything(before: dict[str, Any], after: Any) -> None:
    """As a key, and as AWS writes it."""
    request = [before, {"deep": [{"name": "DB_PASSWORD", "value": "a"}, {"API_TOKEN": "b"}]}, after]
    assert {("DB_PASSWORD", "a"), ("API_TOKEN", "b")} <= set(named_values(request))
