"""A job's failure is said in one line."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pytest

from airflow_batch_jobs.batch import diagnosis as diagnoses
from airflow_batch_jobs.batch.aws_messages import BLOCKS, EXIT_CODES, FATES, REASONS, Meaning
from airflow_batch_jobs.batch.diagnosis import Cause, Diagnosis, diagnose, tell

if TYPE_CHECKING:
    from tests.batch.conftest import Entries

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
PULL = "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref align:1: "
SECRET = "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secret from asm: x"
SPOT = "Host EC2 (instance i-0a1b2c3d4e5f60718) terminated."
MEANINGS = sorted(
    {sign.meaning for sign in (*FATES, *REASONS, *BLOCKS)}
    | {each for each in vars(diagnoses).values() if isinstance(each, Meaning)}
    | set(EXIT_CODES.values()),
    key=str,
)
BLOCK_MEANINGS = {sign.meaning for sign in BLOCKS}


@pytest.mark.parametrize(
    ("exit_code", "reason", "status_reason", "cause"),
    [
        (1, "", EXITED, Cause.EXIT_CODE),
        (255, "", EXITED, Cause.EXIT_CODE),
        (126, "", EXITED, Cause.NOT_EXECUTABLE),
        (127, "", EXITED, Cause.COMMAND_NOT_FOUND),
        (134, "", EXITED, Cause.SIGNAL),
        (137, "", EXITED, Cause.KILLED),
        (139, "", EXITED, Cause.SIGNAL),
        (143, "", EXITED, Cause.SIGNAL),
        (137, "OutOfMemoryError: Container killed due to memory usage", EXITED, Cause.OUT_OF_MEMORY),
        (137, "container killed due to memory usage", EXITED, Cause.OUT_OF_MEMORY),
        (1, "OOMKilled", "", Cause.OUT_OF_MEMORY),
        (137, "", "Job attempt duration exceeded timeout", Cause.TIMEOUT),
        (None, "", "Dependent Job failed", Cause.DEPENDENCY_FAILED),
        (None, "", SPOT, Cause.HOST_LOST),
        (None, "", "Your Spot Task was interrupted.", Cause.HOST_LOST),
        (None, PULL + "docker.io/library/align:1: not found", NOT_STARTED, Cause.IMAGE_NOT_FOUND),
        (None, "CannotPullContainerError: manifest unknown", NOT_STARTED, Cause.IMAGE_NOT_FOUND),
        (None, PULL + "pull access denied, repository does not exist", NOT_STARTED, Cause.IMAGE_ACCESS_DENIED),
        (None, PULL + "unexpected status code: 403 Forbidden", NOT_STARTED, Cause.IMAGE_ACCESS_DENIED),
        (None, PULL + "toomanyrequests: You have reached your limit", NOT_STARTED, Cause.IMAGE_RATE_LIMIT),
        (None, PULL + "dial tcp 10.0.3.17:443: i/o timeout", NOT_STARTED, Cause.IMAGE_NETWORK),
        (None, PULL + "no matching manifest for linux/arm64/v8", NOT_STARTED, Cause.WRONG_ARCHITECTURE),
        (None, PULL + "write /var/lib: no space left on device", NOT_STARTED, Cause.DISK_FULL),
        (None, "CannotPullContainerError: something new", NOT_STARTED, Cause.IMAGE_PULL),
        (None, "ImagePullBackOff", "", Cause.IMAGE_PULL),
        (None, "", PULL + "align:1: not found", Cause.IMAGE_NOT_FOUND),
        (
            127,
            'CannotStartContainerError: OCI runtime create failed: exec: "algin": executable file not found in $PATH',
            NOT_STARTED,
            Cause.COMMAND_NOT_FOUND,
        ),
        (126, 'CannotStartContainerError: OCI: exec: "/align": permission denied', NOT_STARTED, Cause.NOT_EXECUTABLE),
        (1, "CannotStartContainerError: exec /align: exec format error", NOT_STARTED, Cause.WRONG_ARCHITECTURE),
        (None, "DockerTimeoutError: Could not transition to started", NOT_STARTED, Cause.CANNOT_START),
        (None, SECRET, NOT_STARTED, Cause.SECRETS),
        (None, "Fetching secret data from SSM Parameter Store: AccessDenied", NOT_STARTED, Cause.SECRETS),
        (
            None,
            "ResourceInitializationError: failed to validate logger args: the log group does not exist",
            NOT_STARTED,
            Cause.LOG_SETUP,
        ),
        (
            None,
            "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve ecr auth",
            NOT_STARTED,
            Cause.RESOURCE_SETUP,
        ),
        (None, "", EXITED, Cause.ESSENTIAL_EXITED),
        (None, "", "", Cause.UNKNOWN),
        (None, "", "The moon was full", Cause.UNKNOWN),
        (
            None,
            "",
            "Canceled by JobStateTimeLimit action due to reason: MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
            Cause.MISCONFIGURATION,
        ),
        (None, "", "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - The capacity cannot be fulfilled", Cause.CAPACITY),
    ],
)
def test_the_words_of_aws_are_understood(
    entries: Entries, exit_code: int | None, reason: str, status_reason: str, cause: Cause
) -> None:
    """Each known text and exit code has its cause, said in one line that ends with what to do."""
    diagnosis = diagnose(entries.read(entries.failed(exit_code, reason, statusReason=status_reason)))
    assert diagnosis.cause is cause
    assert "\n" not in str(diagnosis)
    assert "{" not in str(diagnosis)
    assert diagnosis.summary.endswith(".")
    assert diagnosis.remedy.endswith(".")


def test_a_diagnosis_says_what_happened_then_what_to_do_and_last_what_aws_says(entries: Entries) -> None:
    """Exit code and number of attempts belong to the first; what AWS says of every job is left out."""
    attempts = [entries.attempt(number, exitCode=3) for number in (1, 2)]
    detail = entries.read(entries.failed(3, "out of coffee", statusReason=EXITED, attempts=attempts))
    assert str(diagnose(detail)) == (
        "The container failed by itself (exit code 3; after 2 attempts). Read the end of its log. (out of coffee)"
    )


def test_what_aws_says_of_every_job_is_said_where_nothing_tells_more(entries: Entries) -> None:
    """Not beside an exit code or another reason."""
    alone, with_code = entries.failed(None, statusReason=EXITED), entries.failed(1, statusReason=EXITED)
    assert diagnose(entries.read(alone)).details == EXITED
    assert diagnose(entries.read(with_code)).details == ""
    assert diagnose(entries.read(entries.failed(None, "out of coffee", statusReason=EXITED))).details == "out of coffee"


def test_a_diagnosis_crosses_to_another_process_as_it_is(entries: Entries) -> None:
    """One that an older version has written has no details."""
    diagnosis = diagnose(entries.read(entries.failed(3, "out of coffee")))
    assert Diagnosis.from_dict(diagnosis.to_dict()) == diagnosis
    older = {name: value for name, value in diagnosis.to_dict().items() if name != "details"}
    assert Diagnosis.from_dict(older) == dataclasses.replace(diagnosis, details="")


@pytest.mark.parametrize("meaning", MEANINGS, ids=lambda meaning: meaning.summary)
def test_what_a_screen_shows_of_a_line_tells_what_happened(entries: Entries, meaning: Meaning) -> None:
    """These are 80 characters; the remedy follows at once, so that it shows as far as there is room."""
    entry = entries.failed(1, "CannotPullContainerError: " + "x" * 200, statusReason=EXITED)
    entry["container"]["image"] = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/genomics/align-reads:2026.11.26"
    told = tell(entries.read(entry), meaning)
    happened = meaning.summary.format(container="the container", memory="", timeout="")
    line = f"RUNNABLE: {told}" if meaning in BLOCK_MEANINGS else str(told)
    assert happened[1:] in line[:80]
    assert f"{told.summary} {told.remedy}" in line
    if meaning.cause not in {
        Cause.CANCELLED,
        Cause.TERMINATED,
        Cause.UNKNOWN,
    }:  # these quote what was given as a reason
        assert told.summary[1:] == f"{happened[1:]} (exit code 1)."


def test_the_remedy_names_the_jobs_own_figures(entries: Entries) -> None:
    """Out of memory names the memory, a timeout the timeout, a failed pull the image."""
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    out_of_memory = entries.failed(137, "OutOfMemoryError: killed")
    out_of_memory["container"]["resourceRequirements"] = needs
    assert "(it has 2048 MiB)" in diagnose(entries.read(out_of_memory)).remedy
    late = entries.failed(137, statusReason="Job attempt duration exceeded timeout")
    late["timeout"] = {"attemptDurationSeconds": 5400}
    assert diagnose(entries.read(late)).summary.startswith("An attempt took longer than its timeout of 1 h 30 min (")
    missing = entries.failed(None, "CannotPullContainerError: not found", statusReason=NOT_STARTED)
    told = diagnose(entries.read(missing))
    assert told.summary == "The image does not exist."
    assert told.details.startswith("image images/align:1; CannotPullContainerError")


def test_a_pod_out_of_memory_names_its_limit(entries: Entries) -> None:
    """On EKS the memory is the container's limit."""
    entry = entries.eks(exit_code=137, reason="OOMKilled")
    entry["eksProperties"]["podProperties"]["containers"][0]["resources"] = {"limits": {"memory": "512Mi"}}
    diagnosis = diagnose(entries.read(entry))
    assert diagnosis.cause is Cause.OUT_OF_MEMORY
    assert "(it has 512Mi)" in diagnosis.remedy


def test_exit_137_alone_does_not_claim_that_memory_ran_out(entries: Entries) -> None:
    """Without AWS's word for it, memory is only the likely cause."""
    diagnosis = diagnose(entries.read(entries.failed(137)))
    assert "AWS does not say why" in diagnosis.summary
    assert "Most often it had too little memory" in diagnosis.remedy


@pytest.mark.parametrize(("flag", "cause"), [("isTerminated", Cause.TERMINATED), ("isCancelled", Cause.CANCELLED)])
def test_who_stopped_a_job_gave_a_reason(entries: Entries, flag: str, cause: Cause) -> None:
    """The reason given is shown, and the exit code of the signal is not taken for the cause."""
    entry = entries.failed(137, statusReason="Stopped by ada: wrong genome") | {flag: True}
    diagnosis = diagnose(entries.read(entry))
    assert diagnosis.cause is cause
    assert "Stopped by ada: wrong genome" in diagnosis.summary


def test_a_long_reason_is_cut_and_put_on_one_line(entries: Entries) -> None:
    """A stack trace in a reason does not spread over the log; its end, which tells most, is kept."""
    diagnosis = diagnose(entries.read(entries.failed(1, "first line\nsecond\tline " + "x" * 5000 + " KeyError: 'a'")))
    assert "first line second line xxx" in diagnosis.details
    assert "xxx … xxx" in diagnosis.details
    assert "xxx KeyError: 'a'" in diagnosis.details
    assert len(str(diagnosis)) < 600


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_reason_of_any_length_is_read_at_its_ends(entries: Entries, place: str) -> None:
    """What AWS says begins or ends with the cause; a text without end costs nothing."""
    said, rest = "CannotPullContainerError: manifest unknown", "CannotPullContainerError " * 10_000
    reason = f"{said} {rest}" if place == "first" else f"{rest} {said}"
    began = time.thread_time()
    assert diagnose(entries.read(entries.failed(1, reason))).cause is Cause.IMAGE_NOT_FOUND
    assert time.thread_time() - began < 0.1


def test_braces_in_a_reason_are_only_text(entries: Entries) -> None:
    """What AWS says is shown, never filled in."""
    diagnosis = diagnose(entries.read(entries.failed(1, "{container} {0} {}")))
    assert "{container} {0} {}" in diagnosis.details


def test_the_container_that_failed_is_named(entries: Entries) -> None:
    """Of several containers the one that failed by itself is named, not the one stopped along with it."""
    entry = entries.multi_container({"sidecar": {"exitCode": 137}, "main": {"exitCode": 4}}, statusReason=EXITED)
    diagnosis = diagnose(entries.read(entry))
    assert diagnosis.cause is Cause.EXIT_CODE
    assert diagnosis.summary.startswith("Container main failed by itself (exit code 4")


@pytest.mark.parametrize(
    ("main", "sidecar", "status_reason", "cause"),
    [
        ({}, {"reason": PULL + "docker.io/x/sidecar:1: not found"}, EXITED, Cause.IMAGE_NOT_FOUND),
        (
            {"exitCode": 137},
            {"reason": "CannotPullContainerError: manifest unknown"},
            NOT_STARTED,
            Cause.IMAGE_NOT_FOUND,
        ),
        ({}, {"exitCode": 3}, NOT_STARTED, Cause.CANNOT_START),
        ({}, {"exitCode": 3}, "", Cause.EXIT_CODE),
    ],
)
def test_a_container_that_is_not_essential_can_be_why_the_others_never_ran(
    entries: Entries, main: dict[str, Any], sidecar: dict[str, Any], status_reason: str, cause: Cause
) -> None:
    """It is named, with its image; in the entry itself or in its last attempt alone."""
    results = {"main": main, "sidecar": {"essential": False, **sidecar}}
    entry = entries.multi_container(results, status="FAILED", statusReason=status_reason)
    for _ in range(2):
        detail = entries.read(entry)
        diagnosis = diagnose(detail)
        assert diagnosis.cause is cause
        assert detail.telling_container() == "sidecar"
        assert "container main" not in str(diagnosis).lower()
        for container in entry["ecsProperties"]["taskProperties"][0]["containers"]:
            for key in ("exitCode", "reason"):
                container.pop(key, None)


@pytest.mark.parametrize(
    ("main", "exit_code"),
    [({"exitCode": 0}, 0), ({"exitCode": 4}, 4), ({"logStreamName": "main/1"}, None)],
)
def test_a_container_that_is_essential_speaks_for_itself(
    entries: Entries, main: dict[str, Any], exit_code: int | None
) -> None:
    """When it ended, or runs: the end of one that is not does not end the job."""
    results = {"main": main, "sidecar": {"essential": False, "exitCode": 3, "reason": "OutOfMemoryError: x"}}
    detail = entries.read(entries.multi_container(results))
    assert detail.telling_container() == "main"
    assert (detail.exit_code, detail.reason) == (exit_code, "")


def test_an_array_of_which_nothing_but_its_end_is_known_says_where_to_look(entries: Entries) -> None:
    """AWS may leave its counts empty."""
    parent = entries.array({}, status="FAILED", statusReason="Array Child Job failed")
    diagnosis = diagnose(entries.read(parent | {"arrayProperties": {"size": 3, "statusSummary": {}}}))
    assert diagnosis.summary == "At least one of its children failed."
    assert "failed children" in diagnosis.remedy


def test_the_children_that_failed_are_counted_and_the_first_explained(entries: Entries) -> None:
    """An array says how many children failed, which came first, and why."""
    parent = entries.read(entries.array({"FAILED": 7, "SUCCEEDED": 3}, status="FAILED"))
    killed = entries.failed(137, "OutOfMemoryError: killed")
    parts = [entries.read(entries.child(index, killed)) for index in (9, 8, 6, 5, 3, 2, 1)]
    parts.append(entries.read(entries.child(0)))
    diagnosis = diagnose(parent, parts)
    assert diagnosis.cause is Cause.OUT_OF_MEMORY
    assert diagnosis.summary.startswith("7 of 10 children failed; child 1: The container ran out of memory")
    assert diagnosis.details.endswith("; failed: 1, 2, 3, 5, 6, …")
    assert "more memory" in diagnosis.remedy


def test_a_child_that_failed_by_itself_explains_the_others(entries: Entries) -> None:
    """A child that only waited for another one is not the cause."""
    parent = entries.read(entries.array({"FAILED": 2}, status="FAILED"))
    waited = entries.failed(None, statusReason="Dependent Job failed")
    diagnosis = diagnose(
        parent, [entries.read(entries.child(0, waited)), entries.read(entries.child(1, entries.failed(2)))]
    )
    assert diagnosis.summary.startswith("2 of 2 children failed; child 1: The container failed by itself")
    assert diagnosis.details == "failed: 0, 1"


def test_children_that_are_all_victims_still_have_a_cause(entries: Entries) -> None:
    """When no child failed by itself the first one is shown."""
    parent = entries.read(entries.array({"FAILED": 1, "SUCCEEDED": 1}, status="FAILED"))
    stopped = entries.failed(143, statusReason="stop", isTerminated=True)
    diagnosis = diagnose(parent, [entries.read(entries.child(1, stopped))])
    assert diagnosis.summary == "1 of 2 children failed; child 1: The job was terminated (exit code 143; stop)."


def test_an_array_whose_children_are_unknown_still_counts_them(entries: Entries) -> None:
    """Without the children the counts are known, and how to find them."""
    diagnosis = diagnose(entries.read(entries.array({"FAILED": 1, "SUCCEEDED": 9}, status="FAILED")))
    assert diagnosis.summary == "1 of 10 children failed."
    assert "failed children" in diagnosis.remedy


def test_an_array_stopped_as_a_whole_is_not_explained_by_its_children(entries: Entries) -> None:
    """What was done to the parent comes first."""
    parent = entries.array({"FAILED": 2}, status="FAILED", isTerminated=True, statusReason="not needed")
    parts = [entries.read(entries.child(index, entries.failed(137))) for index in range(2)]
    assert diagnose(entries.read(parent), parts).cause is Cause.TERMINATED


def test_the_main_node_explains_a_multi_node_job(entries: Entries) -> None:
    """The main node's end is the job's; the nodes stopped along with it are not mentioned."""
    parent = entries.read(entries.multi_node(3, main=1, status="FAILED"))
    parts = [
        entries.read(entries.node(0, entries.failed(137))),
        entries.read(entries.node(1, entries.failed(2), is_main=True)),
    ]
    assert diagnose(parent, parts).summary.startswith("Main node 1 of 3 failed: The container failed by itself")


@pytest.mark.parametrize(("code", "cause"), [(143, Cause.SIGNAL), (137, Cause.KILLED)])
def test_a_node_that_was_only_stopped_points_at_the_main_one(entries: Entries, code: int, cause: Cause) -> None:
    """When that ends, AWS stops the others; the main node itself, and a node with a reason, are read as any job."""
    stopped = diagnose(entries.read(entries.node(1, entries.failed(code))))
    assert (stopped.cause, stopped.remedy.split(";")[0]) == (cause, "Look at the main node")
    assert "most often since the main node had ended" in stopped.summary
    others = [entries.node(0, entries.failed(code), is_main=True), entries.node(1, entries.failed(code, reason="OOM"))]
    assert not [one for one in others if "main node" in str(diagnose(entries.read(one)))]


def test_another_node_explains_a_job_whose_main_node_was_only_stopped(entries: Entries) -> None:
    """A node whose host went away brings the whole job down."""
    parent = entries.read(entries.multi_node(2, status="FAILED"))
    parts = [
        entries.read(entries.node(0, entries.failed(143, isTerminated=True))),
        entries.read(entries.node(1, entries.failed(None, statusReason=SPOT))),
    ]
    diagnosis = diagnose(parent, parts)
    assert diagnosis.cause is Cause.HOST_LOST
    assert diagnosis.summary.startswith("Node 1 of 2 failed")
