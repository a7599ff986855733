"""What the model's states are made of: one task instance, its attempts and triggers, its jobs, and what may go wrong.

All are named tuples of hashable values. Time is abstract: only orders count, such as a pause that is longer than any
lease, or the end of the minute after a send.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from typing import Literal, NamedTuple, TypeVar

from airflow_batch_jobs.task.crash import PAUSE_SECONDS

#: The maximum of tries and the carrier, as far as the rules let them count.
Generation = tuple[int, int]
JobStatus = Literal["active", "ending", "succeeded", "failed"]
TaskState = Literal[
    "cleared", "reset", "queued", "running", "restarting", "deferred", "resuming", "up_for_retry", "success", "failed"
]
#: Where an attempt is: what it does next.
Place = Literal[
    "read",
    "look",
    "fence",
    "end",
    "await",
    "write",
    "check",
    "send",
    "lookup",
    "write id",
    "push",
    "wait",
    "ask",
    "kill",
    "late",
]
RunnerPlace = Literal["run", "ask", "compare", "kill"]
#: What the trigger handed to the task that resumes.
Result = Literal["", "succeeded", "failed", "crashed"]

FINAL_STATES = frozenset({"success", "failed"})
NO_JOB = -1
#: How often the wait of a crashed trigger is taken up again.
MOST_RESUMED = len(PAUSE_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of submitting and stopping; each may be switched off to see what it is for."""

    #: 1. A clear of a finished or deferred task changes `max_tries`, and that begins a new generation.
    max_tries_count: bool = True
    #: 1. A clear of a running task leaves `max_tries`, but not the carrier.
    carrier_counts: bool = True
    #: 3. The record is written before the request goes out, not only after it.
    record_first: bool = True
    #: 3. A refused write ends the attempt.
    fence: bool = True
    #: 4. A record that is old when the request goes out is written again.
    lease: bool = True
    #: 4. So is one that grew old while AWS took no request, since the rate was used up.
    lease_when_throttled: bool = True
    #: 5. The request is sent once; a doubtful answer is followed by a look for the name.
    one_send: bool = True
    #: 5. Where a record has no id, an empty listing counts only a minute after the send.
    grace: bool = True
    #: 5. The same where it has one: neither ListJobs nor DescribeJobs need know a job in its first minute.
    grace_with_id: bool = True
    #: 6. The jobs of earlier attempts are looked for before anything is sent.
    look_first: bool = True
    #: 6. A job of the own generation that has succeeded is the result.
    take_success: bool = True
    #: 6. A job of an older generation is terminated.
    end_older: bool = True
    #: 6. What was to be terminated may have succeeded meanwhile, so it looks again when that has ended.
    look_after_end: bool = True
    #: 6. Where nothing was recorded before an attempt began, jobs of the attempts before it are terminated as well.
    end_forgotten: bool = True
    #: 6. Where a clear discards the record, an empty listing counts only a minute after the attempt after it began.
    grace_forgotten: bool = True
    #: 6. That nothing was recorded is recorded, for the attempts after one that dies before it has ended those jobs.
    remember_forgotten: bool = True
    #: 6. Any other job of a generation that is neither the own nor the record's is left alone.
    leave_unknown: bool = True
    #: 6. Failures that AWS lists change the request of the next job.
    failures_of_aws: bool = True
    #: 6. So do those that the record has: AWS forgets jobs.
    failures_of_record: bool = True
    #: 6. Those of an older generation's record do not: a clear begins with the task's own request.
    failures_of_generation: bool = True
    #: 6. A job is adopted by the digest of the request before it was changed.
    digest_before_change: bool = True
    #: 7. An attempt whose id is refused leaves the job that it sent.
    stale_leaves_its_job: bool = True
    #: 7. An attempt makes sure that it is not stale before it terminates what it found.
    fence_before_end: bool = True
    #: 7. An attempt makes sure that it is not stale before its timeout terminates the job.
    fence_before_timeout: bool = True
    #: 7. An attempt makes sure that it is not stale before it terminates the job for want of a retry.
    fence_before_eviction: bool = True
    #: 8. Of two jobs of a deferred task, the one whose XCom is of the newer attempt is wanted.
    xcom_attempt_marks: bool = True
    #: 8. Newer is the attempt of the higher try number, whatever `max_tries` says.
    newer_by_try_number: bool = True
    #: 8. A trigger keeps the XCom current while it is there, and no newer attempt's.
    xcom_stays_newest: bool = True
    #: A task without a state is between two attempts; only a user's mark, or that it is gone, is a stop.
    no_state_is_no_stop: bool = True
    #: The wait of a trigger that crashed is taken up again, three times.
    resume_after_crash: bool = True
    #: A triggerer asks for the task's state before it terminates.
    ask_state_before_kill: bool = True
    #: In a triggerer, a task between two attempts keeps its job.
    leave_on_the_way: bool = True
    #: A worker that is told to stop asks for the task's state before it terminates.
    ask_state_on_worker: bool = True
    #: What no rule prevents is ended by the sweep when the task is final.
    sweep: bool = True
    #: The sweep lists the jobs before it asks for the task's state.
    sweep_lists_first: bool = True


RULE_NAMES = tuple(each.name for each in fields(Rules))


class Disturbances(NamedTuple):
    """How often each thing may still go wrong, or be done by a user."""

    crashes: int = 0
    pauses: int = 0
    lost_answers: int = 0
    throttles: int = 0
    outages: int = 0
    clears: int = 0
    marks: int = 0
    job_failures: int = 0
    stalls: int = 0
    trigger_crashes: int = 0
    evictions: int = 0
    timeouts: int = 0
    resets: int = 0
    forgets: int = 0


class Job(NamedTuple):
    """A job at AWS."""

    name: int  # the attempt that sent it: each has a name of its own
    run: int  # which run it was sent for; only invariants look at it
    generation: Generation
    request: int
    status: JobStatus = "active"
    is_listed: bool = True
    is_others: bool = False
    stop_was_seen: bool = False
    has_fallen: bool = False  # it failed by itself
    is_forgotten: bool = False


class Record(NamedTuple):
    """What the store remembers."""

    name: int
    generation: Generation
    request: int
    job: int = NO_JOB
    since: int = 0  # the attempt that found nothing recorded; 0 for none
    failures: frozenset[int] = frozenset()


class XCom(NamedTuple):
    """The `batch_job` XCom."""

    job: int
    attempt: tuple[int, int]


class TaskInstance(NamedTuple):
    """What Airflow's database knows. The attempt is the id: it changes at a retry and at a clear."""

    state: TaskState = "queued"
    attempt: int = 1
    max_tries: int = 1
    carrier: int = 1
    run: int = 1
    job: int = NO_JOB  # the trigger's
    result: Result = ""
    resumed: int = 0  # how often the attempt's wait has been taken up again
    requests: tuple[int, ...] = (1,)  # what the attempts ask for; the last stands for all after it

    @property
    def told_state(self) -> str | None:
        """The state that Airflow returns to whoever asks."""
        return {"cleared": None, "reset": None, "resuming": "running"}.get(self.state, self.state)

    @property
    def request(self) -> int:
        """What the attempt asks for, the next one where none runs."""
        return self.requests[min(self.attempt, len(self.requests)) - 1]


class Worker(NamedTuple):
    """The process of an attempt, up to its deferral."""

    attempt: int
    run: int
    max_tries: int
    generation: Generation
    request: int
    place: Place = "read"
    seen: Record | None = None
    since: int = 0  # its record's
    job: int = NO_JOB
    unwanted: tuple[int, ...] = ()  # the jobs that it is to end
    is_paused: bool = False
    is_late: bool = False  # the lease may have run out since it wrote its record
    is_unrecorded: bool = False  # the store did not answer, so it sends without a record
    failures: frozenset[int] = frozenset()  # the jobs of its generation that failed, for which it changes its request

    @property
    def retry_left(self) -> bool:
        """Whether Airflow will try again if this attempt fails."""
        return self.attempt <= self.max_tries


class Runner(NamedTuple):
    """A trigger in a triggerer."""

    attempt: int
    max_tries: int
    job: int
    place: RunnerPlace = "run"
    is_assigned: bool = True
    is_stalled: bool = False


_Actor = TypeVar("_Actor", Worker, Runner)


class World(NamedTuple):
    """One state of the model."""

    left: Disturbances
    task: TaskInstance
    jobs: tuple[Job, ...] = ()
    record: Record | None = None
    xcom: XCom | None = None
    workers: tuple[Worker, ...] = ()
    runners: tuple[Runner, ...] = ()
    minute_over: frozenset[int] = frozenset()  # the names that were sent over a minute ago
    swept: frozenset[int] | None = None  # what the sweep has listed
    broken: str = ""  # the invariant that this step broke

    def is_current(self, worker: Worker) -> bool:
        """Whether an attempt is the newest of its task; it is also after a user marked the task."""
        return worker.attempt == self.task.attempt

    def may_write(self, worker: Worker) -> bool:
        """Whether the store takes an attempt's writes; that of a task that was cleared while it ran may go on."""
        return self.is_current(worker) or (self.task.state == "restarting" and worker.attempt == self.task.attempt - 1)

    def is_wanted(self, worker: Worker) -> bool:
        """Whether an attempt's heartbeats are accepted."""
        return self.is_current(worker) and self.task.state == "running"

    def with_worker(self, old: Worker, new: Worker | None) -> World:
        """Replace an attempt's process; None ends it."""
        return self._replace(workers=_replaced(self.workers, old, new))

    def with_runner(self, old: Runner, new: Runner | None) -> World:
        """Replace a trigger in its triggerer; None ends it."""
        return self._replace(runners=_replaced(self.runners, old, new))

    def with_job(self, index: int, job: Job) -> World:
        """Replace a job."""
        return self._replace(jobs=(*self.jobs[:index], job, *self.jobs[index + 1 :]))

    def spend(self, name: str) -> World:
        """Use up one disturbance."""
        return self._replace(left=self.left._replace(**{name: getattr(self.left, name) - 1}))

    def terminate(self, index: int, *, by_owner: bool = False) -> World:
        """Terminate a job, and note where a live attempt loses it that way.

        Args:
            index: The job.
            by_owner: Whether the live attempt itself decided so.
        """
        job = self.jobs[index]
        if job.status != "active":
            return self
        broken = "I2" if not by_owner and self._is_owned(index) else self.broken
        return self.with_job(index, job._replace(status="ending"))._replace(broken=broken)

    def _is_owned(self, index: int) -> bool:
        """Whether a job is a live attempt's, or would be the next one's; not where a user asked for its end."""
        job, task = self.jobs[index], self.task
        if job.is_others:
            return True
        if task.state in FINAL_STATES or job.run != task.run:
            return False
        held = task.job if task.state in ("deferred", "resuming") else NO_JOB
        for worker in self.workers:
            if worker.attempt == task.attempt:
                held = worker.job
        return held == index or (held == NO_JOB and job.request == task.request)


def _replaced(all_of_them: tuple[_Actor, ...], old: _Actor, new: _Actor | None) -> tuple[_Actor, ...]:
    """Put one in another's place, since states that differ in an order alone would count twice."""
    replaced = (new if each is old else each for each in all_of_them)
    return tuple(each for each in replaced if each is not None)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What may happen, and what kind of task it happens to.

    Attributes:
        disturbances: How often what may happen.
        retries: The task's.
        retries_lowered: Whether they are 0 since the DAG's last change, which a clear takes up.
        waits_on_worker: Whether the wait is the worker's and not a triggerer's.
        listings_lag: Whether AWS may list and describe a job only later within its first minute.
        carrier_known: Whether the task instance has a trace that changes on a clear; without, only `max_tries` tells
            one, and a clear of a running task cannot be told.
        forgets: Whether a clear discards the record and whatever is cleared gets another `max_tries`, as from Airflow
            3.4 on.
        request_changes: Whether a retry asks for something else than the first attempt.
        neighbour: Whether another deployment has a job of the same name prefix.
        changes_on_retry: Whether the request is changed for each job that failed.
        pauses_before_send: Whether a process may also pause between its last check and the send.
        is_swept: Whether it is one of those that only the sweep ends.
    """

    disturbances: Disturbances
    _: KW_ONLY
    retries: int = 1
    retries_lowered: bool = False
    waits_on_worker: bool = False
    listings_lag: bool = False
    carrier_known: bool = True
    forgets: bool = False
    request_changes: bool = False
    neighbour: bool = False
    changes_on_retry: bool = False
    pauses_before_send: bool = False
    is_swept: bool = False

    def begin(self) -> World:
        """Return the first state."""
        carrier = 1 if self.carrier_known else 0
        requests = (1, 2) if self.request_changes else (1,)
        task = TaskInstance(max_tries=self.retries, carrier=carrier, requests=requests)
        others = Job(name=0, run=0, generation=(NO_JOB, NO_JOB), request=1, is_others=True)
        return World(left=self.disturbances, task=task, jobs=(others,) if self.neighbour else ())


@dataclass(frozen=True, slots=True)
class Setting:
    """What is explored."""

    scenario: Scenario
    rules: Rules


class Step(NamedTuple):
    """One thing that happens."""

    name: str
    world: World
    is_due: bool = True  # whether it will happen some time; what a user does, and what goes wrong, need not
