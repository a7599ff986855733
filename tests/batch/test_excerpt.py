"""A text that is too long keeps its beginning and its end."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.excerpt import excerpt


@given(st.text(max_size=200), st.integers(8, 100))
@settings(deadline=None)
def test_a_text_is_cut_in_its_middle_alone(text: str, most: int) -> None:
    """It is as long as it may be, and a text that fits stays as it is."""
    cut = excerpt(text, most)
    if len(text) <= most:
        assert cut == text
    else:
        assert len(cut) == most
        places = [place for place in range(most) if cut.startswith(" … ", place)]
        assert any(text.startswith(cut[:place]) and text.endswith(cut[place + 3 :]) for place in places)
        assert cut[-1] == text[-1]
