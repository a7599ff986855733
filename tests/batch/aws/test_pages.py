"""Lists of several pages: each entry once, whoever leaves meanwhile, and an end in any case."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_batch_jobs.batch.operations import find_by_name
from airflow_batch_jobs.errors import EndpointError
from tests.batch.aws.answers import SameAnswer


def test_pages_that_go_on_without_end_are_an_error() -> None:
    """A page whose next one is the same page."""
    same = SameAnswer(body=b'{"jobSummaryList": [], "nextToken": "again"}')
    with pytest.raises(EndpointError, match="batch:ListJobs"):
        find_by_name(same, "default", "x")


def test_pages_that_go_round_in_a_circle_are_an_error() -> None:
    """Three pages, the last of which leads to the first."""
    after = {None: "1", "1": "2", "2": "1"}
    circle = SameAnswer(answer=lambda request: {"jobSummaryList": [], "nextToken": after[request.get("nextToken")]})
    with pytest.raises(EndpointError, match=r"batch:ListJobs.*the pages have no end"):
        find_by_name(circle, "default", "x")


class ChangingList:
    """Jobs that are listed newest first, a few a page, with tokens that are positions; some leave after a call."""

    def __init__(self, jobs: int, page: int, leaving: list[list[int]]) -> None:
        self.jobs, self.page, self.leaving = [str(n) for n in range(jobs)], page, iter(leaving)

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer, and let the next jobs go."""
        start = int(request.get("nextToken", 0))
        jobs = [{"jobId": job} for job in self.jobs[start : start + self.page]]
        more = {"nextToken": str(start + self.page)} if start + self.page < len(self.jobs) else {}
        for position in next(self.leaving, []):
            if self.jobs:
                del self.jobs[position % len(self.jobs)]
        return {"jobSummaryList": jobs, **more}


@given(
    jobs=st.integers(0, 30),
    page=st.integers(1, 10),
    leaving=st.lists(st.lists(st.integers(0, 30), max_size=3), max_size=20),
)
@example(jobs=25, page=3, leaving=[*[[]] * 7, [0], [0, 0], *[[]] * 4, [0, 0], [0, 0]])
@settings(deadline=None)
def test_who_is_in_a_list_throughout_is_found_whoever_leaves(jobs: int, page: int, leaving: list[list[int]]) -> None:
    """With tokens that are positions, and up to three that leave between two pages; each once."""
    changing = ChangingList(jobs, page, leaving)
    found = find_by_name(SameAnswer(answer=changing), "default", "x")
    assert set(changing.jobs) <= set(found)
    assert len(set(found)) == len(found)


def test_a_list_of_one_page_is_read_once() -> None:
    """A look for a name costs one call."""
    asked: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        return {"jobSummaryList": [{"jobId": "1"}]}

    assert find_by_name(SameAnswer(answer=answer), "default", "x") == ["1"]
    assert len(asked) == 1


def test_a_list_that_never_comes_to_rest_is_read_six_times() -> None:
    """With a hundred new jobs a call."""
    asked: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        jobs = [{"jobId": f"{len(asked)}-{n}"} for n in range(100)]
        return {"jobSummaryList": jobs, **({} if "nextToken" in request else {"nextToken": "2"})}

    assert len(find_by_name(SameAnswer(answer=answer), "default", "x")) == len(asked) * 100
    assert len(asked) == 2 * 6
