"""LogCopy: makes the calls that a `LogFollower` asks for."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws import Trouble, trouble
from airflow_batch_jobs.batch.aws.trouble import may_pass
from airflow_batch_jobs.batch.logs.page import fetch_page, is_group_missing, is_missing, is_stale_token
from airflow_batch_jobs.batch.watch.alarm import Alarm
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_batch_jobs.batch.logs.log_follower import LogFollower
    from airflow_batch_jobs.batch.logs.moment import Moment
    from airflow_batch_jobs.batch.logs.page import LogPage
    from airflow_batch_jobs.batch.logs.scan import Scan
    from airflow_batch_jobs.batch.watch.channel import Channel

#: The process's own: what concerns no job in particular belongs in no task's log.
_LOG = logging.getLogger(__name__)
#: How long to pause after a step has failed that concerns all streams.
_PAUSE_SECONDS = 0.25
#: Taking in this many events blocks the event loop for some 5 ms.
_EVENTS_AT_ONCE = 2_000


class LogCopy:
    """Fetches log events from CloudWatch.

    Args:
        logs: Knows what to ask, and what the answers mean.
        open_channel: Makes the channel of a region; CloudWatch limits calls per region.
        moment: Tells the time.

    Attributes:
        channels: The ways to CloudWatch, by region.
    """

    def __init__(self, logs: LogFollower, open_channel: Callable[[str], Channel], moment: Callable[[], Moment]) -> None:
        self._logs = logs
        self._open_channel = open_channel
        self._moment = moment
        self.channels: dict[str, Channel] = {}
        self._alarm = Alarm()

    def ring(self) -> None:
        """Check what there is to ask, since something has changed."""
        self._alarm.ring()

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with asyncio.TaskGroup() as calls:
            while True:
                delays = [self._try_to_fetch(region, calls) for region in self._logs.regions()]
                await self._alarm.wait(min(delays, default=math.inf))

    def _try_to_fetch(self, region: str, calls: asyncio.TaskGroup) -> float:
        """Fetch, or find out which streams make that impossible."""
        try:
            return self._fetch(region, calls)
        except Exception:  # noqa: BLE001 - one of the streams is the reason
            _LOG.exception("Some log streams of %s are in the way of the others.", region)
            self._logs.expel_broken(self._moment())
            return _PAUSE_SECONDS

    def _fetch(self, region: str, calls: asyncio.TaskGroup) -> float:
        """Start the calls that may go out to a region now; return the seconds until there is something to do again."""
        if region not in self.channels:
            self.channels[region] = self._open_channel(region)
        channel = self.channels[region]
        while channel.delay() <= 0 and (scan := self._logs.next_scan(region, self._moment())):
            try:
                request = scan.request(self._moment())
            except Exception as error:  # noqa: BLE001 - it has to do with one of the streams only
                self._logs.refused(scan, _unreadable(scan, error), self._moment())
                continue
            channel.spend()
            calls.create_task(self._read(channel, scan, request))
        return max(channel.delay(), self._logs.due_in(region, self._moment()))

    async def _read(self, channel: Channel, scan: Scan, request: Mapping[str, Any]) -> None:
        try:
            try:
                page = await channel.ask(partial(fetch_page, request=request), holds=not scan.is_apart)
            except AwsError as error:
                self._failed(scan, error)
            else:
                await self._feed(scan, page)
        except Exception as error:  # noqa: BLE001 - it may have to do with one of the streams only
            self._logs.refused(scan, _unreadable(scan, error), self._moment(), is_ours=True)
        finally:
            self._alarm.ring()

    async def _feed(self, scan: Scan, page: LogPage) -> None:
        """Take a page in, some of its events at a time."""
        while len(page.events) > _EVENTS_AT_ONCE:
            self._logs.accept(scan, page.events[:_EVENTS_AT_ONCE], self._moment())
            page = replace(page, events=page.events[_EVENTS_AT_ONCE:])
            await asyncio.sleep(0)
        self._logs.feed(scan, page, self._moment())

    def _failed(self, scan: Scan, error: AwsError) -> None:
        now, kind = self._moment(), trouble(error)
        if may_pass(error):
            self._logs.unanswered(scan, _unreadable(scan, error), now)
        elif is_missing(error):
            self._logs.missing(scan, now, whole_group=is_group_missing(error))
        elif scan.token and is_stale_token(error):
            self._logs.forgotten(scan, now)
        elif kind.give_up:
            self._logs.denied(scan, _unreadable(scan, error), now, is_ours=kind is not Trouble.DENIED)
        else:
            self._logs.refused(scan, _unreadable(scan, error), now)


def _unreadable(scan: Scan, error: Exception) -> AwsError:
    where = f"log group {scan.group.name} ({scan.group.region})"
    why = str(error) if isinstance(error, AwsError) else repr(error)
    told = f"The job's log lines are not copied: {where} cannot be read. {why}"
    return type(error)(told, action=error.action, code=error.code) if isinstance(error, AwsError) else AwsError(told)
