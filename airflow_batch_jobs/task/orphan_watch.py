"""OrphanWatch: a sweep for orphans alongside a triggerer's watcher, once a minute while the watcher follows jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.orphans import Decision, OrphanSweep, in_question, judge
from airflow_batch_jobs.batch.watch.apart import start_apart
from airflow_batch_jobs.task import log
from airflow_batch_jobs.task.supervisor import states_of

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractAsyncContextManager

    from airflow_batch_jobs.batch.orphans import SweepReport
    from airflow_batch_jobs.batch.watch import JobWatcher

#: Seconds from the end of one sweep to the beginning of the next.
PERIOD_SECONDS = 60.0


class OrphanWatch:
    """Sweeps the queues whose jobs a watcher follows, with the watcher's own AWS clients and in its threads.

    Does not sweep a queue while none of its jobs is followed, nor anything once the watcher has ended: a DAG with
    `BatchOrphanSweepOperator` does. A sweep that fails is a line in the triggerer's log, and the next one follows.

    Args:
        watcher: The watcher whose queues are swept.
        deployment: The Airflow whose jobs are looked at.
        gate: Held while the API server is asked.
    """

    def __init__(self, watcher: JobWatcher, deployment: str, gate: AbstractAsyncContextManager[Any]) -> None:
        self._watcher = watcher
        self._deployment = deployment
        self._gate = gate

    def start(self) -> asyncio.Task[None]:
        """Begin, in the running event loop; the task ends by itself when the watcher does."""
        return start_apart(self._run(), "OrphanWatch")

    async def _run(self) -> None:
        while not await self._watcher.ends_within(PERIOD_SECONDS):
            try:
                report = await self._sweep()
            except Exception as error:  # noqa: BLE001 - whatever is wrong, no trigger may end because of it
                log.problem(f"The sweep for orphans failed and will be tried again: {error!r}")
                continue
            for finding, line in report.lines():
                if finding.decision is Decision.ORPHAN:
                    log.problem(line)
            if self._watcher.meter is not None:
                report.tell(self._watcher.meter)

    async def _sweep(self) -> SweepReport:
        sweep = OrphanSweep(
            clients=self._watcher.clients,
            deployment=self._deployment,
            job_queues=self._watcher.queues(),
            dry_run=False,
            clock=self._watcher.clock,
        )
        found = await self._watcher.beside(sweep.find)
        states = await states_of(in_question(found), self._gate)
        findings = judge(found, states)
        return sweep.report(findings, await self._watcher.terminate_all(sweep.reasons(findings), is_urgent=False))
