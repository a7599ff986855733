"""explain: what went wrong on the way to AWS, for the people who read about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_batch_jobs.batch.aws.trouble import Trouble, credential_action, error_code, error_message, trouble
from airflow_batch_jobs.batch.excerpt import excerpt
from airflow_batch_jobs.batch.storable import storable_text
from airflow_batch_jobs.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What to do about each trouble.
_CURES: Mapping[Trouble, str] = {
    Trouble.THROTTLED: "The account's request rate is used up; try again later.",
    Trouble.TRANSIENT: "Check the network and the endpoint of {caller}.",
    Trouble.EXHAUSTED: "This machine is out of threads, file descriptors or memory; give it more.",
    Trouble.SKEWED: "Set this machine's clock: it differs from AWS's by more than AWS allows.",
    Trouble.EXPIRED: "The credentials of {caller} have expired; renew them.",
    Trouble.REJECTED: "Give {caller} valid credentials and a region.",
    Trouble.DENIED: "Allow the role of {caller} {action}.",
    Trouble.NO_CREDENTIALS: "Give {caller} valid credentials and a region.",
    Trouble.MISCONFIGURED: "Correct {caller}, the task or the AWS configuration of this machine.",
    Trouble.REFUSED: "Fix the request.",
}
#: The most characters of what was said that a message has; what is between AWS and here may say anything.
_LONGEST_SAID = 4_096
_POLICY_DENIES = "The {policy} does not allow it, whatever the role of {caller} may do; allow {action} there."
#: The action that AWS names in a denial: a call may need more than its own.
_NAMED_ACTION = re.compile(r"not authorized to perform: ([\w-]+:\w+)")
#: The policy that AWS names in one, where allowing the role would change nothing.
_NAMED_POLICY = re.compile(
    r"explicit deny in an? ([\w -]{1,40}?(?:policy|boundary))"
    r"|because no (?!identity|resource)([\w -]{1,40}?(?:policy|boundary)) allows"
)
#: What Python's HTTP client says of a header that it cannot send, with its value.
_HEADER_VALUE = re.compile("(Invalid header value) .*", re.DOTALL)
_ROLE_IS_DENIED = "Allow the credentials of {connection} {action} on {role}, and let its trust policy name them."


@dataclass(frozen=True, slots=True)
class Caller:
    """As whom AWS is called, in the words of a message.

    Attributes:
        connection: Where the credentials come from.
        role: The ARN of the role that is assumed with them; empty if there is none, or it is not known.
    """

    connection: str = "the AWS connection"
    role: str = ""

    def __str__(self) -> str:
        return f"{self.connection} (role {self.role})" if self.role else self.connection


def explain(error: BaseException, action: str, caller: Caller | None = None) -> AwsError:
    """Turn what a client or its making raised into an `AwsError`, with one sentence on what to do.

    If it was the call for the credentials that failed, that is the call which the message is about. An `AwsError` is
    returned as it is.

    Args:
        error: What was raised.
        action: The permission the call needs: `batch:DescribeJobs`; empty if credentials were being got.
        caller: As whom AWS was called.

    Raises:
        BaseException: The error itself, if it is a bug.
    """
    if isinstance(error, AwsError):
        return error
    _hide_header_values(error)
    kind, code, message, caller = trouble(error), error_code(error), error_message(error), caller or Caller()
    said = excerpt(" ".join((f"{code}: {message}" if code else message or repr(error)).split()), _LONGEST_SAID)
    cure = _CURES[kind]
    own = credential_action(error)
    if own and kind is Trouble.DENIED:
        cure = _ROLE_IS_DENIED
    action = own or action
    policy, needed = _NAMED_POLICY.search(message), _NAMED_ACTION.search(message)
    if policy and kind is Trouble.DENIED:
        cure = _POLICY_DENIES
    cure = cure.format(
        action=needed[1] if needed else action,
        caller=caller,
        connection=caller.connection,
        role=caller.role or "the role",
        policy=policy and (policy[1] or policy[2]),
    )
    # Logs show the error that this one explains as well.
    error.args = tuple(storable_text(each) if isinstance(each, str) else each for each in error.args)
    told = storable_text(f"{action or 'Getting credentials'} failed: {said.rstrip('.')}. {cure}")
    return kind.error(told, action=action, code=storable_text(code))


def _hide_header_values(error: BaseException | None) -> None:
    """Take the value of a header out of what says that it cannot be sent: it is a credential with a line break."""
    while error is not None:
        error.args = tuple(without_header_values(each) if isinstance(each, str) else each for each in error.args)
        error = error.__cause__ or error.__context__


def without_header_values(text: str) -> str:
    """Return a message without the value of a header that cannot be sent."""
    return _HEADER_VALUE.sub(r"\1: it has a character that no header may have", text)
