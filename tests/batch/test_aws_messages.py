"""What AWS is known to say, and what is made of it; of texts that look alike, each is told from the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_batch_jobs.batch.aws_messages import BLOCKS, EXIT_CODES, FATES, REASONS, Meaning, meaning_of
from airflow_batch_jobs.batch.diagnosis import Cause, Diagnosis, Outlook, diagnose
from airflow_batch_jobs.batch.waiting import why_waiting
from airflow_batch_jobs.local.lifecycle import DEPENDENCY_FAILED, EXITED, NOT_STARTED, TIMED_OUT
from tests.batch.conftest import Entries
from tests.batch.test_waiting import BLOCKED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_batch_jobs.batch.aws_messages.sign import Sign

LASTS, PASSES, DONE, UNCLEAR = Outlook.LASTS, Outlook.PASSES, Outlook.WORK_MAY_BE_DONE, Outlook.UNCLEAR
START = "CannotStartContainerError: Error response from daemon: OCI runtime create failed: "

#: ECS's list of "stopped tasks error messages" (Developer Guide), its stop codes (API), and the names of the agent's
#: errors: each with a text that AWS documents or people report, and what is to be made of it. None: nothing.
CODES: dict[str, tuple[str, Cause | None, Outlook]] = {
    "TaskFailedToStart": ("TaskFailedToStart: x", Cause.CANNOT_START, UNCLEAR),
    "ResourceInitializationError": ("ResourceInitializationError: x", Cause.RESOURCE_SETUP, UNCLEAR),
    "ResourceNotFoundException": (
        "ResourceNotFoundException: The task can't retrieve the secret with ARN 'arn:x' from AWS Secrets Manager.",
        Cause.SECRETS,
        LASTS,
    ),
    "SpotInterruptionError": ("SpotInterruptionError: x", Cause.HOST_LOST, PASSES),
    "InternalError": ("InternalError: x", Cause.AWS_ERROR, PASSES),
    "OutOfMemoryError": ("OutOfMemoryError: Container killed due to memory usage", Cause.OUT_OF_MEMORY, LASTS),
    "ContainerRuntimeError": ("ContainerRuntimeError: x", Cause.AWS_ERROR, PASSES),
    "ContainerRuntimeTimeoutError": (
        "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m: x",
        Cause.CANNOT_START,
        PASSES,
    ),
    "CannotStartContainerError": (
        "CannotStartContainerError: failed to get container status: x",
        Cause.CANNOT_START,
        UNCLEAR,
    ),
    "CannotStopContainerError": (
        "CannotStopContainerError: failed sending SIGTERM to container: x",
        Cause.END_UNKNOWN,
        DONE,
    ),
    "CannotInspectContainerError": ("CannotInspectContainerError: x", Cause.END_UNKNOWN, DONE),
    "CannotCreateVolumeError": ("CannotCreateVolumeError: x", Cause.RESOURCE_SETUP, UNCLEAR),
    "CannotPullContainer": ("CannotPullContainer: x", Cause.IMAGE_PULL, UNCLEAR),
    # stop codes
    "EssentialContainerExited": ("EssentialContainerExited", Cause.ESSENTIAL_EXITED, UNCLEAR),
    "UserInitiated": ("UserInitiated: Task stopped by user", Cause.TERMINATED, UNCLEAR),
    "SpotInterruption": ("SpotInterruption: Your Spot Task was interrupted.", Cause.HOST_LOST, PASSES),
    "TerminationNotice": ("TerminationNotice: x", Cause.HOST_LOST, PASSES),
    "ServiceSchedulerInitiated": ("ServiceSchedulerInitiated: x", None, UNCLEAR),  # AWS Batch runs no services
    "InfrastructureHealth": ("InfrastructureHealth: x", Cause.HOST_LOST, PASSES),
    # the agent's
    "DockerTimeoutError": (
        "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s",
        Cause.CANNOT_START,
        PASSES,
    ),
    "CannotPullContainerError": ("CannotPullContainerError: x", Cause.IMAGE_PULL, UNCLEAR),
    "CannotPullImageManifestError": (
        "CannotPullImageManifestError: Error response from daemon: toomanyrequests: Request exceeded pull rate limit",
        Cause.IMAGE_RATE_LIMIT,
        PASSES,
    ),
    "CannotPullECRContainerError": (
        "CannotPullECRContainerError: User: arn:x is not authorized to perform: ecr:GetAuthorizationToken",
        Cause.IMAGE_ACCESS_DENIED,
        LASTS,
    ),
    "CannotPullContainerAuthError": ("CannotPullContainerAuthError: x", Cause.IMAGE_PULL, UNCLEAR),
    "CannotCreateContainerError": ("CannotCreateContainerError: x", Cause.CANNOT_START, UNCLEAR),
    "CannotDescribeContainerError": ("CannotDescribeContainerError: x", Cause.END_UNKNOWN, DONE),
    "CannotInspectVolumeError": ("CannotInspectVolumeError: x", Cause.RESOURCE_SETUP, UNCLEAR),
    "InvalidParameterException": ("InvalidParameterException: x", Cause.REQUEST_REFUSED, LASTS),
    "AGENT": ("AGENT", Cause.CANNOT_START, PASSES),
    "RESOURCE": ("RESOURCE:MEMORY", Cause.CAPACITY, PASSES),
}

#: What people report: text, cause, outlook.
REPORTS = [
    (text, Cause(cause), Outlook(outlook))
    for line in Path(__file__).with_name("aws_messages.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for cause, outlook, text in [line.split(" | ")]
]


def said(text: str, **fields: Any) -> Diagnosis:
    """Diagnose a job of which AWS says this as its statusReason."""
    entries = Entries()
    return diagnose(entries.read(entries.failed(None, **{"statusReason": text, **fields})))


def meanings() -> Iterator[Meaning]:
    """Yield all that the catalogue has."""
    yield from (sign.meaning for sign in (*FATES, *REASONS, *BLOCKS))
    yield from EXIT_CODES.values()


@pytest.mark.parametrize("code", CODES)
def test_the_published_codes_are_known(code: str) -> None:
    """Each, by a text that begins with it, as the statusReason or as the reason of a container."""
    text, cause, outlook = CODES[code]
    assert text.startswith(code)
    told = said(text)
    assert (told.cause, told.outlook) == (cause or Cause.UNKNOWN, outlook)
    if cause not in {None, Cause.ESSENTIAL_EXITED}:
        entries = Entries()
        told = diagnose(entries.read(entries.failed(None, text, statusReason=NOT_STARTED)))
        assert (told.cause, told.outlook) == (cause, outlook)


def test_the_stop_codes_are_those_of_the_api() -> None:
    """So that a new one has to be entered here."""
    shape: Any = botocore.session.get_session().get_service_model("ecs").shape_for("TaskStopCode")
    assert set(shape.enum) <= CODES.keys()


@pytest.mark.parametrize(("text", "cause", "outlook"), REPORTS)
def test_texts_that_look_alike_are_told_apart(text: str, cause: Cause, outlook: Outlook) -> None:
    """By the stage that failed, and what went wrong in it; whatever the exit code that Docker makes up."""
    assert (said(text).cause, said(text).outlook) == (cause, outlook)
    for exit_code in (None, 126, 127, 128):
        entries = Entries()
        told = diagnose(entries.read(entries.failed(exit_code, text, statusReason=NOT_STARTED)))
        assert (told.cause, told.outlook) == (cause, outlook)


@pytest.mark.parametrize("signs", [REASONS, FATES, BLOCKS], ids=["reasons", "fates", "blocks"])
def test_every_sign_is_reached(signs: tuple[Sign, ...]) -> None:
    """By one of the texts here, or of those about a job that waits, past all the signs before it."""
    texts = [*(text for text, *_ in CODES.values()), *(text for text, *_ in REPORTS), *(text for text, _ in BLOCKED)]
    reached = {id(meaning_of(signs, text)) for text in (*texts, DEPENDENCY_FAILED, TIMED_OUT)}
    assert [sign.meaning for sign in signs if id(sign.meaning) not in reached] == []


def test_a_remedy_says_what_its_outlook_is() -> None:
    """What passes is run again; before work that may be done is done twice, it is looked at."""
    for meaning in meanings():
        says_again = re.search(r"\bagain\b", meaning.remedy) is not None
        if meaning.outlook is not Outlook.UNCLEAR:
            assert says_again == (meaning.outlook is not Outlook.LASTS), meaning
        if meaning.outlook is Outlook.WORK_MAY_BE_DONE:
            assert meaning.remedy.startswith("Read the end of its log"), meaning


@pytest.mark.parametrize(("flag", "cause"), [("isTerminated", Cause.TERMINATED), ("isCancelled", Cause.CANCELLED)])
@pytest.mark.parametrize(
    "reason",
    [
        TIMED_OUT,
        DEPENDENCY_FAILED,
        "Stopped: its duration exceeded timeout",
        "Host EC2 (instance i-0a) terminated.",
        "OutOfMemoryError, says Ada",
        "the JobStateTimeLimit of CAPACITY: was reached",
        "UserInitiated",
    ],
)
def test_what_a_user_wrote_does_not_steer_a_diagnosis(flag: str, cause: Cause, reason: str) -> None:
    """The reason of a cancelled or terminated job is shown, and not looked into; nor is it in its last attempt."""
    entries = Entries()
    assert said(reason, **{flag: True}).cause is cause
    attempt = {**entries.attempt(), "statusReason": reason}
    assert said("", attempts=[attempt], **{flag: True}).cause is cause
    entry = entries.failed(137, reason, statusReason=reason) | {flag: True}
    assert diagnose(entries.read(entry)).cause is cause


@pytest.mark.parametrize(
    "reason", ["Ada: duration exceeded timeout", "no Dependent Job failed", "my Host EC2 terminated"]
)
def test_only_aws_own_sentences_tell_a_fate(reason: str) -> None:
    """Not any text that has their words in it: not every answer says that a job was terminated."""
    assert said(reason).cause is Cause.UNKNOWN


@pytest.mark.parametrize("name", ["oomkilled", "unauthorized", "toomanyrequests", "no-such-host", "timeout"])
def test_names_do_not_steer_a_diagnosis(name: str) -> None:
    """Of images, commands, paths, ARNs and containers, with or without a registry and a tag."""
    entries = Entries()
    texts = [
        f"CannotPullContainerError: manifest for {name}:1 not found",
        f"CannotPullContainerError: manifest for registry.example/{name}/{name}:1 not found",
        f'CannotPullContainerError: Head "https://registry.example/v2/{name}/manifests/401": not found',
    ]
    for text in texts:
        entry = entries.failed(None, text, statusReason=NOT_STARTED)
        entry["container"]["image"] = f"{name}:1"
        assert diagnose(entries.read(entry)).cause is Cause.IMAGE_NOT_FOUND
    for command in (name, f"/bin/{name}", f"{name} no space left on device"):
        assert said(f'{START}exec: "{command}": executable file not found in $PATH').cause is Cause.COMMAND_NOT_FOUND
    assert (
        said(f"ResourceInitializationError: unable to retrieve ecr registry auth: arn:aws:x:{name}").outlook is UNCLEAR
    )
    entry = entries.multi_container(
        {name: {}, "other": {}}, status="FAILED", statusReason=f"CannotPullContainerError: no {name} image"
    )
    assert diagnose(entries.read(entry)).cause is Cause.IMAGE_PULL


@given(data=st.data())
def test_a_name_that_is_a_word_of_awss_changes_no_diagnosis(data: st.DataObject) -> None:
    """Of a job, a container or an image: the cause is the same, or at most unknown, and never another."""
    text, cause, _ = data.draw(st.sampled_from(REPORTS))
    words = {part for word in text.split() for part in (word, word.strip("\"'`\\.,:;()[]"), *re.findall(r"\w+", word))}
    name = data.draw(st.sampled_from(sorted(filter(None, words))))
    entries = Entries()
    single = entries.failed(None, text, statusReason=NOT_STARTED, jobName=name)
    single["container"]["image"] = data.draw(st.sampled_from([name, f"{name}:latest", f"{name}@sha256:0a"]))
    several = entries.multi_container({name: {"reason": text}, "other": {}}, status="FAILED", statusReason=NOT_STARTED)
    for entry in (single, several):
        assert diagnose(entries.read(entry)).cause in {cause, Cause.UNKNOWN}


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_awss_is_never_hidden(code: str) -> None:
    """Whatever is called like it."""
    text, cause, outlook = CODES[code]
    entry = Entries().failed(None, text, statusReason=NOT_STARTED, jobName=code)
    if cause not in {None, Cause.ESSENTIAL_EXITED}:
        for image in (code, f"{code}:1", text):
            entry["container"] |= {"image": image, "name": code}
            told = diagnose(Entries().read(entry))
            assert (told.cause, told.outlook) == (cause, outlook)


@pytest.mark.parametrize(
    ("reason", "status_reason", "cause"),
    [
        ("CreateContainerConfigError", 'secret "token" not found', Cause.SECRETS),
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", Cause.CANNOT_START),
        ("StartError", f'{START}exec: "algin": executable file not found in $PATH: unknown', Cause.COMMAND_NOT_FOUND),
        ("ContainerCannotRun", f'{START}exec: "/align": permission denied: unknown', Cause.NOT_EXECUTABLE),
        ("ImagePullBackOff", 'Back-off pulling image "x/y:1": ErrImagePull: x/y:1: not found', Cause.IMAGE_NOT_FOUND),
        ("ErrImagePull", "toomanyrequests: Rate exceeded", Cause.IMAGE_RATE_LIMIT),
        ("ContainerStatusUnknown", "Pod ephemeral local storage usage exceeds the limit 1Gi", Cause.DISK_FULL),
        ("ContainerStatusUnknown", "Evicted: The node was low on resource: memory.", Cause.HOST_LOST),
        ("Error", "UnexpectedAdmissionError: Allocate failed, which is unexpected", Cause.RESOURCE_SETUP),
        ("Error", "", Cause.COMMAND_NOT_FOUND),
    ],
)
def test_a_reason_of_one_word_is_read_with_the_detail_beside_it(reason: str, status_reason: str, cause: Cause) -> None:
    """A pod's container has Kubernetes' reason, and the job the message; the exit code of either is made up."""
    entries = Entries()
    told = diagnose(entries.read(entries.eks(127, reason, statusReason=status_reason)))
    assert told.cause is cause


def test_the_last_attempts_reason_counts_where_the_job_has_none(entries: Entries) -> None:
    """It is shown and understood; while a job waits for its next attempt, it is not why."""
    attempts = [entries.attempt(1), {**entries.attempt(2), "statusReason": "Host EC2 (instance i-0a) terminated."}]
    told = said("", attempts=attempts)
    assert told.cause is Cause.HOST_LOST
    assert told.summary.endswith("; after 2 attempts).")
    assert told.details == "Host EC2 (instance i-0a) terminated"
    blocked = {**entries.attempt(1), "statusReason": "CAPACITY:x"}
    waiting = why_waiting(entries.read(entries.waiting(attempts=[blocked])), 9999)
    assert waiting is not None
    assert waiting.cause is Cause.WAITING


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (EXITED, Cause.ESSENTIAL_EXITED),
        (NOT_STARTED, Cause.CANNOT_START),
        (TIMED_OUT, Cause.TIMEOUT),
        (DEPENDENCY_FAILED, Cause.DEPENDENCY_FAILED),
    ],
)
def test_the_texts_of_the_local_aws_are_known(text: str, cause: Cause) -> None:
    """It speaks as AWS does."""
    assert said(text).cause is cause


def test_an_outlook_is_stored_and_old_diagnoses_are_read() -> None:
    """One that this version does not know is unclear."""
    told = said("Host EC2 (instance i-0a) terminated.")
    assert Diagnosis.from_dict(told.to_dict()) == told
    stored = {"cause": "host lost", "summary": "It went.", "remedy": "Again."}
    assert Diagnosis.from_dict(stored).outlook is Outlook.UNCLEAR
    assert Diagnosis.from_dict({**stored, "outlook": "sunny"}).outlook is Outlook.UNCLEAR


PIECES = st.sampled_from(sorted({word for text, *_ in REPORTS for word in text.split()}))
TEXTS = st.text() | st.lists(PIECES | st.text(max_size=5), max_size=30).map(" ".join)


@given(reason=TEXTS, status_reason=TEXTS, exit_code=st.none() | st.integers(), name=TEXTS, image=TEXTS)
def test_any_text_is_one_line_of_bounded_length(
    reason: str, status_reason: str, exit_code: int | None, name: str, image: str
) -> None:
    """Whatever AWS, or whoever named things, may write."""
    entries = Entries()
    results: dict[str, dict[str, Any]] = {
        name: {"exitCode": exit_code, "reason": reason, "image": image},
        "other": {"exitCode": 0},
    }
    for entry in (
        entries.failed(exit_code, reason, statusReason=status_reason),
        entries.multi_container(results, status="FAILED", statusReason=status_reason),
        entries.waiting(statusReason=status_reason),
    ):
        detail = entries.read(entry)
        for told in (diagnose(detail), why_waiting(detail, 9999)):
            line = str(told)
            assert line.isprintable()
            assert len(line) < 2_500
