"""What an attempt does on its worker: look, record, send, push, defer or wait, and what SIGTERM means to it.

Each step is one call to AWS or to Airflow; between any two the process may pause, or die.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.orphans import GONE
from airflow_batch_jobs.task.stop import Verdict, on_worker
from tests.model.world import FINAL_STATES, NO_JOB, Job, Record, Setting, Step, Worker, World, XCom

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Where a pause is the one that no rule can help against: between the last check and the call.
_AFTER_THE_LAST_CHECK = frozenset({"send", "end", "kill"})
_SUBMITTING = frozenset(
    {"read", "look", "fence", "end", "await", "write", "check", "send", "lookup", "write id", "push"}
)


def attempt_steps(world: World, setting: Setting) -> Iterator[Step]:
    """Yield what the attempts may do next, and what may happen to them."""
    for worker in world.workers:
        who = f"attempt {worker.attempt}"
        if worker.is_paused:
            yield Step(f"{who} goes on after its pause", world.with_worker(worker, worker._replace(is_paused=False)))
            continue
        for name, after, is_due in _PLACES[worker.place](world, worker, setting):
            yield Step(f"{who} {name}", after, is_due)
        if world.left.crashes and world.is_current(worker):
            yield Step(f"{who} is killed", world.with_worker(worker, None).spend("crashes"), is_due=False)
        if world.left.pauses and (worker.place not in _AFTER_THE_LAST_CHECK or _may_pause(worker, setting)):
            paused = worker._replace(is_paused=True, is_late=worker.place == "check")
            name = f"{who} pauses before it would {worker.place}"
            yield Step(name, world.with_worker(worker, paused).spend("pauses"), is_due=False)
        if world.left.timeouts and worker.place in _SUBMITTING:
            # A job is left to the retry where there is one.
            late = None if worker.retry_left else worker._replace(place="late", seen=None, unwanted=())
            yield Step(
                f"{who} has its time up in its submit", world.with_worker(worker, late).spend("timeouts"), is_due=False
            )
        if not world.is_wanted(worker):
            yield Step(f"{who} is killed by its supervisor", world.with_worker(worker, None), is_due=False)


def _may_pause(worker: Worker, setting: Setting) -> bool:
    return setting.scenario.pauses_before_send and worker.place == "send"


def _read(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    seen = world.record if world.may_write(worker) else None
    is_first = seen is None and worker.attempt == 1
    since = seen.since if seen else worker.attempt * (not is_first)
    if is_first or not setting.rules.look_first:
        place = worker._replace(place="write" if setting.rules.record_first else "send", seen=seen, since=since)
    else:
        place = worker._replace(place="look", seen=seen, since=since)
    yield Step("reads the record" if seen else "reads no record", world.with_worker(worker, place))


def _look(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    rules, seen = setting.rules, worker.seen
    if waits_for_minute(world, worker, setting):
        return
    listed = [index for index, job in enumerate(world.jobs) if job.is_listed]
    if _waits_for_forgotten(world, worker, setting):
        return
    likeliest = sorted(listed, key=lambda index: (seen is not None and index == seen.job, index), reverse=True)
    own = [index for index in likeliest if world.jobs[index].generation == worker.generation]
    told = seen if seen and seen.generation == worker.generation else None
    before, worker = worker, worker._replace(failures=_failures(world, worker, setting, own))
    is_same = told is None or told.request == worker.request
    good = [index for index in own if rules.take_success and world.jobs[index].status == "succeeded"]
    good += [index for index in own if is_same and world.jobs[index].status == "active"]
    active = [index for index in listed if world.jobs[index].status == "active" and index not in good[:1]]
    unwanted = tuple(index for index in active if _is_unwanted(world.jobs[index], worker, setting))
    if unwanted:
        place = worker._replace(place="fence" if rules.fence_before_end else "end", unwanted=unwanted)
        after = world.with_worker(before, place)
        mine = [job for job in map(world.jobs.__getitem__, unwanted) if job.generation == worker.generation]
        if world.is_current(worker) and not good and any(job.request == worker.request for job in mine):
            after = after._replace(broken="I7")
        yield Step(f"finds jobs {unwanted} unwanted", after)
    elif good:
        job = world.jobs[good[0]]
        after = world.with_worker(before, worker._replace(place="write id", seen=None, job=good[0]))
        if job.run != worker.run:
            after = after._replace(broken="I3")
        yield Step(f"goes on with job {good[0]}, which is {job.status}", after)
    else:
        yield Step("finds no job to go on with", world.with_worker(before, _before_send(worker, setting)))


def _failures(world: World, worker: Worker, setting: Setting, own: list[int]) -> frozenset[int]:
    """Return which jobs of its generation an attempt knows to have failed."""
    if not setting.scenario.changes_on_retry:
        return frozenset()
    rules, seen = setting.rules, worker.seen
    found = {index for index in own if world.jobs[index].has_fallen} if rules.failures_of_aws else set()
    if seen and rules.failures_of_record:
        is_told = seen.generation == worker.generation or not rules.failures_of_generation
        found |= seen.failures if is_told else set()
    return frozenset(found)


def _asked(worker: Worker, setting: Setting) -> int:
    """Return what the record keeps of an attempt's request."""
    return worker.request + (0 if setting.rules.digest_before_change else 10 * len(worker.failures))


def _is_unwanted(job: Job, worker: Worker, setting: Setting) -> bool:
    if job.generation == worker.generation:
        return True
    if worker.seen is not None and job.generation == worker.seen.generation:
        return setting.rules.end_older
    if job.name < worker.since and not job.is_others:
        return setting.rules.end_forgotten
    return not setting.rules.leave_unknown


def waits_for_minute(world: World, worker: Worker, setting: Setting) -> bool:
    """Tell whether an attempt still looks for the job of the record that it read."""
    seen, rules = worker.seen, setting.rules
    if worker.place != "look" or seen is None or seen.name in world.minute_over:
        return False
    if not (rules.grace if seen.job == NO_JOB else rules.grace_with_id):
        return False
    return not any(job.name == seen.name and job.is_listed for job in world.jobs)


def _waits_for_forgotten(world: World, worker: Worker, setting: Setting) -> bool:
    """Tell whether an attempt that read no record still looks for what the one before it may have sent just now."""
    if worker.seen is not None or not (setting.scenario.forgets and setting.rules.grace_forgotten):
        return False
    sending = {each.attempt for each in world.workers if each.place in ("check", "send") and not each.is_paused}
    unlisted = {job.name for job in world.jobs if not job.is_listed}
    return any(name < worker.since for name in sending | unlisted)


def _before_send(worker: Worker, setting: Setting) -> Worker:
    recorded = worker.is_unrecorded or not setting.rules.record_first
    return worker._replace(place="send" if recorded else "write", unwanted=())


def _fence(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    """Write the record as it was read: what it says of the older generation is still needed."""
    if world.may_write(worker):
        after = world._replace(record=worker.seen or _record(worker, setting))
        yield Step("may still write its record", after.with_worker(worker, worker._replace(place="end")))
    else:
        yield Step("is refused by the store, and ends", world.with_worker(worker, None))


def _record(worker: Worker, setting: Setting) -> Record:
    since = worker.since if setting.rules.remember_forgotten else 0
    return Record(worker.attempt, worker.generation, _asked(worker, setting), since=since, failures=worker.failures)


def _end(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    del setting
    after = world
    for index in worker.unwanted:
        is_mine = world.is_current(worker) and not world.jobs[index].is_others
        after = after.terminate(index, by_owner=is_mine)
    yield Step(f"terminates jobs {worker.unwanted}", after.with_worker(worker, worker._replace(place="await")))


def _await(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    if any(world.jobs[index].status in ("active", "ending") for index in worker.unwanted):
        return
    again = worker._replace(place="look", unwanted=())
    next_place = again if setting.rules.look_after_end else _before_send(worker, setting)
    yield Step("sees that they have ended", world.with_worker(worker, next_place))


def _write(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    rules = setting.rules
    record = _record(worker, setting)
    checked = world.with_worker(worker, worker._replace(place="check", is_late=False))
    if world.may_write(worker):
        after = checked._replace(record=record, minute_over=world.minute_over - {worker.attempt})
        yield Step("writes its record", after)
    elif rules.fence:
        yield Step("is refused by the store, and ends", world.with_worker(worker, None))
    else:
        yield Step("is refused by the store, and goes on", checked)
    if world.left.outages:
        place = worker._replace(place="look", is_late=False, is_unrecorded=True)
        after = world.with_worker(worker, place).spend("outages")
        yield Step("gets no answer from the store", after, is_due=False)
        if world.may_write(worker):
            yield Step("gets no answer from the store, which wrote", after._replace(record=record), is_due=False)


def _check(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    is_old = worker.is_late and setting.rules.lease
    place = worker._replace(place="write" if is_old else "send")
    yield Step("finds its record old" if is_old else "finds its record new", world.with_worker(worker, place))


def _send(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    rules = setting.rules
    job = Job(
        worker.attempt, worker.run, worker.generation, worker.request, is_listed=not setting.scenario.listings_lag
    )
    index = len(world.jobs)
    sent = world._replace(jobs=(*world.jobs, job))
    is_asked_for = worker.run == world.task.run or not setting.scenario.forgets
    if is_asked_for and any(each.run == worker.run and each.status == "succeeded" for each in world.jobs):
        sent = sent._replace(broken="I4")
    fallen = {number for number, each in enumerate(world.jobs) if each.run == worker.run and each.has_fallen}
    if setting.scenario.changes_on_retry and worker.failures != fallen:
        sent = sent._replace(broken="I6")
    yield Step(
        f"sends job {index}",
        sent.with_worker(worker, worker._replace(place="write id", seen=None, job=index, is_late=False)),
    )
    if world.left.throttles:
        place = worker._replace(place="check" if rules.lease_when_throttled else "send", is_late=True)
        yield Step("is throttled", world.with_worker(worker, place).spend("throttles"), is_due=False)
    if world.left.lost_answers:
        doubtful = worker._replace(place="lookup" if rules.one_send else "send", seen=None, is_late=False)
        name = f"sends job {index}, and the answer is lost"
        yield Step(name, sent.with_worker(worker, doubtful).spend("lost_answers"), is_due=False)
        name = "sends a request that is lost"
        yield Step(name, world.with_worker(worker, doubtful).spend("lost_answers"), is_due=False)


def _lookup(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    del setting
    named = [index for index, job in enumerate(world.jobs) if job.name == worker.attempt]
    listed = [index for index in named if world.jobs[index].is_listed]
    if listed:
        found = worker._replace(place="write id", job=listed[-1])
        yield Step(f"finds job {listed[-1]} by its name", world.with_worker(worker, found))
    elif not named:
        yield Step("finds no job of its name for a minute, and fails", world.with_worker(worker, None))


def _write_id(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    rules = setting.rules
    record = _record(worker, setting)._replace(name=world.jobs[worker.job].name, job=worker.job)
    done = world.with_worker(worker, worker._replace(place="push"))
    if world.may_write(worker):
        yield Step("writes the id", done._replace(record=record))
    elif not rules.stale_leaves_its_job:
        after = world.terminate(worker.job).with_worker(worker, None)
        yield Step("is refused by the store, and terminates its job", after)
    elif rules.fence:
        yield Step("is refused by the store, and ends", world.with_worker(worker, None))
    else:
        yield Step("is refused by the store, and goes on", done)
    if world.left.outages:
        yield Step("cannot write the id", done.spend("outages"), is_due=False)


def _push(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    """Push the XCom, which no fence keeps a stale attempt from, and defer, which one does."""
    pushed = world._replace(xcom=XCom(worker.job, (worker.max_tries, worker.attempt)))
    if setting.scenario.waits_on_worker:
        yield Step("pushes its XCom", pushed.with_worker(worker, worker._replace(place="wait")))
    elif world.is_wanted(worker):
        task = world.task._replace(state="deferred", job=worker.job)
        yield Step("pushes its XCom and defers", pushed._replace(task=task).with_worker(worker, None))
    else:
        yield Step("pushes its XCom and may not defer", pushed.with_worker(worker, None))
        told = worker._replace(place="ask")
        yield Step("pushes its XCom and is told to stop", pushed.with_worker(worker, told), is_due=False)


def _wait(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    status, gone = world.jobs[worker.job].status, world.with_worker(worker, None)
    told = world.with_worker(worker, worker._replace(place="ask"))
    if status in ("succeeded", "failed"):
        if world.is_wanted(worker) and status == "succeeded":
            yield Step("reports success", gone._replace(task=world.task._replace(state="success")))
        else:
            yield Step("ends", gone)
    if not world.is_wanted(worker):
        yield Step("is told to stop, since its heartbeat is refused", told)
    elif world.left.evictions:
        yield Step("is told to stop, since its node is drained", told.spend("evictions"), is_due=False)
    if world.left.timeouts and (world.is_wanted(worker) or not setting.rules.fence_before_timeout):
        after = world.spend("timeouts").terminate(worker.job, by_owner=world.is_current(worker))
        yield Step(f"has its time up, and terminates job {worker.job}", after, is_due=False)


def _late(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    """Look for what a submit has started whose time was up: listings show it within a minute, or never."""
    named = [job for job in world.jobs if job.name == worker.attempt]
    if any(not job.is_listed for job in named):
        return
    if not world.is_wanted(worker) and setting.rules.fence_before_timeout:
        yield Step("asks on whether it may terminate anything, and is killed", world.with_worker(worker, None))
        return
    after = world
    for index, job in enumerate(world.jobs):
        if job.is_listed and job.generation == worker.generation:
            after = after.terminate(index, by_owner=world.is_current(worker))
    yield Step("terminates what its submit has started", after.with_worker(worker, None))


def _ask(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    state, rules = world.task.state, setting.rules
    verdict = on_worker(told_state(world, setting), retry_left=worker.retry_left)
    is_users = state in FINAL_STATES or state == "restarting"
    if rules.fence_before_eviction and not is_users and not world.is_current(worker):
        verdict = Verdict.LEAVE
    if verdict is Verdict.TERMINATE or not rules.ask_state_on_worker:
        yield Step(f"sees the task {state}", world.with_worker(worker, worker._replace(place="kill")))
    else:
        yield Step(f"sees the task {state}, and leaves job {worker.job}", world.with_worker(worker, None))


def told_state(world: World, setting: Setting) -> str | None:
    """Return what the decision about a stop is told of the task's state."""
    told = world.task.told_state
    return GONE if told is None and not setting.rules.no_state_is_no_stop else told


def _kill(world: World, worker: Worker, setting: Setting) -> Iterator[Step]:
    del setting
    is_owners = world.is_current(worker) and not worker.retry_left
    after = world.terminate(worker.job, by_owner=is_owners)
    yield Step(f"terminates job {worker.job}", after.with_worker(worker, None))


_PLACES: dict[str, Callable[[World, Worker, Setting], Iterator[Step]]] = {
    "read": _read,
    "look": _look,
    "fence": _fence,
    "end": _end,
    "await": _await,
    "write": _write,
    "check": _check,
    "send": _send,
    "lookup": _lookup,
    "write id": _write_id,
    "push": _push,
    "wait": _wait,
    "ask": _ask,
    "kill": _kill,
    "late": _late,
}
