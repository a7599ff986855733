"""A job's id, as people and other programs write it."""

from __future__ import annotations

import re

_ARN = re.compile(r"arn:[\w-]{1,40}:batch:[\w-]{0,40}:\d{0,20}:job/")


def bare_id(given: str) -> str:
    """Return an id without what is around it: DescribeJobs knows a job neither by its ARN nor with a line's end.

    Args:
        given: The id, or the job's ARN; of a child or a node as well.
    """
    bare = given.strip()
    arn = _ARN.match(bare)
    return bare[arn.end() :] if arn else bare
