"""Orphans: jobs that keep running although the task instance they were submitted for is final or gone.

They come about when no process is left that could end them: a task is stopped or its DAG deleted while every triggerer
is down, or a database is restored. A sweep lists the jobs first and only then asks for the states of their task
instances, so that no state is older than the listing of the job that it decides about.

Left alone, besides the jobs of task instances that have not ended: young jobs, jobs that may outlive their task (tagged
`airflow-detached`), and every job whose tags do not name a task instance exactly. The job of an older generation, of a
task that was cleared and has not ended since, is left alone too: the new attempt ends it before it submits its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws import KeptClients, service, until_nobody_leaves
from airflow_batch_jobs.batch.aws.clock import Clock, SystemClock
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.identity import (
    DEPLOYMENT_TAG,
    DETACHED,
    DETACHED_TAG,
    TaskKey,
    legal_tag_value,
    owner_of,
)
from airflow_batch_jobs.batch.listing import listed_jobs
from airflow_batch_jobs.batch.meter import ORPHANS
from airflow_batch_jobs.batch.operations import REASON_LIMIT, describe_jobs
from airflow_batch_jobs.batch.status import ACTIVE
from airflow_batch_jobs.batch.watch.blocking import terminate_all
from airflow_batch_jobs.errors import NoDeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from airflow_batch_jobs.batch.aws import ClientFactory
    from airflow_batch_jobs.batch.detail import JobDetail
    from airflow_batch_jobs.batch.meter import Meter

    #: Asks for the states of task instances: as Airflow writes them, None if one has none at the moment, or `GONE`. One
    #: that is missing from the answer counts as unknown.
    AskStates = Callable[[Sequence[TaskKey]], Mapping[TaskKey, str | None]]

#: A job younger than this is left alone, in seconds since it was submitted.
GRACE_SECONDS = 600.0
#: In place of a state: Airflow was asked, and knows no such task instance.
GONE = "gone"
#: The HTTP statuses by which Airflow says that it cannot tell: a task in a loop is asked for without its pass.
CANNOT_TELL = frozenset({400, 409})
#: In place of a state: Airflow was asked, and tells only that it is none that ends a task.
UNFINISHED = "not final"
#: The states that a task instance leaves only when it is cleared, which begins a generation that adopts no job of this
#: one. None is not among them: a task that was reset has no state, and will adopt its job.
ENDED_STATES = frozenset({"success", "failed", "skipped", "removed", "upstream_failed", GONE})
#: What `SweepReport.verdict` says, the most important first.
_VERDICTS = ("not terminated", "terminated", "would be terminated", "cannot tell", "left")


class Decision(Enum):
    """What becomes of a job."""

    #: It depends on the state of its task instance.
    OPEN = "open"
    #: No task waits for it: it is terminated, or would be.
    ORPHAN = "orphan"
    #: It is wanted, or may be.
    LEFT = "left"
    #: It is left alone, and a person should look at it.
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Finding:
    """One job of a sweep.

    Attributes:
        job: The job.
        owner: The task instance it was submitted for; None if that cannot be told exactly.
        decision: What becomes of it.
        why: The reason, half a sentence.
        error: Why an orphan could not be terminated.
    """

    job: JobDetail
    owner: TaskKey | None
    decision: Decision = Decision.OPEN
    why: str = ""
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep found and did.

    Attributes:
        findings: One for each active job of the deployment.
        dry_run: Whether nothing was terminated.
    """

    findings: tuple[Finding, ...]
    dry_run: bool

    @property
    def ended(self) -> tuple[str, ...]:
        """The ids of the jobs that were terminated; of those that would have been, in a dry run."""
        return tuple(one.job.job_id for one in self.findings if one.decision is Decision.ORPHAN and not one.error)

    @property
    def error(self) -> Exception | None:
        """Why an orphan could not be terminated, the first such error; None if all were."""
        return next((one.error for one in self.findings if one.error), None)

    def verdict(self, finding: Finding) -> str:
        """Say in a word or two what became of a job."""
        if finding.decision is not Decision.ORPHAN:
            return str(finding.decision.value)
        if finding.error:
            return "not terminated"
        return "would be terminated" if self.dry_run else "terminated"

    def lines(self) -> Iterator[tuple[Finding, str]]:
        """Yield the findings, each with a line that says what became of the job, and why."""
        for one in self.findings:
            job = f"Job: {one.job.job_id} ({one.job.job_name}), {one.job.status} in {one.job.queue_name}"
            yield one, f"{self.verdict(one).capitalize()}: {one.why.rstrip('.')}. {job}"

    def tell(self, meter: Meter) -> None:
        """Tell how many orphans there were, whatever became of them."""
        for one in self.findings:
            if one.decision is Decision.ORPHAN:
                meter.count(ORPHANS, queue=one.job.queue_name)

    def summary(self) -> str:
        """Return one line about all jobs."""
        verdicts = [self.verdict(one) for one in self.findings]
        counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in _VERDICTS if verdict in verdicts)
        jobs = f"{len(verdicts)} active job{'' if len(verdicts) == 1 else 's'} of this deployment"
        return f"{jobs}: {counts}" if counts else jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class OrphanSweep:
    """Finds the orphans of some queues, and terminates them unless it is a dry run.

    Does not look into regions or accounts other than those of its clients, and takes the deployment's name at face
    value: two Airflows of the same name end each other's jobs.

    Attributes:
        clients: Makes the clients.
        deployment: The Airflow whose jobs are looked at.
        job_queues: Names or ARNs.
        grace_seconds: A job younger than this is left alone.
        dry_run: Whether nothing is terminated.
        clock: Tells the time.

    Raises:
        NoDeploymentError: The deployment has no name.
    """

    clients: ClientFactory
    deployment: str
    job_queues: Sequence[str]
    grace_seconds: float = GRACE_SECONDS
    dry_run: bool = True
    clock: Clock = field(default_factory=SystemClock)

    def __post_init__(self) -> None:
        if not self.deployment:
            raise NoDeploymentError

    def run(self, ask: AskStates) -> SweepReport:
        """Look at the jobs, ask for the states of their task instances, and end the orphans.

        Raises:
            AwsError: AWS did not list or describe the jobs.
        """
        found = self.find()
        return self.decide(found, ask(in_question(found)))

    def find(self) -> tuple[Finding, ...]:
        """Return the active jobs of the deployment, decided as far as possible without states.

        Raises:
            AwsError: AWS did not list or describe them.
        """
        clients, tag, now = KeptClients.of(self.clients), legal_tag_value(self.deployment), self.clock.now()
        # A job whose next attempt begins goes back to RUNNABLE, behind the back of whoever lists the states in order.
        ids = until_nobody_leaves(lambda: (job.job_id for job in listed_jobs(clients, self.job_queues, ACTIVE)))
        jobs = describe_jobs(clients, ids)
        return tuple(
            self._look(job, now) for job in jobs if job.status.is_active and job.tags.get(DEPLOYMENT_TAG) == tag
        )

    def decide(self, found: Iterable[Finding], states: Mapping[TaskKey, str | None]) -> SweepReport:
        """Decide the rest, and terminate the orphans unless it is a dry run.

        Args:
            found: What `find` returned.
            states: The states of the task instances in question, asked for after `find`.
        """
        findings = judge(found, states)
        return self.report(findings, terminate_all(self.clients, self.reasons(findings)))

    def reasons(self, findings: Iterable[Finding]) -> dict[str, str]:
        """Return the statusReasons of the orphans that are to be terminated, by their ids."""
        orphans = [one for one in findings if one.decision is Decision.ORPHAN and not self.dry_run]
        return {one.job.job_id: excerpt(f"Orphan of an Airflow task: {one.why}", REASON_LIMIT) for one in orphans}

    def report(self, findings: Iterable[Finding], errors: Mapping[str, Exception]) -> SweepReport:
        """Return what became of the jobs.

        Args:
            findings: What `judge` returned.
            errors: Why not, of those that could not be terminated, by their ids.
        """
        found = [(one, errors.get(one.job.job_id)) for one in findings]
        return SweepReport(
            tuple(replace(one, why=f"{one.why}; {error}", error=error) if error else one for one, error in found),
            self.dry_run,
        )

    def _look(self, job: JobDetail, now: datetime) -> Finding:
        owner = owner_of(job.tags, job.job_name, self.deployment)
        age = max(0.0, (now - job.created_at).total_seconds()) if job.created_at else 0.0
        if job.is_terminated:
            return Finding(job, owner, Decision.LEFT, "it is being terminated already")
        if job.tags.get(DETACHED_TAG) == DETACHED:
            return Finding(job, owner, Decision.LEFT, "its task does not wait for it, or leaves it alone when stopped")
        if owner is None:
            return Finding(job, owner, Decision.CANNOT_TELL, "its tags do not name a task instance exactly")
        if age < self.grace_seconds:
            return Finding(job, owner, Decision.LEFT, f"it is {age:.0f} s old, younger than the grace period")
        return Finding(job, owner)


def in_question(found: Iterable[Finding]) -> tuple[TaskKey, ...]:
    """Return the task instances whose states matter, each once."""
    return tuple(dict.fromkeys(one.owner for one in found if one.owner and one.decision is Decision.OPEN))


def judge(found: Iterable[Finding], states: Mapping[TaskKey, str | None]) -> tuple[Finding, ...]:
    """Decide about the jobs that are in question, by the states of their task instances."""
    return tuple(_judge(one, states) for one in found)


def untold(key: TaskKey) -> str:
    """Say that a state is missing from Airflow's answer."""
    return f"Airflow did not return the state of {key}"


def detach(clients: ClientFactory, job: JobDetail) -> None:
    """Mark an earlier attempt's job as one that may outlive its task instance, unless it is marked already.

    Raises:
        AwsError: AWS refused.
    """
    if job.tags.get(DETACHED_TAG) != DETACHED:
        service(clients, "batch").call("tag_resource", dict, resourceArn=job.job_arn, tags={DETACHED_TAG: DETACHED})


def _judge(finding: Finding, states: Mapping[TaskKey, str | None]) -> Finding:
    if finding.decision is not Decision.OPEN or finding.owner is None:
        return finding
    if finding.owner not in states:
        return replace(finding, decision=Decision.CANNOT_TELL, why=untold(finding.owner))
    state = states[finding.owner]
    decision = Decision.ORPHAN if state in ENDED_STATES else Decision.LEFT
    return replace(finding, decision=decision, why=f"{finding.owner} is {state or 'cleared, or yet to be scheduled'}")
