"""What a `JobFollower` reports about its job, one frozen dataclass per kind of news."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.log_stream import LogStream
    from airflow_batch_jobs.batch.logs import LogCursor, LogEvent
    from airflow_batch_jobs.errors import AwsError


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The job was seen for the first time, or its status, status reason or number of attempts changed.

    Attributes:
        detail: The job.
        seen_at: When AWS was asked for it, by AWS's clock.
    """

    detail: JobDetail
    seen_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DetailChange:
    """Less has changed: how many children are in which state, or the log streams. `JobFollower.detail` has it."""


@dataclass(frozen=True, slots=True)
class LogLines:
    """New lines of one log stream, oldest first; late ones come after newer ones that were already handed out.

    Attributes:
        stream: The log stream.
        events: Its lines, with their times.
    """

    stream: LogStream
    events: tuple[LogEvent, ...]


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """AWS has not answered for a while, or, with an empty problem, answers again. The job itself keeps running.

    Of each service that the job needs comes the beginning, once, and then the end.

    Attributes:
        problem: One sentence; empty once the problem is over.
        service: What does not answer: AWS Batch, or CloudWatch Logs in a region.
    """

    problem: str
    service: str = "AWS"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem that will not resolve itself but does not end the wait, such as a log group that may not be read.

    Attributes:
        message: What is missing and what to do, on one line.
        error: What AWS said, with this message; None if it is not AWS's.
    """

    message: str
    error: AwsError | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The job is final and its log was handed out, except for `unread` and `incomplete`. Always the last update.

    It comes at most five minutes after the job's end was seen, whatever CloudWatch Logs does.

    Attributes:
        detail: The job as it ended.
        parts: The children of an array or the nodes of a multi-node job that were described; without the logs, only
            those that failed, at most 100.
        unread: By the stream's key, the streams that have more lines than the line budget lets through soon, and where
            to read on with `logs.read_on`.
        incomplete: The streams that are neither handed out nor in `unread` to their end, and why, in one sentence: what
            CloudWatch does not show, so that reading on at once would be of no use, and what `unread` has no space for.
    """

    detail: JobDetail
    parts: tuple[JobDetail, ...] = ()
    unread: Mapping[str, tuple[LogStream, LogCursor]] = field(default_factory=dict)
    incomplete: Mapping[LogStream, str] = field(default_factory=dict)


#: What a follower yields.
Update: TypeAlias = StatusChange | DetailChange | LogLines | NoAnswer | Problem | Ended
