"""What Fargate offers, and what the containers of a task have together."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.fargate import MEMORY_MIB, Size, total_size

PAIRS = [Size(vcpus, memory_mib) for vcpus, all_mib in MEMORY_MIB.items() for memory_mib in all_mib]


@given(size=st.sampled_from(PAIRS), cuts=st.lists(st.integers(1, 99), max_size=9), data=st.data())
def test_containers_have_together_what_their_digits_add_up_to(size: Size, cuts: list[int], data: st.DataObject) -> None:
    """However a size is shared out among containers, in whatever order: ten of 0.1 vCPU have 1."""
    ends = sorted({0, 100, *cuts})
    shares = [(after - before) * size.vcpus / 100 for before, after in pairwise(ends)]
    first, *others = data.draw(st.permutations(shares))
    rest = {"MEMORY": str(size.memory_mib - len(others))}
    total = total_size([{"VCPU": str(first), **rest}, *({"VCPU": str(share), "MEMORY": "1"} for share in others)])
    assert total == size
    assert total.is_offered


@given(thousandths=st.integers(1, 64_000), memory_mib=st.integers(1, 400_000))
def test_the_nearest_size_is_offered_and_enough(thousandths: int, memory_mib: int) -> None:
    """There is none where nothing that Fargate offers is enough, and what is offered is its own nearest."""
    size = Size(Decimal(thousandths) / 1000, memory_mib)
    nearest = size.nearest()
    if nearest is None:
        largest = Size.largest()
        assert size.vcpus > largest.vcpus or size.memory_mib > largest.memory_mib
    else:
        assert nearest.is_offered
        assert nearest.vcpus >= size.vcpus
        assert nearest.memory_mib >= size.memory_mib
        assert (nearest == size) == size.is_offered


@pytest.mark.parametrize(("vcpus", "text"), [("0.250", "0.25"), ("1.0", "1"), ("32", "32"), ("10", "10"), ("0", "0")])
def test_a_size_is_said_without_needless_digits(vcpus: str, text: str) -> None:
    """Nor in powers of ten."""
    assert str(Size(Decimal(vcpus), 512)) == f"{text} vCPU with 512 MiB"
