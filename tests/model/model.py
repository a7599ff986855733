"""An explicit-state model of how a task instance comes to its one job: every order of events within given bounds.

Who acts: the attempts of one task instance (`attempt`), AWS, Airflow with its scheduler, users and triggerers, and the
sweep. `explore` goes breadth-first through all that can happen in a scenario, so that the first violation it meets is
reached by a shortest way.

The invariants:

- I1: at rest, not more than one job lives; where the sweep is needed, none of a task that is final.
- I2: no job that a live attempt owns is terminated unless a user asked for it.
- I3: a clear runs again: what an older generation left is never taken for the new one's.
- I4: a success of the generation is not run twice.
- I5: nothing runs on after a user's stop that a triggerer saw.
- I6: a job's request is changed once for each job of its run that failed, and for no other.
- I7: no retry ends the job that it asks for itself.

At rest nothing is due: only users could do something, jobs could end, and something could go wrong. Where the sweep is
needed, I1 and I5 hold after it, and I4 does not: what was sent too often may have succeeded before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_batch_jobs.task.stop import Verdict, in_triggerer, is_newer
from tests.model.attempt import attempt_steps, told_state, waits_for_minute
from tests.model.world import (
    FINAL_STATES,
    MOST_RESUMED,
    NO_JOB,
    Result,
    Rules,
    Runner,
    Scenario,
    Setting,
    Step,
    TaskInstance,
    Worker,
    World,
    XCom,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

INVARIANTS = frozenset({"I1", "I2", "I3", "I4", "I5", "I6", "I7"})
_CLEARED_STATES = frozenset({"deferred", "up_for_retry", *FINAL_STATES})


@dataclass(frozen=True, slots=True)
class Violation:
    """How an invariant was broken."""

    invariant: str
    trace: tuple[str, ...]

    def __str__(self) -> str:
        steps = [f"{number:3} {name}" for number, name in enumerate(self.trace, 1)]
        return "\n".join([f"{self.invariant} is broken by:", *steps])


@dataclass(frozen=True, slots=True)
class Exploration:
    """What came of exploring a scenario."""

    states: int
    rests: int
    violation: Violation | None


def explore(scenario: Scenario, rules: Rules | None = None, *, only: str = "") -> Exploration:
    """Go through all that can happen in a scenario, up to the first violation.

    Args:
        scenario: What may happen.
        rules: Those that hold; None for all.
        only: The invariant to watch; "" for all of them.
    """
    setting = Setting(scenario, rules or Rules())
    watched = {only} if only else INVARIANTS - ({"I4"} if scenario.is_swept else set())
    start = scenario.begin()
    came: dict[World, tuple[World, str] | None] = {start: None}
    waiting, rests = deque([start]), 0
    while waiting:
        world = waiting.popleft()
        is_resting = True
        for name, happened, is_due in _steps(world, setting):
            is_resting = is_resting and not is_due
            after = happened if happened.broken in watched else happened._replace(broken="")
            if after in came:
                continue
            came[after] = (world, name)
            if after.broken:
                return Exploration(len(came), rests, Violation(after.broken, _trace(came, after)))
            waiting.append(after)
        if is_resting:
            rests += 1
            broken = _broken_at_rest(world, scenario)
            if broken in watched:
                return Exploration(len(came), rests, Violation(broken, _trace(came, world)))
    return Exploration(len(came), rests, None)


def _trace(came: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    names: list[str] = []
    while before := came.get(world):
        world, name = before
        names.append(name)
    return tuple(reversed(names))


def _broken_at_rest(world: World, scenario: Scenario) -> str:
    if scenario.is_swept and world.task.state not in FINAL_STATES:
        return ""  # the sweep is still to come
    active = [job for job in world.jobs if not job.is_others and job.status == "active"]
    if any(job.stop_was_seen for job in active):
        return "I5"
    return "I1" if len(active) > (0 if scenario.is_swept else 1) else ""


def _steps(world: World, setting: Setting) -> Iterator[Step]:
    yield from attempt_steps(world, setting)
    yield from _aws_steps(world)
    yield from _minute_steps(world, setting)
    yield from _airflow_steps(world, setting)
    yield from _user_steps(world, setting)
    for runner in world.runners:
        for name, after, is_due in _runner_steps(world, runner, setting):
            yield Step(f"the triggerer with attempt {runner.attempt}'s trigger {name}", after, is_due)
    if setting.scenario.is_swept and setting.rules.sweep:
        yield from _sweep_steps(world, setting)


def _aws_steps(world: World) -> Iterator[Step]:
    for index, job in enumerate(world.jobs):
        if job.has_fallen and job.is_listed and world.left.forgets and index < len(world.jobs) - 1:
            # AWS keeps jobs for days: longer than it takes to send the next one.
            after = world.with_job(index, job._replace(is_listed=False, is_forgotten=True)).spend("forgets")
            yield Step(f"AWS forgets job {index}", after, is_due=False)
        if not job.is_listed and not job.is_forgotten:
            yield Step(f"AWS lists job {index}", world.with_job(index, job._replace(is_listed=True)))
        if job.status == "ending":
            yield Step(f"job {index} has been terminated", world.with_job(index, job._replace(status="failed")))
        elif job.status == "active" and not job.is_others:
            after = world.with_job(index, job._replace(status="succeeded"))
            yield Step(f"job {index} succeeds", after, is_due=False)
            if world.left.job_failures:
                after = world.with_job(index, job._replace(status="failed", has_fallen=True)).spend("job_failures")
                yield Step(f"job {index} fails", after, is_due=False)


def _minute_steps(world: World, setting: Setting) -> Iterator[Step]:
    """Yield the ends of minutes that an attempt waits for, or that pass before the request has gone out."""
    sending = {worker for worker in world.workers if worker.place in ("check", "send")}
    slow = {worker for worker in sending if worker.is_paused or worker.is_late}
    names = {worker.attempt for worker in slow if worker.attempt not in world.minute_over}
    names |= {worker.seen.name for worker in world.workers if worker.seen and waits_for_minute(world, worker, setting)}
    # Whoever else is about to send does so within the lease, and AWS lists what it took within the minute.
    names -= {worker.attempt for worker in sending - slow} | {
        job.name for job in world.jobs if not job.is_listed and not job.is_forgotten
    }
    for name in sorted(names):
        after = world._replace(minute_over=world.minute_over | {name})
        yield Step(f"a minute has passed since the record of attempt {name}", after)


def _airflow_steps(world: World, setting: Setting) -> Iterator[Step]:
    task = world.task
    if world.left.resets and task.state in ("running", "resuming"):
        # A scheduler has died and its executor's tasks are not adopted: a new attempt beyond all tries, and no clear.
        reset = task._replace(state="reset", attempt=task.attempt + 1, job=NO_JOB, result="")
        name = f"Airflow resets the task, which is {task.state}, after a scheduler's death"
        yield Step(name, world._replace(task=reset).spend("resets"), is_due=False)
    if task.state in ("cleared", "reset", "up_for_retry") or (
        task.state == "restarting" and not (setting.scenario.forgets and _is_at_work(world, task.attempt - 1))
    ):
        yield Step("Airflow queues the task", world._replace(task=task._replace(state="queued")))
    elif task.state == "queued":
        rules = setting.rules
        generation = (task.max_tries * rules.max_tries_count, task.carrier * rules.carrier_counts)
        worker = Worker(task.attempt, task.run, task.max_tries, generation, request=task.request)
        # Airflow clears the XComs of a task whenever an attempt begins.
        begun = task._replace(state="running", resumed=0)
        after = world._replace(task=begun, workers=(*world.workers, worker), xcom=None)
        yield Step(f"attempt {task.attempt} begins", after)
    elif task.state == "running":
        process = [worker for worker in world.workers if worker.attempt == task.attempt]
        if not process or process[0].is_paused:
            after = world._replace(task=_after_failure(task))
            yield Step(f"Airflow sees attempt {task.attempt} {'silent' if process else 'ended'}", after)
    elif task.state == "deferred":
        if not any(runner.attempt == task.attempt and runner.is_assigned for runner in world.runners):
            runner = Runner(task.attempt, task.max_tries, task.job)
            after = world._replace(runners=(*world.runners, runner))
            yield Step("a triggerer picks the trigger up", after)
    elif task.state == "resuming":
        yield _resume(world, setting)
        if world.left.crashes:
            after = world._replace(task=_after_failure(task)).spend("crashes")
            yield Step(f"attempt {task.attempt} is killed when it resumes", after, is_due=False)


def _is_at_work(world: World, attempt: int) -> bool:
    return any(worker.attempt == attempt and not worker.is_paused for worker in world.workers)


def _resume(world: World, setting: Setting) -> Step:
    task = world.task
    who = f"attempt {task.attempt}"
    if task.result == "succeeded":
        after = world._replace(task=task._replace(state="success", job=NO_JOB, result=""))
        return Step(f"{who} ends as its job, which succeeded", after)
    if task.result == "failed":
        return Step(f"{who} ends as its job, which failed", world._replace(task=_after_failure(task)))
    is_last = task.resumed == MOST_RESUMED
    if setting.rules.resume_after_crash and not is_last:
        again = task._replace(state="deferred", result="", resumed=task.resumed + 1)
        return Step(f"{who} takes its wait up again", world._replace(task=again))
    # The job is left to the retry; where none is left, nobody would watch it.
    after = world if task.attempt <= task.max_tries else world.terminate(task.job, by_owner=is_last)
    return Step(f"{who} ends, since its trigger crashed", after._replace(task=_after_failure(task)))


def _after_failure(task: TaskInstance) -> TaskInstance:
    """Return the task after its attempt has failed. At a retry the id changes, so the old one is refused from then."""
    ended = task._replace(job=NO_JOB, result="")
    if task.attempt > task.max_tries:
        return ended._replace(state="failed")
    return ended._replace(state="up_for_retry", attempt=task.attempt + 1)


def _user_steps(world: World, setting: Setting) -> Iterator[Step]:
    task, scenario = world.task, setting.scenario
    is_running = task.state in ("running", "resuming")
    # Where a clear of a running task changes the carrier alone, one without a carrier cannot be told from a retry.
    may_clear = task.state in _CLEARED_STATES or (is_running and (scenario.carrier_known or scenario.forgets))
    if world.left.clears and may_clear:
        # The attempt that a retry waits for has not begun, so it is the one that the clear begins.
        last = task.attempt - (task.state == "up_for_retry")
        cleared = task._replace(attempt=last + 1, run=task.run + 1, job=NO_JOB, result="", state="restarting")
        if not is_running or scenario.forgets:
            retries = 0 if scenario.retries_lowered else scenario.retries
            cleared = cleared._replace(max_tries=last + retries)
        if not is_running:
            cleared = cleared._replace(state="cleared")
        if scenario.carrier_known:
            cleared = cleared._replace(carrier=task.carrier + 1)
        after = world._replace(task=cleared, record=None if scenario.forgets else world.record).spend("clears")
        yield Step(f"a user clears the task, which is {task.state}", after, is_due=False)
    if world.left.marks and task.state not in FINAL_STATES:
        after = world._replace(task=task._replace(state="failed", job=NO_JOB, result="")).spend("marks")
        yield Step(f"a user marks the task failed, which is {task.state}", after, is_due=False)


def _runner_steps(world: World, runner: Runner, setting: Setting) -> Iterator[Step]:
    if runner.is_stalled:
        yield Step("comes back", world.with_runner(runner, runner._replace(is_stalled=False)))
        if runner.is_assigned and _is_its_task(world, runner):
            after = world.with_runner(runner, runner._replace(is_assigned=False))
            name = "is taken for dead, and another takes over"
            fresh = Runner(runner.attempt, runner.max_tries, runner.job)
            yield Step(name, after._replace(runners=(*after.runners, fresh)), is_due=False)
        return
    if runner.place != "run":
        yield from _kill_steps(world, runner, setting)
        return
    if world.left.timeouts:
        yield from _timeout_steps(world, runner, setting)
    yield from _xcom_steps(world, runner, setting)
    if not (runner.is_assigned and _is_its_task(world, runner)):
        yield Step("is told to cancel it", _cancel(world, runner, setting))
    else:
        status, gone = world.jobs[runner.job].status, world.with_runner(runner, None)
        if status in ("succeeded", "failed"):
            result: Result = "succeeded" if status == "succeeded" else "failed"
            after = gone._replace(task=world.task._replace(state="resuming", result=result))
            yield Step(f"sees that job {runner.job} {status}", after)
        if world.left.trigger_crashes:
            after = gone._replace(task=world.task._replace(state="resuming", result="crashed"))
            yield Step("crashes", after.spend("trigger_crashes"), is_due=False)
        if world.left.stalls:
            after = world.with_runner(runner, runner._replace(is_stalled=True)).spend("stalls")
            yield Step("stalls", after, is_due=False)


def _timeout_steps(world: World, runner: Runner, setting: Setting) -> Iterator[Step]:
    is_its = _is_its_task(world, runner)
    stored = {"try_number": world.xcom.attempt[1]} if world.xcom else None
    is_current = world.task.state == "deferred" and not is_newer(stored, runner.attempt)
    if is_current or not setting.rules.fence_before_timeout:
        after = world.spend("timeouts").terminate(runner.job, by_owner=is_its)
        yield Step(f"has its time up, and terminates job {runner.job}", after, is_due=False)


def _xcom_steps(world: World, runner: Runner, setting: Setting) -> Iterator[Step]:
    """Yield the write of what is known of the job: a look at what is there, and in the same moment the write."""
    mine = XCom(runner.job, (runner.max_tries, runner.attempt))
    may_write = world.xcom is not None and world.xcom.attempt[1] <= runner.attempt
    if world.xcom != mine and (may_write or not setting.rules.xcom_stays_newest):
        yield Step("writes its XCom", world._replace(xcom=mine), is_due=False)


def _is_its_task(world: World, runner: Runner) -> bool:
    return world.task.state == "deferred" and world.task.attempt == runner.attempt


def _cancel(world: World, runner: Runner, setting: Setting) -> World:
    """Cancel a trigger; the job of a user's stop is to be gone at the end."""
    job, task = world.jobs[runner.job], world.task
    place = runner._replace(place="ask" if setting.rules.ask_state_before_kill else "kill")
    if task.state in FINAL_STATES or task.run != job.run:
        world = world.with_job(runner.job, job._replace(stop_was_seen=True))
    return world.with_runner(runner, place)


def _kill_steps(world: World, runner: Runner, setting: Setting) -> Iterator[Step]:
    """Yield what a cancelled trigger decides; it asks for the state first, and then for the XCom if that matters."""
    gone, job = world.with_runner(runner, None), runner.job
    killing = world.with_runner(runner, runner._replace(place="kill"))
    is_over = in_triggerer(told_state(world, setting), None, str(job), runner.attempt) is Verdict.TERMINATE
    if runner.place == "kill":
        yield Step(f"terminates job {job}", world.terminate(job).with_runner(runner, None))
    elif runner.place == "compare":
        if _compare(world, runner, setting) is Verdict.TERMINATE:
            yield Step("finds a newer job in the XCom", killing)
        else:
            yield Step(f"finds no newer job in the XCom, and leaves job {job}", gone)
    elif world.task.state == "deferred":
        yield Step("sees the task deferred", world.with_runner(runner, runner._replace(place="compare")))
    elif is_over or not setting.rules.leave_on_the_way:
        yield Step(f"sees the task {world.task.state}", killing)
    else:
        # Where the state may still decide, it asks on for 20 s; leaving is what may come of it at any time.
        yield Step(f"sees the task {world.task.state}, and leaves job {job}", gone)


def _compare(world: World, runner: Runner, setting: Setting) -> Verdict:
    rules, stored = setting.rules, None
    if world.xcom is not None:
        max_tries, try_number = world.xcom.attempt
        is_mine = world.xcom.job == runner.job
        if not rules.xcom_attempt_marks:
            return Verdict.LEAVE if is_mine else Verdict.TERMINATE
        if not rules.newer_by_try_number:
            newer = (max_tries, try_number) > (runner.max_tries, runner.attempt)
            return Verdict.TERMINATE if newer and not is_mine else Verdict.LEAVE
        stored = {"job_id": str(world.xcom.job), "max_tries": max_tries, "try_number": try_number}
    return in_triggerer("deferred", stored, str(runner.job), runner.attempt)


def _sweep_steps(world: World, setting: Setting) -> Iterator[Step]:
    is_final = world.task.state in FINAL_STATES
    found = frozenset(
        index for index, job in enumerate(world.jobs) if job.status == "active" and job.is_listed and not job.is_others
    )
    if not setting.rules.sweep_lists_first:
        if world.swept is None and is_final and found:
            yield Step("the sweep sees that the task is final", world._replace(swept=frozenset()))
        elif world.swept is not None:
            yield Step(f"the sweep lists and terminates jobs {sorted(found)}", _sweep(world, found))
    elif world.swept is None:
        if found:
            yield Step(f"the sweep lists jobs {sorted(found)}", world._replace(swept=found), is_final)
    elif is_final:
        yield Step(f"the sweep terminates jobs {sorted(world.swept)}", _sweep(world, world.swept))
    else:
        yield Step("the sweep sees that the task is not final", world._replace(swept=None))


def _sweep(world: World, jobs: frozenset[int]) -> World:
    for index in sorted(jobs):
        world = world.terminate(index)
    return world._replace(swept=None)
