"""Why a job failed: pure functions of `JobDetail`.

Evidence is weighed in this order: what was done to the job (timeout, dependency, lost host, cancelled, terminated),
which of its parts failed, what AWS says about the container, and only then the bare exit code.
"""

from __future__ import annotations

import signal
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_batch_jobs.batch.aws_messages import (
    BLOCKS,
    EXIT_CODES,
    FATES,
    REASONS,
    Cause,
    Meaning,
    Outlook,
    meaning_of,
)
from airflow_batch_jobs.batch.containers import STOPPED_BY_ECS
from airflow_batch_jobs.batch.detail import JobKind
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.status import JobStatus
from airflow_batch_jobs.batch.storable import whole_number
from airflow_batch_jobs.batch.summary import (
    NO_WORDS,
    counted,
    in_words,
    one_line,
    status_reason,
    summarize,
    telling,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_batch_jobs.batch.detail import JobDetail

__all__ = ["Cause", "Diagnosis", "Outlook", "diagnose", "out_of_memory", "summarize", "tell"]

#: Of two texts that are read together, each is cut to this many characters.
_LONGEST_READ = 2_000
_PARTS_NAMED = 5
#: Enough to find a part that failed by itself; an array may have 10,000 children.
_PARTS_WEIGHED = 100
#: How a queue's own rule begins its reason for cancelling a job that waits too long.
_QUEUE_RULE = "Canceled by JobStateTimeLimit action due to reason: "
#: Causes that follow from something else.
_SECONDARY = frozenset({Cause.DEPENDENCY_FAILED, Cause.CANCELLED, Cause.TERMINATED})
#: Causes of which the reason that was given tells most.
_QUOTED = frozenset({Cause.CANCELLED, Cause.TERMINATED})
#: Causes that are fixed in the image, or in its name.
_OF_THE_IMAGE = frozenset(
    {
        Cause.IMAGE_NOT_FOUND,
        Cause.IMAGE_ACCESS_DENIED,
        Cause.IMAGE_RATE_LIMIT,
        Cause.IMAGE_NETWORK,
        Cause.IMAGE_PULL,
        Cause.COMMAND_NOT_FOUND,
        Cause.NOT_EXECUTABLE,
        Cause.WRONG_ARCHITECTURE,
    }
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is the matter with a job.

    Attributes:
        cause: The kind of cause.
        summary: One sentence on what happened, with the exit code.
        remedy: One sentence on what to do.
        outlook: What becomes of the same job if it is run again.
        exit_code: That of the container that failed; None where none started.
        details: What else is known, without a full stop: names, and AWS's own words.
    """

    cause: Cause
    summary: str
    remedy: str
    outlook: Outlook = Outlook.UNCLEAR
    exit_code: int | None = None
    details: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, in which the triggerer passes a diagnosis to a worker."""
        return {
            "cause": self.cause.value,
            "summary": self.summary,
            "remedy": self.remedy,
            "outlook": self.outlook.value,
            **({} if self.exit_code is None else {"exit_code": self.exit_code}),
            **({"details": self.details} if self.details else {}),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Diagnosis:
        """Read the JSON form; a cause that this version does not know becomes UNKNOWN, an outlook UNCLEAR."""
        outlook = stored.get("outlook", "")
        return cls(
            Cause.named(stored.get("cause")) or Cause.UNKNOWN,
            stored.get("summary", ""),
            stored.get("remedy", ""),
            Outlook(outlook) if outlook in {each.value for each in Outlook} else Outlook.UNCLEAR,
            whole_number(stored.get("exit_code")),
            stored.get("details", ""),
        )

    def __str__(self) -> str:
        return f"{self.summary} {self.remedy}" + (f" ({self.details})" if self.details else "")


def diagnose(detail: JobDetail, parts: Sequence[JobDetail] = ()) -> Diagnosis:
    """Say why a job FAILED and what to do.

    Args:
        detail: The job.
        parts: The children of an array or the nodes of a multi-node job, as far as they were described; those that
            did not fail are ignored.
    """
    failed = [part for part in parts if part.status is JobStatus.FAILED]
    return (
        _by_fate(detail)
        or _by_child(detail, failed)
        or _by_node(detail, failed)
        or _by_reason(detail)
        or _by_exit_code(detail)
        or _by_status_reason(detail)
    )


def out_of_memory(detail: JobDetail) -> list[str]:
    """Return the names of the containers that ran out of memory, each by what AWS says of it; empty for the only one.

    Args:
        detail: The job, or a part of one, after its end.
    """
    names = _names(detail)
    meanings = ((result, meaning_of(REASONS, result.reason, names)) for result in detail.last_results())
    return [result.name for result, meaning in meanings if meaning and meaning.cause is Cause.OUT_OF_MEMORY]


_CANCELLED = Meaning(
    Cause.CANCELLED,
    Outlook.UNCLEAR,
    "The job was cancelled before it started",
    "Submit it again if the work is still wanted.",
)
_TERMINATED = Meaning(
    Cause.TERMINATED, Outlook.UNCLEAR, "The job was terminated", "Submit it again if the work is still wanted."
)
_ESSENTIAL_EXITED = Meaning(
    Cause.ESSENTIAL_EXITED,
    Outlook.UNCLEAR,
    "{container} ended, and the job with it",
    "Read the end of its log; a container whose end is not a failure can be marked as not essential.",
)
_FAILED_BY_ITSELF = Meaning(
    Cause.EXIT_CODE, Outlook.UNCLEAR, "{container} failed by itself", "Read the end of its log."
)
_NODE_STOPPED = Meaning(
    Cause.SIGNAL,
    Outlook.UNCLEAR,
    "{container} was stopped, most often since the main node had ended",
    "Look at the main node; if that ran on, look for a spot interruption or too little memory.",
)
_CHILD_FAILED = Meaning(
    Cause.UNKNOWN,
    Outlook.UNCLEAR,
    "At least one of its children failed",
    "Look at its failed children in the AWS console, which lists them by status, to see why.",
)
_UNKNOWN = Meaning(
    Cause.UNKNOWN,
    Outlook.UNCLEAR,
    "The job failed",
    "Look at the job and its compute environment in the AWS console, which may say more.",
)


def _by_fate(detail: JobDetail) -> Diagnosis | None:
    """Read what was done to the job as a whole.

    Where somebody cancelled or terminated the job, its reasons are that person's words, whatever they read like.
    """
    reason = status_reason(detail)
    if reason.startswith(_QUEUE_RULE) and (block := meaning_of(BLOCKS, reason)):
        return tell(detail, block)
    if detail.is_cancelled:
        return tell(detail, _CANCELLED)
    if detail.is_terminated:
        return tell(detail, _TERMINATED)
    fate = meaning_of(FATES, reason) or meaning_of(FATES, detail.reason)
    return tell(detail, fate) if fate else None


def _by_child(detail: JobDetail, failed: Sequence[JobDetail]) -> Diagnosis | None:
    """Name the children of an array that failed, and the cause of the first that failed by itself."""
    count = max(detail.children.get(JobStatus.FAILED, 0), len(failed))
    if detail.kind is not JobKind.ARRAY_PARENT or not count:
        return None
    many = f"{count} of {counted(max(detail.array_size or 0, count), 'child', 'children')} failed"
    if not failed:
        return Diagnosis(Cause.UNKNOWN, f"{many}.", _CHILD_FAILED.remedy)
    ordered = sorted(failed, key=lambda child: child.array_index or 0)
    named = ", ".join(str(child.array_index) for child in ordered[:_PARTS_NAMED])
    more = ", …" if count > min(len(ordered), _PARTS_NAMED) else ""
    child, why = _first_cause(ordered)
    details = f"failed: {named}{more}" if count > 1 else ""
    return replace(
        why,
        summary=f"{many}; child {child.array_index}: {why.summary}",
        details="; ".join(filter(None, (why.details, details))),
    )


def _by_node(detail: JobDetail, failed: Sequence[JobDetail]) -> Diagnosis | None:
    """Name the node that made a multi-node job fail: the main one or the first that failed by itself."""
    if detail.kind is not JobKind.MULTI_NODE or not failed:
        return None
    main_first = sorted(failed, key=lambda node: (node.node_index != detail.main_node, node.node_index or 0))
    node, why = _first_cause(main_first)
    which = "Main node" if node.node_index == detail.main_node else "Node"
    return replace(why, summary=f"{which} {node.node_index} of {detail.nodes} failed: {why.summary}")


def _first_cause(failed: Iterable[JobDetail]) -> tuple[JobDetail, Diagnosis]:
    """Return the first part that failed by itself, else the first."""
    found = [(part, diagnose(part)) for part in islice(failed, _PARTS_WEIGHED)]
    return next(((part, why) for part, why in found if why.cause not in _SECONDARY), found[0])


def _by_reason(detail: JobDetail) -> Diagnosis | None:
    """Read what AWS says about the container, or about the task if no container was created.

    The first is read together with the second: of a pod it is often one word, `CreateContainerConfigError`, and what
    went wrong is in the other.
    """
    names, reason, of_status = _names(detail), detail.reason, status_reason(detail)
    together = f"{excerpt(reason, _LONGEST_READ)}: {excerpt(of_status, _LONGEST_READ)}" if reason else ""
    meaning = meaning_of(REASONS, together, names) or meaning_of(REASONS, of_status, names)
    return tell(detail, meaning) if meaning else None


def _by_exit_code(detail: JobDetail) -> Diagnosis | None:
    """Read the bare exit code."""
    code = detail.exit_code
    is_other_node = detail.kind is JobKind.NODE and not detail.is_main_node
    if code in STOPPED_BY_ECS and is_other_node and not detail.reason:
        return tell(detail, replace(_NODE_STOPPED, cause=EXIT_CODES[code].cause))
    return tell(detail, EXIT_CODES.get(code) or _other_exit(code)) if code else None


def _other_exit(code: int) -> Meaning:
    """Return the meaning of an exit code that is a signal's or the program's own."""
    try:
        name = signal.Signals(code - 128).name
    except ValueError:
        return _FAILED_BY_ITSELF
    return Meaning(
        Cause.SIGNAL, Outlook.UNCLEAR, f"{{container}} ended as if by signal {name}", _FAILED_BY_ITSELF.remedy
    )


def _by_status_reason(detail: JobDetail) -> Diagnosis:
    """Fall back to AWS's own words."""
    reason = status_reason(detail).lower()
    if reason.startswith(("essential container", "essentialcontainer")):
        return tell(detail, _ESSENTIAL_EXITED)
    if block := meaning_of(BLOCKS, status_reason(detail)):
        return tell(detail, block)
    return tell(detail, _CHILD_FAILED if reason.startswith("array child job failed") else _UNKNOWN)


def tell(detail: JobDetail, meaning: Meaning, said: str = "") -> Diagnosis:
    """Fill in a meaning's sentences from the job.

    Args:
        detail: The job.
        meaning: What is the matter with it.
        said: The details; if empty, those of a job that has ended.
    """
    figures = _figures(detail)
    summary = meaning.summary.format_map(figures)
    facts, details = ([], [one_line(said)]) if said else _facts(detail, meaning, figures["image"])
    return Diagnosis(
        cause=meaning.cause,
        summary=f"{summary[0].upper()}{summary[1:]}" + (f" ({'; '.join(facts)})." if facts else "."),
        remedy=meaning.remedy.format_map(figures),
        outlook=meaning.outlook,
        exit_code=detail.exit_code,
        details="; ".join(details),
    )


def _facts(detail: JobDetail, meaning: Meaning, image: str) -> tuple[list[str], list[str]]:
    """Return what is known of a job that has ended: what belongs in a diagnosis' summary, and its details."""
    code, words, attempts = detail.exit_code, _words(detail), len(detail.attempts)
    if meaning is _UNKNOWN and code is None and not words:
        words = [NO_WORDS]
    exit_code = "" if code is None else f"exit code {code}"
    tries = f"after {attempts} attempts" if attempts > 1 else ""
    is_quoted = meaning is _UNKNOWN or meaning.cause in _QUOTED
    facts = [exit_code, *(words if is_quoted else []), tries]
    details = [image if meaning.cause in _OF_THE_IMAGE else "", *([] if is_quoted else words)]
    return [*filter(None, facts)], [*filter(None, details)]


def _words(detail: JobDetail) -> list[str]:
    """Return AWS's words on a job that has ended, without those that say nothing beside others or an exit code."""
    found = dict.fromkeys(filter(None, (one_line(detail.reason), one_line(status_reason(detail)))))
    kept = [words for words in found if telling(words)]
    return kept if kept or detail.exit_code is not None else list(found)


def _figures(detail: JobDetail) -> Mapping[str, str]:
    """Return the values for a meaning's placeholders; empty where they are not known."""
    name = detail.telling_container()
    which = f"container {one_line(name)}" if name and len(detail.containers) > 1 else "the container"
    known = defaultdict(str, container=which)
    spec = next((spec for spec in detail.containers if spec.name == name), None)
    if spec is not None and spec.image:
        known["image"] = f"image {one_line(spec.image)}"
    if spec is not None and spec.memory:
        known["memory"] = f" (it has {one_line(spec.memory)})"
    if detail.timeout_seconds:
        known["timeout"] = f" of {in_words(detail.timeout_seconds)}"
    return known


def _names(detail: JobDetail) -> frozenset[str]:
    """Return what a user named in the job, in the forms that AWS repeats: a container, an image without its tag."""
    images = [spec.image for spec in detail.containers]
    bare = [image.partition("@")[0].rpartition(":")[0] for image in images]
    return frozenset([detail.job_name, *images, *bare, *(spec.name for spec in detail.containers)])
