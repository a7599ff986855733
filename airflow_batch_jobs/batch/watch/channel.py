"""Channel: one AWS service in one region, called as fast as it allows and waited for when it does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.aws.outage import SILENT_SECONDS
from airflow_batch_jobs.batch.aws.pacing import Backoff, Pace
from airflow_batch_jobs.batch.aws.trouble import may_pass
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_batch_jobs.batch.aws import Service
    from airflow_batch_jobs.batch.watch.aws_calls import AwsCalls

Answer = TypeVar("Answer")

#: The longest delay after a failure: jobs' ends are known again two polls after an outage. A retry is only one call.
LONGEST_DELAY_SECONDS = 5.0


class Channel:
    """One AWS service in one region.

    Keeps the pace, and holds back all calls after a failure, a little longer each time. It does not repeat a failed
    call: that is up to its caller.

    Args:
        calls: Makes the calls.
        service: `batch` or `logs`.
        region: The region; None for the clients' own.
        calls_per_second: The most calls a second.
        most_at_once: The most calls in flight at the same time.
    """

    def __init__(
        self, calls: AwsCalls, service: str, region: str | None, calls_per_second: float, most_at_once: int
    ) -> None:
        self._calls = calls
        self._service = service
        self._region = region
        self._most_at_once = most_at_once
        self._pace = Pace(calls_per_second)
        self._backoff = Backoff(longest=LONGEST_DELAY_SECONDS)
        self._held_until = float("-inf")
        self._under_way = 0
        self._unanswered_since: float | None = None
        self._last_error: AwsError | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"CloudWatch Logs in {self._region}" if self._service == "logs" else "AWS Batch"

    def delay(self) -> float:
        """Return the seconds until another call may go out; infinite while as many as allowed are in flight."""
        if self._under_way >= self._most_at_once:
            return float("inf")
        now = asyncio.get_running_loop().time()
        return max(self._pace.delay(now), self._held_until - now)

    def spend(self) -> None:
        """Count a call that goes out now; a call of `ask` has to follow."""
        now = asyncio.get_running_loop().time()
        self._pace.spend(now)
        self._under_way += 1
        if self._unanswered_since is None:
            self._unanswered_since = now

    async def ask(self, work: Callable[[Service], Answer], *, holds: bool = True) -> Answer:
        """Make the call that `spend` counted.

        Args:
            work: Makes it.
            holds: Whether a failure holds back the calls after it; not if it is known to be this call's own.

        Raises:
            AwsError: The call failed; `trouble` tells what that means.
        """
        try:
            answer = await self._calls.use(self._service, self._region, work)
        except AwsError as error:
            if holds:
                self._failed(error)
            raise
        except Exception:
            self._answered()
            raise
        else:
            self._answered()
            self._pace.succeeded()
            return answer
        finally:
            self._under_way -= 1

    def problem(self) -> str:
        """Say what is wrong if nothing, or nothing but failures, has come back for 30 s; empty otherwise."""
        if self._unanswered_since is None or self._last_error is None:
            return ""
        silent = asyncio.get_running_loop().time() - self._unanswered_since
        if silent < SILENT_SECONDS:
            return ""
        return self.silence(silent, self._last_error)

    def silence(self, seconds: float, error: Exception) -> str:
        """Say that nothing, or nothing but failures, has come back for a while, and what was wrong last."""
        return f"No answer from {self.name} for {seconds:.0f} s, still asking. {error}"

    def _failed(self, error: AwsError) -> None:
        if not may_pass(error):
            self._answered()
            return
        now = asyncio.get_running_loop().time()
        self._last_error = error
        if trouble(error) is Trouble.THROTTLED:
            self._pace.throttled(now)
        # Calls that were in flight together fail together: that is one failure.
        if now >= self._held_until:
            self._held_until = now + self._backoff.next_delay()

    def _answered(self) -> None:
        self._backoff.reset()
        others = self._under_way - 1
        self._unanswered_since = asyncio.get_running_loop().time() if others else None
        self._last_error = None
